/* resize: images (b, h, w, c) to another size: nearest, bilinear, bicubic (Keys 1981, a = -0.5, weights renormalised at
 * the edges). Each axis has a table of source elements and weights, made when the plan is. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/ops.h"

enum { TAPS = 4 };

static int64_t target(const cn_resize_attrs *a, int i, int64_t n) { return a->scale[i] > 0 ? cn_dim_mul(n, a->scale[i]) : a->size[i]; }

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_resize_attrs *a = t->attrs;
  CN_TRY(cn_want_rank(&t->in[0], "resize: input", 4, 4, e));
  if (t->in[0].dtype != CORNU_FLOAT32) return cn_fail(e, CORNU_ERR_DTYPE, "resize: input is %s, needs float32: cast it first", cornu_dtype_name(t->in[0].dtype));
  if (a->antialias) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "resize: antialias is not supported: set it to false");
  t->out[0] = t->in[0];
  for (int i = 0; i < 2; i++) {
    t->out[0].shape[i + 1] = target(a, i, t->in[0].shape[i + 1]);
    if (t->out[0].shape[i + 1] == 0 || (t->out[0].shape[i + 1] < 0 && t->in[0].shape[i + 1] >= 0))
      return cn_fail(e, CORNU_ERR_SHAPE, "resize: to size %lld", (long long)t->out[0].shape[i + 1]);
    if (t->in[0].shape[i + 1] == 0) return cn_fail(e, CORNU_ERR_SHAPE, "resize: an image of %s", CN_SHAPE(4, t->in[0].shape));
  }
  return CORNU_OK;
}

/* Sources of one axis: for output i, elements from[i * TAPS + k] with weights. */
typedef struct axis { int taps; int64_t *from; float *weight; } axis;
typedef struct state { axis y, x; } state;

static double position(const cn_resize_attrs *a, int64_t i, int64_t n, int64_t m) {
  if (a->grid == CN_GRID_ALIGN_CORNERS) return m > 1 ? (double)i * (double)(n - 1) / (double)(m - 1) : 0;
  double scale = (double)n / (double)m;
  return a->grid == CN_GRID_HALF_PIXEL ? ((double)i + 0.5) * scale - 0.5 : (double)i * scale;
}

static double cubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t clamp(int64_t v, int64_t n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

static void fill_nearest(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  double p = position(a, i, n, m);
  if (a->grid == CN_GRID_HALF_PIXEL) p = floor(p + 0.5);
  else p = a->grid == CN_GRID_ALIGN_CORNERS ? round(p) : floor(p);
  t->from[i * TAPS] = clamp((int64_t)p, n);
  t->weight[i * TAPS] = 1;
}

static void fill_linear(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  double p = position(a, i, n, m), low = floor(p);
  float f = (float)(p - low);
  t->from[i * TAPS] = clamp((int64_t)low, n);
  t->from[i * TAPS + 1] = clamp((int64_t)low + 1, n);
  t->weight[i * TAPS] = 1 - f;
  t->weight[i * TAPS + 1] = f;
}

static void fill_cubic(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  double p = position(a, i, n, m), low = floor(p), sum = 0, w[TAPS];
  for (int k = 0; k < TAPS; k++) {
    int64_t at = (int64_t)low - 1 + k;
    w[k] = at < 0 || at >= n ? 0 : cubic(p - (double)at);
    sum += w[k];
    t->from[i * TAPS + k] = clamp(at, n);
  }
  for (int k = 0; k < TAPS; k++) t->weight[i * TAPS + k] = (float)(w[k] / sum);
}

static cn_status make_axis(struct cn_planner *p, const cn_resize_attrs *a, axis *t, int64_t n, int64_t m, cn_error *e) {
  t->taps = a->method == CN_RESIZE_NEAREST ? 1 : a->method == CN_RESIZE_BILINEAR ? 2 : TAPS;
  t->from = cn_plan_memory(p, (size_t)m * TAPS * sizeof *t->from);
  t->weight = cn_plan_memory(p, (size_t)m * TAPS * sizeof *t->weight);
  if (!t->from || !t->weight) return cn_no_memory(e);
  for (int64_t i = 0; i < m; i++) {
    if (t->taps == 1) fill_nearest(a, t, i, n, m);
    else if (t->taps == 2) fill_linear(a, t, i, n, m);
    else fill_cubic(a, t, i, n, m);
  }
  return CORNU_OK;
}

static void rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  int64_t h = s->in[0]->shape[1], w = s->in[0]->shape[2], c = s->in[0]->shape[3], oh = s->out[0]->shape[1], ow = s->out[0]->shape[2];
  for (int64_t r = begin; r < end; r++) {
    const float *image = (const float *)s->in[0]->data + r / oh * h * w * c;
    float *out = (float *)s->out[0]->data + r * ow * c;
    const int64_t *fy = st->y.from + r % oh * TAPS;
    const float *wy = st->y.weight + r % oh * TAPS;
    for (int64_t x = 0; x < ow; x++, out += c) {
      memset(out, 0, (size_t)c * sizeof *out);
      for (int i = 0; i < st->y.taps; i++)
        for (int k = 0; k < st->x.taps; k++) {
          const float *from = image + (fy[i] * w + st->x.from[x * TAPS + k]) * c;
          float weight = wy[i] * st->x.weight[x * TAPS + k];
          if (weight == 1) memcpy(out, from, (size_t)c * sizeof *out);
          else if (weight != 0) for (int64_t v = 0; v < c; v++) out[v] += weight * from[v];
        }
    }
  }
}

static void run(const cn_step *s) {
  const cn_operand *out = s->out[0];
  if (out->size > 0) cn_parallel_range(out->shape[0] * out->shape[1], 4096 / (out->shape[2] * out->shape[3]) + 1, rows, (void *)s);
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
    {.name = "size", .kind = CN_F_INTS, .offset = offsetof(cn_resize_attrs, named), .count = 2, .min = 1, .max = 1 << 24, .help = "height and width"},
    {.name = "method", .aliases = "interpolation", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, method), .standard = "\"bilinear\"", .choices = "nearest bilinear bicubic", .help = "how values between pixels come about"},
    {.name = "grid", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, grid), .standard = "\"half_pixel\"", .choices = "half_pixel asymmetric align_corners", .help = "where pixels lie"},
    {.name = "antialias", .kind = CN_F_BOOL, .offset = offsetof(cn_resize_attrs, antialias), .standard = "false", .help = "wider windows when shrinking; refused when true"},
    {0}};
const cn_op cn_op_resize = {.name = "resize", .help = "images of another size\n(b, h, w, c) -> (b, h', w', c)", .min_in = 1, .max_in = 1, .n_out = 1,
                            .attrs_size = sizeof(cn_resize_attrs), .fields = fields, .check = check, .shape = shape, .plan = plan};
