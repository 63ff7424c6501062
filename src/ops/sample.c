/* map_coordinates: values of an array between its elements; resample_weights: the matrix that resizes one axis. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *places = &t->in[1];
  CN_TRY(cn_want_rank(x, "map_coordinates: input", 1, CN_MAX_RANK, e));
  CN_TRY(cn_want_rank(places, "map_coordinates: coordinates", 2, CN_MAX_RANK, e));
  if (!cn_dims_agree(places->shape[0], x->rank))
    return cn_fail(e, CORNU_ERR_SHAPE, "map_coordinates: %lld coordinates for an input of rank %d",
                   (long long)places->shape[0], x->rank);
  if (places->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "map_coordinates: coordinates are %s, need float64: cast them first",
                   cornu_dtype_name(places->dtype));
  for (int i = 0; i < x->rank; i++)
    if (x->shape[i] == 0) return cn_fail(e, CORNU_ERR_SHAPE, "map_coordinates: the input is empty");
  *t->out = (cn_type){.dtype = x->dtype, .rank = places->rank - 1};
  memcpy(t->out->shape, places->shape + 1, sizeof *places->shape * (size_t)t->out->rank);
  return CORNU_OK;
}

/* The element that an index stands for; -1: none. As Keras computes it: its mirror repeats the last element. */
static int64_t fold_in(double index, int64_t n, int fill) {
  if (fill == CN_FILL_CONSTANT) return index >= 0 && index < (double)n ? (int64_t)index : -1;
  if (!isfinite(index)) return 0;
  if (fill == CN_FILL_NEAREST) return index < 0 ? 0 : index >= (double)n ? n - 1 : (int64_t)index;
  double period = fill == CN_FILL_WRAP ? (double)n : 2 * (double)n;
  if (fill != CN_FILL_WRAP) index = fabs(index);
  int64_t at = (int64_t)(index - period * floor(index / period));
  if (at < n) return at;
  at = 2 * n - at - (fill == CN_FILL_REFLECT);
  return at < n ? at : n - 1;
}

typedef struct axis { int64_t n, stride; } axis;
typedef struct state { int rank; axis axes[CN_MAX_RANK]; } state;

static double value_at(const cn_step *s, const state *st, int64_t i) {
  const cn_map_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  const double *places = s->in[1]->data;
  int64_t count = s->out[0]->size;
  double sum = 0;
  for (int corner = 0; corner < (a->order ? 1 << st->rank : 1); corner++) {
    int64_t at = 0;
    double weight = 1, v = a->value;
    for (int d = 0; d < st->rank; d++) {
      double c = places[d * count + i], low = a->order ? floor(c) : nearbyint(c);
      bool up = corner >> d & 1;
      if (a->order) weight *= up ? c - low : 1 - (c - low);
      int64_t k = fold_in(low + up, st->axes[d].n, a->fill);
      at = at < 0 || k < 0 ? -1 : at + k * st->axes[d].stride;
    }
    if (weight == 0) continue;
    if (at >= 0)
      cn_convert(&v, CORNU_FLOAT64, (const char *)x->data + (size_t)at * cornu_dtype_bytes(x->dtype), x->dtype, 1);
    if (a->whole) v = trunc(v);
    sum += weight * v;
  }
  return cn_dtype_is_float(x->dtype) ? sum : nearbyint(sum);
}

static void range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  for (int64_t i = begin; i < end; i++) {
    double v = value_at(s, s->state, i);
    cn_convert((char *)s->out[0]->data + (size_t)i * size, s->out[0]->dtype, &v, CORNU_FLOAT64, 1);
  }
}

static void run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 512, range, (void *)s); }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  st->rank = s->in[0]->rank;
  int64_t stride = 1;
  for (int i = st->rank; i-- > 0; stride *= s->in[0]->shape[i]) st->axes[i] = (axis){s->in[0]->shape[i], stride};
  s->run = run;
  s->flops = (double)s->out[0]->size * 4;
  return CORNU_OK;
}

const cn_op cn_op_map_coordinates = {
    .name = "map_coordinates",
    .help = "values of an array at coordinates, the nearest or by linear interpolation\n"
            "(x (…) of rank n, coordinates float64 (n, …)) -> (…)",
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_map_attrs),
    .shape = shape,
    .plan = plan,
};

/* ---- resample_weights ---- */

static cn_status weights_shape(cn_typing *t, cn_error *e) {
  const cn_resample_attrs *a = t->attrs;
  for (int i = 0; i < 2; i++)
    if (t->in[i].dtype != CORNU_FLOAT32 || t->in[i].rank != 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "resample_weights: needs a scale and a translation, float32 scalars");
  t->out[0] = (cn_type){.dtype = CORNU_FLOAT32, .rank = 2, .shape = {a->from, a->to}};
  return CORNU_OK;
}

static double keys(double x) {
  if (x >= 2) return 0;
  return x >= 1 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : (1.5 * x - 2.5) * x * x + 1;
}

static double lanczos(double x, double radius) {
  const double pi = 3.14159265358979323846;
  if (x > radius) return 0;
  return x > 1e-3 ? radius * sin(pi * x) * sin(pi * x / radius) / (pi * pi * x * x) : 1;
}

static double weigh(int kernel, double x) {
  switch (kernel) {
    case CN_RESAMPLE_CUBIC: return keys(x);
    case CN_RESAMPLE_LANCZOS3: return lanczos(x, 3);
    case CN_RESAMPLE_LANCZOS5: return lanczos(x, 5);
    default: return x < 1 ? 1 - x : 0;
  }
}

/* One output element: the filter around its place in the input, made to sum to 1; none where that is outside. */
static void fill_column(const cn_resample_attrs *a, float scale, float translation, float *out, int64_t i) {
  double inverse = 1.0 / (double)scale, wide = a->antialias && inverse > 1 ? inverse : 1, sum = 0;
  double at = ((double)i + 0.5) * inverse - (double)translation * inverse - 0.5;
  bool inside = at >= -0.5 && at <= (double)a->from - 0.5;
  for (int64_t k = 0; k < a->from; k++) sum += weigh(a->kernel, fabs(at - (double)k) / wide);
  for (int64_t k = 0; k < a->from; k++) {
    double w = weigh(a->kernel, fabs(at - (double)k) / wide);
    out[k * a->to + i] = inside && fabs(sum) > 1000.0 * (double)FLT_EPSILON ? (float)(w / sum) : 0;
  }
}

static void columns(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  for (int64_t i = begin; i < end; i++)
    fill_column(s->attrs, *(const float *)s->in[0]->data, *(const float *)s->in[1]->data, s->out[0]->data, i);
}

static void weights_run(const cn_step *s) { cn_parallel_range(s->out[0]->shape[1], 16, columns, (void *)s); }

static cn_status weights_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = weights_run;
  s->flops = (double)s->out[0]->size * 8;
  return CORNU_OK;
}

const cn_op cn_op_resample_weights = {
    .name = "resample_weights",
    .help = "the matrix that scales and moves one axis\n(scale (), translation ()) -> (from, to)",
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_resample_attrs),
    .shape = weights_shape,
    .plan = weights_plan,
};
