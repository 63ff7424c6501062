/* warp: images seen through projective transformations, as TensorFlow's ImageProjectiveTransform; homography: the
 * transformation that takes four points to four others. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *m = &t->in[1];
  CN_TRY(cn_want_rank(x, "warp: input", 4, 4, e));
  CN_TRY(cn_want_rank(m, "warp: transformations", 2, 2, e));
  if (m->dtype != CORNU_FLOAT32)
    return cn_fail(e, CORNU_ERR_DTYPE, "warp: the transformations are %s, need float32: cast them first",
                   cornu_dtype_name(m->dtype));
  if (!cn_dims_agree(m->shape[1], 8) || (m->shape[0] != 1 && !cn_dims_agree(m->shape[0], x->shape[0])))
    return cn_fail(e, CORNU_ERR_SHAPE, "warp: transformations of shape %s for images of shape %s: expected 8 numbers "
                   "for all, or for each", CN_SHAPE(2, m->shape), CN_SHAPE(4, x->shape));
  t->out[0] = *x;
  return CORNU_OK;
}

/* ---- Places outside the image, in single precision as TensorFlow computes them ---- */

static float clamp(float v, float high) { return v < 0 ? 0 : v > high ? high : v; }

/* dcba|abcd|dcba */
static float reflected(float v, int64_t n) {
  float length = (float)n, twice = 2 * length;
  if (n <= 1) return 0;
  if (v < 0) {
    if (v < twice) v += twice * truncf(-v / twice);
    v = v < -length ? v + twice : -v - 1;
  } else if (v > length - 1) {
    v -= twice * truncf(v / twice);
    if (v >= length) v = twice - v - 1;
  }
  return clamp(v, length - 1);
}

/* abcd|abcd|abcd */
static float wrapped(float v, int64_t n) {
  float length = (float)n, last = length - 1;
  if (n <= 1) return 0;
  if (v < 0) v += length * (truncf(-v / last) + 1);
  else if (v > last) v -= length * truncf(v / last);
  return clamp(v, last);
}

static float place(float v, int64_t n, int fill) {
  if (isnan(v)) return v;
  switch (fill) {
    case CN_FILL_NEAREST: return clamp(v, (float)(n - 1));
    case CN_FILL_REFLECT: return reflected(v, n);
    case CN_FILL_WRAP: return wrapped(v, n);
    default: return v;
  }
}

/* ---- Pixels ---- */

typedef struct view {
  const cn_step *s;
  int64_t image, height, width, channels;
  cornu_dtype dtype;
  size_t size;
  double outside;
} view;

static float pixel(const view *v, float y, float x, int64_t channel) {
  if (!(y >= 0 && x >= 0 && y < (float)v->height && x < (float)v->width)) return (float)v->outside;
  int64_t at = ((v->image * v->height + (int64_t)y) * v->width + (int64_t)x) * v->channels + channel;
  const char *from = (const char *)v->s->in[0]->data + (size_t)at * v->size;
  float value;
  if (v->dtype == CORNU_FLOAT32) return *(const float *)(const void *)from;
  cn_convert(&value, CORNU_FLOAT32, from, v->dtype, 1);
  return value;
}

/* Integers are cut off afterwards: the rounding is TensorFlow's. */
static float between(const view *v, float y, float x, int64_t channel) {
  float y0 = floorf(y), x0 = floorf(x), y1 = y0 + 1, x1 = x0 + 1;
  float top = (x1 - x) * pixel(v, y0, x0, channel) + (x - x0) * pixel(v, y0, x1, channel);
  float bottom = (x1 - x) * pixel(v, y1, x0, channel) + (x - x0) * pixel(v, y1, x1, channel);
  return (y1 - y) * top + (y - y0) * bottom;
}

static void warp_pixel(const view *v, const float *m, int64_t row, int64_t column, char *to) {
  const cn_warp_attrs *a = v->s->attrs;
  float x = (float)column, y = (float)row, scale = m[6] * x + m[7] * y + 1;
  float sx = place((m[0] * x + m[1] * y + m[2]) / scale, v->width, a->fill);
  float sy = place((m[3] * x + m[4] * y + m[5]) / scale, v->height, a->fill);
  for (int64_t c = 0; c < v->channels; c++, to += v->size) {
    double value = v->outside;
    if (scale != 0) value = a->nearest ? pixel(v, roundf(sy), roundf(sx), c) : between(v, sy, sx, c);
    cn_convert(to, v->dtype, &value, CORNU_FLOAT64, 1);
  }
}

static void rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_operand *x = s->in[0], *m = s->in[1];
  view v = {.s = s, .height = x->shape[1], .width = x->shape[2], .channels = x->shape[3], .dtype = x->dtype,
            .size = cornu_dtype_bytes(x->dtype), .outside = ((const cn_warp_attrs *)s->attrs)->value};
  for (int64_t r = begin; r < end; r++) {
    v.image = r / v.height;
    const float *matrix = (const float *)m->data + (m->shape[0] == 1 ? 0 : v.image * 8);
    char *to = (char *)s->out[0]->data + (size_t)(r * v.width * v.channels) * v.size;
    for (int64_t i = 0; i < v.width; i++, to += (size_t)v.channels * v.size)
      warp_pixel(&v, matrix, r % v.height, i, to);
  }
}

