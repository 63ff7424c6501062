/* Global pooling: the maximum or the mean over all of the spatial dimensions. */
#include "base/text.h"
#include "layers/spatial.h"

typedef struct settings { int data_format; bool keepdims; } settings;

static const cn_field fields[] = {{.name = "data_format",
                                   .aliases = "dim_ordering",
                                   .kind = CN_F_ENUM,
                                   .offset = offsetof(settings, data_format),
                                   .standard = "null",
                                   .choices = CN_DATA_FORMAT_CHOICES,
                                   .help = CN_HELP("where the channels are; null: the writer's default")},
                                  {.name = "keepdims",
                                   .kind = CN_F_BOOL,
                                   .offset = offsetof(settings, keepdims),
                                   .standard = "false",
                                   .help = CN_HELP("spatial dimensions stay, with size 1")},
                                  {0}};

/* mean = sum(x * mask) / sum(mask); a sample without a true step gives NaN, as in Keras. */
static cn_edge masked_mean(cn_trace *t, cn_edge x, cn_edge mask, bool first, const cn_reduce_attrs *over) {
  mask = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){first ? 1 : 2}, cn_emit_compute(t, mask));
  cn_edge total = cn_emit1(t, &cn_op_sum, over, cn_emit2(t, &cn_op_mul, NULL, x, mask));
  return cn_emit2(t, &cn_op_div, NULL, total, cn_emit1(t, &cn_op_sum, over, mask));
}

static void reduce(cn_layer *l, cn_trace *t, cn_call *c, int spatial, bool average) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->data_format, spatial);
  const cn_type *type = cn_edge_type(t, c->in[0].data);
  if (type->rank != spatial + 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                  CN_SHAPE(type->rank, type->shape), spatial + 2, spatial);
    return;
  }
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_reduce_attrs over = {.axes = {.n = spatial}, .keepdims = s->keepdims};
  for (int i = 0; i < spatial; i++) over.axes.v[i] = first ? i + 2 : i + 1;
  cn_edge mask = c->n_positional > 1 ? c->in[1].data : c->in[0].mask;
  cn_edge y = average && spatial == 1 && mask != CN_NO_EDGE ? masked_mean(t, x, mask, first, &over)
      : cn_emit1(t, average ? &cn_op_mean : &cn_op_max, &over, x);
  cn_call_return(t, c, y, CN_NO_EDGE);
}

static void lower_max1(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 1, false); }
static void lower_max2(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 2, false); }
static void lower_max3(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 3, false); }
static void lower_average1(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 1, true); }
static void lower_average2(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 2, true); }
static void lower_average3(cn_layer *l, cn_trace *t, cn_call *c) { reduce(l, t, c, 3, true); }

#define COMMON .versions = "1 2 3", .min_in = 1, .settings_size = sizeof(settings), .fields = fields

const cn_layer_type cn_layer_global_max_pooling1d = {
    .name = "GlobalMaxPooling1D", .aliases = "GlobalMaxPool1D", COMMON, .max_in = 1, .lower = lower_max1,
    .help = CN_HELP("maximum over the steps: (batch, steps, channels) -> (batch, channels)"),
};
const cn_layer_type cn_layer_global_max_pooling2d = {
    .name = "GlobalMaxPooling2D", .aliases = "GlobalMaxPool2D", COMMON, .max_in = 1, .lower = lower_max2,
    .help = CN_HELP("maximum over the image: (batch, height, width, channels) -> (batch, channels)"),
};
const cn_layer_type cn_layer_global_max_pooling3d = {
    .name = "GlobalMaxPooling3D", .aliases = "GlobalMaxPool3D", COMMON, .max_in = 1, .lower = lower_max3,
    .help = CN_HELP("maximum over the volume: (batch, depth, height, width, channels) -> (batch, channels)"),
};
const cn_layer_type cn_layer_global_average_pooling1d = {
    .name = "GlobalAveragePooling1D", .aliases = "GlobalAvgPool1D", COMMON, .max_in = 2, .lower = lower_average1,
    .flags = CN_MASK_OWN,
    .help = CN_HELP("mean over the steps that are not masked: (batch, steps, channels) -> (batch, channels)"),
};
const cn_layer_type cn_layer_global_average_pooling2d = {
    .name = "GlobalAveragePooling2D", .aliases = "GlobalAvgPool2D", COMMON, .max_in = 1, .lower = lower_average2,
    .help = CN_HELP("mean over the image: (batch, height, width, channels) -> (batch, channels)"),
};
const cn_layer_type cn_layer_global_average_pooling3d = {
    .name = "GlobalAveragePooling3D", .aliases = "GlobalAvgPool3D", COMMON, .max_in = 1, .lower = lower_average3,
    .help = CN_HELP("mean over the volume: (batch, depth, height, width, channels) -> (batch, channels)"),
};
