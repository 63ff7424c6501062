/* Padding modes, data formats and kernel layouts of the layers with spatial dimensions. */
#include "layers/spatial.h"

#include "base/text.h"

/* ---- configs ---- */

cn_status cn_spatial_join(cn_layer *l, cn_value *config, const char *name, int n, const char *const *keys,
                          cn_error *e) {
  if (cn_value_find(config, name) || !cn_value_find(config, keys[0])) return CORNU_OK;
  cn_value *list = cn_value_new(&l->arena, CORNU_LIST);
  for (int i = 0; list && i < n; i++) {
    cn_value *v = cn_value_find(config, keys[i]);
    if (!v) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is there, \"%s\" is missing", keys[0], keys[i]);
    if (!cn_value_push(&l->arena, list, v)) return cn_no_memory(e);
  }
  if (!list || !cn_value_put(&l->arena, config, name, list)) return cn_no_memory(e);
  for (int i = 0; i < n; i++) cn_value_remove(config, keys[i]);
  return CORNU_OK;
}

bool cn_channels_first(const cn_layer *l, int data_format, int spatial) {
  if (data_format == 0 || data_format == 2) return false;
  return data_format == 1 || data_format == 3 || (l->origin.channels_first && (spatial > 1 || l->origin.keras > 2));
}

cn_status cn_spatial_check(const cn_layer *l, int padding, int spatial, cn_error *e) {
  (void)l;
  if (padding == CN_PADDING_CAUSAL && spatial != 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "\"padding\" is causal, which sequences alone can have; expected valid or same");
  return CORNU_OK;
}

/* The amounts of one dimension: an int, or [before, after]. */
static bool one_pair(const cn_value *v, int64_t *pair) {
  bool good = cn_value_is(v, CORNU_LIST)
      ? v->count == 2 && cn_value_integer(v->items[0], &pair[0]) && cn_value_integer(v->items[1], &pair[1])
      : cn_value_integer(v, &pair[0]) && cn_value_integer(v, &pair[1]);
  return good && pair[0] >= 0 && pair[1] >= 0 && pair[0] <= 1 << 30 && pair[1] <= 1 << 30;
}

/* A side that Keras 1's dict does not name is 0. */
static bool named_pairs(const cn_value *v, int spatial, int64_t (*pairs)[2]) {
  static const char *const sides[] = {"top_pad", "bottom_pad", "left_pad", "right_pad"};
  int known = 0;
  for (int i = 0; i < 2 * spatial; i++) {
    const cn_value *amount = cn_value_find(v, sides[spatial == 1 ? i + 2 : i]);
    int64_t *to = &pairs[i / 2][i % 2];
    *to = 0;
    if (!amount) continue;
    known++;
    if (!cn_value_integer(amount, to) || *to < 0 || *to > 1 << 30) return false;
  }
  return known == v->count;
}

static bool parse_pairs(const cn_value *v, int spatial, int64_t (*pairs)[2]) {
  if (cn_value_is(v, CORNU_DICT)) return spatial < 3 && named_pairs(v, spatial, pairs);
  bool list = cn_value_is(v, CORNU_LIST), good = true;
  if (list && spatial == 1 && v->count == 2) return one_pair(v, pairs[0]);
  if (list && spatial == 2 && v->count == 4) {
    for (int i = 0; i < 4 && good; i++)
      good = cn_value_integer(v->items[i], &pairs[i / 2][i % 2]) && pairs[i / 2][i % 2] >= 0;
    return good;
  }
  if (list && v->count != spatial) return false;
  for (int i = 0; i < spatial && good; i++) good = one_pair(list ? v->items[i] : v, pairs[i]);
  return good;
}

cn_status cn_spatial_pairs(const char *key, const cn_value *v, int spatial, int64_t (*pairs)[2], cn_error *e) {
  if (parse_pairs(v, spatial, pairs)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected an integer >= 0, or %s", key,
                 cn_value_show(v, (char[120]){0}, 120),
                 spatial == 1 ? "[before, after]" : "an integer or [before, after] for each spatial dimension");
}

/* ---- lowering ---- */

cn_status cn_spatial_channels(const cn_type *in, int spatial, bool first, int64_t *channels, cn_error *e) {
  if (in->rank != spatial + 2)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                   CN_SHAPE(in->rank, in->shape), spatial + 2, spatial);
  *channels = in->shape[first ? 1 : in->rank - 1];
  if (*channels > 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: the number of channels (%s) must be known",
                 CN_SHAPE(in->rank, in->shape), first ? "axis 1" : "the last axis");
}

cn_edge cn_spatial_enter(cn_trace *t, cn_edge x, int spatial, bool first, int64_t channels) {
  if (t->status) return CN_NO_EDGE;
  cn_type type = *cn_edge_type(t, x);
  if (type.rank != spatial + 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                  CN_SHAPE(type.rank, type.shape), spatial + 2, spatial);
    return CN_NO_EDGE;
  }
  if (channels >= 0 && !cn_dims_agree(type.shape[first ? 1 : type.rank - 1], channels)) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld channels on %s",
                  CN_SHAPE(type.rank, type.shape), (long long)channels, first ? "axis 1" : "the last axis");
    return CN_NO_EDGE;
  }
  x = cn_emit_compute(t, x);
  if (!first) return x;
  cn_ints_attrs order = {.v = {.n = spatial + 2}};
  for (int i = 0; i < spatial; i++) order.v.v[i + 1] = i + 2;
  order.v.v[spatial + 1] = 1;
  return cn_emit1(t, &cn_op_transpose, &order, x);
}