static void run(const cn_step *s) {
  const int64_t *n = s->in[0]->shape;
  if (s->out[0]->size > 0) cn_parallel_range(n[0] * n[1], 1024 / (n[2] * n[3]) + 1, rows, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = run;
  s->flops = (double)s->out[0]->size * 8;
  return CORNU_OK;
}

/* As TensorFlow has it: what comes back, through the inverse transformations. It is no true gradient where pixels are
 * mixed. */
static void gradient(cn_gradient *g) {
  if (g->wanted[1]) cn_gradient_refuse(g, "with respect to transformations, as in TensorFlow");
  if (!g->wanted[0]) return;
  const int64_t n = cn_gradient_type(g, g->in[1])->shape[0];
  const double last = 1;
  cn_warp_attrs a = *(const cn_warp_attrs *)g->attrs;
  a.value = 0;
  const cn_edge one = cn_gradient_vector(g, cn_gradient_type(g, g->in[1])->dtype, &last, 1);
  const cn_edge ones = cn_g1(g, &cn_op_broadcast_to, &(cn_ints_attrs){{2, {n, 1}}}, one);
  cn_edge t = cn_g2(g, &cn_op_concat, &(cn_axis_attrs){1}, g->in[1], ones);
  t = cn_g_reshape(g, cn_g1(g, &cn_op_inverse, NULL, cn_g_reshape(g, t, 3, (const int64_t[]){n, 3, 3})), 2,
                   (const int64_t[]){n, 9});
  t = cn_g_div(g, cn_g_window(g, t, 1, 0, 8), cn_g_window(g, t, 1, 8, 1));
  g->dx[0] = cn_g2(g, &cn_op_warp, &a, g->dy[0], t);
}

const cn_op cn_op_warp = {
    .name = "warp",
    .help = CN_HELP("images through projective transformations a b c d e f g h: pixel (x, y) is the input's\n"
                    "((a x + b y + c) / k, (d x + e y + f) / k), k = g x + h y + 1\n"
                    "(images (b, h, w, c), transformations (b or 1, 8)) -> (b, h, w, c)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_warp_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};

/* ---- homography ---- */

static cn_status points_shape(cn_typing *t, cn_error *e) {
  const cn_type *a = &t->in[0], *b = &t->in[1];
  for (int i = 0; i < 2; i++) {
    const cn_type *x = &t->in[i];
    CN_TRY(cn_want_rank(x, "homography: points", 3, 3, e));
    if (x->dtype != CORNU_FLOAT32 || !cn_dims_agree(x->shape[1], 4) || !cn_dims_agree(x->shape[2], 2))
      return cn_fail(e, CORNU_ERR_SHAPE, "homography: points are %s of shape %s, expected float32 (batch, 4, 2)",
                     cornu_dtype_name(x->dtype), CN_SHAPE(3, x->shape));
  }
  if (!cn_dims_agree(a->shape[0], b->shape[0]))
    return cn_fail(e, CORNU_ERR_SHAPE, "homography: %lld times %lld points", (long long)a->shape[0],
                   (long long)b->shape[0]);
  t->out[0] = (cn_type){.dtype = CORNU_FLOAT32, .rank = 2, .shape = {a->shape[0], 8}};
  return CORNU_OK;
}

/* Gauss's elimination, the largest element of a column first; m has the right side in column 8. */
static void eliminate(double m[8][9]) {
  for (int k = 0; k < 8; k++) {
    int best = k;
    for (int i = k + 1; i < 8; i++) best = fabs(m[i][k]) > fabs(m[best][k]) ? i : best;
    for (int j = 0; j < 9; j++) {
      double swap = m[k][j];
      m[k][j] = m[best][j];
      m[best][j] = swap;
    }
    for (int i = 0; i < 8; i++) {
      double factor = i == k ? 0 : m[i][k] / m[k][k];
      for (int j = k; j < 9; j++) m[i][j] -= factor * m[k][j];
    }
  }
}

/* As Keras sets it up: the products of each row are of start's own coordinate with end's x and y. */
static void find_matrix(const float *start, const float *end, float *out) {
  double m[8][9] = {{0}};
  for (int i = 0; i < 4; i++) {
    double x = end[2 * i], y = end[2 * i + 1];
    for (int k = 0; k < 2; k++) {
      double *row = m[2 * i + k], s = start[2 * i + k];
      row[3 * k] = x, row[3 * k + 1] = y, row[3 * k + 2] = 1;
      row[6] = -s * x, row[7] = -s * y, row[8] = s;
    }
  }
  eliminate(m);
  for (int i = 0; i < 8; i++) out[i] = (float)(m[i][8] / m[i][i]);
}

static void points_run(const cn_step *s) {
  const float *start = s->in[0]->data, *end = s->in[1]->data;
  for (int64_t i = 0; i < s->out[0]->shape[0]; i++)
    find_matrix(start + 8 * i, end + 8 * i, (float *)s->out[0]->data + 8 * i);
}

static cn_status points_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = points_run;
  return CORNU_OK;
}

const cn_op cn_op_homography = {
    .name = "homography",
    .help = CN_HELP("the projective transformation with which warp moves start points to end points\n"
                    "(start (b, 4, 2), end (b, 4, 2)) -> (b, 8)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = points_shape,
    .plan = points_plan,
};
