/* map_coordinates: values of an array between its elements; resample_weights: the matrix that resizes one axis. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
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
  if (index >= 0 && index < (double)n) return (int64_t)index;
  if (fill == CN_FILL_CONSTANT) return -1;
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
    for (int d = 0; d < st->rank && weight != 0; d++) {
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

/* ---- map_gradient: (x, coordinates, dy) -> dx, dcoordinates ---- */

static cn_status back_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  t->out[1] = t->in[1];
  return CORNU_OK;
}

static void add_at(cn_operand *o, int64_t i, double v) {
  if (o->dtype == CORNU_FLOAT64) ((double *)o->data)[i] += v;
  else ((float *)o->data)[i] += (float)v;
}

/* One corner around the place of result i. */
static void corner_back(const cn_step *s, const state *st, int64_t i, int corner, double dy) {
  const cn_map_attrs *a = s->attrs;
  const double *places = s->in[1]->data;
  const int64_t count = s->in[2]->size;
  double weight[CN_MAX_RANK], all = 1, v = a->value;
  int64_t at = 0;
  for (int d = 0; d < st->rank; d++) {
    const double c = places[d * count + i], low = a->order ? floor(c) : nearbyint(c);
    const bool up = corner >> d & 1;
    weight[d] = !a->order ? 1 : up ? c - low : 1 - (c - low);
    all *= weight[d];
    const int64_t k = fold_in(low + up, st->axes[d].n, a->fill);
    at = at < 0 || k < 0 ? -1 : at + k * st->axes[d].stride;
  }
  if (at >= 0) {
    v = s->in[0]->dtype == CORNU_FLOAT64 ? ((const double *)s->in[0]->data)[at]
                                         : (double)((const float *)s->in[0]->data)[at];
    add_at(s->out[0], at, dy * all);
  }
  for (int d = 0; d < st->rank && a->order; d++) {
    double others = 1;
    for (int k = 0; k < st->rank; k++) others *= k == d ? 1 : weight[k];
    ((double *)s->out[1]->data)[d * count + i] += dy * v * others * (corner >> d & 1 ? 1 : -1);
  }
}

static void back_run(const cn_step *s) {
  const state *st = s->state;
  const cn_operand *dy = s->in[2];
  for (int k = 0; k < 2; k++)
    memset(s->out[k]->data, 0, (size_t)s->out[k]->size * cornu_dtype_bytes(s->out[k]->dtype));
  for (int64_t i = 0; i < dy->size; i++)
    for (int corner = 0; corner < (((const cn_map_attrs *)s->attrs)->order ? 1 << st->rank : 1); corner++)
      corner_back(s, st, i, corner, dy->dtype == CORNU_FLOAT64 ? ((const double *)dy->data)[i]
                                                               : (double)((const float *)dy->data)[i]);
}

static cn_status back_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  CN_TRY(plan(p, s, e));
  s->run = back_run;
  return CORNU_OK;
}

const cn_op cn_op_map_gradient = {
    .name = "map_gradient",
    .help = CN_HELP("(x, coordinates, dy) -> what comes back to x, and to the coordinates"),
    .flags = CN_OP_HIDDEN,
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .attrs_size = sizeof(cn_map_attrs),
    .shape = back_shape,
    .plan = back_plan,
};

static void gradient(cn_gradient *g) {
  const cornu_dtype dtype = cn_gradient_type(g, g->out[0])->dtype;
  cn_edge first;
  if (((const cn_map_attrs *)g->attrs)->whole || (dtype != CORNU_FLOAT32 && dtype != CORNU_FLOAT64)) {
    cn_gradient_refuse(g, "of values that are truncated");
    return;
  }
  const cn_edge in[] = {g->in[0], g->in[1], g->dy[0]};
  if (cn_gradient_emit_many(g, &cn_op_map_gradient, g->attrs, in, 3, &first) != 2) return;
  for (int i = 0; i < 2; i++)
    if (g->wanted[i]) g->dx[i] = first + i;
}

const cn_op cn_op_map_coordinates = {
    .name = "map_coordinates",
    .help = CN_HELP("values of an array at coordinates, the nearest or by linear interpolation\n"
                    "(x (…) of rank n, coordinates float64 (n, …)) -> (…)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_map_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
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
    .help = CN_HELP("the matrix that scales and moves one axis\n(scale (), translation ()) -> (from, to)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_resample_attrs),
    .shape = weights_shape,
    .plan = weights_plan,
};
