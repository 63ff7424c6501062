/* keras.ops: transformations and filters of keras.ops.image. */
#include <math.h>

#include "base/text.h"
#include "layers/image.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints kernel_size, axes;
  int64_t order, filter_size;
  int interpolation, fill_mode, data_format, method;
  double fill_value, max_val, filter_sigma, k1, k2;
  bool antialias;
  const cn_value *sigma;
} options;

#define MEMBER(m) .offset = offsetof(options, m)
#define NUMBER(m, key, text, words) {.name = key, .kind = CN_F_FLOAT, MEMBER(m), .standard = text, .help = words}
#define FORMAT {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null", \
                .choices = "channels_last channels_first", .help = "where the channels are; null: the writer's default"}
#define INTERPOLATION {.name = "interpolation", .kind = CN_F_ENUM, MEMBER(interpolation), .standard = "\"bilinear\"", \
                       .choices = "bilinear nearest", .help = "how values between pixels come about"}
#define FILL_VALUE NUMBER(fill_value, "fill_value", "0", "what lies outside, where fill_mode is constant")
#define FILL_MODE(choices_) {.name = "fill_mode", .kind = CN_F_ENUM, MEMBER(fill_mode), .standard = "\"constant\"", \
                             .choices = choices_, .help = "what lies outside"}

/* A batch of images, channels last. */
typedef struct batch { cn_edge x; bool single, first; } batch;

static batch enter(cn_operation_call *c, cn_edge x) {
  batch b = {.x = x, .first = cn_channels_first(c->layer, ((const options *)c->options)->data_format, 2)};
  if (cn_image_axis(c->t, x, b.first) < 0) return b;
  b.single = cn_operation_type(c, x)->rank == 3;
  if (b.single) b.x = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){0}, b.x);
  if (b.first) b.x = cn_emit1(c->t, &cn_op_transpose, &(cn_ints_attrs){{4, {0, 2, 3, 1}}}, b.x);
  return b;
}

static cn_edge leave(cn_operation_call *c, const batch *b, cn_edge y) {
  if (b->first) y = cn_emit1(c->t, &cn_op_transpose, &(cn_ints_attrs){{4, {0, 3, 1, 2}}}, y);
  return b->single ? cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, y) : y;
}

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
  batch b = enter(c, cn_argument_tensor(c, "images"));
  cn_warp_attrs a = {o->fill_mode, o->interpolation == 1, o->fill_value};
  cn_operation_return(c, leave(c, &b, cn_emit2(c->t, &cn_op_warp, &a, b.x, transform)));
}

static void affine_transform(cn_operation_call *c) { warp(c, for_batch(c, "transform", 2)); }

static void perspective_transform(cn_operation_call *c) {
  cn_edge start = for_batch(c, "start_points", 3), end = for_batch(c, "end_points", 3);
  warp(c, cn_emit2(c->t, &cn_op_homography, NULL, start, end));
}

/* ---- map_coordinates ---- */

static const cn_field map_fields[] = {
    {.name = "order", .kind = CN_F_INT, MEMBER(order), .min = 0, .max = 1, .help = "0: the nearest, 1: linear"},
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
    {.name = "spatial_dims", .kind = CN_F_INTS, MEMBER(axes), .help = "the axes that are scaled and moved"},
    {.name = "method", .kind = CN_F_ENUM, MEMBER(method),
     .choices = "linear bilinear trilinear cubic bicubic tricubic lanczos3 lanczos5", .help = "the filter"},
    {.name = "antialias", .kind = CN_F_BOOL, MEMBER(antialias), .standard = "true",
     .help = "wider filters when shrinking"},
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

/* ---- Filters: each channel by itself ---- */

/* A kernel (h, w, channels of x, multiplier), the same for all channels. */
static cn_edge filtered(cn_operation_call *c, cn_edge x, const double *kernel, int64_t h, int64_t w, int64_t multiplier,
                        const cn_conv_attrs *a) {
  const cn_type type = *cn_operation_type(c, x);
  cn_edge weights = cn_emit_vector(c->t, type.dtype, kernel, h * w * multiplier);
  if (!c->t->status && type.shape[3] < 1)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the number of channels must be known");
  if (c->t->status) return CN_NO_EDGE;
  weights = cn_emit1(c->t, &cn_op_reshape, &(cn_reshape_attrs){{4, {h, w, 1, multiplier}}}, weights);
  weights = cn_emit1(c->t, &cn_op_tile, &(cn_ints_attrs){{4, {1, 1, type.shape[3], 1}}}, weights);
  return cn_emit2(c->t, &cn_op_depthwise_conv, a, x, weights);
}

/* exp(-(i - middle)² / (2 sigma²)), made to sum to 1. */
static void gauss(double *out, int64_t n, double sigma) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double x = ((double)i - (double)(n - 1) / 2) / sigma;
    sum += out[i] = exp(-0.5 * x * x);
  }
  for (int64_t i = 0; i < n; i++) out[i] /= sum;
}

