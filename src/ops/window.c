/* Sliding windows without a padded copy. Rows of the output see the same places of the window unless they are near a
 * border, so rows fall into few classes along each of depth and height; every pair of classes has its list of taps. */
#include "ops/window.h"

#include "base/pool.h"
#include "ops/product.h"

#define MAX_TAPS (1 << 22) /* of a window: far more than any kernel, little enough to count on */
#define STRIP_BYTES 24576  /* of the first-level cache for the rows under a window */

/* The places of the window along dimension i that are inside of the image for output position o. */
static void inside(const cn_spatial *g, int i, int64_t o, int64_t *begin, int64_t *end) {
  int64_t start = o * g->stride[i] - g->pad[i];
  *begin = *end = 0;
  for (int64_t k = 0; k < g->kernel[i]; k++) {
    int64_t at = start + k * g->dilation[i];
    if (at < 0 || at >= g->in[i]) continue;
    if (*begin == *end) *begin = k;
    *end = k + 1;
  }
}

/* Numbers the distinct ranges along dimension i; range holds begin and end of each. */
static int classify(const cn_spatial *g, int i, int32_t *class_of, int64_t *range) {
  int n = 0;
  for (int64_t o = 0; o < g->out[i]; o++) {
    int64_t begin, end;
    inside(g, i, o, &begin, &end);
    int c = n; /* the newest are the likeliest */
    while (c > 0 && (range[2 * c - 2] != begin || range[2 * c - 1] != end)) c--;
    if (c == 0) {
      range[2 * n] = begin;
      range[2 * n + 1] = end;
      c = ++n;
    }
    class_of[o] = c - 1;
  }
  return n;
}

static int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* The output columns at which place k of the window is inside of the row. */
static void columns(const cn_spatial *g, int64_t k, int32_t *first, int32_t *last) {
  int64_t shift = g->pad[2] - k * g->dilation[2];
  *first = (int32_t)clamp(ceil_div(shift, g->stride[2]), 0, g->out[2]);
  *last = (int32_t)clamp(ceil_div(g->in[2] + shift, g->stride[2]), *first, g->out[2]);
}

static cn_status fill_taps(struct cn_planner *p, const cn_sliding *w, cn_window_taps *t, const int64_t *z,
                           const int64_t *y, cn_error *e) {
  const cn_spatial *g = &w->g;
  const int64_t rows = (z[1] - z[0]) * (y[1] - y[0]), count = rows * g->kernel[2];
  t->offset = cn_plan_memory(p, (size_t)count * (2 * sizeof(int64_t) + 2 * sizeof(int32_t)));
  t->row_offset = cn_plan_memory(p, (size_t)rows * 2 * sizeof(int64_t));
  if (!t->offset || !t->row_offset) return cn_no_memory(e);
  t->weight = t->offset + count;
  t->first = (int32_t *)(t->weight + count);
  t->last = t->first + count;
  t->row_weight = t->row_offset + rows;
  for (int64_t kz = z[0]; kz < z[1]; kz++)
    for (int64_t ky = y[0]; ky < y[1]; ky++) {
      const int64_t from = (kz * g->dilation[0] * g->in[1] + ky * g->dilation[1]) * g->in[2] * w->in_pitch;
      const int64_t weight = (kz * g->kernel[1] + ky) * g->kernel[2] * g->channels;
      t->row_offset[t->rows] = from;
      t->row_weight[t->rows++] = weight;
      for (int64_t kx = 0; kx < g->kernel[2]; kx++) {
        int i = t->taps;
        columns(g, kx, &t->first[i], &t->last[i]);
        if (t->first[i] == t->last[i]) continue;
        t->offset[i] = from + kx * g->dilation[2] * w->in_pitch;
        t->weight[i] = weight + kx * g->channels;
        t->taps++;
      }
    }
  return CORNU_OK;
}

static cn_status fill_scale(struct cn_planner *p, const cn_spatial *g, cn_window_taps *t, cn_window_scale scale,
                            cn_error *e) {
  t->scale = cn_plan_memory(p, (size_t)g->out[2] * sizeof *t->scale);
  if (!t->scale) return cn_no_memory(e);
  for (int64_t x = 0; x < g->out[2]; x++) {
    int64_t n = 0;
    if (scale == CN_SCALE_WHOLE) n = g->kernel[0] * g->kernel[1] * g->kernel[2];
    else
      for (int i = 0; i < t->taps; i++) n += x >= t->first[i] && x < t->last[i];
    t->scale[x] = n ? 1.0 / (double)n : 0;
  }
  return CORNU_OK;
}

cn_status cn_window_plan(struct cn_planner *p, cn_sliding *w, cn_window_scale scale, cn_error *e) {
  const cn_spatial *g = &w->g;
  int64_t taps;
  if (!cn_mul_i64(g->kernel[0], g->kernel[1], &taps) || !cn_mul_i64(taps, g->kernel[2], &taps) || taps > MAX_TAPS ||
      g->out[2] > INT32_MAX)
    return cn_fail(e, CORNU_ERR_LIMIT, "a window of %lld x %lld x %lld places is too large", (long long)g->kernel[0],
                   (long long)g->kernel[1], (long long)g->kernel[2]);
  size_t rows = (size_t)(g->out[0] + g->out[1]);
  int64_t *range = cn_plan_memory(p, rows * 2 * sizeof *range), *y_range = range + 2 * g->out[0];
  w->z_class = cn_plan_memory(p, rows * sizeof *w->z_class);
  if (!range || !w->z_class) return cn_no_memory(e);
  w->y_class = w->z_class + g->out[0];
  int z_classes = classify(g, 0, w->z_class, range);
  w->y_classes = classify(g, 1, w->y_class, y_range);
  w->taps = cn_plan_memory(p, (size_t)z_classes * (size_t)w->y_classes * sizeof *w->taps);
  if (!w->taps) return cn_no_memory(e);
  for (int z = 0; z < z_classes; z++)
    for (int y = 0; y < w->y_classes; y++) {
      cn_window_taps *t = &w->taps[z * w->y_classes + y];
      CN_TRY(fill_taps(p, w, t, range + 2 * z, y_range + 2 * y, e));
      if (scale) CN_TRY(fill_scale(p, g, t, scale, e));
    }
  return CORNU_OK;
}

