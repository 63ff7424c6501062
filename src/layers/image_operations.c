/* keras.ops: colours, sizes, padding and patches of keras.ops.image. Images are (height, width, channels) or a batch of
 * them, or with the channels first. */
#include "base/text.h"
#include "layers/image.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints size, strides, dilation_rate;
  int64_t top, left, bottom, right, height, width;
  int data_format, interpolation, fill_mode, padding;
  bool antialias, crop, pad;
  double fill_value;
} options;

#define MEMBER(m) .offset = offsetof(options, m)
#define FORMAT {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null", \
                .choices = "channels_last channels_first",                                         \
                .help = CN_HELP("where the channels are; null: the writer's default")}

static bool first_of(const cn_operation_call *c) {
  return cn_channels_first(c->layer, ((const options *)c->options)->data_format, 2);
}

/* The axis of the channels; -1 after failure. */
static int channels_axis(cn_operation_call *c, cn_edge x) {
  int axis = cn_image_axis(c->t, x, first_of(c));
  return axis < 0 ? axis : first_of(c) ? axis - 1 : axis + 2;
}

/* ---- Colours ---- */

static const cn_field format_fields[] = {FORMAT, {0}};

/* Of three channels the weighted sum; integers are cut off. */
static void grayscale(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge given = cn_argument_tensor(c, "images"), x = cn_argument_floats(c, "images", &dtype);
  int axis = channels_axis(c, x);
  if (axis < 0) return;
  const cn_type type = *cn_operation_type(c, x);
  if (type.shape[axis] == 1) {
    cn_operation_return(c, given);
    return;
  }
  if (!cn_dims_agree(type.shape[axis], 3)) {
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the input has shape %s, expected 1 or 3 channels",
                  CN_SHAPE(type.rank, type.shape));
    return;
  }
  cn_reshape_attrs along = {.shape = {.n = type.rank - axis, .v = {3, 1, 1}}};
  cn_edge weights = cn_emit_vector(c->t, type.dtype, (const double[]){0.2989, 0.587, 0.114}, 3);
  weights = cn_emit1(c->t, &cn_op_reshape, &along, weights);
  cn_edge parts = cn_emit2(c->t, &cn_op_mul, NULL, x, weights);
  cn_operation_return_as(c, cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){{1, {axis}}, true}, parts), dtype);
}

/* Moves the channels to the end or back. */
static cn_edge turned(cn_operation_call *c, cn_edge x, bool last) {
  int rank = cn_operation_type(c, x)->rank, front = rank - 3;
  cn_ints_attrs order = {.v = {.n = rank, .v = {0}}};
  if (!first_of(c) || c->t->status) return x;
  order.v.v[front] = front + (last ? 1 : 2);
  order.v.v[front + 1] = front + (last ? 2 : 0);
  order.v.v[front + 2] = front + (last ? 0 : 1);
  return cn_emit1(c->t, &cn_op_transpose, &order, x);
}

static void recolour(cn_operation_call *c, const cn_op *op) {
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "images", &dtype);
  if (cn_image_axis(c->t, x, false) < 0) return;
  cn_operation_return_as(c, turned(c, cn_emit1(c->t, op, NULL, turned(c, x, true)), false), dtype);
}
static void rgb_to_hsv(cn_operation_call *c) { recolour(c, &cn_op_rgb_to_hsv); }
static void hsv_to_rgb(cn_operation_call *c) { recolour(c, &cn_op_hsv_to_rgb); }

/* ---- resize ---- */

static const cn_field resize_fields[] = {
    {.name = "size", .kind = CN_F_INTS, MEMBER(size), .count = 2, .min = 1, .max = 1 << 24,
     .help = CN_HELP("height and width")},
    {.name = "interpolation", .kind = CN_F_ENUM, MEMBER(interpolation), .standard = "\"bilinear\"",
     .choices = CN_RESIZE_CHOICES, .help = CN_HELP("how values between pixels come about")},
    {.name = "antialias", .kind = CN_F_BOOL, MEMBER(antialias), .standard = "false",
     .help = CN_HELP("wider filters when shrinking")},
    {.name = "crop_to_aspect_ratio", .kind = CN_F_BOOL, MEMBER(crop), .standard = "false",
     .help = CN_HELP("resizes the largest part in the middle that has the aspect ratio of the size")},
    {.name = "pad_to_aspect_ratio", .kind = CN_F_BOOL, MEMBER(pad), .standard = "false",
     .help = CN_HELP("fills the image up to the aspect ratio of the size first")},
    {.name = "fill_mode", .kind = CN_F_ENUM, MEMBER(fill_mode), .standard = "\"constant\"", .choices = "constant",
     .help = CN_HELP("what the filling is: fill_value")},
    {.name = "fill_value", .kind = CN_F_FLOAT, MEMBER(fill_value), .standard = "0", .help = CN_HELP("of the filling")},
    FORMAT, {0}};

