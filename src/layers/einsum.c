/* An Einstein sum is one matrix product: (batch…, rows…, summed…) times (batch…, summed…, columns…). */
#include "layers/einsum.h"

#include <string.h>

#include "base/text.h"
#include "ops/ops.h"

typedef struct axes { char of[CN_MAX_RANK + 1]; int n; } axes;

static bool has(const char *list, char c) { return c && strchr(list, c); }

static void add(axes *a, char c) {
  if (a->n < CN_MAX_RANK) a->of[a->n++] = c;
}

static bool check(cn_trace *t, const char *letters, cn_edge x) {
  if (t->status) return false;
  bool twice = false;
  for (const char *p = letters; *p; p++) twice |= has(p + 1, *p);
  if (!twice && (int)strlen(letters) == cn_edge_type(t, x)->rank) return true;
  cn_trace_fail(t, CORNU_ERR_SHAPE, "the axes \"%s\" do not fit the shape %s", letters,
                CN_SHAPE(cn_edge_type(t, x)->rank, cn_edge_type(t, x)->shape));
  return false;
}

cn_edge cn_emit_arranged(cn_trace *t, const char *letters, cn_edge x, const char *order) {
  cn_reduce_attrs sum = {.axes = {.n = 0}};
  axes left = {.n = 0};
  for (int i = 0; letters[i]; i++) {
    if (has(order, letters[i])) add(&left, letters[i]);
    else sum.axes.v[sum.axes.n++] = i;
  }
  if (sum.axes.n) x = cn_emit1(t, &cn_op_sum, &sum, x);
  cn_ints_attrs moved = {.v = {.n = left.n}};
  bool same = true;
  for (int i = 0; i < left.n; i++) {
    moved.v.v[i] = strchr(left.of, order[i]) - left.of;
    same &= moved.v.v[i] == i;
  }
  return same ? x : cn_emit1(t, &cn_op_transpose, &moved, x);
}

/* The sizes of axes after another joined into one; -1: not known. */
static int64_t joined(const int64_t *shape, int n) {
  int64_t size = 1;
  for (int i = 0; i < n; i++) size = cn_dim_mul(size, shape[i]);
  return size;
}

/* x to (the first `kept` axes, then each count of `groups` as one). Unknown sizes are left to the reshape. */
static cn_edge join(cn_trace *t, cn_edge x, int kept, const int *groups, int n) {
  const cn_type type = *cn_edge_type(t, x);
  cn_reshape_attrs a = {.shape = {.n = kept + n}};
  int at = kept;
  bool open = false;
  for (int i = 0; i < kept; i++) a.shape.v[i] = CN_DIM_COPY;
  for (int i = 0; i < n; at += groups[i++]) {
    int64_t size = joined(type.shape + at, groups[i]);
    a.shape.v[kept + i] = size >= 0 ? size : open ? CN_DIM_OPEN : CN_DIM_INFER;
    open |= size < 0;
  }
  return type.rank == kept + n && at == type.rank && n == 0 ? x : cn_emit1(t, &cn_op_reshape, &a, x);
}

/* The product (batch…, rows, columns) as (batch…, rows…, columns…), whose sizes are those of a and b. */
static cn_edge split(cn_trace *t, cn_edge y, int batch, const cn_type *a, int rows, const cn_type *b, int columns,
                     int columns_at) {
  cn_reshape_attrs out = {.shape = {.n = batch + rows + columns}};
  int open = 0;
  for (int i = 0; i < batch; i++) out.shape.v[i] = CN_DIM_COPY;
  for (int i = 0; i < rows + columns; i++) {
    int64_t size = i < rows ? a->shape[batch + i] : b->shape[columns_at + i - rows];
    int place = batch + i;
    if (size < 0 && rows == 1 && i == 0) out.shape.v[place] = CN_DIM_COPY;
    else if (size < 0) out.shape.v[place] = open++ == 0 ? CN_DIM_INFER : CN_DIM_OPEN;
    else out.shape.v[place] = size;
  }
  return cn_emit1(t, &cn_op_reshape, &out, y);
}

/* Which axes play which part. Each operand's are then in the order (batch, rows, summed), (batch, summed, columns). */
typedef struct form { axes left, right, result; int batch, rows, summed, columns; } form;

