/* Pooling: the maximum or the average of a sliding window, in one to three dimensions. */
#include "layers/spatial.h"

typedef struct settings { cn_ints pool_size, strides; int padding, data_format; } settings;

#define POOL_FIELDS(spatial, size_alias, stride_alias) \
  {{.name = "pool_size", .aliases = size_alias, .kind = CN_F_INTS, .offset = offsetof(settings, pool_size), \
    .standard = "2", .min = 1, .max = 1 << 24, .count = spatial, .help = CN_HELP("size of the window")}, \
   {.name = "strides", .aliases = stride_alias, .kind = CN_F_INTS, .offset = offsetof(settings, strides), \
    .standard = "null", .min = 1, .max = 1 << 24, .count = spatial,                                                    \
    .help = CN_HELP("step of the window; null: its size")},                                                            \
   {.name = "padding", .aliases = "border_mode", .kind = CN_F_ENUM, .offset = offsetof(settings, padding), \
    .standard = "\"valid\"", .choices = "valid same", .help = CN_HELP("same: padding, which counts for nothing")}, \
   {.name = "data_format", .aliases = "dim_ordering", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), \
    .standard = "null", .choices = CN_DATA_FORMAT_CHOICES, \
    .help = CN_HELP("where the channels are; null: the writer's default")}, \
   {0}}

static const cn_field fields1[] = POOL_FIELDS(1, "pool_length", "stride");
static const cn_field fields2[] = POOL_FIELDS(2, NULL, NULL);
static const cn_field fields3[] = POOL_FIELDS(3, NULL, NULL);

/* On Theano, Keras 2.0.4 to 2.1.4 count the padding of `same` in an average, in up to two dimensions. */
static bool counts_padding(const cn_layer *l, int padding, int spatial) {
  return l->origin.theano && padding == CN_PADDING_SAME && spatial < 3 && cn_origin_at_least(&l->origin, 2, 0, 4) &&
         !cn_origin_at_least(&l->origin, 2, 1, 5);
}

static void pool(cn_layer *l, cn_trace *t, cn_call *c, int spatial, bool average) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->data_format, spatial);
  cn_edge x = cn_spatial_enter(t, c->in[0].data, spatial, first, -1);
  if (t->status) return;
  const cn_type *type = cn_edge_type(t, x);
  const cn_ints *strides = s->strides.n < 0 ? &s->pool_size : &s->strides;
  cn_pool_attrs a = {.spatial = spatial, .average = average,
                    .count_padding = average && counts_padding(l, s->padding, spatial)};
  for (int i = 0; i < spatial; i++) {
    a.size[i] = s->pool_size.v[i];
    a.stride[i] = strides->v[i];
    cn_spatial_pad(l, s->padding, true, type->shape[i + 1], a.size[i], a.stride[i], &a.pad_begin[i], &a.pad_end[i]);
  }
  cn_edge y = cn_emit1(t, &cn_op_pool, &a, x);
  cn_call_return(t, c, cn_spatial_leave(t, y, spatial, first), CN_NO_EDGE);
}

static void lower_max1(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 1, false); }
static void lower_max2(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 2, false); }
static void lower_max3(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 3, false); }
static void lower_average1(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 1, true); }
static void lower_average2(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 2, true); }
static void lower_average3(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 3, true); }

#define POOL_COMMON .versions = "1 2 3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings)

const cn_layer_type cn_layer_max_pooling1d = {
    .name = "MaxPooling1D", .aliases = "MaxPool1D", POOL_COMMON, .fields = fields1, .lower = lower_max1,
    .help = CN_HELP("maximum of windows: (batch, steps, channels) -> fewer steps"),
};
const cn_layer_type cn_layer_max_pooling2d = {
    .name = "MaxPooling2D", .aliases = "MaxPool2D", POOL_COMMON, .fields = fields2, .lower = lower_max2,
    .help = CN_HELP("maximum of windows: (batch, height, width, channels) -> smaller images"),
};
const cn_layer_type cn_layer_max_pooling3d = {
    .name = "MaxPooling3D", .aliases = "MaxPool3D", POOL_COMMON, .fields = fields3, .lower = lower_max3,
    .help = CN_HELP("maximum of windows: (batch, depth, height, width, channels) -> smaller volumes"),
};
const cn_layer_type cn_layer_average_pooling1d = {
    .name = "AveragePooling1D", .aliases = "AvgPool1D", POOL_COMMON, .fields = fields1, .lower = lower_average1,
    .help = CN_HELP("mean of windows: (batch, steps, channels) -> fewer steps"),
};
const cn_layer_type cn_layer_average_pooling2d = {
    .name = "AveragePooling2D", .aliases = "AvgPool2D", POOL_COMMON, .fields = fields2, .lower = lower_average2,
    .help = CN_HELP("mean of windows: (batch, height, width, channels) -> smaller images"),
};
const cn_layer_type cn_layer_average_pooling3d = {
    .name = "AveragePooling3D", .aliases = "AvgPool3D", POOL_COMMON, .fields = fields3, .lower = lower_average3,
    .help = CN_HELP("mean of windows: (batch, depth, height, width, channels) -> smaller volumes"),
};
