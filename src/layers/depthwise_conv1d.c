/* DepthwiseConv1D: every channel has kernels of its own; output channel = channel * depth_multiplier + m. */
#include "layers/convolution.h"
#include "layers/part.h"

static const cn_field fields[] = {
    CN_CONV_FIELDS(1, NULL, NULL),
    CN_MULTIPLIER_FIELD,
    CN_NO_GROUPS_FIELD,
    CN_INITIALIZER_ROW("depthwise", "depthwise_init", "glorot_uniform"), CN_INITIALIZER_ROW("bias", NULL, "zeros"),
    CN_WEIGHT_ROWS("depthwise", NULL, NULL), CN_WEIGHT_ROWS("bias", "b_regularizer", "b_constraint"), CN_ACTIVITY_ROW,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) { return cn_convolution_check(l, 1, e); }

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_depthwise_build(l, in, 1, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_depthwise_lower(l, t, c, 1); }

const cn_layer_type cn_layer_depthwise_conv1d = {
    .name = "DepthwiseConv1D",
    .versions = "2 3",
    .help = CN_HELP("convolution of each channel: (batch, steps, channels) -> channels * depth_multiplier"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(cn_conv_settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
