/* Adaptive pooling: the maximum or the mean of so many windows that the result has a given size. */
#include "layers/spatial.h"

typedef struct settings { cn_ints output_size; int data_format; } settings;

#define FIELDS(spatial) \
  {{.name = "output_size", .kind = CN_F_INTS, .offset = offsetof(settings, output_size), .min = 1, .max = 1 << 28, \
    .count = spatial, .help = CN_HELP("number of windows in each dimension")}, \
   {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), .standard = "null", \
    .choices = CN_DATA_FORMAT_CHOICES, .help = CN_HELP("where the channels are; null: the writer's default")}, \
   {0}}
static const cn_field fields1[] = FIELDS(1), fields2[] = FIELDS(2), fields3[] = FIELDS(3);

static void pool(cn_layer *l, cn_trace *t, cn_call *c, int spatial, bool average) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->data_format, spatial);
  cn_edge x = cn_spatial_enter(t, c->in[0].data, spatial, first, -1);
  cn_adaptive_pool_attrs a = {.spatial = spatial, .average = average};
  for (int i = 0; i < spatial; i++) a.size[i] = s->output_size.v[i];
  cn_call_return(t, c, cn_spatial_leave(t, cn_emit1(t, &cn_op_adaptive_pool, &a, x), spatial, first), CN_NO_EDGE);
}

static void lower_max1(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 1, false); }
static void lower_max2(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 2, false); }
static void lower_max3(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 3, false); }
static void lower_average1(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 1, true); }
static void lower_average2(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 2, true); }
static void lower_average3(cn_layer *l, cn_trace *t, cn_call *c) { pool(l, t, c, 3, true); }

#define COMMON(n) .versions = "3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings), .fields = fields##n
#define RULE "window i of m over n elements is floor(i n / m) to ceil((i + 1) n / m)\n"

const cn_layer_type cn_layer_adaptive_max_pooling1d = {
    .name = "AdaptiveMaxPooling1D", COMMON(1), .lower = lower_max1,
    .help = CN_HELP("maximum of windows: " RULE "(batch, steps, channels) -> (batch, output_size, channels)"),
};
const cn_layer_type cn_layer_adaptive_max_pooling2d = {
    .name = "AdaptiveMaxPooling2D", COMMON(2), .lower = lower_max2,
    .help = CN_HELP("maximum of windows: " RULE "(batch, height, width, channels) -> (batch, output_size…, channels)"),
};
const cn_layer_type cn_layer_adaptive_max_pooling3d = {
    .name = "AdaptiveMaxPooling3D", COMMON(3), .lower = lower_max3,
    .help = CN_HELP("maximum of windows: " RULE "(batch, depth, height, width, channels) -> (batch, "
                    "output_size…, channels)"),
};
const cn_layer_type cn_layer_adaptive_average_pooling1d = {
    .name = "AdaptiveAveragePooling1D", COMMON(1), .lower = lower_average1,
    .help = CN_HELP("mean of windows: " RULE "(batch, steps, channels) -> (batch, output_size, channels)"),
};
const cn_layer_type cn_layer_adaptive_average_pooling2d = {
    .name = "AdaptiveAveragePooling2D", COMMON(2), .lower = lower_average2,
    .help = CN_HELP("mean of windows: " RULE "(batch, height, width, channels) -> (batch, output_size…, channels)"),
};
const cn_layer_type cn_layer_adaptive_average_pooling3d = {
    .name = "AdaptiveAveragePooling3D", COMMON(3), .lower = lower_average3,
    .help = CN_HELP("mean of windows: " RULE "(batch, depth, height, width, channels) -> (batch, "
                    "output_size…, channels)"),
};
