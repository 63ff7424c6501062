/* adaptive_pool: a given number of windows along each spatial dimension. Window i of m over n elements goes from
 * floor(i n / m) to ceil((i + 1) n / m), in single precision and of one of two lengths, as Keras has it. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/spatial.h"

enum { MOST_TASKS = 16 };
typedef struct span { int64_t begin, end; } span;
typedef struct state { cn_spatial g; span *spans[3]; int64_t places; int tasks; } state;

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_adaptive_pool_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  int n = a->spatial ? a->spatial : x->rank - 2;
  if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "adaptive_pool: input is %s, needs float32 or float64: cast it first",
                   cornu_dtype_name(x->dtype));
  CN_TRY(cn_want_rank(x, "adaptive_pool: input", a->spatial ? n + 2 : 3, a->spatial ? n + 2 : 5, e));
  t->out[0] = *x;
  for (int i = 0; i < n; i++) {
    if (x->shape[i + 1] == 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "adaptive_pool: nothing to pool in %s", CN_SHAPE(x->rank, x->shape));
    t->out[0].shape[i + 1] = a->size[i];
  }
  return CORNU_OK;
}

static span window(int64_t i, int64_t n, int64_t m) {
  int64_t least = (n + m - 1) / m;
  int64_t begin = (int64_t)floorf((float)i * (float)n / (float)m);
  int64_t end = (int64_t)ceilf((float)(i + 1) * (float)n / (float)m);
  if (end > n) end = n;
  if (begin > n - 1) begin = n - 1;
  end = begin + least + (end - begin == least + 1);
  return (span){begin, end < n ? end : n};
}

/* Adds or compares the elements under a window, channel by channel; a maximum is TensorFlow's: NaN never wins, and
 * nothing is below `lowest`. */
#define GATHER(name, type, lowest) \
  static void name(const cn_step *s, const span *at, int64_t image, double *sum) { \
    const cn_spatial *g = &((const state *)s->state)->g; \
    const bool average = ((const cn_adaptive_pool_attrs *)s->attrs)->average; \
    const int64_t channels = g->channels; \
    for (int64_t c = 0; c < channels; c++) sum[c] = average ? 0 : lowest; \
    for (int64_t z = at[0].begin; z < at[0].end; z++) \
      for (int64_t y = at[1].begin; y < at[1].end; y++) { \
        const int64_t row = ((image * g->in[0] + z) * g->in[1] + y) * g->in[2]; \
        const type *x = (const type *)s->in[0]->data + (row + at[2].begin) * channels; \
        for (int64_t k = at[2].begin; k < at[2].end; k++, x += channels) \
          for (int64_t c = 0; c < channels; c++) \
            sum[c] = average ? sum[c] + (double)x[c] : x[c] > sum[c] ? (double)x[c] : sum[c]; \
      } \
  }
GATHER(gather_floats, float, -(double)FLT_MAX)
GATHER(gather_doubles, double, -DBL_MAX)

static void pool_place(const cn_step *s, int64_t place, double *sum) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const cn_operand *out = s->out[0];
  int64_t rest = place;
  span at[3];
  double count = 1;
  for (int i = 2; i >= 0; i--) {
    at[i] = st->spans[i][rest % g->out[i]];
    count *= (double)(at[i].end - at[i].begin);
    rest /= g->out[i];
  }
  if (out->dtype == CORNU_FLOAT32) gather_floats(s, at, rest, sum);
  else gather_doubles(s, at, rest, sum);
  if (((const cn_adaptive_pool_attrs *)s->attrs)->average)
    for (int64_t c = 0; c < g->channels; c++) sum[c] /= count;
  cn_convert((char *)out->data + (size_t)(place * g->channels) * cornu_dtype_bytes(out->dtype), out->dtype, sum,
             CORNU_FLOAT64, g->channels);
}

static void pool_places(void *context, int i) {
  const cn_step *s = context;
  const state *st = s->state;
  double *sum = (double *)s->scratch + i * st->g.channels;
  for (int64_t p = st->places * i / st->tasks; p < st->places * (i + 1) / st->tasks; p++) pool_place(s, p, sum);
}

static void run(const cn_step *s) { cn_parallel(((const state *)s->state)->tasks, pool_places, (void *)s); }

static cn_status plan_spans(struct cn_planner *p, cn_step *s, const cn_operand *small, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  cn_spatial *g = &st->g;
  cn_spatial_fill(g, s->in[0], small, s->in[0]->rank - 2);
  s->flops = (double)g->batch * (double)g->channels;
  for (int i = 0; i < 3; i++) {
    st->spans[i] = cn_plan_memory(p, (size_t)g->out[i] * sizeof *st->spans[i]);
    if (!st->spans[i]) return cn_no_memory(e);
    double touched = 0;
    for (int64_t k = 0; k < g->out[i]; k++) {
      st->spans[i][k] = window(k, g->in[i], g->out[i]);
      touched += (double)(st->spans[i][k].end - st->spans[i][k].begin);
    }
    s->flops *= touched;
  }
  return CORNU_OK;
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  CN_TRY(plan_spans(p, s, s->out[0], e));
  state *st = s->state;
  const cn_spatial *g = &st->g;
  st->places = s->out[0]->size > 0 ? s->out[0]->size / g->channels : 0;
  st->tasks = st->places < MOST_TASKS ? (int)st->places : MOST_TASKS;
  s->scratch_bytes = (size_t)st->tasks * (size_t)g->channels * sizeof(double);
  s->run = run;
  return CORNU_OK;
}

