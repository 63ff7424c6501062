/* UnitNormalization: x divided by its Euclidean length over axes. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints axis; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = CN_HELP("a number or a list: the axes of a vector")},
    {0}};

/* Keras 3 bounds the factor by 1e12, tf.keras the square of the length by 1e-12. */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_reduce_attrs over = {.axes = s->axis, .keepdims = true};
  cn_edge square = cn_emit1(t, &cn_op_sum, &over, cn_emit1(t, &cn_op_square, NULL, x)), factor;
  if (l->origin.keras >= 3) {
    factor = cn_emit2(t, &cn_op_minimum, NULL, cn_emit1(t, &cn_op_rsqrt, NULL, square),
                      cn_emit_number(t, 1e12));
  } else {
    cn_edge bounded = cn_emit2(t, &cn_op_maximum, NULL, square, cn_emit_number(t, 1e-12));
    factor = cn_emit1(t, &cn_op_rsqrt, NULL, bounded);
  }
  cn_call_return(t, c, cn_emit2(t, &cn_op_mul, NULL, x, factor), c->in[0].mask);
}

const cn_layer_type cn_layer_unit_normalization = {
    .name = "UnitNormalization",
    .versions = "2 3",
    .help = CN_HELP("x / sqrt(sum(x^2)) over axis: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
