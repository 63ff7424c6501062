/* Reductions over axes: double accumulators in a fixed order, split over outputs alone. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/rows.h"

typedef enum kind { SUM, MEAN, MAX, MIN, PROD, ANY, ALL, VAR, STD, LOGSUMEXP, ARGMAX, ARGMIN } kind;

static bool set_axes(const cn_ints *axes, int rank, bool *set, cn_error *e) {
  for (int i = 0; i < rank; i++) set[i] = axes->n < 0;
  for (int i = 0; i < axes->n; i++) {
    int axis;
    if (cn_axis(axes->v[i], rank, &axis, e)) return false;
    set[axis] = true;
  }
  return true;
}

static cornu_dtype result_dtype(kind k, cornu_dtype in) {
  if (k == ANY || k == ALL) return CORNU_BOOL8;
  if (k == ARGMAX || k == ARGMIN) return CORNU_INT64;
  if (cn_dtype_is_float(in) || k == MAX || k == MIN) return in;
  return k == SUM || k == PROD ? CORNU_INT64 : CORNU_FLOAT32;
}

static cn_status shape(kind k, cn_typing *t, cn_error *e) {
  const cn_reduce_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  bool set[CN_MAX_RANK];
  if (!set_axes(&a->axes, x->rank, set, e)) return CORNU_ERR_ARGUMENT;
  if ((k == ARGMAX || k == ARGMIN) && a->axes.n != 1 && x->rank != 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "argmax and argmin take one axis");
  t->out[0] = (cn_type){.dtype = result_dtype(k, x->dtype)};
  for (int i = 0; i < x->rank; i++)
    if (!set[i] || a->keepdims) t->out[0].shape[t->out[0].rank++] = set[i] ? 1 : x->shape[i];
  return CORNU_OK;
}

/* Kept and reduced dimensions with their steps; the last reduced one runs fastest. Neighbours are joined. */
typedef struct state {
  kind kind;
  int kept, gone;
  int64_t columns;     /* kept ones that lie side by side; 0: none */
  int64_t kept_shape[CN_MAX_RANK], kept_step[CN_MAX_RANK], shape[CN_MAX_RANK], step[CN_MAX_RANK];
  int64_t count;
} state;

static double read(const cn_operand *o, int64_t i) {
  if (o->dtype == CORNU_FLOAT32) return ((const float *)o->data)[i];
  if (o->dtype == CORNU_FLOAT64) return ((const double *)o->data)[i];
  double v;
  cn_convert(&v, CORNU_FLOAT64, (const char *)o->data + (size_t)i * cornu_dtype_bytes(o->dtype), o->dtype, 1);
  return v;
}

/* What one output accumulates; `shift` is the mean (VAR, STD) or the maximum (LOGSUMEXP) of a first pass. */
typedef struct total { double value, shift; int64_t best, at; } total;

static void begin_total(kind k, total *t) {
  t->value = k == PROD || k == ALL ? 1 : k == MAX || k == ARGMAX ? -INFINITY : k == MIN || k == ARGMIN ? INFINITY : 0;
  t->best = t->at = 0;
}

static void add(kind k, total *t, double v) {
  switch (k) {
    case SUM:
    case MEAN: t->value += v; break;
    case PROD: t->value *= v; break;
    case MAX: if (v > t->value || isnan(v)) t->value = v; break;
    case MIN: if (v < t->value || isnan(v)) t->value = v; break;
    case ANY: if (v != 0) t->value = 1; break;
    case ALL: if (v == 0) t->value = 0; break;
    case VAR:
    case STD: t->value += (v - t->shift) * (v - t->shift); break;
    case LOGSUMEXP: t->value += exp(v - t->shift); break;
    case ARGMAX: if (t->at == 0 || v > t->value || (isnan(v) && !isnan(t->value))) t->value = v, t->best = t->at; break;
    case ARGMIN: if (t->at == 0 || v < t->value || (isnan(v) && !isnan(t->value))) t->value = v, t->best = t->at; break;
  }
  t->at++;
}

enum { BLOCK = 64 };

/* Accumulates `width` neighbouring outputs (steps of `side` elements) over all reduced elements. */
static void accumulate(const state *st, kind k, const cn_operand *x, int64_t from, int64_t side, int64_t width,
                       total *totals) {
  int64_t index[CN_MAX_RANK] = {0}, offset = from;
  const float *floats = x->dtype == CORNU_FLOAT32 ? x->data : NULL;
  for (int64_t i = 0; i < width; i++) begin_total(k, &totals[i]);
  for (int64_t n = 0; n < st->count; n++) {
    for (int64_t i = 0; i < width; i++)
      add(k, &totals[i], floats ? floats[offset + i * side] : read(x, offset + i * side));
    for (int d = st->gone - 1; d >= 0; d--) {
      offset += st->step[d];
      if (++index[d] < st->shape[d]) break;
      offset -= st->step[d] * st->shape[d];
      index[d] = 0;
    }
  }
}

