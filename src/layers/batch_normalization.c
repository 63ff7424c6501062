/* BatchNormalization: gamma * (x - mean) / sqrt(variance + epsilon) + beta along one axis, in tf.keras also along
 * several. Keras 1 has two more modes that normalise by what they are given. */
#include "base/text.h"
#include "layers/spatial.h"

enum { MODE_MOVING = 0, MODE_SAMPLE = 1, MODE_BATCH = 2 };

typedef struct settings {
  cn_ints axis;
  double epsilon, momentum;
  bool center, scale, renorm;
  int64_t mode;
} settings;

static const cn_field fields[] = {
    {.name = "axis",
     .kind = CN_F_INTS,
     .offset = offsetof(settings, axis),
     .standard = "-1",
     .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1,
     .help = "the axis that keeps statistics of its own: a number or a list; of several axes each place has its own"},
    {.name = "epsilon",
     .kind = CN_F_FLOAT,
     .offset = offsetof(settings, epsilon),
     .standard = "0.001",
     .min = 0,
     .max = 1e30,
     .help = "added to the variance"},
    {.name = "center",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, center),
     .standard = "true",
     .help = "adds beta"},
    {.name = "scale",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, scale),
     .standard = "true",
     .help = "multiplies by gamma"},
    {.name = "mode",
     .kind = CN_F_INT,
     .offset = offsetof(settings, mode),
     .standard = "0",
     .min = 0,
     .max = 2,
     .help = "Keras 1: statistics of 0 the training, 1 each sample, 2 the batch"},
    {.name = "renorm",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, renorm),
     .standard = "false",
     .help = "batch renormalisation: three more weights, the same result"},
    {.name = "momentum", .kind = CN_F_FLOAT, .offset = offsetof(settings, momentum), .standard = "0.99", .min = 0,
     .max = 1, .help = "how much of the moving statistics stays after a step of training"},
    {.name = "renorm_clipping", .kind = CN_F_IGNORED, .standard = "null", .help = "training alone"},
    {.name = "renorm_momentum", .kind = CN_F_IGNORED, .standard = "0.99", .help = "training alone"},
    {.name = "synchronized", .kind = CN_F_IGNORED, .standard = "false", .help = "training alone"},
    {.name = "fused",
     .kind = CN_F_IGNORED,
     .standard = "null",
     .help = "how tf.keras computes: the result is the same"},
    {.name = "virtual_batch_size", .kind = CN_F_IGNORED, .standard = "null", .help = "training alone"},
    {0}};

static int find_axis(const cn_layer *l, int rank) {
  const settings *s = l->settings;
  if (s->mode == MODE_SAMPLE) return rank - 1; /* Keras 1 takes the last whatever axis says */
  int64_t axis = s->axis.v[0] < 0 ? s->axis.v[0] + rank : s->axis.v[0];
  return axis > 0 && axis < rank ? (int)axis : -1;
}

/* The shape of the statistics: one axis gives a vector, several the rank of the input with ones at all others. */
static cn_status statistics(const cn_layer *l, const cn_type *in, int *rank, int64_t *shape, cn_error *e) {
  const settings *s = l->settings;
  int axis = s->axis.n ? find_axis(l, in->rank) : -1;
  bool fits = axis >= 0;
  *rank = 1;
  if (fits) shape[0] = in->shape[axis];
  if (s->axis.n > 1) {
    *rank = in->rank;
    for (int i = 0; i < in->rank; i++) shape[i] = 1;
    for (int i = 0; i < s->axis.n && fits; i++) {
      int64_t at = s->axis.v[i] < 0 ? s->axis.v[i] + in->rank : s->axis.v[i];
      fits = at > 0 && at < in->rank && s->mode == MODE_MOVING;
      if (fits) shape[at] = in->shape[at];
    }
  }
  if (fits) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "\"axis\" begins with %lld, the input has shape %s",
                 (long long)(s->axis.n ? s->axis.v[0] : 0), CN_SHAPE(in->rank, in->shape));
}

typedef struct place { int rank; int64_t shape[CN_MAX_RANK]; } place;

