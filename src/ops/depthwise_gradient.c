/* depthwise_gradient: what comes back to the kernel of a depthwise convolution: for each place and channel the sum over
 * all pixels of input times dy. Threads share out blocks of channels. */
#include "base/pool.h"
#include "ops/spatial.h"

enum { COLUMNS = 64 };

static cn_status shape(cn_typing *t, cn_error *e) {
  const int n = ((const cn_kernel_gradient_attrs *)t->attrs)->conv.spatial;
  CN_TRY(cn_kernel_gradient_places("depthwise_gradient", t, e));
  const int64_t c = t->in[0].shape[n + 1], f = t->in[1].shape[n + 1];
  t->out[0].shape[n] = c;
  t->out[0].shape[n + 1] = c > 0 && f >= 0 ? f / c : -1;
  return CORNU_OK;
}

typedef struct state { cn_spatial g; int64_t filters, multiplier; } state;

/* Outputs lo … hi - 1 along dimension i whose window's place k falls onto the image. */
static void range_of(const cn_spatial *g, int i, int64_t k, int64_t *low, int64_t *high) {
  const int64_t shift = g->pad[i] - k * g->dilation[i], s = g->stride[i];
  *low = shift > 0 ? (shift + s - 1) / s : 0;
  *high = g->in[i] + shift > 0 ? (g->in[i] + shift - 1) / s + 1 : 0;
  if (*high > g->out[i]) *high = g->out[i];
}

#define SUMS(name, type)                                                                                             \
  /* `count` channels of the result from `first` on, over a row of n pixels. */                                      \
  static void name(type *sum, const type *x, int64_t x_step, const type *dy, int64_t dy_step, int64_t n, int64_t m,   \
                   int64_t first, int64_t count) {                                                                    \
    for (int64_t i = 0; i < n; i++, x += x_step, dy += dy_step)                                                       \
      if (m == 1)                                                                                                     \
        for (int64_t c = 0; c < count; c++) sum[c] += x[first + c] * dy[first + c];                                   \
      else                                                                                                            \
        for (int64_t c = 0; c < count; c++) sum[c] += x[(first + c) / m] * dy[first + c];                             \
  }
SUMS(sum_floats, float)
SUMS(sum_doubles, double)

/* What came of one image, in the dtype of the step; sums over all of them lose too much in it. */
typedef union part { float floats[COLUMNS]; double doubles[COLUMNS]; } part;

static void add_part(double *sum, const part *p, bool doubles, int64_t count) {
  for (int64_t c = 0; c < count; c++) sum[c] += doubles ? p->doubles[c] : (double)p->floats[c];
}

static void add_rows(const cn_step *s, const int64_t place[3], int64_t first, int64_t count, double *sum) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const bool doubles = s->out[0]->dtype == CORNU_FLOAT64;
  int64_t low[3], high[3];
  for (int i = 0; i < 3; i++) range_of(g, i, place[i], &low[i], &high[i]);
  const int64_t n = high[2] - low[2];
  for (int64_t b = 0; b < g->batch && n > 0; b++)
    for (int64_t z = low[0]; z < high[0]; z++) {
      part p = {.doubles = {0}};
      for (int64_t y = low[1]; y < high[1]; y++) {
        const int64_t iz = z * g->stride[0] - g->pad[0] + place[0] * g->dilation[0];
        const int64_t iy = y * g->stride[1] - g->pad[1] + place[1] * g->dilation[1];
        const int64_t ix = low[2] * g->stride[2] - g->pad[2] + place[2] * g->dilation[2];
        const int64_t x = (((b * g->in[0] + iz) * g->in[1] + iy) * g->in[2] + ix) * g->pitch;
        const int64_t dy = (((b * g->out[0] + z) * g->out[1] + y) * g->out[2] + low[2]) * st->filters;
        if (doubles)
          sum_doubles(p.doubles, (const double *)s->in[0]->data + x, g->stride[2] * g->pitch,
                      (const double *)s->in[1]->data + dy, st->filters, n, st->multiplier, first, count);
        else
          sum_floats(p.floats, (const float *)s->in[0]->data + x, g->stride[2] * g->pitch,
                     (const float *)s->in[1]->data + dy, st->filters, n, st->multiplier, first, count);
      }
      add_part(sum, &p, doubles, count);
    }
}