static double finish(const state *st, const total *t) {
  switch (st->kind) {
    case MEAN:
    case VAR: return t->value / (double)st->count;
    case STD: return sqrt(t->value / (double)st->count);
    case LOGSUMEXP: return t->shift + log(t->value);
    case ARGMAX:
    case ARGMIN: return (double)t->best;
    default: return t->value;
  }
}

/* ---- Reductions by kernels: of neighbouring elements, or of columns of neighbouring outputs ---- */

enum { COLUMNS = 64 }; /* at a time; where they are cut depends on the shape alone */

static void put(const cn_step *s, int64_t at, double value) {
  const state *st = s->state;
  ((float *)s->out[0]->data)[at] = (float)finish(st, &(total){.value = value});
}

static void reduce_row(const cn_step *s, const float *x, int64_t at) {
  const state *st = s->state;
  const cn_reduce_kernels *k = cn_reduce();
  if (st->kind == MAX || st->kind == MIN) {
    ((float *)s->out[0]->data)[at] = k->extreme_row(st->kind == MAX, x, st->count);
    return;
  }
  double sum = k->sum_row(x, st->count);
  if (st->kind == VAR || st->kind == STD) sum = k->sum_squares(x, st->count, (float)(sum / (double)st->count));
  put(s, at, sum);
}

static void reduce_columns(const cn_step *s, const float *x, int64_t pitch, int64_t n, int64_t at) {
  const state *st = s->state;
  const cn_reduce_kernels *k = cn_reduce();
  double sum[COLUMNS];
  float center[COLUMNS];
  if (st->kind == MAX || st->kind == MIN) {
    k->extreme_columns(st->kind == MAX, x, pitch, st->count, n, (float *)s->out[0]->data + at);
    return;
  }
  k->sum_columns(x, pitch, st->count, n, NULL, sum);
  if (st->kind == VAR || st->kind == STD) {
    for (int64_t i = 0; i < n; i++) center[i] = (float)(sum[i] / (double)st->count);
    k->sum_columns(x, pitch, st->count, n, center, sum);
  }
  for (int64_t i = 0; i < n; i++) put(s, at + i, sum[i]);
}

/* Where output `at` begins in the input. */
static int64_t begin_of(const state *st, int64_t at) {
  int64_t from = 0;
  for (int d = st->kept - 1; d >= 0; d--) {
    from += at % st->kept_shape[d] * st->kept_step[d];
    at /= st->kept_shape[d];
  }
  return from;
}

static int64_t groups_of(const state *st) {
  return st->columns ? (st->columns + COLUMNS - 1) / COLUMNS : 1;
}

static void quick(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const int64_t groups = groups_of(st);
  for (int64_t i = begin; i < end; i++) {
    if (!st->columns) {
      reduce_row(s, (const float *)s->in[0]->data + begin_of(st, i), i);
      continue;
    }
    const int64_t column = i % groups * COLUMNS, at = i / groups * st->columns + column, left = st->columns - column;
    reduce_columns(s, (const float *)s->in[0]->data + begin_of(st, at), st->step[0], left < COLUMNS ? left : COLUMNS, at);
  }
}

static void outputs(const cn_step *s, int64_t first, int64_t width) {
  const state *st = s->state;
  total totals[BLOCK];
  const int64_t from = begin_of(st, first), side = st->kept ? st->kept_step[st->kept - 1] : 0;
  if (st->kind == VAR || st->kind == STD || st->kind == LOGSUMEXP) {
    kind before = st->kind == LOGSUMEXP ? MAX : SUM;
    accumulate(st, before, s->in[0], from, side, width, totals);
    for (int64_t i = 0; i < width; i++) {
      totals[i].shift = before == SUM ? totals[i].value / (double)st->count : totals[i].value;
      if (before == MAX && isinf(totals[i].shift)) totals[i].shift = 0;
    }
  }
  accumulate(st, st->kind, s->in[0], from, side, width, totals);
  size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  for (int64_t i = 0; i < width; i++) {
    double v = finish(st, &totals[i]);
    cn_convert((char *)s->out[0]->data + (size_t)(first + i) * size, s->out[0]->dtype, &v, CORNU_FLOAT64, 1);
  }
}

static void range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  int64_t line = st->kept ? st->kept_shape[st->kept - 1] : 1;
  while (begin < end) { /* blocks within one line of the last kept dimension */
    int64_t width = line - begin % line;
    if (width > end - begin) width = end - begin;
    if (width > BLOCK) width = BLOCK;
    outputs(s, begin, width);
    begin += width;
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  cn_parallel_range(s->out[0]->size, 16384 / (st->count + 1) + 1, range, (void *)s);
}