static cn_status add(cn_layer *l, const char *name, const place *p, bool trainable, const cn_value *init,
                     cn_error *e) {
  return cn_layer_add_weight(l, name, p->rank, p->shape, trainable, init, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  place one, *n = &one;
  CN_TRY(statistics(l, in, &one.rank, one.shape, e));
  const cn_value *init = cn_spatial_initializer(l, "gamma_initializer", "gamma_init");
  if (s->scale) CN_TRY(add(l, "gamma", n, true, init ? init : &ones, e));
  if (s->center) CN_TRY(add(l, "beta", n, true, cn_spatial_initializer(l, "beta_initializer", "beta_init"), e));
  CN_TRY(add(l, "moving_mean", n, false, cn_value_find(l->config, "moving_mean_initializer"), e));
  init = cn_value_find(l->config, "moving_variance_initializer");
  CN_TRY(add(l, "moving_variance", n, false, init ? init : &ones, e));
  if (!s->renorm) return CORNU_OK;
  CN_TRY(add(l, "moving_stddev", n, false, &ones, e));
  CN_TRY(add(l, "renorm_mean", n, false, NULL, e));
  return add(l, "renorm_stddev", n, false, &ones, e);
}

/* A weight with ones around it, so that it broadcasts along the axis; CN_NO_EDGE stays. */
static cn_edge along(cn_trace *t, cn_edge w, int rank, int axis) {
  if (w == CN_NO_EDGE || axis == rank - 1) return w;
  cn_reshape_attrs a = {.shape = {.n = rank - axis}};
  a.shape.v[0] = CN_DIM_INFER;
  for (int i = 1; i < a.shape.n; i++) a.shape.v[i] = 1;
  return cn_emit1(t, &cn_op_reshape, &a, w);
}

/* By the statistics of x itself: over all other axes, or (mode 1) over the last axis of each sample. */
static cn_edge normalise(cn_layer *l, cn_trace *t, cn_edge x, int rank, int axis) {
  const settings *s = l->settings;
  cn_reduce_attrs over = {.axes = {.n = 0}, .keepdims = true};
  for (int i = 0; i < rank; i++)
    if ((i == axis) == (s->mode == MODE_SAMPLE)) over.axes.v[over.axes.n++] = i;
  cn_edge epsilon = cn_emit_number(t, s->epsilon);
  cn_edge mean = cn_emit1(t, &cn_op_mean, &over, x);
  cn_edge deviation = cn_emit1(t, &cn_op_sqrt, NULL,
                               cn_emit2(t, &cn_op_add, NULL, cn_emit1(t, &cn_op_var, &over, x), epsilon));
  if (s->mode == MODE_SAMPLE) deviation = cn_emit2(t, &cn_op_add, NULL, deviation, epsilon);
  cn_edge y = cn_emit2(t, &cn_op_div, NULL, cn_emit2(t, &cn_op_sub, NULL, x, mean), deviation);
  cn_edge gamma = along(t, cn_layer_weight_edge(l, t, "gamma"), rank, axis);
  cn_edge beta = along(t, cn_layer_weight_edge(l, t, "beta"), rank, axis);
  if (gamma != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gamma);
  return beta != CN_NO_EDGE ? cn_emit2(t, &cn_op_add, NULL, y, beta) : y;
}

/* Over several axes, where the statistics broadcast as they are. */
static cn_edge by_places(cn_layer *l, cn_trace *t, cn_edge x) {
  cn_edge variance = cn_emit2(t, &cn_op_add, NULL, cn_layer_weight_edge(l, t, "moving_variance"),
                              cn_emit_number(t, ((const settings *)l->settings)->epsilon));
  cn_edge y = cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, x, cn_layer_weight_edge(l, t, "moving_mean")),
                       cn_emit1(t, &cn_op_rsqrt, NULL, variance));
  cn_edge gamma = cn_layer_weight_edge(l, t, "gamma"), beta = cn_layer_weight_edge(l, t, "beta");
  if (gamma != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gamma);
  return beta != CN_NO_EDGE ? cn_emit2(t, &cn_op_add, NULL, y, beta) : y;
}

/* ---- Training: by the statistics of the batch, which move those that are kept ---- */

/* Which factor makes the population variance that which is kept. TensorFlow's fused operation, which tf.keras uses for
 * images, and Keras 2.2 on estimate that of the source. */
static double variance_factor(const cn_layer *l, const cn_type *x, int axis) {
  double n = 1;
  for (int i = 0; i < x->rank; i++)
    if (i != axis) n *= (double)x->shape[i];
  if (l->origin.keras != 2) return 1;
  if (l->origin.tf) return x->rank == 4 && n > 1 ? n / (n - 1) : 1;
  return n / (n - (1 + ((const settings *)l->settings)->epsilon));
}

