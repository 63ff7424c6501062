/* where, clip, nan_to_num, cast. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* ---- where(condition, a, b) ---- */

static cn_status where_shape(cn_typing *t, cn_error *e) {
  const cn_type *c = &t->in[0], *a = &t->in[1], *b = &t->in[2];
  cn_type *out = &t->out[0];
  CN_TRY(cn_shape_broadcast(a->rank, a->shape, b->rank, b->shape, &out->rank, out->shape, e));
  CN_TRY(cn_shape_broadcast(c->rank, c->shape, out->rank, out->shape, &out->rank, out->shape, e));
  out->dtype = cn_promote(a->dtype, b->dtype);
  return CORNU_OK;
}

/* Any condition and dtypes, one element at a time. */
static void where_any(const cn_step *s, const cn_walk *w, int64_t row, const int64_t *offset) {
  const cn_operand *out = s->out[0];
  size_t size[3], out_size = cornu_dtype_bytes(out->dtype);
  for (int i = 0; i < 3; i++) size[i] = cornu_dtype_bytes(s->in[i]->dtype);
  for (int64_t i = 0; i < w->length; i++) {
    const char *from[3];
    for (int k = 0; k < 3; k++)
      from[k] = (const char *)s->in[k]->data + (size_t)(offset[k] + i * w->stride[k][w->rank - 1]) * size[k];
    double truth;
    cn_convert(&truth, CORNU_FLOAT64, from[0], s->in[0]->dtype, 1);
    int k = truth != 0 ? 1 : 2;
    cn_convert((char *)out->data + (size_t)(row * w->length + i) * out_size, out->dtype, from[k], s->in[k]->dtype, 1);
  }
}

/* A mask over elements of four bytes that need no conversion: what layers do. */
static void where_words(const cn_step *s, const cn_walk *w, int64_t row, const int64_t *offset) {
  const uint8_t *c = (const uint8_t *)s->in[0]->data + offset[0];
  const uint32_t *a = (const uint32_t *)s->in[1]->data + offset[1], *b = (const uint32_t *)s->in[2]->data + offset[2];
  uint32_t *y = (uint32_t *)s->out[0]->data + row * w->length;
  int64_t sc = w->stride[0][w->rank - 1], sa = w->stride[1][w->rank - 1], sb = w->stride[2][w->rank - 1];
  for (int64_t i = 0; i < w->length; i++) y[i] = c[i * sc] ? a[i * sa] : b[i * sb];
}

static void where_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_walk *w = s->state;
  cornu_dtype dtype = s->out[0]->dtype;
  bool words = s->in[0]->dtype == CORNU_BOOL8 && s->in[1]->dtype == dtype && s->in[2]->dtype == dtype &&
               cornu_dtype_bytes(dtype) == 4;
  int64_t offset[CN_WALK_INPUTS];
  for (int64_t r = begin; r < end; r++) {
    cn_walk_row(w, r, offset);
    if (words) where_words(s, w, r, offset);
    else where_any(s, w, r, offset);
  }
}

static void where_run(const cn_step *s) {
  const cn_walk *w = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(w->rows, 4096 / w->length + 1, where_rows, (void *)s);
}

static cn_status where_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->state = cn_plan_memory(p, sizeof(cn_walk));
  if (!s->state) return cn_no_memory(e);
  cn_walk_broadcast(s->state, s->out[0], (const cn_operand *const *)s->in, 3);
  s->run = where_run;
  return CORNU_OK;
}

static void where_gradient(cn_gradient *g) {
  const cn_edge dy = g->dy[0], zero = cn_gradient_number(g, dy, 0);
  if (g->wanted[1])
    g->dx[1] = cn_g_unbroadcast(g, cn_gradient_emit(g, &cn_op_where, NULL, (cn_edge[]){g->in[0], dy, zero}, 3), g->in[1]);
  if (g->wanted[2])
    g->dx[2] = cn_g_unbroadcast(g, cn_gradient_emit(g, &cn_op_where, NULL, (cn_edge[]){g->in[0], zero, dy}, 3), g->in[2]);
}

const cn_op cn_op_where = {
    .name = "where",
    .aliases = "select",
    .help = CN_HELP("a where the condition holds, else b\n(condition, a, b), broadcast"),
    .flags = CN_OP_ELEMENTWISE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = where_shape,
    .plan = where_plan,
    .gradient = CN_GRADIENT(where_gradient),
};

