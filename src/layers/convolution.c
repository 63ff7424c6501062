/* Convolutions: what does not depend on the number of dimensions. */
#include "layers/convolution.h"

#include <string.h>

#include "base/text.h"
#include "layers/lora.h"

cn_status cn_convolution_check(cn_layer *l, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  return cn_spatial_check(l, s->padding, spatial, e);
}

/* tf.keras takes more than one batch dimension: how many lead an input of this rank beside the usual one. */
static int more_batch(const cn_layer *l, int rank, int spatial) {
  return l->origin.tf && l->origin.keras == 2 && rank > spatial + 2 ? rank - spatial - 2 : 0;
}

cn_status cn_convolution_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  int64_t channels, shape[5];
  int more = more_batch(l, in->rank, spatial);
  cn_type sample = {.dtype = in->dtype, .rank = in->rank - more};
  memcpy(sample.shape, in->shape + more, (size_t)sample.rank * sizeof *sample.shape);
  CN_TRY(cn_spatial_channels(&sample, spatial, cn_channels_first(l, s->data_format, spatial), &channels, e));
  if (channels % s->groups || s->filters % s->groups)
    return cn_fail(e, CORNU_ERR_SHAPE,
                   "%lld groups: expected a divisor of the %lld input channels and of the %lld filters",
                   (long long)s->groups, (long long)channels, (long long)s->filters);
  for (int i = 0; i < spatial; i++) shape[i] = s->kernel_size.v[i];
  shape[spatial] = channels / s->groups;
  shape[spatial + 1] = s->filters;
  CN_TRY(cn_layer_add_weight(l, "kernel", spatial + 2, shape, !cn_lora_enabled(l),
                             cn_spatial_initializer(l, "kernel_initializer", "init"), e));
  CN_TRY(cn_spatial_bias(l, s, s->filters, e));
  return cn_lora_build(l, "kernel", spatial + 2, shape, e);
}

void cn_convolution_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const cn_conv_settings *s = l->settings;
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "kernel")];
  bool first = cn_channels_first(l, s->data_format, spatial);
  cn_edge x = c->in[0].data, folded[CN_MAX_RANK];
  int more = more_batch(l, cn_edge_type(t, x)->rank, spatial);
  for (int i = 0; i < more; i++) x = cn_emit1(t, &cn_op_fold, NULL, folded[i] = x);
  x = cn_spatial_enter(t, x, spatial, first, kernel->shape[spatial] * s->groups);
  cn_conv_attrs a = cn_spatial_conv(l, s, cn_edge_type(t, x), spatial);
  a.groups = s->groups;
  a.act = cn_activation_epilogue(&s->activation);
  cn_edge y = cn_emit3(t, &cn_op_conv, &a, x, cn_lora_weight(l, t, "kernel"), cn_layer_weight_edge(l, t, "bias"));
  y = cn_spatial_leave(t, y, spatial, first);
  while (more-- > 0) y = cn_emit2(t, &cn_op_unfold, NULL, y, folded[more]);
  cn_call_return(t, c, cn_activation_rest(t, &s->activation, y), CN_NO_EDGE);
}

/* Keras 1 kept the kernels of sequences as images of width 1: (k, 1, in, out), before that (out, in, k, 1). */
static cn_status drop_width(cn_tensor **array, const cn_weight *w, cn_error *e) {
  const cn_tensor *a = *array;
  cn_tensor *narrow;
  if (a->rank != 4) return CORNU_OK;
  bool now = a->shape[0] == w->shape[0] && a->shape[1] == 1 && a->shape[2] == w->shape[1] && a->shape[3] == w->shape[2];
  if (!now && a->shape[3] == 1) CN_TRY(cn_spatial_permute(array, (int[]){2, 3, 1, 0}, e));
  a = *array;
  if (a->shape[1] != 1) return CORNU_OK;
  CN_TRY(cornu_tensor_reshape(*array, 3, (int64_t[]){a->shape[0], a->shape[2], a->shape[3]}, &narrow, e));
  cornu_tensor_release(*array);
  *array = narrow;
  return CORNU_OK;
}

