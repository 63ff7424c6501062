/* Resizing, CenterCrop, RandomCrop: images of a given size. */
#include <math.h>

#include "base/text.h"
#include "layers/augmentation.h"

typedef struct settings {
  int64_t height, width;
  int interpolation, fill_mode, data_format;
  bool crop_to_aspect_ratio, pad_to_aspect_ratio, antialias;
  double fill_value;
  int64_t seed;
} settings;

#define MEMBER(m) .offset = offsetof(settings, m)
#define SIZE_FIELDS \
  {.name = "height", .kind = CN_F_INT, MEMBER(height), .min = 1, .max = 1 << 24, .help = CN_HELP("of the result")}, \
  {.name = "width", .kind = CN_F_INT, MEMBER(width), .min = 1, .max = 1 << 24, .help = CN_HELP("of the result")}, \
  {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null", \
   .choices = CN_DATA_FORMAT_CHOICES, .help = CN_HELP("where the channels are; null: the writer's default")}, \
  {.name = "bounding_box_format", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("how boxes would be given")}

static const cn_field resizing_fields[] = {
    SIZE_FIELDS,
    {.name = "interpolation", .kind = CN_F_ENUM, MEMBER(interpolation), .standard = "\"bilinear\"",
     .choices = CN_RESIZE_CHOICES, .help = CN_HELP("how values between pixels come about")},
    {.name = "crop_to_aspect_ratio", .kind = CN_F_BOOL, MEMBER(crop_to_aspect_ratio), .standard = "false",
     .help = CN_HELP("resizes the largest part in the middle that has the aspect ratio of the size")},
    {.name = "pad_to_aspect_ratio", .kind = CN_F_BOOL, MEMBER(pad_to_aspect_ratio), .standard = "false",
     .help = CN_HELP("fills the image up to the aspect ratio of the size first")},
    {.name = "fill_mode", .kind = CN_F_ENUM, MEMBER(fill_mode), .standard = "\"constant\"", .choices = "constant",
     .help = CN_HELP("what the filling is: fill_value")},
    {.name = "fill_value", .kind = CN_F_FLOAT, MEMBER(fill_value), .standard = "0.0",
     .help = CN_HELP("of the filling")},
    {.name = "antialias", .kind = CN_F_BOOL, MEMBER(antialias), .standard = "false",
     .help = CN_HELP("wider filters when shrinking")},
    {0}};
static const cn_field center_crop_fields[] = {SIZE_FIELDS, {0}};
static const cn_field random_crop_fields[] = {
    SIZE_FIELDS,
    {.name = "seed", .kind = CN_F_INT, MEMBER(seed), .standard = "null", .min = -9e18, .max = 9e18,
     .help = CN_HELP("of its random numbers; null: the model's")},
    {.name = "rng_type", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("which generator: there is one")}, {0}};

/* tf.keras takes the name of an interpolation in any case. */
static cn_status upgrade(cn_layer *l, cn_value *config, cn_error *e) {
  const char *given = cn_value_str(cn_value_find(config, "interpolation"));
  if (!given || l->origin.keras > 2) return CORNU_OK;
  char *text = cn_arena_string(&l->arena, given);
  for (char *c = text; c && *c; c++) *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
  cn_value *v = text ? cn_value_text(&l->arena, text) : NULL;
  return v && cn_value_put(&l->arena, config, "interpolation", v) ? CORNU_OK : cn_no_memory(e);
}

static cn_status check(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  if (!s->crop_to_aspect_ratio || !s->pad_to_aspect_ratio) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"crop_to_aspect_ratio\" and \"pad_to_aspect_ratio\" are both true: expected "
                 "one of them at most");
}

static bool channels_first(const cn_layer *l) {
  return cn_channels_first(l, ((const settings *)l->settings)->data_format, 2) && l->origin.keras > 2;
}

/* tf.keras before 2.8 takes integers as they are; later it casts them, as Keras 3 does in its graphs. */
static bool takes_integers(const cn_layer *l) { return l->origin.keras < 3 && !cn_origin_at_least(&l->origin, 2, 8,
                                                                                                  0); }