static void run_quick(const cn_step *s) {
  const state *st = s->state;
  const int64_t tasks = st->columns ? s->out[0]->size / st->columns * groups_of(st) : s->out[0]->size;
  const int64_t work = st->count * (st->columns < COLUMNS ? st->columns + 1 : COLUMNS);
  cn_parallel_range(tasks, 32768 / work + 1, quick, (void *)s);
}

/* One reduced dimension is left, and either its elements or those of the last kept one lie side by side. */
static bool is_quick(const cn_step *s, const state *st) {
  static const bool kinds[] = {[SUM] = true, [MEAN] = true, [MAX] = true, [MIN] = true, [VAR] = true, [STD] = true};
  if (s->in[0]->dtype != CORNU_FLOAT32 || st->kind >= CN_COUNT(kinds) || !kinds[st->kind] || st->gone != 1 ||
      st->count == 0 || s->out[0]->size == 0)
    return false;
  return st->step[0] == 1 || (st->kept && st->kept_step[st->kept - 1] == 1);
}

/* Adds a dimension behind n others, as part of the last where its elements follow that one's. */
static void add_dimension(int *n, int64_t *shape, int64_t *step, int64_t size, int64_t by) {
  if (*n && step[*n - 1] == size * by) {
    shape[*n - 1] *= size;
    step[*n - 1] = by;
    return;
  }
  shape[*n] = size;
  step[(*n)++] = by;
}

static cn_status plan(kind k, struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  bool set[CN_MAX_RANK];
  int64_t step[CN_MAX_RANK];
  if (!st) return cn_no_memory(e);
  if (!set_axes(&((const cn_reduce_attrs *)s->attrs)->axes, s->in[0]->rank, set, e)) return CORNU_ERR_ARGUMENT;
  cn_pitched_strides(s->in[0], step);
  *st = (state){.kind = k, .count = 1};
  for (int i = 0; i < s->in[0]->rank; i++) {
    int64_t n = s->in[0]->shape[i];
    if (n == 1) continue;
    if (set[i]) st->count *= n, add_dimension(&st->gone, st->shape, st->step, n, step[i]);
    else add_dimension(&st->kept, st->kept_shape, st->kept_step, n, step[i]);
  }
  if (is_quick(s, st)) {
    st->columns = st->step[0] == 1 ? 0 : st->kept_shape[st->kept - 1];
    s->run = run_quick;
  } else {
    s->run = run;
  }
  s->flops = (double)s->in[0]->size;
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "axis", .aliases = "axes", .kind = CN_F_INTS, .offset = offsetof(cn_reduce_attrs, axes),
     .standard = "null", .help = CN_HELP("axes to reduce; null: all")},
    {.name = "keepdims", .kind = CN_F_BOOL, .offset = offsetof(cn_reduce_attrs, keepdims), .standard = "false",
     .help = CN_HELP("keeps them with size 1")},
    {0}};

/* ---- gradients ---- */

static int64_t count_of(const cn_gradient *g) { /* of the elements that each result is made of */
  const cn_ints *axes = &((const cn_reduce_attrs *)g->attrs)->axes;
  const cn_type *x = cn_gradient_type(g, g->in[0]);
  int64_t count = 1;
  for (int i = 0; i < (axes->n < 0 ? x->rank : axes->n); i++)
    count *= x->shape[axes->n < 0 ? i : axes->v[i] < 0 ? axes->v[i] + x->rank : axes->v[i]];
  return count;
}

static cn_edge spread(cn_gradient *g, cn_edge a) {
  const cn_reduce_attrs *r = g->attrs;
  return cn_g_rebroadcast(g, a, &r->axes, r->keepdims, g->in[0]);
}

/* To the largest or smallest, or in equal parts to those that are. */
static cn_edge to_extremes(cn_gradient *g) {
  const cn_reduce_attrs over = {((const cn_reduce_attrs *)g->attrs)->axes, true};
  const cn_edge dy = spread(g, g->dy[0]);
  const cn_edge is = cn_g_cast(g, cn_g2(g, &cn_op_equal, NULL, g->in[0], spread(g, g->out[0])),
                               cn_gradient_type(g, g->in[0])->dtype);
  return cn_g_div(g, cn_g_mul(g, dy, is), cn_g1(g, &cn_op_sum, &over, is));
}

static cn_edge to_variance(cn_gradient *g, cn_edge dy) { /* 2 / n * (x - mean) */
  const cn_reduce_attrs over = {((const cn_reduce_attrs *)g->attrs)->axes, true};
  const cn_edge x = g->in[0], centred = cn_g_sub(g, x, cn_g1(g, &cn_op_mean, &over, x));
  return cn_g_mul(g, spread(g, cn_g_scale(g, dy, 2 / (double)count_of(g))), centred);
}

