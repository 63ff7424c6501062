/* GroupNormalization: the channels in groups, each normalised with all of a sample's positions (Wu and He 2018). */
#include "base/text.h"
#include "layers/part.h"
#include "ops/ops.h"

typedef struct settings { int64_t groups, axis; double epsilon; bool center, scale; } settings;

static const cn_field fields[] = {
    {.name = "groups", .kind = CN_F_INT, .offset = offsetof(settings, groups), .standard = "32", .min = -1,
     .max = 1 << 24, .help = CN_HELP("number of groups; -1: one for each channel")},
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = CN_HELP("where the channels are")},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(settings, epsilon), .standard = "0.001", .min = 0,
     .max = 1e30, .help = CN_HELP("added to the variance")},
    {.name = "center", .kind = CN_F_BOOL, .offset = offsetof(settings, center), .standard = "true",
     .help = CN_HELP("adds beta")},
    {.name = "scale", .kind = CN_F_BOOL, .offset = offsetof(settings, scale), .standard = "true",
     .help = CN_HELP("multiplies by gamma")},
    CN_GAMMA_ROWS,
    {0}};

static cn_status find_groups(const settings *s, const cn_type *x, int *axis, int64_t *groups, cn_error *e) {
  CN_TRY(cn_axis(s->axis, x->rank, axis, e));
  int64_t channels = x->shape[*axis];
  if (channels < 1 || *axis == 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its axis %d, the channels, must be known",
                   CN_SHAPE(x->rank, x->shape), *axis);
  *groups = s->groups < 0 ? channels : s->groups;
  if (*groups && channels % *groups == 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%lld groups: expected a divisor of the %lld channels", (long long)*groups,
                 (long long)channels);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  const cn_value *init = cn_value_find(l->config, "gamma_initializer");
  int axis;
  int64_t groups;
  CN_TRY(find_groups(s, in, &axis, &groups, e));
  if (s->scale) CN_TRY(cn_layer_add_weight(l, "gamma", 1, &in->shape[axis], true, init ? init : &ones, e));
  if (!s->center) return CORNU_OK;
  return cn_layer_add_weight(l, "beta", 1, &in->shape[axis], true, cn_value_find(l->config, "beta_initializer"), e);
}

/* A weight of the channels in the shape that broadcasts along the axis. */
static cn_edge along(cn_trace *t, cn_edge w, int rank, int axis) {
  cn_reshape_attrs a = {.shape = {.n = rank - axis}};
  a.shape.v[0] = CN_DIM_INFER;
  for (int i = 1; i < a.shape.n; i++) a.shape.v[i] = 1;
  return w == CN_NO_EDGE || a.shape.n == 1 ? w : cn_emit1(t, &cn_op_reshape, &a, w);
}

/* (batch, …, groups, channels / groups, …) normalised over all axes but the batch and the groups. */
static cn_edge normalise(cn_trace *t, const settings *s, cn_edge x, const cn_type *type, int axis, int64_t groups) {
  cn_reshape_attrs split = {.shape = {.n = type->rank + 1}}, join = {.shape = {.n = type->rank}};
  cn_layer_norm_attrs norm = {.epsilon = s->epsilon};
  for (int i = 0; i < type->rank; i++) {
    split.shape.v[i < axis ? i : i + 1] = type->shape[i] < 0 && i ? CN_DIM_INFER : type->shape[i];
    join.shape.v[i] = i ? type->shape[i] : CN_DIM_COPY;
  }
  split.shape.v[0] = CN_DIM_COPY;
  split.shape.v[axis] = groups;
  split.shape.v[axis + 1] = type->shape[axis] / groups;
  for (int i = 1; i <= type->rank; i++)
    if (i != axis) norm.axes.v[norm.axes.n++] = i;
  x = cn_emit1(t, &cn_op_layer_norm, &norm, cn_emit1(t, &cn_op_reshape, &split, x));
  return cn_emit1(t, &cn_op_reshape, &join, x);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type type = *cn_edge_type(t, x);
  int axis = 0;
  int64_t groups = 1;
  if (l->origin.keras == 2 && c->in[0].mask != CN_NO_EDGE)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "with a mask, as tf.keras weighs its statistics, is not supported");
  if (!t->status) t->status = find_groups(s, &type, &axis, &groups, t->error);
  if (t->status) return;
  cn_edge y = normalise(t, s, x, &type, axis, groups);
  cn_edge gamma = along(t, cn_layer_weight_edge(l, t, "gamma"), type.rank, axis);
  cn_edge beta = along(t, cn_layer_weight_edge(l, t, "beta"), type.rank, axis);
  if (gamma != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gamma);
  if (beta != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, beta);
  cn_call_return(t, c, y, c->in[0].mask);
}

const cn_layer_type cn_layer_group_normalization = {
    .name = "GroupNormalization",
    .versions = "2 3",
    .help = CN_HELP("gamma * (x - mean) / sqrt(variance + epsilon) + beta for each group of channels: "
                    "(batch, …) -> the same"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
