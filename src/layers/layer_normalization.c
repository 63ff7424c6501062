/* LayerNormalization: every sample normalised over some of its axes. */
#include "base/text.h"
#include "layers/part.h"
#include "layers/spatial.h"

typedef struct settings { cn_ints axis; double epsilon; bool center, scale, rms_scaling; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = CN_HELP("a number or a list: what is normalised together")},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(settings, epsilon), .standard = "0.001", .min = 0,
     .max = 1e30, .help = CN_HELP("added to the variance")},
    {.name = "center", .kind = CN_F_BOOL, .offset = offsetof(settings, center), .standard = "true",
     .help = CN_HELP("adds beta")},
    {.name = "scale", .kind = CN_F_BOOL, .offset = offsetof(settings, scale), .standard = "true",
     .help = CN_HELP("multiplies by gamma")},
    {.name = "rms_scaling", .kind = CN_F_BOOL, .offset = offsetof(settings, rms_scaling), .standard = "false",
     .help = CN_HELP("divides by the deviation alone; beta is left out")},
    CN_GAMMA_ROWS,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  if (s->axis.n > 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"axis\" is empty, expected at least one axis");
}

/* The axes counted from 0; false: one is not there, or twice. */
static bool find_axes(const settings *s, int rank, cn_ints *axes) {
  axes->n = s->axis.n;
  for (int i = 0; i < axes->n; i++) {
    axes->v[i] = s->axis.v[i] < 0 ? s->axis.v[i] + rank : s->axis.v[i];
    if (axes->v[i] < 0 || axes->v[i] >= rank) return false;
    for (int k = 0; k < i; k++)
      if (axes->v[k] == axes->v[i]) return false;
  }
  return true;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  cn_ints axes;
  int64_t shape[CN_MAX_RANK];
  if (!find_axes(s, in->rank, &axes))
    return cn_fail(e, CORNU_ERR_SHAPE, "\"axis\" names an axis twice or one that the input with shape %s has not",
                   CN_SHAPE(in->rank, in->shape));
  for (int i = 0; i < axes.n; i++) shape[i] = in->shape[axes.v[i]];
  const cn_value *init = cn_value_find(l->config, "gamma_initializer");
  if (s->scale || s->rms_scaling) CN_TRY(cn_layer_add_weight(l, "gamma", axes.n, shape, true, init ? init : &ones, e));
  if (!s->center || s->rms_scaling) return CORNU_OK;
  return cn_layer_add_weight(l, "beta", axes.n, shape, true, cn_value_find(l->config, "beta_initializer"), e);
}

/* Keras lays a parameter's values over the axes in ascending order, whatever order `axis` has. */
static cn_edge parameter(cn_layer *l, cn_trace *t, const char *name, const cn_type *x, const cn_ints *axes) {
  cn_edge w = cn_layer_weight_edge(l, t, name);
  cn_reshape_attrs a = {.shape = {.n = 0}};
  bool ascending = true;
  for (int axis = 0; axis < x->rank; axis++)
    for (int i = 0; i < axes->n; i++)
      if (axes->v[i] == axis) a.shape.v[a.shape.n++] = l->weights[0].shape[i];
  for (int i = 1; i < axes->n; i++) ascending &= axes->v[i - 1] < axes->v[i];
  return ascending || w == CN_NO_EDGE ? w : cn_emit1(t, &cn_op_reshape, &a, w);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type copy = *cn_edge_type(t, x), *type = &copy;
  cn_layer_norm_attrs a = {.epsilon = s->epsilon, .kind = s->rms_scaling ? CN_NORM_VARIANCE : CN_NORM_STANDARD};
  bool fits = find_axes(s, type->rank, &a.axes);
  for (int i = 0; fits && l->n_weights > 0 && i < a.axes.n; i++)
    fits = cn_dims_agree(type->shape[a.axes.v[i]], l->weights[0].shape[i]);
  if (!fits) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, which does not fit the weights",
                  CN_SHAPE(type->rank, type->shape));
    return;
  }
  cn_edge gamma = CN_NO_EDGE, beta = CN_NO_EDGE;
  if (s->scale || s->rms_scaling) gamma = parameter(l, t, "gamma", type, &a.axes);
  if (s->center && !s->rms_scaling) beta = parameter(l, t, "beta", type, &a.axes);
  cn_edge y = cn_emit3(t, &cn_op_layer_norm, &a, x, gamma, beta);
  cn_call_return(t, c, y, c->in[0].mask);
}

const cn_layer_type cn_layer_layer_normalization = {
    .name = "LayerNormalization",
    .versions = "2 3",
    .help = CN_HELP("gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance of each sample over axis"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