typedef struct job {
  const cn_sliding *w;
  void (*kernel)(const cn_window_call *);
  const void *x;
  void *out;
  cn_window_call call;
  int64_t columns, blocks; /* of a row, where there are few rows */
} job;

/* A part of every row: columns and channels that are worked on from the first row to the last before the next part,
 * so that what is under a window stays in the first-level cache until the next row. */
typedef struct strip { int64_t columns, channels; } strip;

static int64_t round_down(int64_t x, int64_t unit) { return x / unit * unit; }

static strip strip_of(const cn_spatial *g, size_t item) {
  const bool meets_twice = g->stride[1] < (g->kernel[1] - 1) * g->dilation[1] + 1;
  if (!meets_twice) return (strip){g->out[2], g->channels};
  int64_t items = STRIP_BYTES / (int64_t)item / g->kernel[1];
  int64_t columns = round_down(items / g->channels / g->stride[2], 8);
  if (columns >= 8 || columns >= g->out[2]) return (strip){columns, g->channels};
  int64_t channels = round_down(items / g->in[2], 64);
  return (strip){g->out[2], channels < 64 ? 64 : channels};
}

static void run_row(const job *j, int64_t row, int64_t column, int64_t columns, int64_t channel, int64_t channels) {
  const cn_spatial *g = &j->w->g;
  int64_t y = row % g->out[1], rest = row / g->out[1], z = rest % g->out[0], image = rest / g->out[0];
  const cn_window_taps *t = &j->w->taps[j->w->z_class[z] * j->w->y_classes + j->w->y_class[y]];
  int64_t iy = y * g->stride[1] - g->pad[1], iz = z * g->stride[0] - g->pad[0]; /* may be outside: the taps are not */
  const size_t item = j->w->item;
  cn_window_call call = j->call;
  call.in = cn_nth(j->x, (((image * g->in[0] + iz) * g->in[1] + iy) * g->in[2] - g->pad[2]) * j->w->in_pitch + channel,
                   item);
  call.begin = column;
  call.end = least(column + columns, g->out[2]);
  call.channels = least(channels, g->channels - channel);
  call.taps = t->taps;
  call.offset = t->offset;
  call.weight = t->weight;
  call.first = t->first;
  call.last = t->last;
  call.rows = t->rows;
  call.row_offset = t->row_offset;
  call.row_weight = t->row_weight;
  call.scale = t->scale;
  call.out = cn_nth(j->out, row * g->out[2] * j->w->out_pitch + channel, item);
  if (call.weights) call.weights = cn_nth(call.weights, channel, item);
  cn_epilogue *e = &call.epilogue;
  if (e->bias) e->bias = cn_nth(e->bias, channel, item);
  if (e->add) e->add = cn_nth(e->add, row * g->out[2] * e->add_pitch + channel, item);
  j->kernel(&call);
}

static void run_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const cn_spatial *g = &j->w->g;
  const strip part = strip_of(g, j->w->item);
  for (int64_t x = 0; x < g->out[2]; x += part.columns)
    for (int64_t c = 0; c < g->channels; c += part.channels)
      for (int64_t row = begin; row < end; row++) run_row(j, row, x, part.columns, c, part.channels);
}

static void run_blocks(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  for (int64_t i = begin; i < end; i++)
    run_row(j, i / j->blocks, i % j->blocks * j->columns, j->columns, 0, j->w->g.channels);
}

void cn_window_run(const cn_sliding *w, void (*kernel)(const cn_window_call *), const void *x, const void *weights,
                   const cn_epilogue *epilogue, void *out, int64_t images) {
  const cn_spatial *g = &w->g;
  job j = {.w = w, .kernel = kernel, .x = x, .out = out,
           .call = {.step = g->stride[2] * w->in_pitch, .out_pitch = w->out_pitch, .columns = g->kernel[2],
                    .dilation = g->dilation[2], .stride = g->stride[2], .pad = g->pad[2], .width = g->in[2],
                    .pitch = w->in_pitch, .weights = weights, .weight_step = g->channels}};
  if (epilogue) j.call.epilogue = *epilogue;
  const int64_t rows = images * g->out[0] * g->out[1], pixel = g->channels * g->kernel[0] * g->kernel[1] * g->kernel[2];
  if (images <= 0) return;
  j.columns = (50000 / (pixel + 1) / 8 + 1) * 8;
  j.blocks = (g->out[2] + j.columns - 1) / j.columns;
  if (g->out[0] * g->out[1] == 1 && j.blocks > 1) cn_parallel_range(rows * j.blocks, 1, run_blocks, &j);
  else cn_parallel_range(rows, 50000 / (g->out[2] * pixel + 1) + 1, run_rows, &j);
}
