/* rgb_to_hsv and hsv_to_rgb: colours along the last axis, as TensorFlow computes them; hue, saturation and value are in
 * 0 … 1. */
#include <math.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "colours", 1, CN_MAX_RANK, e));
  if ((x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64) || !cn_dims_agree(x->shape[x->rank - 1], 3))
    return cn_fail(e, CORNU_ERR_SHAPE, "colours are %s of shape %s, expected floats with 3 channels",
                   cornu_dtype_name(x->dtype), CN_SHAPE(x->rank, x->shape));
  t->out[0] = *x;
  return CORNU_OK;
}

static void to_hsv(const double *rgb, double *hsv) {
  double r = rgb[0], g = rgb[1], b = rgb[2], v = fmax(r, fmax(g, b)), range = v - fmin(r, fmin(g, b));
  double norm = 1 / (6 * range);
  double h = r == v ? norm * (g - b) : g == v ? norm * (b - r) + 2.0 / 6 : norm * (r - g) + 4.0 / 6;
  if (!(range > 0)) h = 0;
  hsv[0] = h < 0 ? h + 1 : h;
  hsv[1] = v > 0 ? range / v : 0;
  hsv[2] = v;
}

static double unit(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

static void to_rgb(const double *hsv, double *rgb) {
  double h = hsv[0] * 6, s = hsv[1], v = hsv[2];
  double part[3] = {unit(fabs(h - 3) - 1), unit(2 - fabs(h - 2)), unit(2 - fabs(h - 4))};
  for (int i = 0; i < 3; i++) rgb[i] = ((1 - s) + s * part[i]) * v;
}

static void pixels(const cn_step *s, int64_t begin, int64_t end, void (*convert)(const double *, double *)) {
  double in[3], out[3];
  for (int64_t i = begin * 3; i < end * 3; i += 3) {
    if (s->in[0]->dtype == CORNU_FLOAT64) {
      convert((const double *)s->in[0]->data + i, out);
      for (int k = 0; k < 3; k++) ((double *)s->out[0]->data)[i + k] = out[k];
      continue;
    }
    for (int k = 0; k < 3; k++) in[k] = ((const float *)s->in[0]->data)[i + k];
    convert(in, out);
    for (int k = 0; k < 3; k++) ((float *)s->out[0]->data)[i + k] = (float)out[k];
  }
}
static void hsv_range(void *s, int64_t begin, int64_t end) { pixels(s, begin, end, to_hsv); }
static void rgb_range(void *s, int64_t begin, int64_t end) { pixels(s, begin, end, to_rgb); }
static void hsv_run(const cn_step *s) { cn_parallel_range(s->out[0]->size / 3, 4096, hsv_range, (void *)s); }
static void rgb_run(const cn_step *s) { cn_parallel_range(s->out[0]->size / 3, 4096, rgb_range, (void *)s); }

static cn_status hsv_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = hsv_run;
  return CORNU_OK;
}
static cn_status rgb_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = rgb_run;
  return CORNU_OK;
}

/* ---- Gradients: (x, dy) -> dx ---- */

static void from_hsv(const double *rgb, const double *dy, double *dx) {
  const int high = rgb[0] >= rgb[1] && rgb[0] >= rgb[2] ? 0 : rgb[1] >= rgb[2] ? 1 : 2;
  const int low = rgb[0] <= rgb[1] && rgb[0] <= rgb[2] ? 0 : rgb[1] <= rgb[2] ? 1 : 2;
  const double v = rgb[high], range = v - rgb[low];
  dx[0] = dx[1] = dx[2] = 0;
  dx[high] += dy[2];
  if (v > 0) {
    dx[high] += dy[1] * (1 / v - range / (v * v));
    dx[low] -= dy[1] / v;
  }
  if (!(range > 0)) return;
  const int one = (high + 1) % 3, other = (high + 2) % 3; /* the hue: (one - other) / (6 range) and a constant */
  const double by_range = -(rgb[one] - rgb[other]) / (6 * range * range);
  dx[one] += dy[0] / (6 * range);
  dx[other] -= dy[0] / (6 * range);
  dx[high] += dy[0] * by_range;
  dx[low] -= dy[0] * by_range;
}

static void from_rgb(const double *hsv, const double *dy, double *dx) {
  static const double centre[] = {3, 2, 4}, sign[] = {1, -1, -1}, shift[] = {-1, 2, 2};
  const double h = hsv[0] * 6, s = hsv[1], v = hsv[2];
  dx[0] = dx[1] = dx[2] = 0;
  for (int i = 0; i < 3; i++) {
    const double raw = shift[i] + sign[i] * fabs(h - centre[i]), part = unit(raw);
    const double slope = raw > 0 && raw < 1 ? (h > centre[i] ? 6 : -6) * sign[i] : 0;
    dx[0] += dy[i] * s * v * slope;
    dx[1] += dy[i] * (part - 1) * v;
    dx[2] += dy[i] * ((1 - s) + s * part);
  }
}

static void pixels_back(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  double x[3], dy[3], dx[3];
  const size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  const cornu_dtype dtype = s->out[0]->dtype;
  for (int64_t i = begin * 3; i < end * 3; i += 3) {
    cn_convert(x, CORNU_FLOAT64, (const char *)s->in[0]->data + (size_t)i * size, dtype, 3);
    cn_convert(dy, CORNU_FLOAT64, (const char *)s->in[1]->data + (size_t)i * size, dtype, 3);
    if (s->op == &cn_op_rgb_to_hsv_gradient) from_hsv(x, dy, dx);
    else from_rgb(x, dy, dx);
    cn_convert((char *)s->out[0]->data + (size_t)i * size, dtype, dx, CORNU_FLOAT64, 3);
  }
}

static void back_run(const cn_step *s) { cn_parallel_range(s->out[0]->size / 3, 4096, pixels_back, (void *)s); }

static cn_status back_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = back_run;
  return CORNU_OK;
}

static void gradient(cn_gradient *g) {
  const cn_op *op = g->op == &cn_op_rgb_to_hsv ? &cn_op_rgb_to_hsv_gradient : &cn_op_hsv_to_rgb_gradient;
  g->dx[0] = cn_g2(g, op, NULL, g->in[0], g->dy[0]);
}

#define BACK(id) \
  const cn_op cn_op_##id##_gradient = {.name = #id "_gradient", .help = CN_HELP("(x, dy) -> what comes back to x"), \
                                       .flags = CN_OP_HIDDEN, .min_in = 2, .max_in = 2, .n_out = 1, .shape = shape, \
                                       .plan = back_plan};
BACK(rgb_to_hsv)
BACK(hsv_to_rgb)

const cn_op cn_op_rgb_to_hsv = {
    .name = "rgb_to_hsv",
    .help = CN_HELP("red, green, blue to hue, saturation, value\n(…, 3) -> (…, 3)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape,
    .plan = hsv_plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_hsv_to_rgb = {
    .name = "hsv_to_rgb",
    .help = CN_HELP("hue, saturation, value to red, green, blue\n(…, 3) -> (…, 3)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape,
    .plan = rgb_plan,
    .gradient = CN_GRADIENT(gradient),
};