/* Whole numbers are rounded and kept in the range of their dtype. */
static cn_edge as_given(cn_operation_call *c, cn_edge y, cornu_dtype dtype) {
  static const struct { cornu_dtype dtype; double low, high; } ranges[] = {
      {CORNU_UINT8, 0, UINT8_MAX}, {CORNU_INT8, INT8_MIN, INT8_MAX}, {CORNU_INT16, INT16_MIN, INT16_MAX},
      {CORNU_INT32, INT32_MIN, INT32_MAX}};
  if (c->t->status || cn_operation_type(c, y)->dtype == dtype) return y;
  if (!cn_dtype_is_float(dtype)) y = cn_emit1(c->t, &cn_op_round, NULL, y);
  for (int i = 0; i < CN_COUNT(ranges); i++)
    if (ranges[i].dtype == dtype)
      y = cn_emit1(c->t, &cn_op_clip, &(cn_clip_attrs){ranges[i].low, ranges[i].high}, y);
  return cn_emit_cast(c->t, y, dtype);
}

static void resize(cn_operation_call *c) {
  const options *o = c->options;
  cn_image_resize r = {.height = o->size.v[0], .width = o->size.v[1], .method = o->interpolation,
                       .antialias = o->antialias, .channels_first = first_of(c), .crop = o->crop, .pad = o->pad,
                       .fill_value = o->fill_value};
  if (o->crop && o->pad)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"crop_to_aspect_ratio\" and \"pad_to_aspect_ratio\" are both true");
  cn_edge x = cn_argument_tensor(c, "images");
  cornu_dtype dtype = cn_operation_type(c, x)->dtype;
  cn_operation_return(c, as_given(c, cn_image_resized(c->t, x, &r), dtype));
}

/* ---- Padding and cropping: of the amounts before and after and the size, two are given ---- */

#define SIDE(m, key) {.name = key, .kind = CN_F_INT, MEMBER(m), .standard = "null", .min = 0, .max = 1 << 28, \
                      .help = CN_HELP("null: follows from the others")}
#define SIDES(what) {SIDE(top, "top_" what), SIDE(left, "left_" what), SIDE(bottom, "bottom_" what), \
                     SIDE(right, "right_" what), SIDE(height, "target_height"), SIDE(width, "target_width"), FORMAT, \
                     {0}}
static const cn_field pad_fields[] = SIDES("padding"), crop_fields[] = SIDES("cropping");

/* What is missing follows from n, the size of the axis: sign 1 when the amounts are added, -1 when they are taken away.
 * An unknown n leaves the amount before or after at 0: shapes alone are wanted then. */
static bool settle(cn_operation_call *c, const char *what, int sign, int64_t n, int64_t *before, int64_t *after,
                   int64_t *target) {
  int missing = (*before == CN_NULL_INT) + (*after == CN_NULL_INT) + (*target == CN_NULL_INT);
  int64_t *amount = *before == CN_NULL_INT ? before : after;
  if (missing != 1) {
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "of the %s amounts on both sides and the target two must be given", what);
    return false;
  }
  if (n < 0) {
    if (*amount == CN_NULL_INT) *amount = 0;
    return true;
  }
  if (*target == CN_NULL_INT) *target = n + sign * (*before + *after);
  else *amount = sign * (*target - n) - (amount == before ? *after : *before);
  if (*before >= 0 && *after >= 0 && *target >= 0) return true;
  cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "%s %lld and %lld of %lld gives %lld", what, (long long)*before,
                (long long)*after, (long long)n, (long long)*target);
  return false;
}

static bool settle_all(cn_operation_call *c, options *o, const char *what, int sign, const cn_type *type, int axis) {
  return settle(c, what, sign, type->shape[axis], &o->top, &o->bottom, &o->height) &&
         settle(c, what, sign, type->shape[axis + 1], &o->left, &o->right, &o->width);
}

static void pad_images(cn_operation_call *c) {
  options o = *(const options *)c->options;
  cn_edge x = cn_argument_tensor(c, "images");
  int axis = cn_image_axis(c->t, x, first_of(c));
  const cn_type type = *cn_operation_type(c, x);
  if (axis < 0 || !settle_all(c, &o, "padding", 1, &type, axis)) return;
  cn_pad_attrs a = {.before = {.n = type.rank}, .after = {.n = type.rank}};
  a.before.v[axis] = o.top, a.after.v[axis] = o.bottom;
  a.before.v[axis + 1] = o.left, a.after.v[axis + 1] = o.right;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_pad, &a, x));
}

