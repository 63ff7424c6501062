/* keras.ops: convolutions and pooling of keras.ops.nn. */
#include "layers/convolution.h"
#include "layers/operation.h"

/* ---- Images in and out, whatever the layout ---- */

/* The settings with entries for each dimension; the input channels last, as floats. spatial 0: failed. */
typedef struct window {
  cn_conv_settings s;
  int spatial;
  bool first;
  cornu_dtype dtype;
  cn_edge x;
} window;

/* Options that the operation has not are empty. */
static void spread(cn_operation_call *c, const char *name, cn_ints *v, int spatial) {
  if (v->n == 1)
    while (v->n < spatial) v->v[v->n++] = v->v[0];
  if (v->n > 0 && v->n != spatial)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"%s\" has %d entries for %d spatial dimensions", name, v->n, spatial);
}

static window enter(cn_operation_call *c) {
  window w = {.s = *(const cn_conv_settings *)c->options};
  w.x = cn_argument_floats(c, "inputs", &w.dtype);
  const cn_type *type = cn_operation_type(c, w.x);
  w.spatial = type->rank - 2;
  if (!c->t->status && (w.spatial < 1 || w.spatial > 3))
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the input has rank %d, expected 3, 4 or 5", type->rank);
  if (c->t->status) return w;
  spread(c, "strides", &w.s.strides, w.spatial);
  spread(c, "dilation_rate", &w.s.dilation_rate, w.spatial);
  spread(c, "output_padding", &w.s.output_padding, w.spatial);
  w.first = cn_channels_first(c->layer, w.s.data_format, w.spatial);
  if (!w.first) return w;
  cn_ints_attrs order = {.v = {.n = w.spatial + 2}};
  for (int i = 0; i < w.spatial; i++) order.v.v[i + 1] = i + 2;
  order.v.v[w.spatial + 1] = 1;
  w.x = cn_emit1(c->t, &cn_op_transpose, &order, w.x);
  return w;
}

static void leave(cn_operation_call *c, const window *w, cn_edge y) {
  cn_operation_return_as(c, cn_spatial_leave(c->t, y, w->spatial, w->first), w->dtype);
}

/* A kernel (k…, in, out), whose sizes go to the settings. */
static cn_edge kernel_of(cn_operation_call *c, const char *name, window *w) {
  cn_edge kernel = cn_argument_tensor(c, name);
  const cn_type type = *cn_operation_type(c, kernel);
  if (!c->t->status && type.rank != w->spatial + 2)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "\"%s\" has rank %d, expected %d for %d spatial dimensions", name, type.rank,
                  w->spatial + 2, w->spatial);
  for (int i = 0; i < w->spatial + 2 && !c->t->status; i++) {
    w->s.kernel_size.v[i] = type.shape[i];
    if (type.shape[i] < 1) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the size of \"%s\" must be known", name);
  }
  w->s.kernel_size.n = w->spatial;
  return cn_emit_cast(c->t, kernel, cn_operation_type(c, w->x)->dtype);
}

#define STRIDES(text) \
  {.name = "strides", .kind = CN_F_INTS, CN_CONV_MEMBER(strides), .standard = text, .min = 1, .max = 1 << 20, \
   .help = CN_HELP("step of the window")}
#define COMMON \
  {.name = "padding", .kind = CN_F_ENUM, CN_CONV_MEMBER(padding), .standard = "\"valid\"", .choices = "valid same", \
   .help = CN_HELP("same: zeros around the input")}, \
  {.name = "data_format", .kind = CN_F_ENUM, CN_CONV_MEMBER(data_format), .standard = "null", \
   .choices = "channels_last channels_first", .help = CN_HELP("where the channels are; null: the writer's default")}
#define DILATION \
  {.name = "dilation_rate", .kind = CN_F_INTS, CN_CONV_MEMBER(dilation_rate), .standard = "1", .min = 1, \
   .max = 1 << 20, .help = CN_HELP("distance between the window's elements")}

/* ---- Convolutions ---- */

static const cn_field conv_fields[] = {STRIDES("1"), COMMON, DILATION, {0}};

static void conv(cn_operation_call *c) {
  window w = enter(c);
  cn_edge kernel = kernel_of(c, "kernel", &w);
  if (c->t->status) return;
  const cn_type type = *cn_operation_type(c, w.x);
  int64_t channels = type.shape[w.spatial + 1], in = w.s.kernel_size.v[w.spatial];
  if (channels < 1 || channels % in) {
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the kernel takes %lld channels, the input has %lld", (long long)in,
                  (long long)channels);
    return;
  }
  cn_conv_attrs a = cn_spatial_conv(c->layer, &w.s, &type, w.spatial);
  a.groups = channels / in;
  leave(c, &w, cn_emit2(c->t, &cn_op_conv, &a, w.x, kernel));
}