static form classify(const char *a_axes, const char *b_axes, const char *out_axes) {
  form f = {.batch = 0};
  for (const char *p = out_axes; *p; p++)
    if (has(a_axes, *p) && has(b_axes, *p)) add(&f.left, *p), add(&f.right, *p), add(&f.result, *p), f.batch++;
  for (const char *p = out_axes; *p; p++)
    if (has(a_axes, *p) && !has(b_axes, *p)) add(&f.left, *p), add(&f.result, *p), f.rows++;
  for (const char *p = a_axes; *p; p++)
    if (has(b_axes, *p) && !has(out_axes, *p)) add(&f.left, *p), add(&f.right, *p), f.summed++;
  for (const char *p = out_axes; *p; p++)
    if (!has(a_axes, *p)) add(&f.right, *p), add(&f.result, *p), f.columns++;
  return f;
}

/* Without a batch the rows keep their axes: any number of them may have an unknown size. */
static bool is_flat(const form *f) { return f->batch == 0 && f->rows > 0; }

static cn_edge flat_product(cn_trace *t, const form *f, cn_edge a, cn_edge b, cn_edge bias) {
  const cn_type a_type = *cn_edge_type(t, a), b_type = *cn_edge_type(t, b);
  if (f->summed != 1) a = join(t, a, f->rows, (int[]){f->summed}, 1);
  if (f->summed != 1 || f->columns != 1) b = join(t, b, 0, (int[]){f->summed, f->columns}, 2);
  cn_edge y = bias == CN_NO_EDGE ? cn_emit2(t, &cn_op_matmul, NULL, a, b)
                                 : cn_emit3(t, &cn_op_dense, &(cn_dense_attrs){0}, a, b, bias);
  return f->columns == 1 ? y : split(t, y, f->rows, &a_type, 0, &b_type, f->columns, f->summed);
}

cn_edge cn_emit_einsum(cn_trace *t, const char *a_axes, cn_edge a, const char *b_axes, cn_edge b,
                       const char *out_axes) {
  if (!check(t, a_axes, a) || !check(t, b_axes, b)) return CN_NO_EDGE;
  const form f = classify(a_axes, b_axes, out_axes);
  int batch = f.batch, rows = f.rows, summed = f.summed, columns = f.columns;
  a = cn_emit_arranged(t, a_axes, a, f.left.of);
  b = cn_emit_arranged(t, b_axes, b, f.right.of);
  if (is_flat(&f)) return cn_emit_arranged(t, f.result.of, flat_product(t, &f, a, b, CN_NO_EDGE), out_axes);
  const cn_type a_type = *cn_edge_type(t, a), b_type = *cn_edge_type(t, b);
  if (rows != 1 || summed != 1) a = join(t, a, batch, (int[]){rows, summed}, 2);
  if (summed != 1 || columns != 1) b = join(t, b, batch, (int[]){summed, columns}, 2);
  cn_edge y = cn_emit2(t, &cn_op_matmul, NULL, a, b);
  if (rows != 1 || columns != 1) y = split(t, y, batch, &a_type, rows, &b_type, columns, batch + summed);
  return cn_emit_arranged(t, f.result.of, y, out_axes);
}

/* A bias over some of the columns' axes as one over all columns. */
static cn_edge flat_bias(cn_trace *t, const form *f, cn_edge b, cn_edge bias) {
  const cn_type *type = cn_edge_type(t, b);
  cn_ints_attrs shape = {.v = {.n = f->columns}};
  memcpy(shape.v.v, type->shape + f->summed, sizeof *type->shape * (size_t)f->columns);
  if (!cn_shape_equal(f->columns, shape.v.v, cn_edge_type(t, bias)->rank, cn_edge_type(t, bias)->shape))
    bias = cn_emit1(t, &cn_op_broadcast_to, &shape, bias);
  return f->columns == 1 ? bias : join(t, bias, 0, (int[]){f->columns}, 1);
}

cn_edge cn_emit_einsum_dense(cn_trace *t, const char *a_axes, cn_edge a, const char *b_axes, cn_edge b,
                             const char *out_axes, cn_edge bias) {
  if (!check(t, a_axes, a) || !check(t, b_axes, b)) return CN_NO_EDGE;
  const form f = classify(a_axes, b_axes, out_axes);
  if (!is_flat(&f) || strcmp(f.result.of, out_axes) != 0 || cn_edge_type(t, bias)->rank > f.columns || !f.columns)
    return cn_emit2(t, &cn_op_add, NULL, cn_emit_einsum(t, a_axes, a, b_axes, b, out_axes), bias);
  a = cn_emit_arranged(t, a_axes, a, f.left.of);
  b = cn_emit_arranged(t, b_axes, b, f.right.of);
  return flat_product(t, &f, a, b, flat_bias(t, &f, b, bias));
}
