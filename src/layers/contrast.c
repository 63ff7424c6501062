/* AutoContrast and ContrastLimitedAdaptiveHistogramEqualization. */
#include "base/text.h"
#include "layers/image.h"

static const double bytes[2] = {0, 255};

typedef struct settings {
  const cn_value *value_range;
  double range[2], clip_limit;
  cn_ints tiles;
  int data_format;
} settings;

#define SHARED \
  {.name = "value_range", .kind = CN_F_VALUE, .offset = offsetof(settings, value_range), .standard = "[0, 255]", \
   .help = CN_HELP("of the images' values")}, \
  {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), .standard = "null", \
   .choices = CN_DATA_FORMAT_CHOICES, .help = CN_HELP("where the channels are; null: the writer's default")}, \
  {.name = "bounding_box_format", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("how boxes would be given")}

static const cn_field auto_fields[] = {SHARED, {0}};
static const cn_field clahe_fields[] = {
    SHARED,
    {.name = "clip_limit", .kind = CN_F_FLOAT, .offset = offsetof(settings, clip_limit), .standard = "4.0",
     .help = CN_HELP("of a bin of a histogram, as a multiple of the mean; not above 0: none")},
    {.name = "tile_grid_size", .kind = CN_F_INTS, .offset = offsetof(settings, tiles), .standard = "8", .count = 2,
     .min = 1, .max = 4096, .help = CN_HELP("number of tiles along the height and the width")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  return cn_image_range(s->value_range, s->range, e);
}

cn_edge cn_image_stretched(cn_trace *t, cn_edge given, const cn_ints *axes, const double range[2]) {
  const cn_reduce_attrs over = {.axes = *axes, .keepdims = true};
  cn_edge x = cn_image_ranged(t, given, range, bytes);
  cn_edge low = cn_emit1(t, &cn_op_min, &over, x), high = cn_emit1(t, &cn_op_max, &over, x);
  cn_edge scale = cn_emit2(t, &cn_op_div, NULL, cn_emit_number(t, 255), cn_emit2(t, &cn_op_sub, NULL, high, low));
  cn_edge offset = cn_emit2(t, &cn_op_mul, NULL, cn_emit1(t, &cn_op_neg, NULL, low), scale);
  x = cn_emit2(t, &cn_op_add, NULL, cn_emit2(t, &cn_op_mul, NULL, x, scale), offset);
  x = cn_image_ranged(t, cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){0, 255}, x), bytes, range);
  /* an image of one value alone stays as it is */
  return cn_emit3(t, &cn_op_where, NULL, cn_emit1(t, &cn_op_isnan, NULL, x), given, x);
}

static void lower_auto(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  int axis = cn_image_axis(t, x, false);
  const cn_ints axes = {2, {axis, axis + 1}};
  if (axis >= 0) cn_call_return(t, c, cn_image_stretched(t, x, &axes, s->range), CN_NO_EDGE);
}

static cn_edge cast(cn_trace *t, cn_edge x, cornu_dtype dtype) {
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, x);
}

static cn_edge batched(cn_trace *t, cn_edge x, bool single) {
  return single ? cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x) : x;
}

static void lower_clahe(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  bool first = cn_channels_first(l, s->data_format, 2), ranged = s->range[0] != bytes[0] || s->range[1] != bytes[1];
  if (cn_image_axis(t, x, first) < 0) return;
  cn_ints_attrs to_last = {{4, {0, 2, 3, 1}}}, to_first = {{4, {0, 3, 1, 2}}};
  cornu_dtype given = cn_edge_type(t, x)->dtype;
  bool single = cn_edge_type(t, x)->rank == 3;
  x = batched(t, x, single);
  if (first) x = cn_emit1(t, &cn_op_transpose, &to_last, x);
  if (ranged) x = cn_image_ranged(t, cast(t, x, CORNU_FLOAT32), s->range, bytes);
  x = cast(t, cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){0, 255}, x), CORNU_INT32);
  x = cn_emit1(t, &cn_op_clahe, &(cn_clahe_attrs){s->tiles, s->clip_limit}, x);
  x = cast(t, cn_image_ranged(t, x, bytes, s->range), given);
  if (first) x = cn_emit1(t, &cn_op_transpose, &to_first, x);
  if (single) x = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, x);
  cn_call_return(t, c, x, CN_NO_EDGE);
}

#define COMMON .versions = "3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings), .check = check

const cn_layer_type cn_layer_auto_contrast = {
    .name = "AutoContrast", COMMON, .fields = auto_fields, .lower = lower_auto,
    .help = CN_HELP("values stretched over the whole range, image by image and channel by channel: axes 1 "
                    "and 2, also where "
                    "the channels come first\n(batch, height, width, channels) or (height, width, channels) "
                    "-> the same"),
};
const cn_layer_type cn_layer_contrast_limited = {
    .name = "ContrastLimitedAdaptiveHistogramEqualization", COMMON, .flags = CN_LAYER_INTEGERS, .fields = clahe_fields, .lower = lower_clahe,
    .help = CN_HELP("the contrast made even tile by tile\n"
                    "(batch, height, width, channels) or (height, width, channels) -> the same"),
};
