/* rgb_to_hsv and hsv_to_rgb: colours along the last axis, as TensorFlow computes them; hue, saturation and value are in
 * 0 … 1. */
#include <math.h>

#include "base/pool.h"
#include "base/text.h"
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

const cn_op cn_op_rgb_to_hsv = {
    .name = "rgb_to_hsv",
    .help = "red, green, blue to hue, saturation, value\n(…, 3) -> (…, 3)",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape,
    .plan = hsv_plan,
};
const cn_op cn_op_hsv_to_rgb = {
    .name = "hsv_to_rgb",
    .help = "hue, saturation, value to red, green, blue\n(…, 3) -> (…, 3)",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape,
    .plan = rgb_plan,
};