/* ---- clip ---- */

static cn_status same_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static double bounded(double x, const cn_clip_attrs *a) {
  if (x > a->max) x = a->max; /* false for NaN: no bound */
  return x < a->min ? a->min : x;
}

static void clip_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_clip_attrs *a = s->attrs;
  if (s->in[0]->dtype == CORNU_FLOAT32) {
    const float *x = s->in[0]->data;
    float *y = s->out[0]->data, low = isnan(a->min) ? -INFINITY : (float)a->min,
          high = isnan(a->max) ? INFINITY : (float)a->max;
    for (int64_t i = begin; i < end; i++) {
      float v = x[i] > high ? high : x[i];
      y[i] = v < low ? low : v;
    }
    return;
  }
  size_t size = cornu_dtype_bytes(s->in[0]->dtype);
  for (int64_t i = begin; i < end; i++) {
    double v;
    cn_convert(&v, CORNU_FLOAT64, (const char *)s->in[0]->data + (size_t)i * size, s->in[0]->dtype, 1);
    v = bounded(v, a);
    cn_convert((char *)s->out[0]->data + (size_t)i * size, s->out[0]->dtype, &v, CORNU_FLOAT64, 1);
  }
}

static void clip_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 16384, clip_range, (void *)s); }

static cn_status clip_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = clip_run;
  return CORNU_OK;
}

static void clip_gradient(cn_gradient *g) { /* to what was not cut, bounds included */
  const cn_clip_attrs *a = g->attrs;
  cn_edge dy = g->dy[0], x = g->in[0];
  if (!isnan(a->min)) dy = cn_g_where(g, cn_g2(g, &cn_op_greater_equal, NULL, x, cn_gradient_number(g, x, a->min)), dy);
  if (!isnan(a->max)) dy = cn_g_where(g, cn_g2(g, &cn_op_less_equal, NULL, x, cn_gradient_number(g, x, a->max)), dy);
  g->dx[0] = dy;
}

static const cn_field clip_fields[] = {
    {.name = "min", .aliases = "x_min", .kind = CN_F_FLOAT, .offset = offsetof(cn_clip_attrs, min), .standard = "null",
     .help = CN_HELP("smallest value; null: none")},
    {.name = "max", .aliases = "x_max", .kind = CN_F_FLOAT, .offset = offsetof(cn_clip_attrs, max), .standard = "null",
     .help = CN_HELP("largest value; null: none")},
    {0}};
const cn_op cn_op_clip = {
    .name = "clip",
    .help = CN_HELP("values between min and max\n(…) -> (…)"),
    .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_clip_attrs),
    .fields = clip_fields,
    .shape = same_shape,
    .plan = clip_plan,
    .gradient = CN_GRADIENT(clip_gradient),
};

/* ---- nan_to_num ---- */

static double limit_of(cornu_dtype d) {
  return d == CORNU_FLOAT64 ? DBL_MAX : d == CORNU_FLOAT16 ? 65504 : d == CORNU_BFLOAT16 ? 0x1.fep127 : (double)FLT_MAX;
}

static void nan_to_num_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_nan_to_num_attrs *a = s->attrs;
  cornu_dtype dtype = s->in[0]->dtype;
  size_t size = cornu_dtype_bytes(dtype);
  double high = isnan(a->posinf) ? limit_of(dtype) : a->posinf, low = isnan(a->neginf) ? -limit_of(dtype) : a->neginf;
  for (int64_t i = begin; i < end; i++) {
    double v;
    cn_convert(&v, CORNU_FLOAT64, (const char *)s->in[0]->data + (size_t)i * size, dtype, 1);
    v = isnan(v) ? a->nan : v == INFINITY ? high : v == -INFINITY ? low : v;
    cn_convert((char *)s->out[0]->data + (size_t)i * size, dtype, &v, CORNU_FLOAT64, 1);
  }
}

static void nan_to_num_run(const cn_step *s) {
  if (cn_dtype_is_float(s->in[0]->dtype)) cn_parallel_range(s->out[0]->size, 8192, nan_to_num_range, (void *)s);
  else if (s->out[0]->data != s->in[0]->data)
    memcpy(s->out[0]->data, s->in[0]->data, (size_t)s->out[0]->size * cornu_dtype_bytes(s->out[0]->dtype));
}

