/* keras.ops: filters of keras.ops.image, each channel by itself, and elastic_transform. */
#include <math.h>

#include "base/text.h"
#include "layers/image.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints kernel_size;
  int64_t filter_size, seed;
  int interpolation, fill_mode, data_format;
  double fill_value, max_val, filter_sigma, k1, k2, alpha, deviation;
  const cn_value *sigma;
} options;

#define MEMBER(m) .offset = offsetof(options, m)
#define NUMBER(m, key, text, words) {.name = key, .kind = CN_F_FLOAT, MEMBER(m), .standard = text, \
   .help = CN_HELP(words)}
#define FORMAT {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null", \
                .choices = "channels_last channels_first",                                         \
                .help = CN_HELP("where the channels are; null: the writer's default")}

static cn_image_batch enter(cn_operation_call *c, cn_edge x) {
  bool first = cn_channels_first(c->layer, ((const options *)c->options)->data_format, 2);
  return cn_image_enter(c->t, x, first);
}

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
     .max = LARGEST, .help = CN_HELP("size of the window")},
    {.name = "sigma", .kind = CN_F_VALUE, MEMBER(sigma), .standard = "[1.0, 1.0]",
     .help = CN_HELP("deviations, two numbers")},
    FORMAT, {0}};

static void gaussian_blur(cn_operation_call *c) {
  const options *o = c->options;
  double sigma[2];
  cornu_dtype dtype;
  cn_image_batch b = enter(c, cn_argument_floats(c, "images", &dtype));
  bool good = cn_value_is(o->sigma, CORNU_LIST) && o->sigma->count == 2;
  for (int i = 0; good && i < 2; i++) good = cn_value_number(o->sigma->items[i], &sigma[i]);
  if (!good && !c->t->status)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"sigma\" is %s, expected two numbers",
                  cn_value_show(o->sigma, (char[80]){0}, 80));
  if (c->t->status) return;
  cn_operation_return_as(c, cn_image_leave(c->t, &b, blurred(c, b.x, o->kernel_size.v, sigma, true)), dtype);
}

static const cn_field format_fields[] = {FORMAT, {0}};

/* The changes from row to row and from column to column, in a new last axis. */
static void sobel_edges(cn_operation_call *c) {
  static const double kernel[] = {-1, -1, -2, 0, -1, 1, 0, -2, 0, 0, 0, 2, 1, -1, 2, 0, 1, 1};
  cornu_dtype dtype;
  cn_image_batch b = enter(c, cn_argument_floats(c, "images", &dtype));
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
     .help = CN_HELP("of the Gaussian window")},
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
  cn_image_batch p = enter(c, cn_argument_floats(c, "image1", &dtype));
  cn_image_batch q = enter(c, cn_argument_floats(c, "image2", NULL));
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

/* ---- elastic_transform (Simard et al. 2003) ---- */

static const cn_field elastic_fields[] = {
    NUMBER(alpha, "alpha", "20", "how far pixels move"), NUMBER(deviation, "sigma", "5", "how smoothly"),
    {.name = "interpolation", .kind = CN_F_ENUM, MEMBER(interpolation), .standard = "\"bilinear\"",
     .choices = "nearest bilinear", .help = CN_HELP("how values between pixels come about")},
    {.name = "fill_mode", .kind = CN_F_ENUM, MEMBER(fill_mode), .standard = "\"reflect\"",
     .choices = "constant nearest wrap reflect", .help = CN_HELP("what lies outside")},
    NUMBER(fill_value, "fill_value", "0", "what lies outside, where fill_mode is constant"),
    {.name = "seed", .kind = CN_F_INT, MEMBER(seed), .standard = "null",
     .help = CN_HELP("of the movements; without one they are others at each call, which is refused")},
    FORMAT, {0}};

/* Philox with ten rounds (Salmon et al. 2011). */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  for (int i = 0; i < 4; i++) out[i] = c[i];
}

/* In [0, 1), with 23 bits. */
static double fraction(uint32_t bits) { return (double)(bits & 0x7FFFFF) / 0x800000; }

/* The normal numbers that TensorFlow's stateless generator makes from the seed (seed, 0), by Box and Muller. */
static void fill_normal(int64_t seed, double *out, int64_t n) {
  static const uint32_t scramble[2] = {0x3EC8F720, 0x02461E29};
  int32_t low = (int32_t)(uint32_t)seed;
  uint32_t mix[4], x[4], counter[4] = {(uint32_t)low, low < 0 ? UINT32_MAX : 0, 0, 0};
  philox(counter, scramble, mix);
  for (int64_t i = 0; i < n; i++) {
    if (i % 4 == 0) {
      uint32_t at[4] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), mix[2], mix[3]};
      philox(at, mix, x);
    }
    int pair = i % 4 / 2 * 2;
    double radius = sqrt(-2 * log(fmax(fraction(x[pair]), 1e-7))), angle = 2 * M_PI * fraction(x[pair + 1]);
    out[i] = radius * (i % 2 ? cos(angle) : sin(angle));
  }
}

