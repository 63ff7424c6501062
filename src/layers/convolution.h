/* What Conv1D, Conv2D and Conv3D share, and what separable convolutions do alike. */
#ifndef CN_LAYERS_CONVOLUTION_H
#define CN_LAYERS_CONVOLUTION_H

#include "layers/spatial.h"

cn_status cn_convolution_check(cn_layer *l, int spatial, cn_error *e);
cn_status cn_convolution_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e);
void cn_convolution_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial);
cn_status cn_convolution_import(cn_layer *l, cn_tensor **arrays, int *n, int spatial, cn_error *e);
/* Gradients of convolutions: kernels (k…, out, in). */
cn_status cn_transposed_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e);
void cn_transposed_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial);
cn_status cn_transposed_import(cn_layer *l, cn_tensor **arrays, int n, int spatial, cn_error *e);
cn_conv_transpose_attrs cn_transposed_attrs(const cn_layer *l, const cn_conv_settings *s, const cn_type *x,
                                            int spatial); /* without the activation; x is channels last */
/* One kernel per channel; separable ones mix the channels after that. */
cn_status cn_depthwise_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e);
void cn_depthwise_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial);
cn_status cn_separable_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e);
void cn_separable_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial);
cn_status cn_separable_import(cn_layer *l, cn_tensor **arrays, int n, cn_error *e);

#endif