static cn_status nan_to_num_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = nan_to_num_run;
  return CORNU_OK;
}

static void nan_to_num_gradient(cn_gradient *g) {
  g->dx[0] = cn_g_where(g, cn_g1(g, &cn_op_isfinite, NULL, g->in[0]), g->dy[0]);
}

static const cn_field nan_to_num_fields[] = {
    {.name = "nan", .kind = CN_F_FLOAT, .offset = offsetof(cn_nan_to_num_attrs, nan), .standard = "0",
     .help = CN_HELP("in place of NaN")},
    {.name = "posinf", .kind = CN_F_FLOAT, .offset = offsetof(cn_nan_to_num_attrs, posinf), .standard = "null",
     .help = CN_HELP("in place of infinity; null: the largest number of the dtype")},
    {.name = "neginf", .kind = CN_F_FLOAT, .offset = offsetof(cn_nan_to_num_attrs, neginf), .standard = "null",
     .help = CN_HELP("in place of minus infinity; null: the lowest number of the dtype")},
    {0}};
const cn_op cn_op_nan_to_num = {
    .name = "nan_to_num",
    .help = CN_HELP("numbers in place of NaN and infinities\n(…) -> (…)"),
    .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_nan_to_num_attrs),
    .fields = nan_to_num_fields,
    .shape = same_shape,
    .plan = nan_to_num_plan,
    .gradient = CN_GRADIENT(nan_to_num_gradient),
};

/* ---- cast ---- */

static cn_status cast_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  t->out[0].dtype = ((const cn_cast_attrs *)t->attrs)->dtype;
  return CORNU_OK;
}

/* A float cut to a whole number as x86 processors and with them TensorFlow do it: what int32 does not hold (for 64-bit
 * results int64) becomes its lowest number, and narrower dtypes keep the low bits of that. */
static int64_t cut(double v, cornu_dtype to) {
  bool wide = to == CORNU_INT64 || to == CORNU_UINT64;
  if (to == CORNU_UINT32 && v >= 0x1p31 && v < 0x1p32) return (int64_t)v;
  if (to == CORNU_UINT64 && v >= 0x1p63 && v < 0x1p64) return (int64_t)(uint64_t)v;
  if (wide) return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
  return v > -0x1p31 - 1 && v < 0x1p31 ? (int64_t)v : INT32_MIN;
}

static void cast_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_operand *x = s->in[0], *y = s->out[0];
  size_t in_size = cornu_dtype_bytes(x->dtype), out_size = cornu_dtype_bytes(y->dtype);
  const char *from = (const char *)x->data + (size_t)begin * in_size;
  char *to = (char *)y->data + (size_t)begin * out_size;
  if (!cn_dtype_is_float(x->dtype) || !cn_dtype_is_integer(y->dtype)) {
    cn_convert(to, y->dtype, from, x->dtype, end - begin);
    return;
  }
  enum { PIECE = 128 };
  double values[PIECE];
  int64_t whole[PIECE];
  for (int64_t left = end - begin, n; left > 0; left -= n, from += (size_t)n * in_size, to += (size_t)n * out_size) {
    n = left < PIECE ? left : PIECE;
    cn_convert(values, CORNU_FLOAT64, from, x->dtype, n);
    for (int64_t i = 0; i < n; i++) whole[i] = cut(values[i], y->dtype);
    cn_convert(to, y->dtype, whole, CORNU_INT64, n);
  }
}

static void cast_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 16384, cast_range, (void *)s); }

static cn_status cast_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = cast_run;
  return CORNU_OK;
}

static void cast_gradient(cn_gradient *g) {
  g->dx[0] = cn_g_cast(g, g->dy[0], cn_gradient_type(g, g->in[0])->dtype);
}

static const cn_field cast_fields[] = {
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(cn_cast_attrs, dtype), .help = CN_HELP("\"float32\", …")},
    {0}};
const cn_op cn_op_cast = {
    .name = "cast",
    .help = CN_HELP("another dtype; floats to integers truncate, those out of range as x86 processors do\n(…) -> (…)"),
    .flags = CN_OP_ELEMENTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_cast_attrs),
    .fields = cast_fields,
    .shape = cast_shape,
    .plan = cast_plan,
    .gradient = CN_GRADIENT(cast_gradient),
};