/* 0, 1, 2, … along one axis of a shape. */
static cn_edge counted(cn_operation_call *c, const cn_type *type, int axis) {
  cn_reshape_attrs alone = {.shape = {4, {1, 1, 1, 1}}};
  cn_ints_attrs whole = {.v = {.n = 4}};
  double *v = cn_arena_alloc(&c->t->graph->arena, (size_t)type->shape[axis] * sizeof *v + 1);
  if (!v) return c->t->status = cn_no_memory(c->t->error), CN_NO_EDGE;
  for (int64_t i = 0; i < type->shape[axis]; i++) v[i] = (double)i;
  for (int i = 0; i < 4; i++) whole.v.v[i] = type->shape[i];
  alone.shape.v[axis] = type->shape[axis];
  cn_edge line = cn_emit_vector(c->t, CORNU_FLOAT64, v, type->shape[axis]);
  return cn_emit1(c->t, &cn_op_broadcast_to, &whole, cn_emit1(c->t, &cn_op_reshape, &alone, line));
}

/* alpha times smoothed noise, the same along both axes, as Keras has it: (b, h, w, 1) */
static cn_edge movements(cn_operation_call *c, const cn_type *type) {
  const options *o = c->options;
  int64_t n = type->shape[0] * type->shape[1] * type->shape[2], side = 6 * (int64_t)o->deviation | 1;
  double *noise = cn_arena_alloc(&c->t->graph->arena, (size_t)n * sizeof *noise + 1);
  if (!noise) return c->t->status = cn_no_memory(c->t->error), CN_NO_EDGE;
  fill_normal(o->seed, noise, n);
  for (int64_t i = 0; i < n; i++) noise[i] *= o->deviation;
  cn_reshape_attrs image = {{4, {type->shape[0], type->shape[1], type->shape[2], 1}}};
  cn_edge x = cn_emit1(c->t, &cn_op_reshape, &image, cn_emit_vector(c->t, CORNU_FLOAT64, noise, n));
  x = blurred(c, x, (int64_t[]){side, side}, (double[]){o->deviation, o->deviation}, true);
  return cn_emit2(c->t, &cn_op_mul, NULL, x, cn_emit_like(c->t, x, o->alpha));
}

static bool can_move(cn_operation_call *c) {
  const options *o = c->options;
  if (o->seed == CN_NULL_INT)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "has no \"seed\": its result is another at each call");
  else if (!(o->deviation > 0 && o->deviation * 6 + 1 <= LARGEST))
    cn_trace_fail(c->t, CORNU_ERR_LIMIT, "\"sigma\" is %g, expected more than 0 and less than %d", o->deviation,
                  LARGEST / 6);
  return c->t->status == CORNU_OK;
}

static void elastic_transform(cn_operation_call *c) {
  const options *o = c->options;
  cn_image_batch b = enter(c, cn_argument_tensor(c, "images"));
  const cn_type type = *cn_operation_type(c, b.x);
  if (!can_move(c)) return;
  for (int i = 0; i < type.rank; i++)
    if (type.shape[i] < 1) { /* shapes alone are wanted */
      cn_operation_return(c, cn_image_leave(c->t, &b, b.x));
      return;
    }
  cn_edge move = movements(c, &type), places[4];
  for (int i = 0; i < 4 && !c->t->status; i++) {
    places[i] = counted(c, &type, i);
    if (i == 1 || i == 2) places[i] = cn_emit2(c->t, &cn_op_add, NULL, places[i], move);
  }
  if (c->t->status) return;
  cn_map_attrs a = {.fill = o->fill_mode, .order = o->interpolation, .value = o->fill_value};
  cn_edge where = cn_emit(c->t, &cn_op_stack, &(cn_axis_attrs){0}, places, 4);
  cn_operation_return(c, cn_image_leave(c->t, &b, cn_emit2(c->t, &cn_op_map_coordinates, &a, b.x, where)));
}

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_image_filters[] = {
    ROW("GaussianBlur", "images", gaussian_blur, blur_fields),
    ROW("SobelEdges", "images", sobel_edges, format_fields),
    ROW("SSIM", "image1 image2", ssim, ssim_fields),
    ROW("ElasticTransform", "images", elastic_transform, elastic_fields),
    {0}};