static void move(cn_layer *l, cn_trace *t, const char *name, cn_edge now, double factor) {
  const double momentum = ((const settings *)l->settings)->momentum;
  const cn_edge stays = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, name), cn_emit_number(t, momentum));
  const cn_edge comes = cn_emit2(t, &cn_op_mul, NULL, now, cn_emit_number(t, (1 - momentum) * factor));
  cn_layer_weight_keep(l, t, name, cn_emit2(t, &cn_op_add, NULL, stays, comes));
}

static cn_edge by_batch(cn_layer *l, cn_trace *t, cn_edge x, const cn_type *type, int axis) {
  const settings *s = l->settings;
  cn_reduce_attrs over = {.axes = {.n = 0}};
  for (int i = 0; i < type->rank; i++)
    if (i != axis) over.axes.v[over.axes.n++] = i;
  const cn_batch_norm_attrs a = {.axis = axis, .epsilon = s->epsilon};
  const cn_edge mean = cn_emit1(t, &cn_op_mean, &over, x), variance = cn_emit1(t, &cn_op_var, &over, x);
  const cn_edge in[] = {x, mean, variance, cn_layer_weight_edge(l, t, "gamma"), cn_layer_weight_edge(l, t, "beta")};
  move(l, t, "moving_mean", mean, 1);
  move(l, t, "moving_variance", variance, variance_factor(l, type, axis));
  return cn_emit(t, &cn_op_batch_norm, &a, in, 5);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type type = *cn_edge_type(t, x);
  const bool trains = t->training && t->variables && l->trainable;
  if (trains && (s->renorm || s->axis.n > 1))
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "does not train %s: freeze it with trainable = false",
                  s->renorm ? "with renorm=true" : "along several axes");
  if (s->axis.n > 1) {
    cn_call_return(t, c, by_places(l, t, x), c->in[0].mask);
    return;
  }
  int axis = find_axis(l, type.rank);
  const cn_weight *mean = &l->weights[cn_layer_find_weight(l, "moving_mean")];
  if (axis < 0 || !cn_dims_agree(type.shape[axis], mean->shape[0])) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on axis %lld",
                  CN_SHAPE(type.rank, type.shape), (long long)mean->shape[0], (long long)s->axis.v[0]);
    return;
  }
  if (s->mode != MODE_MOVING) {
    cn_call_return(t, c, normalise(l, t, x, type.rank, axis), c->in[0].mask);
    return;
  }
  if (trains) {
    cn_call_return(t, c, by_batch(l, t, x, &type, axis), c->in[0].mask);
    return;
  }
  cn_batch_norm_attrs a = {.axis = axis, .epsilon = s->epsilon};
  cn_edge in[] = {x, cn_layer_weight_edge(l, t, "moving_mean"), cn_layer_weight_edge(l, t, "moving_variance"),
                  cn_layer_weight_edge(l, t, "gamma"), cn_layer_weight_edge(l, t, "beta")};
  cn_call_return(t, c, cn_emit(t, &cn_op_batch_norm, &a, in, 5), c->in[0].mask);
}

/* Before Keras 1.0.7 the fourth array holds standard deviations. */
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  int at = cn_layer_find_weight(l, "moving_variance");
  if (l->origin.keras != 1 || cn_origin_at_least(&l->origin, 1, 0, 7) || at < 0 || at >= *n) return CORNU_OK;
  cn_tensor *variance;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT64, arrays[at]->rank, arrays[at]->shape, &variance, e));
  cn_status status = cornu_tensor_copy(variance, arrays[at], e);
  if (status) {
    cornu_tensor_release(variance);
    return status;
  }
  double *v = (double *)(void *)variance->data;
  for (int64_t i = 0, size = cornu_tensor_size(variance); i < size; i++) v[i] *= v[i];
  cornu_tensor_release(arrays[at]);
  arrays[at] = variance;
  return CORNU_OK;
}

const cn_layer_type cn_layer_batch_normalization = {
    .name = "BatchNormalization",
    .aliases = "BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization",
    .versions = "1 2 3",
    .help = "gamma * (x - mean) / sqrt(variance + epsilon) + beta, along one axis of any shape, or several",
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
    .import = import,
};
