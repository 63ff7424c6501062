/* Writing at indices: scatter, segment; blocks whose place a tensor tells: slice_at, slice_update. */
#include <float.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static int64_t index_at(const cn_operand *o, int64_t i) {
  int64_t v;
  if (o->dtype == CORNU_INT32) return ((const int32_t *)o->data)[i];
  if (o->dtype == CORNU_INT64) return ((const int64_t *)o->data)[i];
  cn_convert(&v, CORNU_INT64, (const char *)o->data + (size_t)i * cornu_dtype_bytes(o->dtype), o->dtype, 1);
  return v;
}

static cn_status want_whole(const cn_type *t, const char *what, cn_error *e) {
  if (cn_dtype_is_integer(t->dtype)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "%s are %s, expected whole numbers", what, cornu_dtype_name(t->dtype));
}

/* ---- scatter ---- */

static cn_status scatter_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *indices = &t->in[1], *updates = &t->in[2];
  CN_TRY(want_whole(indices, "scatter: indices", e));
  CN_TRY(cn_want_rank(indices, "scatter: indices", 1, CN_MAX_RANK, e));
  int outer = indices->rank - 1;
  int64_t depth = indices->shape[outer];
  bool good = depth >= 0 && depth <= x->rank && updates->dtype == x->dtype && updates->rank == outer + x->rank - depth;
  for (int i = 0; good && i < updates->rank; i++)
    good = cn_dims_agree(updates->shape[i], i < outer ? indices->shape[i] : x->shape[depth + i - outer]);
  if (!good)
    return cn_fail(e, CORNU_ERR_SHAPE, "scatter: %s updates %s at indices %s do not fit into %s %s",
                   cornu_dtype_name(updates->dtype), CN_SHAPE(updates->rank, updates->shape),
                   CN_SHAPE(indices->rank, indices->shape), cornu_dtype_name(x->dtype), CN_SHAPE(x->rank, x->shape));
  t->out[0] = *x;
  return CORNU_OK;
}

static double combined(double a, double b, int reduction) {
  switch (reduction) {
    case CN_SCATTER_ADD: return a + b;
    case CN_SCATTER_MUL: return a * b;
    case CN_SCATTER_MAX: return a > b ? a : b;
    default: return a < b ? a : b;
  }
}

static int64_t combined_whole(int64_t a, int64_t b, int reduction) {
  switch (reduction) {
    case CN_SCATTER_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case CN_SCATTER_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case CN_SCATTER_MAX: return a > b ? a : b;
    default: return a < b ? a : b;
  }
}

/* to = to · from, element by element. */
static void combine(char *to, const char *from, cornu_dtype dtype, int64_t n, int reduction) {
  size_t size = cornu_dtype_bytes(dtype);
  if (reduction == CN_SCATTER_SET) {
    memcpy(to, from, (size_t)n * size);
    return;
  }
  for (; n > 0; n--, to += size, from += size) {
    if (cn_dtype_is_float(dtype)) {
      double a, b;
      cn_convert(&a, CORNU_FLOAT64, to, dtype, 1);
      cn_convert(&b, CORNU_FLOAT64, from, dtype, 1);
      a = combined(a, b, reduction);
      cn_convert(to, dtype, &a, CORNU_FLOAT64, 1);
    } else {
      int64_t a, b;
      cn_convert(&a, CORNU_INT64, to, dtype, 1);
      cn_convert(&b, CORNU_INT64, from, dtype, 1);
      a = combined_whole(a, b, reduction);
      cn_convert(to, dtype, &a, CORNU_INT64, 1);
    }
  }
}