/* ---- adaptive_pool_gradient: (x, dy) -> dx; of equal maxima the first gets all ---- */

static cn_status gradient_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static double value_at(const cn_operand *o, int64_t i) {
  return o->dtype == CORNU_FLOAT64 ? ((const double *)o->data)[i] : (double)((const float *)o->data)[i];
}
static void add_at(cn_operand *o, int64_t i, double v) {
  if (o->dtype == CORNU_FLOAT64) ((double *)o->data)[i] += v;
  else ((float *)o->data)[i] += (float)v;
}

/* One channel under one window: base is its element in the image's first pixel. */
static void window_back(const cn_step *s, const span *at, int64_t base, double dy, double count) {
  const cn_spatial *g = &((const state *)s->state)->g;
  const bool average = ((const cn_adaptive_pool_attrs *)s->attrs)->average;
  double most = -INFINITY;
  int64_t winner = -1;
  for (int64_t z = at[0].begin; z < at[0].end; z++)
    for (int64_t y = at[1].begin; y < at[1].end; y++)
      for (int64_t x = at[2].begin; x < at[2].end; x++) {
        const int64_t i = base + ((z * g->in[1] + y) * g->in[2] + x) * g->channels;
        if (average) add_at(s->out[0], i, dy / count);
        else if (value_at(s->in[0], i) > most) most = value_at(s->in[0], i), winner = i;
      }
  if (winner >= 0) add_at(s->out[0], winner, dy);
}

static void images_back(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const int64_t places = g->out[0] * g->out[1] * g->out[2], image = g->in[0] * g->in[1] * g->in[2] * g->channels;
  for (int64_t i = begin * places; i < end * places; i++) {
    const int64_t k = i % places;
    const span at[3] = {st->spans[0][k / g->out[2] / g->out[1]], st->spans[1][k / g->out[2] % g->out[1]],
                        st->spans[2][k % g->out[2]]};
    double count = 1;
    for (int d = 0; d < 3; d++) count *= (double)(at[d].end - at[d].begin);
    for (int64_t c = 0; c < g->channels; c++)
      window_back(s, at, i / places * image + c, value_at(s->in[1], i * g->channels + c), count);
  }
}

static void gradient_run(const cn_step *s) {
  const int64_t batch = s->in[0]->shape[0];
  memset(s->out[0]->data, 0, (size_t)s->out[0]->size * cornu_dtype_bytes(s->out[0]->dtype));
  if (s->in[1]->size > 0) cn_parallel_range(batch, 4096 * batch / s->out[0]->size + 1, images_back, (void *)s);
}

static cn_status gradient_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->run = gradient_run;
  return plan_spans(p, s, s->in[1], e);
}

static void gradient(cn_gradient *g) {
  g->dx[0] = cn_g2(g, &cn_op_adaptive_pool_gradient, g->attrs, g->in[0], g->dy[0]);
}

static cn_status check(void *attrs, cn_error *e) {
  cn_adaptive_pool_attrs *a = attrs;
  return cn_spatial_spread("output_size", &a->named, 1, 1, a->size, e);
}

static const cn_field fields[] = {
    {.name = "output_size", .aliases = "size", .kind = CN_F_INTS, .offset = offsetof(cn_adaptive_pool_attrs, named),
     .min = 1, .max = 1 << 28, .help = CN_HELP("number of windows: one, or one a dimension")},
    {.name = "average", .kind = CN_F_BOOL, .offset = offsetof(cn_adaptive_pool_attrs, average), .standard = "false",
     .help = CN_HELP("the average instead of the maximum")},
    {0}};

const cn_op cn_op_adaptive_pool = {
    .name = "adaptive_pool",
    .help = CN_HELP("maximum or average of so many windows\n"
                    "(b, s…, c) -> (b, o…, c); window i of m over n elements is floor(i n / m) to ceil((i + 1) n / m)"),
    .min_in = 1, .max_in = 1, .n_out = 1,
    .attrs_size = sizeof(cn_adaptive_pool_attrs), .fields = fields,
    .check = check, .shape = shape, .plan = plan, .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_adaptive_pool_gradient = {
    .name = "adaptive_pool_gradient",
    .help = CN_HELP("(x, dy) -> what comes back to x"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2, .max_in = 2, .n_out = 1,
    .attrs_size = sizeof(cn_adaptive_pool_attrs),
    .shape = gradient_shape, .plan = gradient_plan,
};
