/* Softmax: exp(x) / sum(exp(x)) over an axis or several, with a mask. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints axis; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1",
     .help = CN_HELP("axis, or several: the sum over all of them is 1")},
    {.name = "robust_masking", .aliases = "softmax_robust_masking", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("no effect without a mask")},
    {0}};

/* exp(x - log(sum(exp x))) over several axes. */
static cn_edge joint_softmax(cn_trace *t, const cn_ints *axes, cn_edge x) {
  cn_edge total = cn_emit1(t, &cn_op_logsumexp, &(cn_reduce_attrs){*axes, true}, x);
  return cn_emit1(t, &cn_op_exp, NULL, cn_emit2(t, &cn_op_sub, NULL, x, total));
}

/* A large negative number where the mask is false; Keras 3.14 and later also clear those outputs. */
static cn_edge masked(cn_trace *t, cn_edge x, cn_edge keep) {
  cn_edge shift =
      cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, cn_emit_number(t, 1), keep),
               cn_emit_number(t, -1e9));
  return cn_emit2(t, &cn_op_add, NULL, x, shift);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data), mask = cn_call_tensor(c, "mask").data, keep = CN_NO_EDGE;
  if (mask == CN_NO_EDGE && c->n_positional > 1) mask = c->in[1].data;
  if (mask != CN_NO_EDGE) {
    keep = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){t->compute}, mask);
    x = masked(t, x, keep);
  }
  cn_edge y =
      s->axis.n == 1 ? cn_emit1(t, &cn_op_softmax, &(cn_axis_attrs){s->axis.v[0]}, x) : joint_softmax(t, &s->axis, x);
  if (keep != CN_NO_EDGE && cn_origin_at_least(&l->origin, 3, 14, 0)) y = cn_emit2(t, &cn_op_mul, NULL, y, keep);
  cn_call_return(t, c, y, c->in[0].mask);
}

const cn_layer_type cn_layer_softmax = {
    .name = "Softmax",
    .versions = "2 3",
    .help = CN_HELP("exp(x) / sum(exp(x)) over an axis: (…) -> (…)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