static void scatter_run(const cn_step *s) {
  const cn_operand *x = s->in[0], *indices = s->in[1], *updates = s->in[2];
  int64_t depth = indices->shape[indices->rank - 1], row = cn_shape_size(x->rank - (int)depth, x->shape + depth);
  int64_t count = cn_shape_size(indices->rank - 1, indices->shape);
  size_t size = cornu_dtype_bytes(x->dtype);
  s->failure->status = CORNU_OK;
  memcpy(s->out[0]->data, x->data, (size_t)x->size * size);
  for (int64_t i = 0; i < count; i++) {
    int64_t at = 0;
    for (int64_t d = 0; d < depth; d++) {
      int64_t index = index_at(indices, i * depth + d);
      if (index < 0 || index >= x->shape[d]) {
        cn_fail(s->failure, CORNU_ERR_ARGUMENT, "scatter: index %lld of dimension %lld is out of range: %s",
                (long long)index, (long long)d, CN_SHAPE(x->rank, x->shape));
        return;
      }
      at = at * x->shape[d] + index;
    }
    combine((char *)s->out[0]->data + (size_t)(at * row) * size, (const char *)updates->data + (size_t)(i * row) * size,
            x->dtype, row, ((const cn_scatter_attrs *)s->attrs)->reduction);
  }
}

static cn_status plan_fallible(struct cn_planner *p, cn_step *s, cn_error *e, void (*run)(const cn_step *s)) {
  s->failure = cn_plan_memory(p, sizeof *s->failure);
  if (!s->failure) return cn_no_memory(e);
  s->run = run;
  return CORNU_OK;
}

static cn_status scatter_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return plan_fallible(p, s, e, scatter_run);
}

/* Where in memory the indices point, by elements of x's first dimensions. */
static cn_edge rows_of(cn_gradient *g, int64_t depth, int64_t count) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  double stride[CN_MAX_RANK];
  for (int64_t d = 0; d < depth; d++) stride[d] = (double)cn_shape_size((int)(depth - d - 1), x.shape + d + 1);
  cn_edge at = cn_g_cast(g, cn_g_reshape(g, g->in[1], 2, (const int64_t[]){count, depth}), CORNU_INT64);
  at = cn_g_mul(g, at, cn_gradient_vector(g, CORNU_INT64, stride, depth));
  return cn_g_cast(g, cn_g_sum(g, at, &(cn_ints){.n = 1, .v = {1}}, false), CORNU_INT64);
}

/* What an update gave, or added, is what comes back to its rows; what is set comes back to the last one alone, as the
 * others left nothing: TensorFlow gives it to all. */
static void scatter_gradient(cn_gradient *g) {
  const int reduction = ((const cn_scatter_attrs *)g->attrs)->reduction;
  const cn_type x = *cn_gradient_type(g, g->in[0]), indices = *cn_gradient_type(g, g->in[1]);
  const int64_t depth = indices.shape[indices.rank - 1], count = cn_shape_size(indices.rank - 1, indices.shape);
  const int64_t rows = cn_shape_size((int)depth, x.shape), row = cn_shape_size(x.rank - (int)depth, x.shape + depth);
  if (reduction != CN_SCATTER_SET && reduction != CN_SCATTER_ADD) {
    cn_gradient_refuse(g, "but where updates are set or added");
    return;
  }
  if (g->wanted[2]) {
    const cn_edge dy = cn_g_reshape(g, g->dy[0], 2, (const int64_t[]){rows, row});
    g->dx[2] = cn_g_as(g, cn_g2(g, &cn_op_gather, &(cn_axis_attrs){0}, dy, rows_of(g, depth, count)), g->in[2]);
  }
  if (!g->wanted[0]) return;
  g->dx[0] = g->dy[0];
  if (reduction == CN_SCATTER_SET)
    g->dx[0] = cn_gradient_emit(g, &cn_op_scatter, g->attrs,
                                (const cn_edge[]){g->dy[0], g->in[1], cn_g_zeros(g, g->in[2])}, 3);
}

static const cn_field scatter_fields[] = {
    {.name = "reduction", .kind = CN_F_ENUM, .offset = offsetof(cn_scatter_attrs, reduction), .standard = "\"set\"",
     .choices = "set add mul max min", .help = CN_HELP("how an update meets what is there")},
    {0}};
const cn_op cn_op_scatter = {
    .name = "scatter",
    .help = CN_HELP("x with rows set, added to … at indices, in their order; an index out of range fails\n"
                    "(a, b, …), indices (i…, d), updates (i…, the dimensions of x after the first d) -> (a, b, …)"),
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs_size = sizeof(cn_scatter_attrs),
    .fields = scatter_fields,
    .shape = scatter_shape,
    .plan = scatter_plan,
    .gradient = CN_GRADIENT(scatter_gradient),
};

