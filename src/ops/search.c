/* take_along_axis, and searchsorted: where values would go in a sorted line. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* ---- take_along_axis(x, indices): both of one rank and, the axis apart, of one shape ---- */

typedef struct state { int64_t n, taken, inner; } state;

static cn_status take_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *indices = &t->in[1];
  int axis;
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, x->rank, &axis, e));
  bool fits = x->rank == indices->rank;
  for (int i = 0; fits && i < x->rank; i++) fits = i == axis || cn_dims_agree(x->shape[i], indices->shape[i]);
  if (!fits)
    return cn_fail(e, CORNU_ERR_SHAPE, "take_along_axis: indices %s do not fit %s along axis %d",
                   CN_SHAPE(indices->rank, indices->shape), CN_SHAPE(x->rank, x->shape), axis);
  t->out[0] = *indices;
  t->out[0].dtype = x->dtype;
  for (int i = 0; i < x->rank; i++)
    if (i != axis && t->out[0].shape[i] < 0) t->out[0].shape[i] = x->shape[i];
  return CORNU_OK;
}

static void take_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_operand *x = s->in[0], *indices = s->in[1], *y = s->out[0];
  size_t size = cornu_dtype_bytes(y->dtype), index_size = cornu_dtype_bytes(indices->dtype);
  double nan = NAN;
  for (int64_t i = begin; i < end; i++) {
    int64_t k, block = i / (st->taken * st->inner);
    char *to = (char *)y->data + (size_t)i * size;
    cn_convert(&k, CORNU_INT64, (const char *)indices->data + (size_t)i * index_size, indices->dtype, 1);
    if (k < 0) k += st->n;
    if (k >= 0 && k < st->n)
      memcpy(to, (const char *)x->data + (size_t)((block * st->n + k) * st->inner + i % st->inner) * size, size);
    else if (cn_dtype_is_float(y->dtype)) cn_convert(to, y->dtype, &nan, CORNU_FLOAT64, 1);
    else memset(to, 0, size);
  }
}

static void take_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 4096, take_range, (void *)s); }

static cn_status take_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  int axis;
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_axis_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  *st = (state){s->in[0]->shape[axis], s->out[0]->shape[axis],
                cn_shape_size(s->in[0]->rank - axis - 1, s->in[0]->shape + axis + 1)};
  s->run = take_run;
  return CORNU_OK;
}

/* ---- put_along_axis ---- */

static cn_status put_shape(cn_typing *t, cn_error *e) {
  const cn_put_attrs *a = t->attrs;
  int axis;
  CN_TRY(cn_axis(a->axis, t->in[0].rank, &axis, e));
  t->out[0] = t->in[0];
  t->out[0].shape[axis] = a->n;
  return CORNU_OK;
}

/* Lines that are not neighbours in memory, or blocks of them. */
static void put_blocks(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_operand *dy = s->in[0], *indices = s->in[1], *y = s->out[0];
  const size_t size = cornu_dtype_bytes(indices->dtype), item = cornu_dtype_bytes(y->dtype);
  memset((char *)y->data + (size_t)(begin * st->n * st->inner) * item, 0,
         (size_t)((end - begin) * st->n * st->inner) * item);
  for (int64_t i = begin * st->taken * st->inner; i < end * st->taken * st->inner; i++) {
    int64_t k;
    cn_convert(&k, CORNU_INT64, (const char *)indices->data + (size_t)i * size, indices->dtype, 1);
    if (k < 0) k += st->n;
    if (k < 0 || k >= st->n) continue;
    const int64_t at = (i / (st->taken * st->inner) * st->n + k) * st->inner + i % st->inner;
    if (item == sizeof(double)) ((double *)y->data)[at] += ((const double *)dy->data)[i];
    else ((float *)y->data)[at] += ((const float *)dy->data)[i];
  }
}

static void put_run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size > 0)
    cn_parallel_range(s->out[0]->size / (st->n * st->inner), 4096 / (st->n * st->inner) + 1, put_blocks, (void *)s);
}

static cn_status put_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  int axis;
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_put_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  *st = (state){s->out[0]->shape[axis], s->in[0]->shape[axis],
                cn_shape_size(s->in[0]->rank - axis - 1, s->in[0]->shape + axis + 1)};
  s->run = put_run;
  return CORNU_OK;
}

const cn_op cn_op_put_along_axis = {
    .name = "put_along_axis",
    .help = CN_HELP("elements added to zeros along an axis by their indices\n(dy (…, k, …), indices (…, k, "
                    "…)) -> (…, n, …)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_put_attrs),
    .shape = put_shape,
    .plan = put_plan,
};

static void take_gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  const int64_t axis = ((const cn_axis_attrs *)g->attrs)->axis;
  const cn_put_attrs a = {axis, x.shape[axis < 0 ? axis + x.rank : axis]};
  if (g->wanted[0]) g->dx[0] = cn_g2(g, &cn_op_put_along_axis, &a, g->dy[0], g->in[1]);
}

static const cn_field take_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_axis_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {0}};
const cn_op cn_op_take_along_axis = {
    .name = "take_along_axis",
    .help = CN_HELP("elements along an axis by their indices, negative from the end; out of range: NaN, 0 "
                    "for integers\n"
                    "(x (…, n, …), indices (…, k, …)) -> (…, k, …)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = take_fields,
    .shape = take_shape,
    .plan = take_plan,
    .gradient = CN_GRADIENT(take_gradient),
};

/* ---- searchsorted(sequence (n), values) ---- */

static cn_status search_shape(cn_typing *t, cn_error *e) {
  CN_TRY(cn_want_rank(&t->in[0], "searchsorted", 1, 1, e));
  t->out[0] = t->in[1];
  t->out[0].dtype = CORNU_INT32;
  return CORNU_OK;
}

static double number_at(const cn_operand *x, int64_t i) {
  double v;
  cn_convert(&v, CORNU_FLOAT64, (const char *)x->data + (size_t)i * cornu_dtype_bytes(x->dtype), x->dtype, 1);
  return v;
}

static void search_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  bool right = ((const cn_search_attrs *)s->attrs)->side == 1;
  for (int64_t i = begin; i < end; i++) {
    double v = number_at(s->in[1], i);
    int64_t low = 0, high = s->in[0]->size;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      double w = number_at(s->in[0], middle);
      if (right ? !(v < w) : w < v) low = middle + 1;
      else high = middle;
    }
    ((int32_t *)s->out[0]->data)[i] = (int32_t)low;
  }
}

static void search_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 1024, search_range, (void *)s); }

static cn_status search_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = search_run;
  return CORNU_OK;
}

static const cn_field search_fields[] = {
    {.name = "side", .kind = CN_F_ENUM, .offset = offsetof(cn_search_attrs, side), .standard = "\"left\"",
     .choices = "left right", .help = CN_HELP("before or behind equal elements")},
    {0}};
const cn_op cn_op_searchsorted = {
    .name = "searchsorted",
    .help = CN_HELP("int32 places at which values would go in a sorted sequence\n(sequence (n), values (…)) -> (…)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_search_attrs),
    .fields = search_fields,
    .shape = search_shape,
    .plan = search_plan,
};
