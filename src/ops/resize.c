/* resize: images (b, h, w, c) to another size, as tf.image.resize does it: nearest, bilinear, area, and the filters of
 * Keys (bicubic, 1981, a = -0.5), Gauss (radius 1.5), Lanczos (radius 3 and 5) and Mitchell-Netravali (1988), whose
 * weights are renormalised at the edges. Each axis has a table of source elements and weights, made when the plan is.
 */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/ops.h"

/* More would be an image shrunk to a thousandth. */
enum { MOST_TAPS = 4096 };

static int64_t target(const cn_resize_attrs *a, int i, int64_t n) {
  return a->scale[i] > 0 ? cn_dim_mul(n, a->scale[i]) : a->size[i];
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_resize_attrs *a = t->attrs;
  CN_TRY(cn_want_rank(&t->in[0], "resize: input", 4, 4, e));
  if (t->in[0].dtype != CORNU_FLOAT32)
    return cn_fail(e, CORNU_ERR_DTYPE, "resize: input is %s, needs float32: cast it first",
                   cornu_dtype_name(t->in[0].dtype));
  t->out[0] = t->in[0];
  for (int i = 0; i < 2; i++) {
    t->out[0].shape[i + 1] = target(a, i, t->in[0].shape[i + 1]);
    if (t->out[0].shape[i + 1] == 0 || (t->out[0].shape[i + 1] < 0 && t->in[0].shape[i + 1] >= 0))
      return cn_fail(e, CORNU_ERR_SHAPE, "resize: to size %lld", (long long)t->out[0].shape[i + 1]);
    if (t->in[0].shape[i + 1] == 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "resize: an image of %s", CN_SHAPE(4, t->in[0].shape));
  }
  return CORNU_OK;
}

/* Sources of one axis: for output i, elements from[i * taps + k] with weights; a weight of 0 is not read. */
typedef struct axis { int taps; int64_t *from; float *weight; } axis;
typedef struct state { axis y, x; } state;

static double position(const cn_resize_attrs *a, int64_t i, int64_t n, int64_t m) {
  if (a->grid == CN_GRID_ALIGN_CORNERS) return m > 1 ? (double)i * (double)(n - 1) / (double)(m - 1) : 0;
  double scale = (double)n / (double)m;
  return a->grid == CN_GRID_HALF_PIXEL ? ((double)i + 0.5) * scale - 0.5 : (double)i * scale;
}

