/* Conv2DTranspose: the gradient of a convolution to its input, which up-samples. Kernel (k…, out, in). */
#include "layers/convolution.h"
#include "layers/part.h"

static const cn_field fields[] = {
    CN_FILTERS_FIELD,
    CN_CONV_FIELDS(2, NULL, "subsample"),
    {.name = "output_padding", .kind = CN_F_INTS, CN_CONV_MEMBER(output_padding), .standard = "null", .max = 1 << 20,
     .count = 2, .help = CN_HELP("zeros after the result; null: the size follows from the strides")},
    CN_NO_GROUPS_FIELD,
    {.name = "output_shape", .kind = CN_F_VALUE, CN_CONV_MEMBER(output_shape), .standard = "null",
     .help = CN_HELP("Keras 1: the result's shape with batch and channels")},
    CN_KERNEL_ROWS,
    {0}};

static cn_status upgrade(cn_layer *l, cn_value *config, cn_error *e) {
  return cn_spatial_join(l, config, "kernel_size", 2, (const char *const[]){"nb_row", "nb_col"}, e);
}

static cn_status check(cn_layer *l, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  if (s->padding != CN_PADDING_CAUSAL) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"padding\" is causal, expected valid or same");
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_transposed_build(l, in, 2, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_transposed_lower(l, t, c, 2); }

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_transposed_import(l, arrays, *n, 2, e);
}

const cn_layer_type cn_layer_conv2d_transpose = {
    .name = "Conv2DTranspose",
    .aliases = "Convolution2DTranspose Deconvolution2D Deconv2D",
    .versions = "1 2 3",
    .help = CN_HELP("transposed convolution, bias and activation: (batch, height, width, channels) -> "
                    "larger by the strides"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(cn_conv_settings),
    .fields = fields,
    .upgrade = upgrade,
    .check = check,
    .build = build,
    .lower = lower,
    .import = import,
};