/* ---- segment ---- */

static cn_status segment_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *ids = &t->in[1];
  CN_TRY(want_whole(ids, "segment: ids", e));
  if (ids->rank != 1 || x->rank < 1 || !cn_dims_agree(ids->shape[0], x->shape[0]))
    return cn_fail(e, CORNU_ERR_SHAPE, "segment: ids %s beside %s, expected one for each entry of its first axis",
                   CN_SHAPE(ids->rank, ids->shape), CN_SHAPE(x->rank, x->shape));
  t->out[0] = *x;
  t->out[0].shape[0] = ((const cn_segment_attrs *)t->attrs)->count;
  return CORNU_OK;
}

/* The dtype's lowest or highest number into one element. */
static void extreme(char *to, cornu_dtype dtype, bool lowest) {
  static const double largest[] = {[CORNU_FLOAT32] = FLT_MAX, [CORNU_FLOAT64] = DBL_MAX, [CORNU_FLOAT16] = 65504,
                                   [CORNU_BFLOAT16] = 0x1.fep127};
  size_t size = cornu_dtype_bytes(dtype);
  if (cn_dtype_is_float(dtype)) {
    double v = lowest ? -largest[dtype] : largest[dtype];
    cn_convert(to, dtype, &v, CORNU_FLOAT64, 1);
  } else if (dtype == CORNU_BOOL8) {
    *to = !lowest;
  } else {
    bool has_sign = dtype >= CORNU_INT8 && dtype <= CORNU_INT64;
    memset(to, lowest ? 0 : 0xff, size);
    if (has_sign) to[size - 1] ^= (char)0x80; /* little-endian */
  }
}

/* What a segment without entries holds. */
static void fill_empty(char *to, cornu_dtype dtype, int64_t n, const cn_segment_attrs *a) {
  size_t size = cornu_dtype_bytes(dtype);
  char value[8] = {0};
  bool is_extreme = a->reduction == CN_SCATTER_MAX || a->reduction == CN_SCATTER_MIN;
  double one = 1;
  if (a->reduction == CN_SCATTER_MUL) cn_convert(value, dtype, &one, CORNU_FLOAT64, 1);
  else if (is_extreme && !a->zero_empty) extreme(value, dtype, a->reduction == CN_SCATTER_MAX);
  for (; n > 0; n--, to += size) memcpy(to, value, size);
}

/* Sums of rows of floats, some columns of them on each thread: in the order of the entries. */
typedef struct sum_job { const cn_step *s; int64_t row; } sum_job;

static void sum_columns(void *context, int64_t begin, int64_t end) {
  const sum_job *j = context;
  const cn_operand *x = j->s->in[0], *y = j->s->out[0];
  for (int64_t i = 0; i < x->shape[0]; i++) {
    const int64_t id = index_at(j->s->in[1], i);
    if (id < 0) continue;
    if (x->dtype == CORNU_FLOAT64) {
      const double *from = (const double *)x->data + i * j->row;
      double *to = (double *)y->data + id * j->row;
      for (int64_t k = begin; k < end; k++) to[k] += from[k];
    } else {
      const float *from = (const float *)x->data + i * j->row;
      float *to = (float *)y->data + id * j->row;
      for (int64_t k = begin; k < end; k++) to[k] += from[k];
    }
  }
}

static void clear_bytes(void *context, int64_t begin, int64_t end) {
  memset((char *)((const cn_step *)context)->out[0]->data + begin, 0, (size_t)(end - begin));
}

static bool ids_fit(const cn_step *s, int64_t count) {
  s->failure->status = CORNU_OK;
  for (int64_t i = 0; i < s->in[1]->size; i++) {
    const int64_t id = index_at(s->in[1], i);
    if (id < count) continue;
    cn_fail(s->failure, CORNU_ERR_ARGUMENT, "segment: id %lld is out of range: there are %lld segments", (long long)id,
            (long long)count);
    return false;
  }
  return true;
}

