/* keras.ops: warps and coordinates of keras.ops.image. */
#include <math.h>

#include "base/text.h"
#include "layers/image.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints axes;
  int64_t order;
  int interpolation, fill_mode, data_format, method;
  double fill_value;
  bool antialias;
} options;

#define MEMBER(m) .offset = offsetof(options, m)
#define FORMAT {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null", \
                .choices = "channels_last channels_first",                                         \
                .help = CN_HELP("where the channels are; null: the writer's default")}
#define INTERPOLATION {.name = "interpolation", .kind = CN_F_ENUM, MEMBER(interpolation), .standard = "\"bilinear\"", \
                       .choices = "bilinear nearest", .help = CN_HELP("how values between pixels come about")}
#define FILL_VALUE {.name = "fill_value", .kind = CN_F_FLOAT, MEMBER(fill_value), .standard = "0", \
                    .help = CN_HELP("what lies outside, where fill_mode is constant")}
#define FILL_MODE(choices_) {.name = "fill_mode", .kind = CN_F_ENUM, MEMBER(fill_mode), .standard = "\"constant\"", \
                             .choices = choices_, .help = CN_HELP("what lies outside")}

/* An argument as float32 of a rank, an axis in front where it has one less. */
static cn_edge for_batch(cn_operation_call *c, const char *name, int rank) {
  cn_edge x = cn_emit_cast(c->t, cn_argument_tensor(c, name), CORNU_FLOAT32);
  if (cn_operation_type(c, x)->rank != rank - 1) return x;
  return cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x);
}

/* ---- Projections ---- */

static const cn_field affine_fields[] = {
    INTERPOLATION, FILL_MODE("constant nearest wrap reflect"), FILL_VALUE, FORMAT, {0}};
static const cn_field perspective_fields[] = {INTERPOLATION, FILL_VALUE, FORMAT, {0}};

static void warp(cn_operation_call *c, cn_edge transform) {
  const options *o = c->options;
  bool first = cn_channels_first(c->layer, o->data_format, 2);
  cn_image_batch b = cn_image_enter(c->t, cn_argument_tensor(c, "images"), first);
  cn_warp_attrs a = {o->fill_mode, o->interpolation == 1, o->fill_value};
  cn_operation_return(c, cn_image_leave(c->t, &b, cn_emit2(c->t, &cn_op_warp, &a, b.x, transform)));
}

static void affine_transform(cn_operation_call *c) { warp(c, for_batch(c, "transform", 2)); }

static void perspective_transform(cn_operation_call *c) {
  cn_edge start = for_batch(c, "start_points", 3), end = for_batch(c, "end_points", 3);
  warp(c, cn_emit2(c->t, &cn_op_homography, NULL, start, end));
}

/* ---- map_coordinates ---- */

static const cn_field map_fields[] = {
    {.name = "order", .kind = CN_F_INT, MEMBER(order), .min = 0, .max = 1,
     .help = CN_HELP("0: the nearest, 1: linear")},
    FILL_MODE("constant nearest wrap reflect mirror"), FILL_VALUE, {0}};

static void map_coordinates(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "inputs"), places = cn_argument_tensor(c, "coordinates");
  bool whole = !cn_dtype_is_float(cn_operation_type(c, places)->dtype);
  cornu_dtype dtype = cn_operation_type(c, x)->dtype;
  double value = cn_dtype_is_float(dtype) ? o->fill_value : trunc(o->fill_value);
  cn_map_attrs a = {.fill = o->fill_mode, .order = o->order, .value = value, .whole = whole};
  cn_operation_return(c, cn_emit2(c->t, &cn_op_map_coordinates, &a, x, cn_emit_cast(c->t, places, CORNU_FLOAT64)));
}

/* ---- scale_and_translate: one matrix for each axis ---- */

static const cn_field scale_fields[] = {
    {.name = "spatial_dims", .kind = CN_F_INTS, MEMBER(axes), .help = CN_HELP("the axes that are scaled and moved")},
    {.name = "method", .kind = CN_F_ENUM, MEMBER(method),
     .choices = "linear bilinear trilinear cubic bicubic tricubic lanczos3 lanczos5", .help = CN_HELP("the filter")},
    {.name = "antialias", .kind = CN_F_BOOL, MEMBER(antialias), .standard = "true",
     .help = CN_HELP("wider filters when shrinking")},
    {0}};