static int64_t clamp(int64_t v, int64_t n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

static void fill_nearest(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  double p = position(a, i, n, m);
  if (a->grid == CN_GRID_HALF_PIXEL) p = floor(p + 0.5);
  else p = a->grid == CN_GRID_ALIGN_CORNERS ? round(p) : floor(p);
  t->from[i] = clamp((int64_t)p, n);
  t->weight[i] = 1;
}

static void fill_linear(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  double p = position(a, i, n, m), low = floor(p);
  float f = (float)(p - low);
  t->from[i * 2] = clamp((int64_t)low, n);
  t->from[i * 2 + 1] = clamp((int64_t)low + 1, n);
  t->weight[i * 2] = 1 - f;
  t->weight[i * 2 + 1] = f;
}

/* The share of each element that lies in the output element's stretch of the input. */
static void fill_area(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  (void)a;
  double scale = (double)n / (double)m, begin = (double)i * scale, end = begin + scale;
  for (int k = 0; k < t->taps; k++) {
    double at = floor(begin) + k, share = fmin(at + 1, end) - fmax(at, begin);
    t->from[i * t->taps + k] = clamp((int64_t)at, n);
    t->weight[i * t->taps + k] = (float)(fmax(share, 0) / scale);
  }
}

/* ---- Filters: weights by the distance from the output element's centre, made to sum to 1 ---- */

static double triangle(double x) { return 1 - x; }
static double gaussian(double x) { return exp(-2 * x * x); } /* deviation 1.5 / 3 */

static double keys(double x) {
  const double a = -0.5;
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static double mitchell(double x) {
  if (x < 1) return (7.0 / 6 * x - 2) * x * x + 8.0 / 9;
  return ((-7.0 / 18 * x + 2) * x - 10.0 / 3) * x + 16.0 / 9;
}

static double lanczos(double x, double radius) {
  const double pi = 3.14159265358979323846;
  return x < 1e-3 ? 1 : radius * sin(pi * x) * sin(pi * x / radius) / (pi * pi * x * x);
}
static double lanczos3(double x) { return lanczos(x, 3); }
static double lanczos5(double x) { return lanczos(x, 5); }

typedef struct filter { double radius; double (*weight)(double distance); } filter;
static const filter filters[] = {
    [CN_RESIZE_BILINEAR] = {1, triangle},   [CN_RESIZE_BICUBIC] = {2, keys},
    [CN_RESIZE_GAUSSIAN] = {1.5, gaussian}, [CN_RESIZE_LANCZOS3] = {3, lanczos3},
    [CN_RESIZE_LANCZOS5] = {5, lanczos5},   [CN_RESIZE_MITCHELLCUBIC] = {2, mitchell},
};

/* When an image shrinks with antialias its filters widen. */
static double stretch(const cn_resize_attrs *a, int64_t n, int64_t m) {
  return a->antialias && n > m ? (double)n / (double)m : 1;
}

/* TensorFlow's bicubic kernel takes its weights from a table of 1024 places between two elements. */
static double tabled(const cn_resize_attrs *a, double p) {
  return a->method == CN_RESIZE_BICUBIC && !a->antialias ? floor(p) + rint((p - floor(p)) * 1024) / 1024 : p;
}

static void fill_filtered(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  const filter *f = &filters[a->method];
  double wide = stretch(a, n, m), exact = position(a, i, n, m), p = tabled(a, exact), sum = 0, w[MOST_TAPS];
  int64_t first = (int64_t)ceil(exact - f->radius * wide);
  for (int k = 0; k < t->taps; k++) {
    int64_t at = first + k;
    double distance = fabs(p - (double)at) / wide;
    w[k] = at < 0 || at >= n || distance >= f->radius ? 0 : f->weight(distance);
    sum += w[k];
    t->from[i * t->taps + k] = clamp(at, n);
  }
  for (int k = 0; k < t->taps; k++) t->weight[i * t->taps + k] = (float)(w[k] / sum);
}

typedef void (*fill)(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m);

static fill choose(const cn_resize_attrs *a, int64_t n, int64_t m, double *taps) {
  if (a->method == CN_RESIZE_NEAREST) return *taps = 1, fill_nearest;
  if (a->method == CN_RESIZE_AREA) return *taps = ceil((double)n / (double)m) + 1, fill_area;
  if (a->method == CN_RESIZE_BILINEAR && stretch(a, n, m) == 1) return *taps = 2, fill_linear;
  return *taps = 2 * ceil(filters[a->method].radius * stretch(a, n, m)) + 1, fill_filtered;
}

static cn_status make_axis(struct cn_planner *p, const cn_resize_attrs *a, axis *t, int64_t n, int64_t m, cn_error *e) {
  double taps = 0;
  fill fill_one = choose(a, n, m, &taps);
  if (taps > MOST_TAPS)
    return cn_fail(e, CORNU_ERR_LIMIT, "resize: from %lld to %lld is more than a filter takes in", (long long)n,
                   (long long)m);
  t->taps = (int)taps;
  t->from = cn_plan_memory(p, (size_t)m * (size_t)t->taps * sizeof *t->from);
  t->weight = cn_plan_memory(p, (size_t)m * (size_t)t->taps * sizeof *t->weight);
  if (!t->from || !t->weight) return cn_no_memory(e);
  for (int64_t i = 0; i < m; i++) fill_one(a, t, i, n, m);
  return CORNU_OK;
}

/* out += weight * from, or a copy where one element alone counts. */
static void add_pixel(float *restrict out, const float *restrict from, float weight, int64_t channels) {
  if (weight == 1) memcpy(out, from, (size_t)channels * sizeof *out);
  else if (weight != 0)
    for (int64_t v = 0; v < channels; v++) out[v] += weight * from[v];
}

static void rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const axis *ay = &st->y, *ax = &st->x;
  const int64_t *in = s->in[0]->shape, *to = s->out[0]->shape, channels = in[3];
  for (int64_t r = begin; r < end; r++) {
    const float *image = (const float *)s->in[0]->data + r / to[1] * in[1] * in[2] * channels;
    float *out = (float *)s->out[0]->data + r * to[2] * channels;
    int64_t row = r % to[1] * ay->taps;
    for (int64_t x = 0; x < to[2]; x++, out += channels) {
      memset(out, 0, (size_t)channels * sizeof *out);
      for (int i = 0; i < ay->taps; i++)
        for (int k = 0; k < ax->taps; k++) {
          const float *from = image + (ay->from[row + i] * in[2] + ax->from[x * ax->taps + k]) * channels;
          add_pixel(out, from, ay->weight[row + i] * ax->weight[x * ax->taps + k], channels);
        }
    }
  }
}

static void run(const cn_step *s) {
  const cn_operand *out = s->out[0];
  if (out->size > 0)
    cn_parallel_range(out->shape[0] * out->shape[1], 4096 / (out->shape[2] * out->shape[3]) + 1, rows, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_resize_attrs *a = s->attrs;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  CN_TRY(make_axis(p, a, &st->y, s->in[0]->shape[1], s->out[0]->shape[1], e));
  CN_TRY(make_axis(p, a, &st->x, s->in[0]->shape[2], s->out[0]->shape[2], e));
  s->run = run;
  s->flops = (double)s->out[0]->size * 2 * st->y.taps * st->x.taps;
  return CORNU_OK;
}

static cn_status check(void *attrs, cn_error *e) {
  (void)e;
  cn_resize_attrs *a = attrs;
  for (int i = 0; i < 2; i++) a->size[i] = a->named.v[i];
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "size", .kind = CN_F_INTS, .offset = offsetof(cn_resize_attrs, named), .count = 2, .min = 1,
     .max = 1 << 24, .help = "height and width"},
    {.name = "method", .aliases = "interpolation", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, method),
     .standard = "\"bilinear\"", .choices = CN_RESIZE_CHOICES, .help = "how values between pixels come about"},
    {.name = "grid", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, grid), .standard = "\"half_pixel\"",
     .choices = "half_pixel asymmetric align_corners", .help = "where pixels lie"},
    {.name = "antialias", .kind = CN_F_BOOL, .offset = offsetof(cn_resize_attrs, antialias), .standard = "false",
     .help = "wider filters when shrinking"},
    {0}};
const cn_op cn_op_resize = {
    .name = "resize",
    .help = "images of another size\n(b, h, w, c) -> (b, h', w', c)",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_resize_attrs),
    .fields = fields,
    .check = check,
    .shape = shape,
    .plan = plan,
};