static cn_edge entered(const cn_layer *l, cn_trace *t, cn_edge x) {
  return takes_integers(l) ? x : cn_emit_compute(t, x);
}

/* Filters may overshoot the range of small integers: it ends there. */
static cn_edge cast(cn_trace *t, cn_edge x, cornu_dtype dtype) {
  if (t->status || cn_edge_type(t, x)->dtype == dtype) return x;
  int bits = 8 * (int)cornu_dtype_bytes(dtype);
  bool negative = dtype >= CORNU_INT8 && dtype <= CORNU_INT64;
  if (cn_dtype_is_integer(dtype) && bits <= 16)
    x = cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){negative ? -ldexp(1, bits - 1) : 0, ldexp(1, bits - negative) - 1},
                 x);
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, x);
}

/* Results are in the dtype of the layer, in Keras 3 rounded where that is one of integers. */
static cn_edge left(const cn_layer *l, cn_trace *t, cn_edge y) {
  if (t->status || takes_integers(l)) return y;
  if (l->origin.keras > 2 && cn_dtype_is_integer(t->compute) && cn_edge_type(t, y)->dtype != t->compute)
    y = cn_emit1(t, &cn_op_round, NULL, y);
  return cast(t, y, t->compute);
}

static void lower_resizing(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_image_resize r = {.height = s->height, .width = s->width, .method = s->interpolation, .antialias = s->antialias,
                       .channels_first = channels_first(l), .crop = s->crop_to_aspect_ratio,
                       .pad = s->pad_to_aspect_ratio, .fill_value = s->fill_value};
  bool floats = l->origin.keras < 3 && s->interpolation != CN_RESIZE_NEAREST;
  cn_edge x = floats ? cast(t, c->in[0].data, CORNU_FLOAT32) : entered(l, t, c->in[0].data);
  cn_call_return(t, c, left(l, t, cn_image_resized(t, x, &r)), CN_NO_EDGE);
}

/* The largest part in the middle with the right aspect ratio, resized. */
static cn_edge smart(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  cn_image_resize r = {.height = s->height, .width = s->width, .method = CN_RESIZE_BILINEAR, .crop = true,
                       .channels_first = channels_first(l), .exact = l->origin.keras > 2};
  return cn_image_resized(t, x, &r);
}

static void lower_center_crop(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = entered(l, t, c->in[0].data);
  int axis = cn_image_axis(t, x, channels_first(l));
  if (axis < 0) return;
  cn_type type = *cn_edge_type(t, x);
  int64_t height = type.shape[axis], width = type.shape[axis + 1];
  bool known = height >= 0 && width >= 0, fits = known && height >= s->height && width >= s->width;
  if (known && !fits && l->origin.keras < 3 && !cn_origin_at_least(&l->origin, 2, 7, 0)) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s: before TensorFlow 2.7, images must not be smaller than "
                  "%lld x %lld", CN_SHAPE(type.rank, type.shape), (long long)s->height, (long long)s->width);
    return;
  }
  x = fits ? cn_image_cropped(t, x, channels_first(l), (height - s->height) / 2, (width - s->width) / 2, s->height,
                              s->width) : smart(l, t, x);
  cn_call_return(t, c, l->origin.keras < 3 ? cast(t, x, type.dtype) : x, CN_NO_EDGE);
}

/* Before TensorFlow 2.7: first resized so that one side fits and the other is not too short, then cut. Which side is
 * told by the aspect ratio of the size, in TensorFlow 2.2 by 1. */