cn_status cn_convolution_import(cn_layer *l, cn_tensor **arrays, int *n, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  CN_TRY(cn_lora_import(l, arrays, n, e));
  if (*n < 1) return CORNU_OK;
  if (spatial == 1 && arrays[0]->rank == 4) CN_TRY(drop_width(&arrays[0], &l->weights[0], e));
  else if (spatial > 1) CN_TRY(cn_spatial_import_kernel(l, s->data_format, &arrays[0], &l->weights[0], e));
  return l->origin.theano ? cn_spatial_rotate(&arrays[0], spatial, e) : CORNU_OK;
}

/* ---- gradients of convolutions ---- */

cn_status cn_transposed_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  int64_t channels, shape[5];
  CN_TRY(cn_spatial_channels(in, spatial, cn_channels_first(l, s->data_format, spatial), &channels, e));
  for (int i = 0; i < spatial; i++) shape[i] = s->kernel_size.v[i];
  shape[spatial] = s->filters;
  shape[spatial + 1] = channels;
  CN_TRY(cn_layer_add_weight(l, "kernel", spatial + 2, shape, true,
                             cn_spatial_initializer(l, "kernel_initializer", "init"), e));
  return cn_spatial_bias(l, s, s->filters, e);
}

/* Keras 1 names the size itself, batch and channels with it; -1: to be inferred. */
static int64_t named_size(const cn_layer *l, const cn_conv_settings *s, int spatial, int dim) {
  int64_t size;
  const cn_value *v = s->output_shape;
  int at = cn_channels_first(l, s->data_format, spatial) ? dim + 2 : dim + 1;
  if (!cn_value_is(v, CORNU_LIST) || v->count != spatial + 2 || !cn_value_integer(v->items[at], &size)) return -1;
  return size;
}

/* How much wider the uncropped result is than the wanted one; n * stride - stride + extent is the uncropped size. */
static int64_t surplus(const cn_conv_settings *s, int dim, int64_t extent, int64_t stride) {
  if (s->output_padding.n < 0)
    return s->padding == CN_PADDING_SAME ? extent - stride
        : s->padding == CN_PADDING_FULL  ? 2 * (extent - 1)
                                         : (extent < stride ? extent - stride : 0);
  int64_t more = s->output_padding.v[dim];
  return s->padding == CN_PADDING_SAME ? 2 * (extent / 2) - more
      : s->padding == CN_PADDING_FULL  ? 2 * (extent - 1) - more
                                       : -more;
}

static void crop(const cn_layer *l, const cn_conv_settings *s, int spatial, int dim, int64_t n,
                 cn_conv_transpose_attrs *a) {
  int64_t stride = a->stride[dim], extent = (s->kernel_size.v[dim] - 1) * a->dilation[dim] + 1;
  int64_t size = named_size(l, s, spatial, dim), total = surplus(s, dim, extent, stride);
  if (size >= 0 && n >= 0) total = (n - 1) * stride + extent - size;
  int64_t begin = 0;
  if (s->padding == CN_PADDING_SAME) begin = l->origin.theano ? extent / 2 : total > 0 ? total / 2 : 0;
  if (s->padding == CN_PADDING_FULL) begin = extent - 1;
  a->crop_begin[dim] = begin;
  a->crop_end[dim] = total - begin;
}

cn_conv_transpose_attrs cn_transposed_attrs(const cn_layer *l, const cn_conv_settings *s, const cn_type *x,
                                            int spatial) {
  cn_conv_transpose_attrs a = {.spatial = spatial};
  for (int i = 0; i < spatial; i++) {
    a.stride[i] = s->strides.v[i];
    a.dilation[i] = s->dilation_rate.v[i];
    crop(l, s, spatial, i, x->shape[i + 1], &a);
  }
  return a;
}

void cn_transposed_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const cn_conv_settings *s = l->settings;
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "kernel")];
  cn_edge x = cn_spatial_enter(t, c->in[0].data, spatial, cn_channels_first(l, s->data_format, spatial),
                               kernel->shape[spatial + 1]);
  if (t->status) return;
  cn_conv_transpose_attrs a = cn_transposed_attrs(l, s, cn_edge_type(t, x), spatial);
  a.act = cn_activation_epilogue(&s->activation);
  cn_edge y = cn_emit3(t, &cn_op_conv_transpose, &a, x, cn_layer_weight_edge(l, t, "kernel"),
                       cn_layer_weight_edge(l, t, "bias"));
  cn_spatial_return(l, t, c, s, y, spatial);
}