static void crop_images(cn_operation_call *c) {
  options o = *(const options *)c->options;
  cn_edge x = cn_argument_tensor(c, "images");
  int axis = cn_image_axis(c->t, x, first_of(c));
  if (axis < 0 || !settle_all(c, &o, "cropping", -1, cn_operation_type(c, x), axis)) return;
  cn_slice_attrs a = {.axes = {2, {axis, axis + 1}}, .begin = {2, {o.top, o.left}}, .step = {2, {1, 1}},
                      .end = {2, {o.height == CN_NULL_INT ? o.height : o.top + o.height,
                                  o.width == CN_NULL_INT ? o.width : o.left + o.width}}};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_slice, &a, x));
}

/* ---- Patches ---- */

static const cn_field patches_fields[] = {
    {.name = "size", .kind = CN_F_INTS, MEMBER(size), .min = 1, .max = 1 << 20,
     .help = CN_HELP("of a patch: two numbers, or three for volumes")},
    {.name = "strides", .kind = CN_F_INTS, MEMBER(strides), .standard = "null", .min = 1, .max = 1 << 20,
     .help = CN_HELP("step of the patches; null: their size")},
    {.name = "dilation_rate", .kind = CN_F_INTS, MEMBER(dilation_rate), .standard = "1", .min = 1, .max = 1 << 20,
     .help = CN_HELP("distance between a patch's elements")},
    {.name = "padding", .kind = CN_F_ENUM, MEMBER(padding), .standard = "\"valid\"", .choices = "valid same",
     .help = CN_HELP("same: zeros around the input")},
    FORMAT, {0}};

static int64_t entry(const cn_ints *v, int i) { return v->v[v->n == 1 ? 0 : i]; }

static cn_edge cut(cn_operation_call *c, cn_edge x, int spatial) {
  const options *o = c->options;
  const cn_type type = *cn_operation_type(c, x);
  const cn_ints *strides = o->strides.n < 0 ? &o->size : &o->strides;
  cn_patches_attrs a = {.spatial = spatial};
  for (int i = 0; i < spatial; i++) {
    a.window[i] = entry(&o->size, i);
    a.stride[i] = entry(strides, i);
    a.dilation[i] = entry(&o->dilation_rate, i);
    cn_spatial_pad(c->layer, o->padding, false, type.shape[i + 1], (a.window[i] - 1) * a.dilation[i] + 1, a.stride[i],
                   &a.pad_begin[i], &a.pad_end[i]);
  }
  return cn_emit1(c->t, &cn_op_patches, &a, x);
}

static void extract_patches(cn_operation_call *c) {
  const options *o = c->options;
  int spatial = o->size.n == 3 ? 3 : 2;
  cn_edge x = cn_argument_tensor(c, "images");
  int rank = cn_operation_type(c, x)->rank;
  bool single = rank == spatial + 1, first = first_of(c);
  bool fits = (o->size.n <= 2 || o->size.n == 3) && (single || rank == spatial + 2) &&
              (o->strides.n < 0 || o->strides.n == 1 || o->strides.n == spatial) &&
              (o->dilation_rate.n == 1 || o->dilation_rate.n == spatial);
  if (!fits && !c->t->status)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"size\", \"strides\" or \"dilation_rate\" does not fit an input of rank "
                  "%d: expected an image, a volume or a batch", rank);
  if (c->t->status) return;
  if (single) x = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x);
  if (first) {
    cn_ints_attrs order = {.v = {.n = spatial + 2}};
    for (int i = 0; i < spatial; i++) order.v.v[i + 1] = i + 2;
    order.v.v[spatial + 1] = 1;
    x = cn_emit1(c->t, &cn_op_transpose, &order, x);
  }
  cn_edge y = cn_spatial_leave(c->t, cut(c, x, spatial), spatial, first);
  if (single) y = cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, y);
  cn_operation_return(c, y);
}

#define ROW(class, body, table) \
  {.name = class, .arguments = "images", .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_image[] = {
    ROW("RGBToGrayscale", grayscale, format_fields),
    ROW("RGBToHSV", rgb_to_hsv, format_fields),
    ROW("HSVToRGB", hsv_to_rgb, format_fields),
    ROW("Resize", resize, resize_fields),
    ROW("PadImages", pad_images, pad_fields),
    ROW("CropImages", crop_images, crop_fields),
    ROW("ExtractPatches", extract_patches, patches_fields),
    {0}};
