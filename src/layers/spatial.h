/* What layers with spatial dimensions share: padding modes, data formats, kernel layouts of older files. */
#ifndef CN_LAYERS_SPATIAL_H
#define CN_LAYERS_SPATIAL_H

#include "layers/layer.h"
#include "ops/ops.h"

enum { CN_PADDING_VALID, CN_PADDING_SAME, CN_PADDING_CAUSAL, CN_PADDING_FULL };
#define CN_PADDING_CHOICES "valid same causal full"
#define CN_DATA_FORMAT_CHOICES "channels_last channels_first tf th default"

/* Settings of every convolution; each class has fields for the members it uses. */
typedef struct cn_conv_settings {
  int64_t filters, groups, depth_multiplier;
  cn_ints kernel_size, strides, dilation_rate, output_padding;
  int padding, data_format;
  bool use_bias;
  cn_activation activation;
  const cn_value *output_shape; /* Keras 1's Deconvolution2D: with the batch */
} cn_conv_settings;

#define CN_CONV_MEMBER(m) .offset = offsetof(cn_conv_settings, m)
#define CN_FILTERS_FIELD \
  {.name = "filters", .aliases = "nb_filter", .kind = CN_F_INT, CN_CONV_MEMBER(filters), .min = 1, .max = 1 << 24, \
   .help = CN_HELP("output channels")}
#define CN_MULTIPLIER_FIELD \
  {.name = "depth_multiplier", .kind = CN_F_INT, CN_CONV_MEMBER(depth_multiplier), .standard = "1", .min = 1, \
   .max = 1 << 20, .help = CN_HELP("outputs per input channel")}
#define CN_NO_GROUPS_FIELD \
  {.name = "groups", .kind = CN_F_IGNORED, .standard = "1", \
   .help = CN_HELP("written by tf.keras, which does not use it here")}
/* The rest: kernel_aliases is what Keras 1 called the kernel's size where that is one key, stride_aliases likewise. */
#define CN_CONV_FIELDS(spatial, kernel_aliases, stride_aliases)                                                        \
  {.name = "kernel_size",                                                                                              \
   .aliases = kernel_aliases,                                                                                          \
   .kind = CN_F_INTS,                                                                                                  \
   CN_CONV_MEMBER(kernel_size),                                                                                        \
   .min = 1,                                                                                                           \
   .max = 1 << 20,                                                                                                     \
   .count = spatial,                                                                                                   \
   .help = CN_HELP("size of the window")},                                                                             \
      {.name = "strides",                                                                                              \
       .aliases = stride_aliases,                                                                                      \
       .kind = CN_F_INTS,                                                                                              \
       CN_CONV_MEMBER(strides),                                                                                        \
       .standard = "1",                                                                                                \
       .min = 1,                                                                                                       \
       .max = 1 << 20,                                                                                                 \
       .count = spatial,                                                                                               \
       .help = CN_HELP("step of the window")},                                                                         \
      {.name = "padding",                                                                                              \
       .aliases = "border_mode",                                                                                       \
       .kind = CN_F_ENUM,                                                                                              \
       CN_CONV_MEMBER(padding),                                                                                        \
       .standard = "\"valid\"",                                                                                        \
       .choices = CN_PADDING_CHOICES,                                                                                  \
       .help = CN_HELP("zeros around the input; causal in one dimension alone, full in Keras 1 on Theano")},           \
      {.name = "data_format",                                                                                          \
       .aliases = "dim_ordering",                                                                                      \
       .kind = CN_F_ENUM,                                                                                              \
       CN_CONV_MEMBER(data_format),                                                                                    \
       .standard = "null",                                                                                             \
       .choices = CN_DATA_FORMAT_CHOICES,                                                                              \
       .help = CN_HELP("where the channels are; null: the writer's default")},                                         \
      {.name = "dilation_rate",                                                                                        \
       .aliases = "atrous_rate",                                                                                       \
       .kind = CN_F_INTS,                                                                                              \
       CN_CONV_MEMBER(dilation_rate),                                                                                  \
       .standard = "1",                                                                                                \
       .min = 1,                                                                                                       \
       .max = 1 << 20,                                                                                                 \
       .count = spatial,                                                                                               \
       .help = CN_HELP("distance between the window's elements")},                                                     \
      {.name = "activation",                                                                                           \
       .kind = CN_F_ACTIVATION,                                                                                        \
       CN_CONV_MEMBER(activation),                                                                                     \
       .standard = "null",                                                                                             \
       .help = CN_HELP("applied to the result")},                                                                      \
  {                                                                                                                    \
    .name = "use_bias", .aliases = "bias", .kind = CN_F_BOOL, CN_CONV_MEMBER(use_bias), .standard = "true",            \
    .help = CN_HELP("adds a bias")                                                                                     \
  }