enum { LARGEST = 255 }; /* side of a kernel */

/* The product of two bells, row by row of bells of the other size: so Keras lays it out. */
static cn_edge blurred(cn_operation_call *c, cn_edge x, const int64_t size[2], const double sigma[2], bool same) {
  double bell[2][LARGEST];
  const cn_type type = *cn_operation_type(c, x);
  if (c->t->status) return CN_NO_EDGE;
  double *kernel = cn_arena_alloc(&c->t->graph->arena, (size_t)(size[0] * size[1]) * sizeof *kernel);
  if (!kernel) return c->t->status = cn_no_memory(c->t->error), CN_NO_EDGE;
  cn_conv_attrs a = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
  for (int i = 0; i < 2; i++) {
    gauss(bell[i], size[i], sigma[i]);
    cn_spatial_pad(c->layer, same ? CN_PADDING_SAME : CN_PADDING_VALID, false, type.shape[i + 1], size[i], 1,
                   &a.pad_begin[i], &a.pad_end[i]);
  }
  for (int64_t i = 0; i < size[0] * size[1]; i++) kernel[i] = bell[1][i / size[0]] * bell[0][i % size[0]];
  return filtered(c, x, kernel, size[0], size[1], 1, &a);
}

static const cn_field blur_fields[] = {
    {.name = "kernel_size", .kind = CN_F_INTS, MEMBER(kernel_size), .standard = "[3, 3]", .count = 2, .min = 1,
     .max = LARGEST, .help = "size of the window"},
    {.name = "sigma", .kind = CN_F_VALUE, MEMBER(sigma), .standard = "[1.0, 1.0]", .help = "deviations, two numbers"},
    FORMAT, {0}};

static void gaussian_blur(cn_operation_call *c) {
  const options *o = c->options;
  double sigma[2];
  cornu_dtype dtype;
  batch b = enter(c, cn_argument_floats(c, "images", &dtype));
  bool good = cn_value_is(o->sigma, CORNU_LIST) && o->sigma->count == 2;
  for (int i = 0; good && i < 2; i++) good = cn_value_number(o->sigma->items[i], &sigma[i]);
  if (!good && !c->t->status)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"sigma\" is %s, expected two numbers",
                  cn_value_show(o->sigma, (char[80]){0}, 80));
  if (c->t->status) return;
  cn_operation_return_as(c, leave(c, &b, blurred(c, b.x, o->kernel_size.v, sigma, true)), dtype);
}

static const cn_field format_fields[] = {FORMAT, {0}};

/* The changes from row to row and from column to column, in a new last axis. */
static void sobel_edges(cn_operation_call *c) {
  static const double kernel[] = {-1, -1, -2, 0, -1, 1, 0, -2, 0, 0, 0, 2, 1, -1, 2, 0, 1, 1};
  cornu_dtype dtype;
  batch b = enter(c, cn_argument_floats(c, "images", &dtype));
  if (!c->t->status && b.single) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes a batch of images: 4 dimensions");
  if (c->t->status) return;
  cn_pad_attrs around = {{4, {0, 1, 1, 0}}, {4, {0, 1, 1, 0}}, .mode = CN_PAD_REFLECT};
  cn_conv_attrs a = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
  int64_t channels = cn_operation_type(c, b.x)->shape[3];
  cn_edge y = filtered(c, cn_emit1(c->t, &cn_op_pad, &around, b.x), kernel, 3, 3, 2, &a);
  cn_reshape_attrs apart = {{5, {CN_DIM_COPY, CN_DIM_COPY, CN_DIM_COPY, channels, 2}}};
  y = cn_emit1(c->t, &cn_op_reshape, &apart, y);
  if (b.first) y = cn_emit1(c->t, &cn_op_transpose, &(cn_ints_attrs){{5, {0, 3, 1, 2, 4}}}, y);
  cn_operation_return_as(c, y, dtype);
}