static cn_edge number_of(cn_operation_call *c, cn_edge v, int64_t i) {
  cn_slice_attrs a = {.axes = {1, {0}}, .begin = {1, {i}}, .end = {1, {i + 1}}, .step = {1, {1}}};
  return cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, cn_emit1(c->t, &cn_op_slice, &a, v));
}

/* The axis goes last, is multiplied with the matrix, and goes back. */
static cn_edge along(cn_operation_call *c, cn_edge x, int axis, cn_edge weights) {
  int rank = cn_operation_type(c, x)->rank;
  cn_ints_attrs last = {.v = {.n = rank}}, back = {.v = {.n = rank}};
  for (int i = 0; i < rank; i++) {
    last.v.v[i] = i == rank - 1 ? axis : i + (i >= axis);
    back.v.v[i] = i == axis ? rank - 1 : i - (i > axis);
  }
  x = cn_emit1(c->t, &cn_op_transpose, &last, x);
  return cn_emit1(c->t, &cn_op_transpose, &back, cn_emit2(c->t, &cn_op_matmul, NULL, x, weights));
}

static bool output_size(const cn_value *shape, int axis, int rank, int64_t *out) {
  bool fits = cn_value_is(shape, CORNU_LIST) && shape->count == rank;
  return fits && cn_value_integer(shape->items[axis], out) && *out > 0;
}

static cn_edge clipped(cn_operation_call *c, cn_edge y, cn_edge x) {
  cn_reduce_attrs all = {.axes = {.n = -1}};
  cornu_dtype dtype = cn_operation_type(c, y)->dtype;
  cn_edge low = cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_min, &all, x), dtype);
  cn_edge high = cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_max, &all, x), dtype);
  y = cn_emit2(c->t, &cn_op_minimum, NULL, cn_emit1(c->t, &cn_op_round, NULL, y), high);
  return cn_emit2(c->t, &cn_op_maximum, NULL, y, low);
}

static void scale_and_translate(cn_operation_call *c) {
  static const int kernels[] = {CN_RESAMPLE_LINEAR, CN_RESAMPLE_LINEAR, CN_RESAMPLE_LINEAR, CN_RESAMPLE_CUBIC,
                                CN_RESAMPLE_CUBIC, CN_RESAMPLE_CUBIC, CN_RESAMPLE_LANCZOS3, CN_RESAMPLE_LANCZOS5};
  const options *o = c->options;
  cornu_dtype dtype;
  cn_edge given = cn_argument_tensor(c, "images"), x = cn_argument_floats(c, "images", &dtype);
  cn_edge scale = cn_emit_cast(c->t, cn_argument_tensor(c, "scale"), CORNU_FLOAT32);
  cn_edge shift = cn_emit_cast(c->t, cn_argument_tensor(c, "translation"), CORNU_FLOAT32);
  for (int i = 0, axis; i < o->axes.n && !c->t->status; i++) {
    const cn_type type = *cn_operation_type(c, x);
    cn_resample_attrs a = {.kernel = kernels[o->method], .antialias = o->antialias};
    c->t->status = cn_axis(o->axes.v[i], type.rank, &axis, c->t->error);
    if (c->t->status) return;
    a.from = type.shape[axis];
    if (!output_size(cn_argument(c, "output_shape"), axis, type.rank, &a.to)) {
      cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"output_shape\" is %s, expected %d sizes",
                    cn_value_show(cn_argument(c, "output_shape"), (char[80]){0}, 80), type.rank);
      return;
    }
    cn_edge weights = cn_emit2(c->t, &cn_op_resample_weights, &a, number_of(c, scale, i), number_of(c, shift, i));
    x = along(c, x, axis, cn_emit_cast(c->t, weights, type.dtype));
  }
  cn_operation_return_as(c, cn_dtype_is_float(dtype) ? x : clipped(c, x, given), dtype);
}

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_image_transforms[] = {
    ROW("AffineTransform", "images transform", affine_transform, affine_fields),
    ROW("PerspectiveTransform", "images start_points end_points", perspective_transform, perspective_fields),
    ROW("MapCoordinates", "inputs coordinates", map_coordinates, map_fields),
    ROW("ScaleAndTranslate", "images output_shape scale translation", scale_and_translate, scale_fields),
    {0}};
