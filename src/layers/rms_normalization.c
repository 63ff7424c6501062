/* RMSNormalization: scale * x / sqrt(mean(x^2) + epsilon) over axes of each sample (Zhang and Sennrich 2019). */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints axis; double epsilon; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = "a number or a list: what is normalised together"},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(settings, epsilon), .standard = "1e-6", .min = 0,
     .max = 1e30, .help = "added to the mean square"},
    {0}};

/* The axes from 0 in ascending order. */
static cn_status find_axes(const settings *s, const cn_type *x, cn_ints *out, cn_error *e) {
  bool normed[CN_MAX_RANK] = {false};
  out->n = 0;
  for (int i = 0; i < s->axis.n; i++) {
    int axis;
    CN_TRY(cn_axis(s->axis.v[i], x->rank, &axis, e));
    normed[axis] = true;
  }
  for (int i = 0; i < x->rank; i++)
    if (normed[i]) out->v[out->n++] = i;
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

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_layer_norm_attrs a = {.epsilon = s->epsilon, .kind = CN_NORM_RMS};
  if (!t->status) t->status = find_axes(s, cn_edge_type(t, x), &a.axes, t->error);
  cn_call_return(t, c, cn_emit2(t, &cn_op_layer_norm, &a, x, cn_layer_weight_edge(l, t, "scale")), CN_NO_EDGE);
}

const cn_layer_type cn_layer_rms_normalization = {
    .name = "RMSNormalization",
    .versions = "3",
    .help = "scale * x / sqrt(mean(x^2) + epsilon) over axis: (…) -> (…)",
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