static void segment_sums(const cn_step *s) {
  const cn_operand *x = s->in[0];
  sum_job j = {s, cn_shape_size(x->rank - 1, x->shape + 1)};
  if (!ids_fit(s, ((const cn_segment_attrs *)s->attrs)->count)) return;
  cn_parallel_range(s->out[0]->size * (int64_t)cornu_dtype_bytes(x->dtype), 1 << 20, clear_bytes, (void *)s);
  if (x->size > 0) cn_parallel_range(j.row, 65536 / x->shape[0] + 16, sum_columns, &j);
}

static void segment_run(const cn_step *s) {
  const cn_segment_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  int64_t row = cn_shape_size(x->rank - 1, x->shape + 1);
  size_t bytes = (size_t)row * cornu_dtype_bytes(x->dtype);
  char *seen = s->scratch, *out = s->out[0]->data;
  if (!ids_fit(s, a->count)) return;
  memset(seen, 0, (size_t)a->count);
  for (int64_t i = 0; i < x->shape[0]; i++) {
    int64_t id = index_at(s->in[1], i);
    if (id < 0) continue;
    combine(out + (size_t)id * bytes, (const char *)x->data + (size_t)i * bytes, x->dtype, row,
            seen[id] ? a->reduction : CN_SCATTER_SET);
    seen[id] = 1;
  }
  for (int64_t id = 0; id < a->count; id++)
    if (!seen[id]) fill_empty(out + (size_t)id * bytes, x->dtype, row, a);
}

static cn_status segment_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_segment_attrs *a = s->attrs;
  const cornu_dtype dtype = s->in[0]->dtype;
  const bool sums = a->reduction == CN_SCATTER_ADD && (dtype == CORNU_FLOAT32 || dtype == CORNU_FLOAT64);
  if (!sums) s->scratch_bytes = (size_t)a->count;
  return plan_fallible(p, s, e, sums ? segment_sums : segment_run);
}

/* rows (count, …) of the ids, zeros where an id is negative. */
static cn_edge rows_back(cn_gradient *g, cn_edge rows) {
  const cn_edge ids = g->in[1], taken = cn_g2(g, &cn_op_gather, &(cn_axis_attrs){0}, rows, ids);
  cn_edge there = cn_g2(g, &cn_op_greater_equal, NULL, ids, cn_gradient_number(g, ids, 0));
  cn_type t = {.rank = cn_gradient_type(g, taken)->rank, .shape = {cn_gradient_type(g, ids)->shape[0]}};
  for (int i = 1; i < t.rank; i++) t.shape[i] = 1;
  return cn_g_where(g, cn_g_reshape(g, there, t.rank, t.shape), taken);
}

/* Equal extremes share what comes back, as TensorFlow has it. */
static void segment_gradient(cn_gradient *g) {
  const cn_segment_attrs *a = g->attrs, sum = {.count = a->count, .reduction = CN_SCATTER_ADD, .zero_empty = true};
  if (a->reduction == CN_SCATTER_ADD) {
    g->dx[0] = rows_back(g, g->dy[0]);
    return;
  }
  if (a->reduction != CN_SCATTER_MAX && a->reduction != CN_SCATTER_MIN) {
    cn_gradient_refuse(g, "of products, or where entries replace each other");
    return;
  }
  const cn_edge equal = cn_g2(g, &cn_op_equal, NULL, g->in[0], rows_back(g, g->out[0]));
  const cn_edge is = cn_g_cast(g, equal, cn_gradient_type(g, g->in[0])->dtype);
  const cn_edge count = cn_g2(g, &cn_op_segment, &sum, is, g->in[1]), one = cn_gradient_number(g, count, 1);
  const cn_edge shares = cn_g_div(g, g->dy[0], cn_g2(g, &cn_op_maximum, NULL, count, one));
  g->dx[0] = cn_g_mul(g, is, rows_back(g, shares));
}

