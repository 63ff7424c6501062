/* SeparableConv1D: a depthwise convolution, then a convolution of width 1 that mixes the channels. */
#include "layers/convolution.h"
#include "layers/part.h"

static const cn_field fields[] = {
    CN_FILTERS_FIELD,
    CN_CONV_FIELDS(1, NULL, NULL),
    CN_MULTIPLIER_FIELD,
    CN_NO_GROUPS_FIELD,
    CN_INITIALIZER_ROW("depthwise", "depthwise_init", "glorot_uniform"),
    CN_INITIALIZER_ROW("pointwise", "pointwise_init", "glorot_uniform"), CN_INITIALIZER_ROW("bias", NULL, "zeros"),
    CN_WEIGHT_ROWS("depthwise", NULL, NULL), CN_WEIGHT_ROWS("pointwise", NULL, NULL),
    CN_WEIGHT_ROWS("bias", "b_regularizer", "b_constraint"), CN_ACTIVITY_ROW,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) { return cn_convolution_check(l, 1, e); }

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_separable_build(l, in, 1, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_separable_lower(l, t, c, 1); }

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_separable_import(l, arrays, *n, e);
}

const cn_layer_type cn_layer_separable_conv1d = {
    .name = "SeparableConv1D",
    .aliases = "SeparableConvolution1D",
    .versions = "2 3",
    .help = CN_HELP("depthwise, then pointwise convolution: (batch, steps, channels) -> the same with "
                    "filters channels"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(cn_conv_settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = import,
};