static cn_edge resized_first(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  int axis = cn_image_axis(t, x, false);
  if (axis < 0) return CN_NO_EDGE;
  cn_type type = *cn_edge_type(t, x);
  int64_t height = type.shape[axis], width = type.shape[axis + 1];
  if (height <= 0 || width <= 0) return smart(l, t, x);
  double limit = cn_origin_at_least(&l->origin, 2, 4, 0) ? (double)s->height / (double)s->width : 1;
  bool tall = (double)height / (double)width > limit;
  cn_image_resize r = {.height = s->height, .width = s->width, .method = CN_RESIZE_BILINEAR};
  if (tall) r.height = (int64_t)((double)s->width * (double)height / (double)width);
  else r.width = (int64_t)((double)s->height * (double)width / (double)height);
  if (r.height < s->height || r.width < s->width || r.height > 1 << 24 || r.width > 1 << 24) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s: resized to %lld x %lld it cannot be cut to %lld x %lld",
                  CN_SHAPE(type.rank, type.shape), (long long)r.height, (long long)r.width, (long long)s->height,
                  (long long)s->width);
    return CN_NO_EDGE;
  }
  return cn_image_cropped(t, cn_image_resized(t, x, &r), false, (r.height - s->height) / 2, (r.width - s->width) / 2,
                          s->height, s->width);
}

/* Training takes a part of that size, the same of all images; of images that are not larger, as at inference in tf.keras. */
static cn_edge part(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  const int axis = cn_image_axis(t, x, channels_first(l));
  if (axis < 0) return CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  const int64_t height = type.shape[axis], width = type.shape[axis + 1];
  if (height <= s->height || width <= s->width) return smart(l, t, x);
  const cn_edge zero = cn_emit_scalar(t, CORNU_INT64, 0);
  cn_edge at[CN_MAX_RANK];
  cn_ints_attrs size = {.v = {.n = type.rank}};
  for (int i = 0; i < type.rank; i++) {
    const double room = i == axis ? (double)(height - s->height) : (double)(width - s->width);
    const cn_edge drawn = cn_augment_draw(l, t, 1, 0, room + 1, s->seed);
    size.v.v[i] = i == axis ? s->height : i == axis + 1 ? s->width : type.shape[i];
    at[i] = i == axis || i == axis + 1
                ? cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{0, {0}}},
                           cast(t, cn_emit1(t, &cn_op_floor, NULL, drawn), CORNU_INT64))
                : zero;
  }
  return cn_emit2(t, &cn_op_slice_at, &size, x, cn_emit(t, &cn_op_stack, &(cn_axis_attrs){0}, at, type.rank));
}

/* Keras 3 leaves images as they are at inference, whatever shape it says they will have. */
static void lower_random_crop(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = entered(l, t, c->in[0].data);
  if (t->training && cn_layer_draws(l, t)) {
    cn_call_return(t, c, part(l, t, x), CN_NO_EDGE);
    return;
  }
  if (l->origin.keras < 3) {
    cornu_dtype dtype = cn_edge_type(t, x)->dtype;
    bool old = !cn_origin_at_least(&l->origin, 2, 7, 0);
    x = old ? resized_first(l, t, x) : cast(t, smart(l, t, x), dtype);
  }
  cn_call_return(t, c, x, CN_NO_EDGE);
}

#define COMMON .versions = "2 3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings)

const cn_layer_type cn_layer_resizing = {
    .name = "Resizing", COMMON, .flags = CN_LAYER_INTEGERS, .fields = resizing_fields, .upgrade = upgrade, .check = check,
    .lower = lower_resizing,
    .help = CN_HELP("images of another size, as tf.image.resize makes them; in the dtype of the layer\n"
                    "(batch, h, w, channels) or (h, w, channels) -> (batch, height, width, channels)"),
};
const cn_layer_type cn_layer_center_crop = {
    .name = "CenterCrop", COMMON, .flags = CN_LAYER_INTEGERS, .fields = center_crop_fields, .lower = lower_center_crop,
    .help = CN_HELP("the middle of images; of smaller ones the largest part with that aspect ratio, resized\n"
                    "(batch, h, w, channels) or (h, w, channels) -> (batch, height, width, channels)"),
};
const cn_layer_type cn_layer_random_crop = {
    .name = "RandomCrop", COMMON, .flags = CN_LAYER_INTEGERS, .fields = random_crop_fields, .lower = lower_random_crop,
    .help = CN_HELP("at inference the identity in Keras 3; in tf.keras the largest part in the middle that "
                    "has the aspect "
                    "ratio, resized\n(batch, h, w, channels) -> (batch, height, width, channels)"),
};