static const cn_field segment_fields[] = {
    {.name = "count", .kind = CN_F_INT, .offset = offsetof(cn_segment_attrs, count), .min = 0, .max = 1e9,
     .help = CN_HELP("segments")},
    {.name = "reduction", .kind = CN_F_ENUM, .offset = offsetof(cn_segment_attrs, reduction), .standard = "\"add\"",
     .choices = "set add mul max min", .help = CN_HELP("how the entries of a segment meet")},
    {.name = "zero_empty", .kind = CN_F_BOOL, .offset = offsetof(cn_segment_attrs, zero_empty), .standard = "false",
     .help = CN_HELP("maxima and minima of no entries are 0, else the dtype's lowest and highest number")},
    {0}};
const cn_op cn_op_segment = {
    .name = "segment",
    .help = CN_HELP("sums, products, … of the entries that have the same id; negative ids take part in none\n"
                    "(n, …), ids (n) -> (count, …)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_segment_attrs),
    .fields = segment_fields,
    .shape = segment_shape,
    .plan = segment_plan,
    .gradient = CN_GRADIENT(segment_gradient),
};

/* ---- Blocks ---- */

/* Copies between a block of `size` (rank dimensions) and its place in an array of `shape` that begins at `begin`. */
static void copy_block(int rank, const int64_t *shape, char *array, const int64_t *begin, const int64_t *size,
                       char *block, size_t bytes, bool into_array) {
  int64_t index[CN_MAX_RANK] = {0}, row = rank ? size[rank - 1] : 1, rows = rank ? cn_shape_size(rank - 1, size) : 1;
  for (int64_t i = 0; row > 0 && i < rows; i++, block += (size_t)row * bytes) {
    int64_t at = 0;
    for (int d = 0; d < rank; d++) at = at * shape[d] + begin[d] + (d < rank - 1 ? index[d] : 0);
    if (into_array) memcpy(array + (size_t)at * bytes, block, (size_t)row * bytes);
    else memcpy(block, array + (size_t)at * bytes, (size_t)row * bytes);
    for (int d = rank - 2; d >= 0 && ++index[d] == size[d]; d--) index[d] = 0;
  }
}

static cn_status want_begin(const cn_type *x, const cn_type *begin, cn_error *e) {
  CN_TRY(want_whole(begin, "where the block begins", e));
  if (begin->rank == 1 && cn_dims_agree(begin->shape[0], x->rank)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "the block begins at a tensor %s, expected one number for each dimension of %s",
                 CN_SHAPE(begin->rank, begin->shape), CN_SHAPE(x->rank, x->shape));
}

static cn_status slice_at_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  const cn_ints *size = &((const cn_ints_attrs *)t->attrs)->v;
  CN_TRY(want_begin(x, &t->in[1], e));
  t->out[0] = *x;
  for (int i = 0; i < x->rank; i++) {
    if (size->n != x->rank || size->v[i] < 0 || (x->shape[i] >= 0 && size->v[i] > x->shape[i]))
      return cn_fail(e, CORNU_ERR_ARGUMENT, "slice_at: a block of %s does not fit into %s", CN_SHAPE(size->n, size->v),
                     CN_SHAPE(x->rank, x->shape));
    t->out[0].shape[i] = size->v[i];
  }
  return CORNU_OK;
}

static void slice_at_run(const cn_step *s) {
  const cn_operand *x = s->in[0], *y = s->out[0];
  int64_t begin[CN_MAX_RANK];
  s->failure->status = CORNU_OK;
  for (int i = 0; i < x->rank; i++) {
    begin[i] = index_at(s->in[1], i);
    if (begin[i] >= 0 && begin[i] <= x->shape[i] - y->shape[i]) continue;
    cn_fail(s->failure, CORNU_ERR_ARGUMENT, "slice_at: the block begins at %lld in dimension %d, %lld of %lld elements",
            (long long)begin[i], i, (long long)y->shape[i], (long long)x->shape[i]);
    return;
  }
  copy_block(x->rank, x->shape, x->data, begin, y->shape, y->data, cornu_dtype_bytes(x->dtype), false);
}

static cn_status slice_at_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return plan_fallible(p, s, e, slice_at_run);
}

