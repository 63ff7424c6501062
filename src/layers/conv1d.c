/* Conv1D: a window slides over a sequence. Kernel (k, in / groups, out). */
#include "layers/convolution.h"
#include "layers/part.h"

static const cn_field fields[] = {
    CN_FILTERS_FIELD,
    CN_CONV_FIELDS(1, "filter_length", "subsample_length"),
    {.name = "groups", .kind = CN_F_INT, CN_CONV_MEMBER(groups), .standard = "1", .min = 1, .max = 1 << 24,
     .help = CN_HELP("parts of the channels that are convolved apart")},
    CN_KERNEL_ROWS,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) { return cn_convolution_check(l, 1, e); }

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_convolution_build(l, in, 1, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_convolution_lower(l, t, c, 1); }

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_convolution_import(l, arrays, n, 1, e);
}

const cn_layer_type cn_layer_conv1d = {
    .name = "Conv1D",
    .aliases = "Convolution1D AtrousConvolution1D AtrousConv1D",
    .versions = "1 2 3",
    .help = CN_HELP("convolution, bias and activation: (batch, steps, channels) -> the same with filters channels"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(cn_conv_settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = import,
};