/* ---- ssim: structural similarity (Wang et al. 2004) ---- */

static const cn_field ssim_fields[] = {
    NUMBER(max_val, "max_val", "1", "the largest value that can be"),
    {.name = "filter_size", .kind = CN_F_INT, MEMBER(filter_size), .standard = "11", .min = 1, .max = LARGEST,
     .help = "of the Gaussian window"},
    NUMBER(filter_sigma, "filter_sigma", "1.5", "its deviation"), NUMBER(k1, "k1", "0.01", "steadies the means"),
    NUMBER(k2, "k2", "0.03", "steadies the variances"), FORMAT, {0}};

static cn_edge local_mean(cn_operation_call *c, cn_edge x) {
  const options *o = c->options;
  int64_t size[] = {o->filter_size, o->filter_size};
  double sigma[] = {o->filter_sigma, o->filter_sigma};
  return blurred(c, x, size, sigma, false);
}

static cn_edge two(cn_operation_call *c, const cn_op *op, cn_edge a, cn_edge b) {
  return cn_emit2(c->t, op, NULL, a, b);
}

/* E[x y] - E[x] E[y] */
static cn_edge covariance(cn_operation_call *c, cn_edge x, cn_edge y, cn_edge means) {
  return two(c, &cn_op_sub, local_mean(c, two(c, &cn_op_mul, x, y)), means);
}

static cn_edge steadied(cn_operation_call *c, cn_edge x, double factor, double k) {
  double steady = k * ((const options *)c->options)->max_val;
  if (factor != 1) x = two(c, &cn_op_mul, x, cn_emit_like(c->t, x, factor));
  return two(c, &cn_op_add, x, cn_emit_like(c->t, x, steady * steady));
}

static void ssim(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  batch p = enter(c, cn_argument_floats(c, "image1", &dtype)), q = enter(c, cn_argument_floats(c, "image2", NULL));
  cn_edge u = local_mean(c, p.x), v = local_mean(c, q.x), uv = two(c, &cn_op_mul, u, v);
  cn_edge uu = two(c, &cn_op_mul, u, u), vv = two(c, &cn_op_mul, v, v);
  cn_edge above = two(c, &cn_op_mul, steadied(c, uv, 2, o->k1), steadied(c, covariance(c, p.x, q.x, uv), 2, o->k2));
  cn_edge spread = two(c, &cn_op_add, covariance(c, p.x, p.x, uu), covariance(c, q.x, q.x, vv));
  cn_edge below = two(c, &cn_op_mul, steadied(c, two(c, &cn_op_add, uu, vv), 1, o->k1), steadied(c, spread, 1, o->k2));
  cn_reduce_attrs image = {.axes = {3, {1, 2, 3}}};
  cn_edge y = cn_emit1(c->t, &cn_op_mean, &image, two(c, &cn_op_div, above, below));
  if (p.single) y = cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, y);
  cn_operation_return_as(c, y, dtype);
}

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_image_transforms[] = {
    ROW("AffineTransform", "images transform", affine_transform, affine_fields),
    ROW("PerspectiveTransform", "images start_points end_points", perspective_transform, perspective_fields),
    ROW("MapCoordinates", "inputs coordinates", map_coordinates, map_fields),
    ROW("ScaleAndTranslate", "images output_shape scale translation", scale_and_translate, scale_fields),
    ROW("GaussianBlur", "images", gaussian_blur, blur_fields),
    ROW("SobelEdges", "images", sobel_edges, format_fields),
    ROW("SSIM", "image1 image2", ssim, ssim_fields),
    {0}};