/* ---- configs ---- */

/* Keras 1: keys such as nb_row and nb_col become the list `name`, unless that is there. */
cn_status cn_spatial_join(cn_layer *l, cn_value *config, const char *name, int n, const char *const *keys, cn_error *e);
/* Sequences are channels-last before Keras 3 unless the config says otherwise. */
bool cn_channels_first(const cn_layer *l, int data_format, int spatial);
/* Is the padding possible in so many dimensions and for this writer? */
cn_status cn_spatial_check(const cn_layer *l, int padding, int spatial, cn_error *e);
/* Amounts before and after each dimension: an int, one per dimension, a pair (1D), pairs, Keras 1's list of four (2D)
 * or its dict with top_pad, … or left_pad, right_pad. */
cn_status cn_spatial_pairs(const char *key, const cn_value *v, int spatial, int64_t (*pairs)[2], cn_error *e);

/* ---- lowering ---- */

/* Checks the rank; CN_NO_EDGE after failure. The channels' axis is 1 or the last. */
cn_status cn_spatial_channels(const cn_type *in, int spatial, bool first, int64_t *channels, cn_error *e);
/* The call's input as float32 in channels-last order; channels -1: any number. */
cn_edge cn_spatial_enter(cn_trace *t, cn_edge x, int spatial, bool first, int64_t channels);
cn_edge cn_spatial_leave(cn_trace *t, cn_edge y, int spatial, bool first);
/* Padding of one dimension: n positions (-1: unknown), a window of `extent` = (kernel - 1) * dilation + 1 elements.
 * pooling: Theano pads windows of pooling and of convolution differently. */
void cn_spatial_pad(const cn_layer *l, int padding, bool pooling, int64_t n, int64_t extent, int64_t stride,
                    int64_t *begin, int64_t *end);
/* Strides, dilations and paddings of a convolution of x (channels last). */
cn_conv_attrs cn_spatial_conv(const cn_layer *l, const cn_conv_settings *s, const cn_type *x, int spatial);
/* The activation's remainder, the order of axes, the result of the call. */
void cn_spatial_return(cn_layer *l, cn_trace *t, cn_call *c, const cn_conv_settings *s, cn_edge y, int spatial);

/* ---- weights ---- */

/* An initializer by its key, or by the key that Keras 1 used (NULL: none). */
const cn_value *cn_spatial_initializer(const cn_layer *l, const char *key, const char *keras1);
cn_status cn_spatial_bias(cn_layer *l, const cn_conv_settings *s, int64_t channels, cn_error *e);
/* Was the kernel written as (out, in, k…)? By its shape, or by the config where both layouts fit. `axes` names where
 * each declared axis is in that layout. */
bool cn_spatial_is_th(const cn_layer *l, int data_format, const cn_tensor *array, const cn_weight *w, const int *axes);
cn_status cn_spatial_permute(cn_tensor **array, const int *axes, cn_error *e);
/* (out, in, k…) to (k…, in, out) where cn_spatial_is_th says so. */
cn_status cn_spatial_import_kernel(const cn_layer *l, int data_format, cn_tensor **array, const cn_weight *w,
                                   cn_error *e);
/* Reverses the first `spatial` axes: Theano computes true convolutions. */
cn_status cn_spatial_rotate(cn_tensor **array, int spatial, cn_error *e);

#endif