static void blocks(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const cornu_dtype dtype = s->out[0]->dtype;
  const int64_t places = g->kernel[0] * g->kernel[1] * g->kernel[2];
  for (int64_t i = begin; i < end; i++) {
    const int64_t at = i % places, first = i / places * COLUMNS, left = st->filters - first;
    const int64_t place[3] = {at / g->kernel[2] / g->kernel[1], at / g->kernel[2] % g->kernel[1], at % g->kernel[2]};
    const int64_t count = left < COLUMNS ? left : COLUMNS;
    double sum[COLUMNS] = {0};
    add_rows(s, place, first, count, sum);
    cn_convert((char *)s->out[0]->data + (size_t)(at * st->filters + first) * cornu_dtype_bytes(dtype), dtype, sum,
               CORNU_FLOAT64, count);
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const int64_t places = g->kernel[0] * g->kernel[1] * g->kernel[2];
  const int64_t pixels = g->batch * g->out[0] * g->out[1] * g->out[2];
  cn_parallel_range((st->filters + COLUMNS - 1) / COLUMNS * places, 1024 / (pixels + 1) + 1, blocks, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  cn_kernel_gradient_geometry(&st->g, s);
  st->filters = s->in[1]->shape[s->in[1]->rank - 1];
  st->multiplier = st->g.channels ? st->filters / st->g.channels : 1;
  s->flops = 2.0 * (double)s->in[1]->size * (double)(st->g.kernel[0] * st->g.kernel[1] * st->g.kernel[2]);
  s->run = run;
  return CORNU_OK;
}

const cn_op cn_op_depthwise_gradient = {
    .name = "depthwise_gradient",
    .help = CN_HELP("(x (b, s…, c), dy (b, o…, c m)) -> (k…, c, m): what comes back to the kernel of a "
                    "depthwise convolution"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_kernel_gradient_attrs),
    .shape = shape,
    .plan = plan,
};

/* ---- the gradient of a depthwise convolution ---- */

/* The kernel the other way round, one filter for each channel of the result. */
static cn_edge turned_kernel(cn_gradient *g, int spatial) {
  cn_ints_attrs axes = {.v = {.n = spatial}};
  cn_type k = *cn_gradient_type(g, g->in[1]);
  for (int i = 0; i < spatial; i++) axes.v.v[i] = i;
  k.shape[spatial] *= k.shape[spatial + 1];
  k.shape[spatial + 1] = 1;
  return cn_g_reshape(g, cn_g1(g, &cn_op_reverse, &axes, g->in[1]), k.rank, k.shape);
}

/* dy with zeros between, under the kernel the other way round: every input meets the results that it went into. */
static cn_edge to_input(cn_gradient *g, int64_t multiplier) {
  const cn_conv_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]), k = *cn_gradient_type(g, g->in[1]);
  const int n = x.rank - 2;
  cn_conv_attrs back = {.spatial = n, .stride = {1, 1, 1}, .act = {CN_ACT_LINEAR, 0, 0, 0}};
  cn_edge dy = g->dy[0];
  for (int i = 0; i < n; i++) {
    const int64_t reach = (k.shape[i] - 1) * a->dilation[i];
    back.dilation[i] = a->dilation[i];
    dy = cn_g_window(g, cn_g_spread(g, dy, i + 1, a->stride[i]), i + 1, a->pad_begin[i] - reach, x.shape[i + 1] + reach);
  }
  const cn_edge dx = cn_g2(g, &cn_op_depthwise_conv, &back, dy, turned_kernel(g, n));
  if (multiplier == 1) return dx;
  cn_type apart = *cn_gradient_type(g, dx);
  apart.shape[n + 1] /= multiplier;
  apart.shape[apart.rank++] = multiplier;
  const cn_ints last = {.n = 1, .v = {n + 2}};
  return cn_g_sum(g, cn_g_reshape(g, dx, apart.rank, apart.shape), &last, false);
}

void cn_depthwise_gradient(cn_gradient *g, int64_t multiplier) {
  const cn_type x = *cn_gradient_type(g, g->in[0]), k = *cn_gradient_type(g, g->in[1]);
  cn_kernel_gradient_attrs a = {.conv = *(const cn_conv_attrs *)g->attrs};
  a.conv.spatial = x.rank - 2;
  for (int i = 0; i < x.rank - 2; i++) a.size[i] = k.shape[i];
  if (g->wanted[0]) g->dx[0] = to_input(g, multiplier);
  if (g->wanted[1])
    g->dx[1] = cn_g_as(g, cn_g2(g, &cn_op_depthwise_gradient, &a, g->in[0], g->dy[0]), g->in[1]);
  if (g->n_in > 2 && g->wanted[2]) g->dx[2] = cn_g_sum_rows(g, g->dy[0]);
}
