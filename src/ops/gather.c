/* Ops on indices: gather, one_hot; and full_like. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status gather_shape(cn_typing *t, cn_error *e) {
  const cn_type *table = &t->in[0], *indices = &t->in[1];
  int axis;
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, table->rank, &axis, e));
  if (table->rank - 1 + indices->rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "gather: more than %d dimensions", CN_MAX_RANK);
  cn_type *out = &t->out[0];
  *out = (cn_type){.dtype = table->dtype, .rank = table->rank - 1 + indices->rank};
  memcpy(out->shape, table->shape, sizeof *out->shape * (size_t)axis);
  memcpy(out->shape + axis, indices->shape, sizeof *out->shape * (size_t)indices->rank);
  memcpy(out->shape + axis + indices->rank, table->shape + axis + 1,
         sizeof *out->shape * (size_t)(table->rank - axis - 1));
  return CORNU_OK;
}

/* Entries of the axis; elements behind it; a table that stays in its file, or NULL. */
typedef struct state { int64_t n, row; int axis; const char *stored; } state;

static int64_t index_at(const cn_operand *o, int64_t i) {
  int64_t v;
  if (o->dtype == CORNU_INT32) return ((const int32_t *)o->data)[i];
  if (o->dtype == CORNU_INT64) return ((const int64_t *)o->data)[i];
  cn_convert(&v, CORNU_INT64, (const char *)o->data + (size_t)i * cornu_dtype_bytes(o->dtype), o->dtype, 1);
  return v;
}

static void no_row(char *to, cornu_dtype dtype, int64_t n) {
  double nan = NAN;
  size_t size = cornu_dtype_bytes(dtype);
  for (int64_t i = 0; i < n; i++) {
    if (cn_dtype_is_float(dtype)) cn_convert(to + (size_t)i * size, dtype, &nan, CORNU_FLOAT64, 1);
    else memset(to + (size_t)i * size, 0, size);
  }
}

static void gather_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  int64_t count = s->in[1]->size;
  const char *table = st->stored ? st->stored : s->in[0]->data;
  for (int64_t i = begin; i < end; i++) {
    int64_t k = index_at(s->in[1], i % count);
    char *to = (char *)s->out[0]->data + (size_t)(i * st->row) * size;
    if (k < 0 || k >= st->n) no_row(to, s->out[0]->dtype, st->row);
    else memcpy(to, table + (size_t)((i / count * st->n + k) * st->row) * size, (size_t)st->row * size);
  }
}

static void gather_run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / st->row, 16384 / st->row + 1, gather_range, (void *)s);
}

static cn_status gather_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_axis_attrs *)s->attrs)->axis, s->in[0]->rank, &st->axis, e));
  st->n = s->in[0]->shape[st->axis];
  st->row = cn_shape_size(s->in[0]->rank - st->axis - 1, s->in[0]->shape + st->axis + 1);
  if (!s->in[0]->data && s->in[0]->tensor) st->stored = cn_tensor_stored(s->in[0]->tensor);
  if (st->stored) *s->in[0]->packed = true; /* few of its rows are read, and at any alignment */
  s->run = gather_run;
  return CORNU_OK;
}

/* Rows of dy with the same index are summed up: (outer, indices, inner) with the indices in front. */
static void gather_gradient(cn_gradient *g) {
  const cn_type table = *cn_gradient_type(g, g->in[0]), ids = *cn_gradient_type(g, g->in[1]);
  if (!g->wanted[0]) return;
  const int64_t given = ((const cn_axis_attrs *)g->attrs)->axis, axis = given < 0 ? given + table.rank : given;
  const int64_t outer = cn_shape_size((int)axis, table.shape), n = cn_shape_size(ids.rank, ids.shape);
  const int64_t inner = cn_shape_size(table.rank - (int)axis - 1, table.shape + axis + 1);
  const cn_ints_attrs swap = {.v = {.n = 3, .v = {1, 0, 2}}};
  const cn_segment_attrs add = {.count = table.shape[axis], .reduction = CN_SCATTER_ADD, .zero_empty = true};
  cn_edge dy = cn_g_reshape(g, g->dy[0], 3, (const int64_t[]){outer, n, inner});
  if (outer != 1) dy = cn_g1(g, &cn_op_transpose, &swap, dy);
  else dy = cn_g_reshape(g, dy, 3, (const int64_t[]){n, 1, inner});
  cn_edge at = cn_g_reshape(g, g->in[1], 1, &n);
  if (!cn_dtype_is_integer(ids.dtype)) at = cn_g_cast(g, at, CORNU_INT64);
  cn_edge sum = cn_g2(g, &cn_op_segment, &add, dy, at);
  if (outer != 1) sum = cn_g1(g, &cn_op_transpose, &swap, sum);
  g->dx[0] = cn_g_as(g, sum, g->in[0]);
}

