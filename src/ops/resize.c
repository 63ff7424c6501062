/* resize: images (b, h, w, c) to another size, as tf.image.resize does it: nearest, bilinear, area, and the filters of
 * Keys (bicubic, 1981, a = -0.5), Gauss (radius 1.5), Lanczos (radius 3 and 5) and Mitchell-Netravali (1988), whose
 * weights are renormalised at the edges. Each axis has a table of source elements and weights, made when the plan is.
 */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* More taps would be an image shrunk to a thousandth. */
enum { MOST_TAPS = 4096, MOST_TASKS = 16 };

static int64_t target(const cn_resize_attrs *a, int i, int64_t n) {
  return a->scale[i] > 0 ? cn_dim_mul(n, a->scale[i]) : a->size[i];
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_resize_attrs *a = t->attrs;
  CN_TRY(cn_want_rank(&t->in[0], "resize: input", 4, 4, e));
  if (t->in[0].dtype != CORNU_FLOAT32 && a->method != CN_RESIZE_NEAREST)
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
typedef struct state { axis y, x; int64_t rows; int tasks; } state;

/* In single precision, as TensorFlow has it: where positions fall between two elements alike, rounding decides. */
static float scale_of(const cn_resize_attrs *a, int64_t n, int64_t m) {
  return a->grid == CN_GRID_ALIGN_CORNERS && m > 1 ? (float)(n - 1) / (float)(m - 1) : (float)n / (float)m;
}

static float position(const cn_resize_attrs *a, int64_t i, int64_t n, int64_t m) {
  float scale = scale_of(a, n, m);
  return a->grid == CN_GRID_HALF_PIXEL ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
}

static int64_t clamp(int64_t v, int64_t n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

static void fill_nearest(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  float p = ((float)i + (a->grid == CN_GRID_HALF_PIXEL ? 0.5f : 0)) * scale_of(a, n, m);
  t->from[i] = clamp((int64_t)(a->grid == CN_GRID_ALIGN_CORNERS ? roundf(p) : floorf(p)), n);
  t->weight[i] = 1;
}

static void fill_linear(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  float p = position(a, i, n, m), low = floorf(p);
  t->from[i * 2] = clamp((int64_t)low, n);
  t->from[i * 2 + 1] = clamp((int64_t)low + 1, n);
  t->weight[i * 2] = 1 - (p - low);
  t->weight[i * 2 + 1] = p - low;
}

/* The share of each element that lies in the output element's stretch of the input. */
static void fill_area(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  float scale = scale_of(a, n, m), begin = (float)i * scale, end = (float)(i + 1) * scale;
  for (int k = 0; k < t->taps; k++) {
    float at = floorf(begin) + (float)k, first = fmaxf(at, begin), last = fminf(at + 1, end);
    t->from[i * t->taps + k] = clamp((int64_t)at, n);
    t->weight[i * t->taps + k] = (at < begin && at + 1 > end ? scale : fmaxf(last - first, 0)) / scale;
  }
}

/* ---- Filters: weights by the distance from the output element's centre, made to sum to 1 ---- */

/* In single precision, as TensorFlow computes them: integers are rounded afterwards. */
static float triangle(float x) { return 1 - x; }
static float gaussian(float x) { return expf(-2 * x * x); } /* deviation 1.5 / 3 */

static float keys(float x) {
  return x < 1 ? (1.5f * x - 2.5f) * x * x + 1 : ((-0.5f * x + 2.5f) * x - 4) * x + 2;
}

static float mitchell(float x) {
  if (x < 1) return (7 / 6.0f * x - 2) * x * x + 8 / 9.0f;
  return ((-7 / 18.0f * x + 2) * x - 10 / 3.0f) * x + 16 / 9.0f;
}

static float lanczos(float x, float radius) {
  const float pi = 3.14159265359f;
  return x <= 1e-3f ? 1 : radius * sinf(pi * x) * sinf(pi * x / radius) / (pi * pi * x * x);
}
static float lanczos3(float x) { return lanczos(x, 3); }
static float lanczos5(float x) { return lanczos(x, 5); }

typedef struct filter { float radius; float (*weight)(float distance); } filter;
static const filter filters[] = {
    [CN_RESIZE_BILINEAR] = {1, triangle},   [CN_RESIZE_BICUBIC] = {2, keys},
    [CN_RESIZE_GAUSSIAN] = {1.5f, gaussian}, [CN_RESIZE_LANCZOS3] = {3, lanczos3},
    [CN_RESIZE_LANCZOS5] = {5, lanczos5},   [CN_RESIZE_MITCHELLCUBIC] = {2, mitchell},
};

/* When an image shrinks with antialias its filters widen. */
static float stretch(const cn_resize_attrs *a, int64_t n, int64_t m) {
  return a->antialias && n > m ? 1 / ((float)m / (float)n) : 1;
}

/* The place around which output i lies; element k is at k + 0.5. TensorFlow's bicubic kernel takes its weights from a
 * table of 1024 places between two elements; its other filters divide by the scale. */
static float centre(const cn_resize_attrs *a, int64_t i, int64_t n, int64_t m) {
  if (a->method != CN_RESIZE_BICUBIC || a->antialias) return ((float)i + 0.5f) * (1 / ((float)m / (float)n));
  float p = position(a, i, n, m), low = floorf(p);
  return low + rintf((p - low) * 1024) / 1024 + 0.5f;
}

static void fill_filtered(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m) {
  const filter *f = &filters[a->method];
  float wide = stretch(a, n, m), p = centre(a, i, n, m), sum = 0, *w = t->weight + i * t->taps;
  int64_t first = (int64_t)ceilf(p - f->radius * wide - 0.5f);
  for (int k = 0; k < t->taps; k++) {
    int64_t at = first + k;
    float distance = fabsf(((float)at + 0.5f - p) * (1 / wide));
    w[k] = at < 0 || at >= n || distance >= f->radius ? 0 : f->weight(distance);
    sum += w[k];
    t->from[i * t->taps + k] = clamp(at, n);
  }
  for (int k = 0; k < t->taps; k++) w[k] *= 1 / sum;
}

typedef void (*fill)(const cn_resize_attrs *a, axis *t, int64_t i, int64_t n, int64_t m);

static fill choose(const cn_resize_attrs *a, int64_t n, int64_t m, double *taps) {
  if (a->method == CN_RESIZE_NEAREST) return *taps = 1, fill_nearest;
  if (a->method == CN_RESIZE_AREA) return *taps = ceil((double)n / (double)m) + 1, fill_area;
  if (a->method == CN_RESIZE_BILINEAR && !a->antialias) return *taps = 2, fill_linear;
  return *taps = 2 * ceilf(filters[a->method].radius * stretch(a, n, m)) + 1, fill_filtered;
}

static cn_status make_axis(struct cn_planner *p, const cn_resize_attrs *a, axis *t, int64_t n, int64_t m, cn_error *e) {
  double taps = 0;
  const fill fill_one = choose(a, n, m, &taps);
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

/* to = sum over the taps of weight * (n floats from base + from * pitch); what one whole element is needs no copy. */
static const float *mix(float *restrict to, const axis *t, int64_t i, const float *base, int64_t pitch, int64_t n) {
  bool begun = false;
  for (const int64_t *k = t->from + i * t->taps, *end = k + t->taps; k < end; k++) {
    const float w = t->weight[k - t->from], *restrict from = base + *k * pitch;
    if (w == 1) return from;
    if (w == 0) continue;
    if (begun)
      for (int64_t v = 0; v < n; v++) to[v] += w * from[v];
    else
      for (int64_t v = 0; v < n; v++) to[v] = w * from[v];
    begun = true;
  }
  return to;
}

/* Row r of all images: first the rows under the filter become one, then its pixels. */
static void mix_row(const cn_step *s, int64_t r, float *line) {
  const state *st = s->state;
  const int64_t *in = s->in[0]->shape, *to = s->out[0]->shape, channels = in[3];
  const int64_t pixel_pitch = s->in[0]->pitch, pitch = in[2] * pixel_pitch;
  const float *image = (const float *)s->in[0]->data + r / to[1] * in[1] * pitch;
  const float *row = mix(line, &st->y, r % to[1], image, pitch, pitch - pixel_pitch + channels);
  float *out = (float *)s->out[0]->data + r * to[2] * s->out[0]->pitch;
  for (int64_t x = 0; x < to[2]; x++, out += s->out[0]->pitch) {
    const float *pixel = mix(out, &st->x, x, row, pixel_pitch, channels);
    if (pixel != out) memcpy(out, pixel, (size_t)channels * sizeof *out);
  }
}

/* Between two pixels, then between two rows, rounded as TensorFlow does. */
static void linear_row(const cn_step *s, int64_t r) {
  const state *st = s->state;
  const int64_t *in = s->in[0]->shape, *to = s->out[0]->shape, channels = in[3];
  const int64_t pixel_pitch = s->in[0]->pitch, pitch = in[2] * pixel_pitch;
  const int64_t *rows = st->y.from + r % to[1] * 2;
  const float *image = (const float *)s->in[0]->data + r / to[1] * in[1] * pitch, wy = st->y.weight[r % to[1] * 2 + 1];
  float *out = (float *)s->out[0]->data + r * to[2] * s->out[0]->pitch;
  for (int64_t x = 0; x < to[2]; x++, out += s->out[0]->pitch) {
    const int64_t left = st->x.from[x * 2] * pixel_pitch, right = st->x.from[x * 2 + 1] * pixel_pitch;
    const float *top = image + rows[0] * pitch, *bottom = image + rows[1] * pitch, wx = st->x.weight[x * 2 + 1];
    for (int64_t v = 0; v < channels; v++) {
      float a = top[left + v] + (top[right + v] - top[left + v]) * wx;
      float b = bottom[left + v] + (bottom[right + v] - bottom[left + v]) * wx;
      out[v] = a + (b - a) * wy;
    }
  }
}

static void linear_rows(void *context, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; r++) linear_row(context, r);
}

static void mix_rows(void *context, int i) {
  const cn_step *s = context;
  const state *st = s->state;
  float *line = (float *)s->scratch + i * s->in[0]->shape[2] * s->in[0]->pitch;
  for (int64_t r = st->rows * i / st->tasks; r < st->rows * (i + 1) / st->tasks; r++) mix_row(s, r, line);
}

/* Nearest: pixels of any dtype as they are. */
static void pick_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const int64_t *in = s->in[0]->shape, *to = s->out[0]->shape;
  const size_t size = cornu_dtype_bytes(s->in[0]->dtype), pixel = (size_t)in[3] * size;
  const size_t in_step = (size_t)s->in[0]->pitch * size, out_step = (size_t)s->out[0]->pitch * size;
  for (int64_t r = begin; r < end; r++) {
    int64_t row = r / to[1] * in[1] + st->y.from[r % to[1]];
    for (int64_t x = 0; x < to[2]; x++)
      memcpy((char *)s->out[0]->data + (size_t)(r * to[2] + x) * out_step,
             (const char *)s->in[0]->data + (size_t)(row * in[2] + st->x.from[x]) * in_step, pixel);
  }
}

static void run(const cn_step *s) { cn_parallel(((const state *)s->state)->tasks, mix_rows, (void *)s); }

static int64_t grain_of(const cn_step *s) { return 16384 / (s->out[0]->shape[2] * s->out[0]->shape[3] + 1) + 1; }

static void run_nearest(const cn_step *s) {
  cn_parallel_range(((const state *)s->state)->rows, grain_of(s), pick_rows, (void *)s);
}

static void run_linear(const cn_step *s) {
  cn_parallel_range(((const state *)s->state)->rows, grain_of(s), linear_rows, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_resize_attrs *a = s->attrs;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  CN_TRY(make_axis(p, a, &st->y, s->in[0]->shape[1], s->out[0]->shape[1], e));
  CN_TRY(make_axis(p, a, &st->x, s->in[0]->shape[2], s->out[0]->shape[2], e));
  st->rows = s->out[0]->size > 0 ? s->out[0]->shape[0] * s->out[0]->shape[1] : 0;
  s->flops = 8 * (double)s->out[0]->size;
  s->run = a->method == CN_RESIZE_NEAREST ? run_nearest : run_linear;
  if (a->method == CN_RESIZE_NEAREST || (a->method == CN_RESIZE_BILINEAR && !a->antialias)) return CORNU_OK;
  s->run = run;
  st->tasks = st->rows < MOST_TASKS ? (int)st->rows : MOST_TASKS;
  int64_t line = s->in[0]->shape[2] * s->in[0]->pitch;
  s->scratch_bytes = (size_t)st->tasks * (size_t)line * sizeof(float);
  s->flops = 2 * (double)st->rows * ((double)line * st->y.taps + (double)(s->out[0]->shape[2] * s->out[0]->shape[3]) *
                                     st->x.taps);
  return CORNU_OK;
}

/* ---- The gradient: the matrix of each axis, turned ---- */

static cn_edge axis_back(cn_gradient *g, cn_edge dy, int i) {
  const cn_resize_attrs *a = g->attrs;
  const int64_t n = cn_gradient_type(g, g->in[0])->shape[i], m = cn_gradient_type(g, dy)->shape[i];
  double taps = 0, *matrix = cn_gradient_room(g, m * n);
  const fill fill_one = choose(a, n, m, &taps);
  axis t = {.taps = (int)taps};
  t.from = (int64_t *)(void *)cn_gradient_room(g, m * t.taps);
  t.weight = (float *)(void *)cn_gradient_room(g, m * t.taps);
  if (!matrix || !t.from || !t.weight) return CN_NO_EDGE;
  for (int64_t k = 0; k < m; k++) {
    fill_one(a, &t, k, n, m);
    for (int tap = 0; tap < t.taps; tap++)
      matrix[k * n + t.from[k * t.taps + tap]] += (double)t.weight[k * t.taps + tap];
  }
  return cn_g_apply(g, dy, i, matrix, m, n);
}

static void gradient(cn_gradient *g) { g->dx[0] = axis_back(g, axis_back(g, g->dy[0], 2), 1); }

static cn_status check(void *attrs, cn_error *e) {
  (void)e;
  cn_resize_attrs *a = attrs;
  for (int i = 0; i < 2; i++) a->size[i] = a->named.v[i];
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "size", .kind = CN_F_INTS, .offset = offsetof(cn_resize_attrs, named), .count = 2, .min = 1,
     .max = 1 << 24, .help = CN_HELP("height and width")},
    {.name = "method", .aliases = "interpolation", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, method),
     .standard = "\"bilinear\"", .choices = CN_RESIZE_CHOICES, .help = CN_HELP("how values between pixels come about")},
    {.name = "grid", .kind = CN_F_ENUM, .offset = offsetof(cn_resize_attrs, grid), .standard = "\"half_pixel\"",
     .choices = "half_pixel asymmetric align_corners", .help = CN_HELP("where pixels lie")},
    {.name = "antialias", .kind = CN_F_BOOL, .offset = offsetof(cn_resize_attrs, antialias), .standard = "false",
     .help = CN_HELP("wider filters when shrinking")},
    {0}};
const cn_op cn_op_resize = {
    .name = "resize",
    .help = CN_HELP("images of another size\n(b, h, w, c) -> (b, h', w', c)"),
    .flags = CN_OP_PITCHED_OUT | CN_OP_SAMPLES,
    .pitched_in = 1,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_resize_attrs),
    .fields = fields,
    .check = check,
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