cn_edge cn_spatial_leave(cn_trace *t, cn_edge y, int spatial, bool first) {
  if (!first) return y;
  cn_ints_attrs order = {.v = {.n = spatial + 2}};
  order.v.v[1] = spatial + 1;
  for (int i = 0; i < spatial; i++) order.v.v[i + 2] = i + 1;
  return cn_emit1(t, &cn_op_transpose, &order, y);
}

static int64_t at_least_0(int64_t x) { return x < 0 ? 0 : x; }

/* Theano pads both sides alike and cuts the result to ceil(n / stride): an end padding of what those need is the same.
 */
static int64_t theano_begin(bool pooling, int64_t extent) {
  if (!pooling) return extent / 2;
  return extent > 2 && extent % 2 == 1 ? extent - 2 : extent - 1;
}

void cn_spatial_pad(const cn_layer *l, int padding, bool pooling, int64_t n, int64_t extent, int64_t stride,
                    int64_t *begin, int64_t *end) {
  *begin = *end = 0;
  if (padding == CN_PADDING_VALID) return;
  if (padding == CN_PADDING_CAUSAL || padding == CN_PADDING_FULL) {
    *begin = extent - 1;
    *end = padding == CN_PADDING_FULL ? extent - 1 : 0;
    return;
  }
  /* Unknown sizes: as of a multiple of the stride. */
  int64_t covered = n < 0 ? extent - stride : ((n + stride - 1) / stride - 1) * stride + extent - n;
  *begin = l->origin.theano ? theano_begin(pooling, extent) : at_least_0(covered) / 2;
  *end = l->origin.theano ? at_least_0(covered - *begin) : at_least_0(covered) - *begin;
}

cn_conv_attrs cn_spatial_conv(const cn_layer *l, const cn_conv_settings *s, const cn_type *x, int spatial) {
  cn_conv_attrs a = {.spatial = spatial, .groups = 1};
  for (int i = 0; i < spatial; i++) {
    a.stride[i] = s->strides.v[i];
    a.dilation[i] = s->dilation_rate.v[i];
    cn_spatial_pad(l, s->padding, false, x->rank == spatial + 2 ? x->shape[i + 1] : -1,
                   (s->kernel_size.v[i] - 1) * a.dilation[i] + 1, a.stride[i], &a.pad_begin[i], &a.pad_end[i]);
  }
  return a;
}

/* An activation along an axis counts it in the order in which Keras has the axes. */
void cn_spatial_return(cn_layer *l, cn_trace *t, cn_call *c, const cn_conv_settings *s, cn_edge y, int spatial) {
  y = cn_spatial_leave(t, y, spatial, cn_channels_first(l, s->data_format, spatial));
  cn_call_return(t, c, cn_activation_rest(t, &s->activation, y), CN_NO_EDGE);
}

/* ---- weights ---- */

const cn_value *cn_spatial_initializer(const cn_layer *l, const char *key, const char *keras1) {
  const cn_value *v = cn_value_find(l->config, key);
  return v || !keras1 ? v : cn_value_find(l->config, keras1);
}

cn_status cn_spatial_bias(cn_layer *l, const cn_conv_settings *s, int64_t channels, cn_error *e) {
  if (!s->use_bias) return CORNU_OK;
  return cn_layer_add_weight(l, "bias", 1, &channels, true, cn_value_find(l->config, "bias_initializer"), e);
}

bool cn_spatial_is_th(const cn_layer *l, int data_format, const cn_tensor *array, const cn_weight *w, const int *axes) {
  if (array->rank != w->rank) return false;
  for (int i = 0; i < w->rank; i++)
    if (array->shape[axes[i]] != w->shape[i]) return false;
  if (!cn_shape_equal(array->rank, array->shape, w->rank, w->shape)) return true;
  return l->origin.keras == 1 && cn_channels_first(l, data_format, w->rank - 2);
}

cn_status cn_spatial_permute(cn_tensor **array, const int *axes, cn_error *e) {
  cn_tensor *moved;
  CN_TRY(cornu_tensor_transpose(*array, axes, &moved, e));
  cornu_tensor_release(*array);
  *array = moved;
  return CORNU_OK;
}

cn_status cn_spatial_import_kernel(const cn_layer *l, int data_format, cn_tensor **array, const cn_weight *w,
                                   cn_error *e) {
  int axes[CN_MAX_RANK];
  for (int i = 0; i < w->rank; i++) axes[i] = i < w->rank - 2 ? i + 2 : w->rank - 1 - i;
  return cn_spatial_is_th(l, data_format, *array, w, axes) ? cn_spatial_permute(array, axes, e) : CORNU_OK;
}

cn_status cn_spatial_rotate(cn_tensor **array, int spatial, cn_error *e) {
  for (int i = 0; i < spatial && i < (*array)->rank; i++) {
    cn_tensor *turned;
    CN_TRY(cornu_tensor_slice(*array, i, (*array)->shape[i] - 1, -1, -1, &turned, e));
    cornu_tensor_release(*array);
    *array = turned;
  }
  return CORNU_OK;
}