static void slice_at_gradient(cn_gradient *g) {
  const cn_edge in[] = {cn_g_zeros(g, g->in[0]), g->dy[0], g->in[1]};
  if (g->wanted[0]) g->dx[0] = cn_gradient_emit(g, &cn_op_slice_update, NULL, in, 3);
}

static const cn_field slice_at_fields[] = {
    {.name = "size", .kind = CN_F_INTS, .offset = offsetof(cn_ints_attrs, v),
     .help = CN_HELP("of the block, one entry per axis")},
    {0}};
const cn_op cn_op_slice_at = {
    .name = "slice_at",
    .help = CN_HELP("the block that begins at `begin`; where it reaches out of x the run fails\n(a, b, …), begin "
                    "(rank) -> size"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_ints_attrs),
    .fields = slice_at_fields,
    .shape = slice_at_shape,
    .plan = slice_at_plan,
    .gradient = CN_GRADIENT(slice_at_gradient),
};

static cn_status slice_update_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *updates = &t->in[1];
  CN_TRY(want_begin(x, &t->in[2], e));
  bool good = updates->rank == x->rank && updates->dtype == x->dtype;
  for (int i = 0; good && i < x->rank; i++)
    good = updates->shape[i] < 0 || x->shape[i] < 0 || updates->shape[i] <= x->shape[i];
  if (!good)
    return cn_fail(e, CORNU_ERR_SHAPE, "slice_update: a %s block %s does not fit into %s %s",
                   cornu_dtype_name(updates->dtype), CN_SHAPE(updates->rank, updates->shape),
                   cornu_dtype_name(x->dtype), CN_SHAPE(x->rank, x->shape));
  t->out[0] = *x;
  return CORNU_OK;
}

static void slice_update_run(const cn_step *s) {
  const cn_operand *x = s->in[0], *block = s->in[1];
  int64_t begin[CN_MAX_RANK];
  size_t bytes = cornu_dtype_bytes(x->dtype);
  for (int i = 0; i < x->rank; i++) {
    int64_t last = x->shape[i] - block->shape[i];
    begin[i] = index_at(s->in[2], i);
    if (begin[i] > last) begin[i] = last;
    if (begin[i] < 0) begin[i] = 0;
  }
  memcpy(s->out[0]->data, x->data, (size_t)x->size * bytes);
  copy_block(x->rank, x->shape, s->out[0]->data, begin, block->shape, block->data, bytes, true);
}

static cn_status slice_update_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = slice_update_run;
  return CORNU_OK;
}

/* begin, moved so that the block fits. */
static cn_edge moved_begin(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]), block = *cn_gradient_type(g, g->in[1]);
  double last[CN_MAX_RANK];
  for (int i = 0; i < x.rank; i++) last[i] = (double)(x.shape[i] - block.shape[i]);
  const cn_edge begin = cn_g_cast(g, g->in[2], CORNU_INT64), most = cn_gradient_vector(g, CORNU_INT64, last, x.rank);
  return cn_g2(g, &cn_op_maximum, NULL, cn_g2(g, &cn_op_minimum, NULL, begin, most), cn_gradient_number(g, begin, 0));
}

static void slice_update_gradient(cn_gradient *g) {
  const cn_edge block = cn_g_zeros(g, g->in[1]);
  if (g->wanted[0])
    g->dx[0] = cn_gradient_emit(g, &cn_op_slice_update, NULL, (const cn_edge[]){g->dy[0], block, g->in[2]}, 3);
  if (!g->wanted[1]) return;
  const cn_type t = *cn_gradient_type(g, g->in[1]);
  cn_ints_attrs size = {.v = {.n = t.rank}};
  for (int i = 0; i < t.rank; i++) size.v.v[i] = t.shape[i];
  g->dx[1] = cn_g2(g, &cn_op_slice_at, &size, g->dy[0], moved_begin(g));
}

const cn_op cn_op_slice_update = {
    .name = "slice_update",
    .help = CN_HELP("x with the block that begins at `begin`, moved so that it fits, replaced\n"
                    "(a, b, …), block (same rank), begin (rank) -> (a, b, …)"),
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = slice_update_shape,
    .plan = slice_update_plan,
    .gradient = CN_GRADIENT(slice_update_gradient),
};