/* Keras 1: (k…, in, out), or (out, in, k…) with dim_ordering th. Later: as declared. */
cn_status cn_transposed_import(cn_layer *l, cn_tensor **arrays, int n, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  if (n < 1 || arrays[0]->rank != spatial + 2) return CORNU_OK;
  int th[5], tf[5];
  for (int i = 0; i < spatial; i++) th[i] = i + 2, tf[i] = i;
  th[spatial] = 0, th[spatial + 1] = 1;
  tf[spatial] = spatial + 1, tf[spatial + 1] = spatial;
  if (cn_spatial_is_th(l, s->data_format, arrays[0], &l->weights[0], th)) CN_TRY(cn_spatial_permute(&arrays[0], th, e));
  else if (l->origin.keras == 1) CN_TRY(cn_spatial_permute(&arrays[0], tf, e));
  return l->origin.theano ? cn_spatial_rotate(&arrays[0], spatial, e) : CORNU_OK;
}

/* ---- channel by channel ---- */

static cn_status add_depthwise(cn_layer *l, const cn_type *in, int spatial, int64_t *channels, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  int64_t shape[5];
  CN_TRY(cn_spatial_channels(in, spatial, cn_channels_first(l, s->data_format, spatial), channels, e));
  for (int i = 0; i < spatial; i++) shape[i] = s->kernel_size.v[i];
  shape[spatial] = *channels;
  shape[spatial + 1] = s->depth_multiplier;
  return cn_layer_add_weight(l, "depthwise_kernel", spatial + 2, shape, true,
                             cn_spatial_initializer(l, "depthwise_initializer", "depthwise_init"), e);
}

cn_status cn_depthwise_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  int64_t channels;
  CN_TRY(add_depthwise(l, in, spatial, &channels, e));
  return cn_spatial_bias(l, s, channels * s->depth_multiplier, e);
}

static cn_edge emit_depthwise(cn_layer *l, cn_trace *t, cn_edge x, int spatial, cn_edge bias, cn_act act) {
  const cn_conv_settings *s = l->settings;
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "depthwise_kernel")];
  x = cn_spatial_enter(t, x, spatial, cn_channels_first(l, s->data_format, spatial), kernel->shape[spatial]);
  cn_conv_attrs a = cn_spatial_conv(l, s, cn_edge_type(t, x), spatial);
  a.act = act;
  return cn_emit3(t, &cn_op_depthwise_conv, &a, x, cn_layer_weight_edge(l, t, "depthwise_kernel"), bias);
}

void cn_depthwise_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const cn_conv_settings *s = l->settings;
  cn_edge y = emit_depthwise(l, t, c->in[0].data, spatial, cn_layer_weight_edge(l, t, "bias"),
                             cn_activation_epilogue(&s->activation));
  cn_spatial_return(l, t, c, s, y, spatial);
}

cn_status cn_separable_build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  int64_t channels, shape[5] = {1, 1, 1, 1, 1};
  CN_TRY(add_depthwise(l, in, spatial, &channels, e));
  shape[spatial] = channels * s->depth_multiplier;
  shape[spatial + 1] = s->filters;
  CN_TRY(cn_layer_add_weight(l, "pointwise_kernel", spatial + 2, shape, true,
                             cn_spatial_initializer(l, "pointwise_initializer", "pointwise_init"), e));
  return cn_spatial_bias(l, s, s->filters, e);
}

void cn_separable_lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const cn_conv_settings *s = l->settings;
  cn_edge x = emit_depthwise(l, t, c->in[0].data, spatial, CN_NO_EDGE, (cn_act){0});
  cn_conv_attrs a = {.spatial = spatial, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1,
                     .act = cn_activation_epilogue(&s->activation)};
  cn_edge y = cn_emit3(t, &cn_op_conv, &a, x, cn_layer_weight_edge(l, t, "pointwise_kernel"),
                       cn_layer_weight_edge(l, t, "bias"));
  cn_spatial_return(l, t, c, s, y, spatial);
}

/* Keras 1 with dim_ordering th: depthwise (mult, in, k…), pointwise (out, in mult, 1…). */
cn_status cn_separable_import(cn_layer *l, cn_tensor **arrays, int n, cn_error *e) {
  const cn_conv_settings *s = l->settings;
  for (int i = 0; i < n && i < 2 && i < l->n_weights; i++)
    if (l->weights[i].rank > 2) CN_TRY(cn_spatial_import_kernel(l, s->data_format, &arrays[i], &l->weights[i], e));
  return CORNU_OK;
}