/* The order in which the axes that are reduced come last; how many stay. */
static int reduced_last(const cn_ints *axes, int rank, int *order) {
  bool reduced[CN_MAX_RANK] = {false};
  for (int i = 0; i < axes->n; i++) reduced[axes->v[i] < 0 ? axes->v[i] + rank : axes->v[i]] = true;
  int n = 0, kept;
  for (int i = 0; i < rank && axes->n >= 0; i++)
    if (!reduced[i]) order[n++] = i;
  kept = n;
  for (int i = 0; i < rank; i++)
    if (axes->n < 0 || reduced[i]) order[n++] = i;
  return kept;
}

/* The product of the others, by products from both sides: also where one of them is 0. */
static cn_edge to_factors(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  int order[CN_MAX_RANK], back[CN_MAX_RANK];
  int64_t sizes[CN_MAX_RANK];
  const int kept = reduced_last(&((const cn_reduce_attrs *)g->attrs)->axes, x.rank, order);
  for (int i = 0; i < x.rank; i++) back[order[i]] = i, sizes[i] = x.shape[order[i]];
  const cn_edge turned = cn_g_transpose(g, g->in[0], order);
  const int64_t rows[] = {cn_shape_size(kept, sizes), cn_shape_size(x.rank - kept, sizes + kept)};
  const cn_edge lines = cn_g_reshape(g, turned, 2, rows);
  cn_cumulate_attrs a = {.axis = 1, .exclusive = true};
  const cn_edge before = cn_g1(g, &cn_op_cumprod, &a, lines);
  a.reverse = true;
  const cn_edge others = cn_g_mul(g, before, cn_g1(g, &cn_op_cumprod, &a, lines));
  return cn_g_mul(g, spread(g, g->dy[0]), cn_g_transpose(g, cn_g_reshape(g, others, x.rank, sizes), back));
}

static cn_edge gradient_of(cn_gradient *g) {
  const cn_op *op = g->op;
  const cn_edge x = g->in[0], dy = g->dy[0];
  if (op == &cn_op_sum) return spread(g, dy);
  if (op == &cn_op_mean) return spread(g, cn_g_scale(g, dy, 1 / (double)count_of(g)));
  if (op == &cn_op_max || op == &cn_op_min) return to_extremes(g);
  if (op == &cn_op_prod) return to_factors(g);
  if (op == &cn_op_var) return to_variance(g, dy);
  if (op == &cn_op_std) return to_variance(g, cn_g_div(g, cn_g_scale(g, dy, 0.5), g->out[0]));
  if (op == &cn_op_logsumexp)
    return cn_g_mul(g, spread(g, dy), cn_g1(g, &cn_op_exp, NULL, cn_g_sub(g, x, spread(g, g->out[0]))));
  return CN_NO_EDGE;
}

static void gradient(cn_gradient *g) { g->dx[0] = gradient_of(g); }

#define DEFINE(id, kind_, other, words)                                                                                \
  static cn_status shape_##id(cn_typing *t, cn_error *e) { return shape(kind_, t, e); }                                \
  static cn_status plan_##id(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(kind_, p, s, e); }           \
  const cn_op cn_op_##id = {.name = #id,                                                                               \
                            .aliases = other,                                                                          \
                            .help = CN_HELP(words),                                                                    \
                            .flags = CN_OP_SAMPLES,                                                                    \
                            .pitched_in = 1,                                                                           \
                            .min_in = 1,                                                                               \
                            .max_in = 1,                                                                               \
                            .n_out = 1,                                                                                \
                            .attrs_size = sizeof(cn_reduce_attrs),                                                     \
                            .fields = fields,                                                                          \
                            .shape = shape_##id,                                                                       \
                            .plan = plan_##id,                                                                         \
                            .gradient = CN_GRADIENT(gradient)};
DEFINE(sum, SUM, NULL, "the sum over axes; integers and bools give int64")
DEFINE(mean, MEAN, NULL, "the mean over axes; integers give float32")
DEFINE(max, MAX, "amax", "the largest over axes; NaN wins")
DEFINE(min, MIN, "amin", "the smallest over axes; NaN wins")
DEFINE(prod, PROD, NULL, "the product over axes; integers and bools give int64")
DEFINE(any, ANY, NULL, "whether one over axes is not 0")
DEFINE(all, ALL, NULL, "whether all over axes are not 0")
DEFINE(var, VAR, NULL, "the population variance over axes")
DEFINE(std, STD, NULL, "the population standard deviation over axes")
DEFINE(logsumexp, LOGSUMEXP, NULL, "log(sum(exp(x))) over axes, without overflow")
DEFINE(argmax, ARGMAX, NULL, "where the largest is along one axis: the first, int64")
DEFINE(argmin, ARGMIN, NULL, "where the smallest is along one axis: the first, int64")
