/* pool_gradient: what comes back through the maximum or the average of sliding windows. Threads share out images and
 * blocks of channels: windows that overlap add to the same inputs. */
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/spatial.h"

enum { COLUMNS = 64 };

static cn_status shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  return CORNU_OK;
}

typedef struct window { int64_t low[3], high[3]; } window; /* of the places that fall onto the image */

static int64_t place(const cn_spatial *g, int i, int64_t o) { return o * g->stride[i] - g->pad[i]; }

static window window_at(const cn_spatial *g, const int64_t o[3]) {
  window w;
  for (int i = 0; i < 3; i++) {
    const int64_t begin = place(g, i, o[i]), end = begin + g->kernel[i];
    w.low[i] = begin > 0 ? begin : 0;
    w.high[i] = end < g->in[i] ? end : g->in[i];
  }
  return w;
}

static double share_of(const cn_spatial *g, const cn_pool_attrs *a, const window *w) {
  int64_t n = 1;
  for (int i = 0; i < 3; i++) n *= a->count_padding ? g->kernel[i] : w->high[i] - w->low[i];
  return n > 0 ? 1 / (double)n : 0;
}

/* Whether no pixel is in two windows, or outside of all. */
static bool apart(const cn_spatial *g) {
  bool is = true;
  for (int i = 0; i < 3; i++) is &= g->kernel[i] <= g->stride[i];
  return is;
}
static bool covered(const cn_spatial *g) {
  bool is = true;
  for (int i = 0; i < 3; i++) is &= g->kernel[i] >= g->stride[i] && g->out[i] * g->stride[i] - g->pad[i] >= g->in[i];
  return is;
}

/* One window in double precision. */
static void back_doubles(const cn_step *s, int64_t image, const int64_t o[3], int64_t first, int64_t count) {
  const cn_spatial *g = s->state;
  const bool average = ((const cn_pool_attrs *)s->attrs)->average;
  const int64_t c = g->channels, in = g->in[0] * g->in[1] * g->in[2], out = g->out[0] * g->out[1] * g->out[2];
  const int64_t at = (image * out + (o[0] * g->out[1] + o[1]) * g->out[2] + o[2]) * c + first;
  const double *y = (const double *)s->in[1]->data + at, *dy = (const double *)s->in[2]->data + at;
  const window w = window_at(g, o);
  const double share = share_of(g, s->attrs, &w);
  bool given[COLUMNS] = {false};
  for (int64_t z = w.low[0]; z < w.high[0]; z++)
    for (int64_t v = w.low[1]; v < w.high[1]; v++)
      for (int64_t u = w.low[2]; u < w.high[2]; u++) {
        const int64_t pixel = (image * in + (z * g->in[1] + v) * g->in[2] + u) * c + first;
        const double *x = (const double *)s->in[0]->data + pixel;
        double *dx = (double *)s->out[0]->data + pixel;
        for (int64_t k = 0; k < count; k++) {
          const bool takes = average || (x[k] == y[k] && !given[k]);
          dx[k] += takes ? dy[k] * (average ? share : 1) : 0;
          given[k] |= takes;
        }
      }
}

/* All windows of a row of outputs. */
static void back_row(const cn_step *s, int64_t image, const int64_t o[3], int64_t first, int64_t count) {
  const cn_spatial *g = s->state;
  const cn_pool_attrs *a = s->attrs;
  const int64_t c = g->channels, in = g->in[0] * g->in[1] * g->in[2], out = g->out[0] * g->out[1] * g->out[2];
  const int64_t at = (image * out + (o[0] * g->out[1] + o[1]) * g->out[2]) * c + first, pixel = image * in * c + first;
  const window w = window_at(g, o);
  const int64_t line = g->in[2] * c, plane = g->in[1] * line, corner = pixel + w.low[0] * plane + w.low[1] * line;
  const cn_pool_back b = {.x = (const float *)s->in[0]->data + corner, .y = (const float *)s->in[1]->data + at,
                          .dy = (const float *)s->in[2]->data + at, .dx = (float *)s->out[0]->data + corner,
                          .plane = plane, .line = line, .planes = w.high[0] - w.low[0], .lines = w.high[1] - w.low[1],
                          .outputs = g->out[2], .kernel = g->kernel[2], .stride = g->stride[2],
                          .pad = g->pad[2], .width = g->in[2], .channels = count, .pitch = c, .fresh = apart(g),
                          .full = a->count_padding ? (double)(g->kernel[0] * g->kernel[1] * g->kernel[2]) : 0};
  (a->average ? cn_pool_backward()->average : cn_pool_backward()->maximum)(&b);
}

static void clear(const cn_step *s, int64_t image, int64_t first, int64_t count) {
  const cn_spatial *g = s->state;
  const size_t item = cornu_dtype_bytes(s->out[0]->dtype);
  const int64_t pixels = g->in[0] * g->in[1] * g->in[2];
  for (int64_t i = image * pixels; i < (image + 1) * pixels; i++)
    memset((char *)s->out[0]->data + (size_t)(i * g->channels + first) * item, 0, (size_t)count * item);
}

static void blocks(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_spatial *g = s->state;
  const bool doubles = s->out[0]->dtype == CORNU_FLOAT64, fresh = apart(g) && covered(g) && !doubles;
  const int64_t groups = (g->channels + COLUMNS - 1) / COLUMNS;
  for (int64_t i = begin; i < end; i++) {
    const int64_t image = i / groups, first = i % groups * COLUMNS, left = g->channels - first;
    const int64_t count = left < COLUMNS ? left : COLUMNS;
    int64_t o[3];
    if (!fresh) clear(s, image, first, count);
    for (o[0] = 0; o[0] < g->out[0]; o[0]++)
      for (o[1] = 0; o[1] < g->out[1]; o[1]++) {
        o[2] = 0;
        if (!doubles) back_row(s, image, o, first, count);
        for (; doubles && o[2] < g->out[2]; o[2]++) back_doubles(s, image, o, first, count);
      }
  }
}

static void run(const cn_step *s) {
  const cn_spatial *g = s->state;
  if (s->out[0]->size > 0)
    cn_parallel_range(g->batch * ((g->channels + COLUMNS - 1) / COLUMNS), 1, blocks, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_pool_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  cn_spatial *g = s->state = cn_plan_memory(p, sizeof *g);
  if (!g) return cn_no_memory(e);
  cn_spatial_fill(g, s->in[0], s->in[1], n);
  cn_spatial_lift(g->kernel, a->size, n, 1);
  cn_spatial_lift(g->stride, a->stride, n, 1);
  cn_spatial_lift(g->pad, a->pad_begin, n, 0);
  s->run = run;
  s->flops = (double)s->in[1]->size * (double)(g->kernel[0] * g->kernel[1] * g->kernel[2]);
  return CORNU_OK;
}

const cn_op cn_op_pool_gradient = {
    .name = "pool_gradient",
    .help = CN_HELP("(x, y, dy) -> dx: what comes back through a pool; of equal maxima the first gets all"),
    .flags = CN_OP_HIDDEN,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs_size = sizeof(cn_pool_attrs),
    .shape = shape,
    .plan = plan,
};