static const cn_field gather_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_axis_attrs, axis), .standard = "0",
     .help = CN_HELP("the axis of the table")},
    {0}};
const cn_op cn_op_gather = {
    .name = "gather",
    .aliases = "take",
    .help = CN_HELP("entries of a table by their indices\n(table, indices)"),
    .flags = CN_OP_TEXTS,
    .packed_in = 1,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = gather_fields,
    .shape = gather_shape,
    .plan = gather_plan,
    .gradient = CN_GRADIENT(gather_gradient),
};

/* ---- one_hot ---- */

static cn_status one_hot_shape(cn_typing *t, cn_error *e) {
  const cn_one_hot_attrs *a = t->attrs;
  if (t->in[0].rank >= CN_MAX_RANK) return cn_fail(e, CORNU_ERR_SHAPE, "one_hot: more than %d dimensions", CN_MAX_RANK);
  t->out[0] = t->in[0];
  t->out[0].shape[t->out[0].rank++] = a->depth;
  t->out[0].dtype = a->dtype;
  return CORNU_OK;
}

static void one_hot_run(const cn_step *s) {
  const cn_one_hot_attrs *a = s->attrs;
  size_t size = cornu_dtype_bytes(a->dtype);
  double one = 1;
  memset(s->out[0]->data, 0, (size_t)s->out[0]->size * size);
  for (int64_t i = 0; i < s->in[0]->size; i++) {
    int64_t k = index_at(s->in[0], i);
    if (k >= 0 && k < a->depth)
      cn_convert((char *)s->out[0]->data + (size_t)(i * a->depth + k) * size, a->dtype, &one, CORNU_FLOAT64, 1);
  }
}

static cn_status one_hot_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = one_hot_run;
  return CORNU_OK;
}

static const cn_field one_hot_fields[] = {
    {.name = "depth", .aliases = "num_classes", .kind = CN_F_INT, .offset = offsetof(cn_one_hot_attrs, depth), .min = 1,
     .max = 1e9, .help = CN_HELP("size of the new last axis")},
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(cn_one_hot_attrs, dtype), .standard = "\"float32\"",
     .help = CN_HELP("dtype of the result")},
    {0}};
const cn_op cn_op_one_hot = {
    .name = "one_hot",
    .help = CN_HELP("1 at the index along a new last axis, else 0"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_one_hot_attrs),
    .fields = one_hot_fields,
    .shape = one_hot_shape,
    .plan = one_hot_plan,
    .gradient = CN_GRADIENT(cn_gradient_zero),
};

/* ---- full_like ---- */

static cn_status full_shape(cn_typing *t, cn_error *e) {
  (void)e;
  const cn_fill_attrs *a = t->attrs;
  t->out[0] = t->in[0];
  if (a->dtype != CORNU_DTYPES) t->out[0].dtype = a->dtype;
  return CORNU_OK;
}

static void full_run(const cn_step *s) {
  const cn_fill_attrs *a = s->attrs;
  size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  char *to = s->out[0]->data;
  if (s->out[0]->size > 0) cn_convert(to, s->out[0]->dtype, &a->value, CORNU_FLOAT64, 1);
  for (int64_t i = 1; i < s->out[0]->size; i++) memcpy(to + (size_t)i * size, to, size);
}

static cn_status full_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = full_run;
  return CORNU_OK;
}

static const cn_field full_fields[] = {
    {.name = "value", .kind = CN_F_FLOAT, .offset = offsetof(cn_fill_attrs, value), .standard = "0",
     .help = CN_HELP("the value")},
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(cn_fill_attrs, dtype), .standard = "null",
     .help = CN_HELP("null: the input's")},
    {0}};
const cn_op cn_op_full_like = {
    .name = "full_like",
    .help = CN_HELP("the input's shape, filled with one value"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_fill_attrs),
    .fields = full_fields,
    .shape = full_shape,
    .plan = full_plan,
    .gradient = CN_GRADIENT(cn_gradient_zero),
};
