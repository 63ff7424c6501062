/* RMSNormalization: scale * x / sqrt(mean(x^2) + epsilon) over axes of each sample (Zhang and Sennrich 2019). */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints axis; double epsilon; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = CN_HELP("a number or a list: what is normalised together")},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(settings, epsilon), .standard = "1e-6", .min = 0,
     .max = 1e30, .help = CN_HELP("added to the mean square")},
    {0}};

/* The axes from 0, in the order given, as the scale has them. */
static cn_status find_axes(const settings *s, const cn_type *x, cn_ints *out, cn_error *e) {
  out->n = 0;
  for (int i = 0; i < s->axis.n; i++) {
    int axis;
    CN_TRY(cn_axis(s->axis.v[i], x->rank, &axis, e));
    for (int k = 0; k < out->n; k++)
      if (out->v[k] == axis) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"axis\" names the axis %d twice", axis);
    out->v[out->n++] = axis;
  }
  return CORNU_OK;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  cn_ints axes;
  int64_t shape[CN_MAX_RANK];
  CN_TRY(find_axes(l->settings, in, &axes, e));
  for (int i = 0; i < axes.n; i++) shape[i] = in->shape[axes.v[i]];
  return cn_layer_add_weight(l, "scale", axes.n, shape, true, &ones, e);
}

/* Keras multiplies by the scale as it is, along the last axes, whichever were normalised. */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data), scale = cn_layer_weight_edge(l, t, "scale");
  cn_layer_norm_attrs a = {.epsilon = s->epsilon, .kind = CN_NORM_RMS};
  if (t->status) return;
  int rank = cn_edge_type(t, x)->rank;
  t->status = find_axes(s, cn_edge_type(t, x), &a.axes, t->error);
  bool last = true;
  for (int i = 0; i < a.axes.n; i++) last = last && a.axes.v[i] == rank - a.axes.n + i;
  cn_edge y = cn_emit2(t, &cn_op_layer_norm, &a, x, last ? scale : CN_NO_EDGE);
  cn_call_return(t, c, last ? y : cn_emit2(t, &cn_op_mul, NULL, y, scale), CN_NO_EDGE);
}

const cn_layer_type cn_layer_rms_normalization = {
    .name = "RMSNormalization",
    .versions = "3",
    .help = CN_HELP("scale * x / sqrt(mean(x^2) + epsilon) over axis: (…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