static cn_edge each_channel(cn_operation_call *c, const char *name, window *w) {
  cn_edge kernel = kernel_of(c, name, w);
  if (c->t->status) return CN_NO_EDGE;
  cn_conv_attrs a = cn_spatial_conv(c->layer, &w->s, cn_operation_type(c, w->x), w->spatial);
  return cn_emit2(c->t, &cn_op_depthwise_conv, &a, w->x, kernel);
}

static void depthwise_conv(cn_operation_call *c) {
  window w = enter(c);
  leave(c, &w, each_channel(c, "kernel", &w));
}

static void separable_conv(cn_operation_call *c) {
  window w = enter(c);
  cn_edge each = each_channel(c, "depthwise_kernel", &w), mix = kernel_of(c, "pointwise_kernel", &w);
  cn_conv_attrs a = {.spatial = w.spatial, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1};
  leave(c, &w, cn_emit2(c->t, &cn_op_conv, &a, each, mix));
}

static const cn_field transpose_fields[] = {
    STRIDES("1"), COMMON, DILATION,
    {.name = "output_padding", .kind = CN_F_INTS, CN_CONV_MEMBER(output_padding), .standard = "null", .min = 0,
     .max = 1 << 20, .help = CN_HELP("how much longer than the shortest result; null: as long as the strides ask for")},
    {0}};

static void conv_transpose(cn_operation_call *c) {
  window w = enter(c);
  cn_edge kernel = kernel_of(c, "kernel", &w);
  if (c->t->status) return;
  cn_conv_transpose_attrs a = cn_transposed_attrs(c->layer, &w.s, cn_operation_type(c, w.x), w.spatial);
  leave(c, &w, cn_emit2(c->t, &cn_op_conv_transpose, &a, w.x, kernel));
}

/* ---- Pooling ---- */

static const cn_field pool_fields[] = {
    {.name = "pool_size", .kind = CN_F_INTS, CN_CONV_MEMBER(kernel_size), .min = 1, .max = 1 << 24,
     .help = CN_HELP("size of the window")},
    STRIDES("null"), COMMON, {0}};

static void pool(cn_operation_call *c, bool average) {
  window w = enter(c);
  if (c->t->status) return;
  spread(c, "pool_size", &w.s.kernel_size, w.spatial);
  const cn_type type = *cn_operation_type(c, w.x);
  cn_pool_attrs a = {.spatial = w.spatial, .average = average};
  for (int i = 0; i < w.spatial; i++) {
    a.size[i] = w.s.kernel_size.v[i];
    a.stride[i] = w.s.strides.n < 0 ? a.size[i] : w.s.strides.v[i];
    cn_spatial_pad(c->layer, w.s.padding, true, type.shape[i + 1], a.size[i], a.stride[i], &a.pad_begin[i],
                   &a.pad_end[i]);
  }
  leave(c, &w, cn_emit1(c->t, &cn_op_pool, &a, w.x));
}
static void max_pool(cn_operation_call *c) { pool(c, false); }
static void average_pool(cn_operation_call *c) { pool(c, true); }

static const cn_field adaptive_fields[] = {
    {.name = "output_size", .kind = CN_F_INTS, CN_CONV_MEMBER(kernel_size), .min = 1, .max = 1 << 28,
     .help = CN_HELP("number of windows in each dimension")},
    {.name = "data_format", .kind = CN_F_ENUM, CN_CONV_MEMBER(data_format), .standard = "null",
     .choices = "channels_last channels_first", .help = CN_HELP("where the channels are; null: the writer's default")},
    {0}};

static void adaptive_pool(cn_operation_call *c, bool average) {
  window w = enter(c);
  if (c->t->status) return;
  spread(c, "output_size", &w.s.kernel_size, w.spatial);
  cn_adaptive_pool_attrs a = {.spatial = w.spatial, .average = average};
  for (int i = 0; i < w.spatial; i++) a.size[i] = w.s.kernel_size.v[i];
  leave(c, &w, cn_emit1(c->t, &cn_op_adaptive_pool, &a, w.x));
}
static void adaptive_max_pool(cn_operation_call *c) { adaptive_pool(c, false); }
static void adaptive_average_pool(cn_operation_call *c) { adaptive_pool(c, true); }

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(cn_conv_settings)}

const cn_operation cn_operations_nn_windows[] = {
    ROW("Conv", "inputs kernel", conv, conv_fields),
    ROW("DepthwiseConv", "inputs kernel", depthwise_conv, conv_fields),
    ROW("SeparableConv", "inputs depthwise_kernel pointwise_kernel", separable_conv, conv_fields),
    ROW("ConvTranspose", "inputs kernel", conv_transpose, transpose_fields),
    ROW("MaxPool", "inputs", max_pool, pool_fields),
    ROW("AveragePool", "inputs", average_pool, pool_fields),
    ROW("AdaptiveMaxPool", "inputs", adaptive_max_pool, adaptive_fields),
    ROW("AdaptiveAveragePool", "inputs", adaptive_average_pool, adaptive_fields),
    {0}};
