/* softmax and log_softmax along an axis (the largest value is taken off first), and sparsemax (Martins and Astudillo
 * 2016) as Keras 3 computes it. */
#include <math.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  int axis;
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, t->in[0].rank, &axis, e));
  if (t->in[0].dtype != CORNU_FLOAT32 && t->in[0].dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "softmax: input is %s, needs float32 or float64: cast it first",
                   cornu_dtype_name(t->in[0].dtype));
  t->out[0] = t->in[0];
  return CORNU_OK;
}

typedef enum kind { SOFTMAX, LOG_SOFTMAX, SPARSEMAX } kind;
typedef struct state { int64_t n, inner; kind kind; } state;

static double get(const cn_operand *o, int64_t i) {
  return o->dtype == CORNU_FLOAT32 ? ((const float *)o->data)[i] : ((const double *)o->data)[i];
}
static void put(cn_operand *o, int64_t i, double v) {
  if (o->dtype == CORNU_FLOAT32) ((float *)o->data)[i] = (float)v;
  else ((double *)o->data)[i] = v;
}

static void strided(const state *st, const cn_operand *in, cn_operand *out, int64_t at) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < st->n; i++) {
    double v = get(in, at + i * st->inner);
    largest = v > largest || isnan(v) ? v : largest;
  }
  for (int64_t i = 0; i < st->n; i++) sum += exp(get(in, at + i * st->inner) - largest);
  for (int64_t i = 0; i < st->n; i++) {
    double v = get(in, at + i * st->inner) - largest;
    put(out, at + i * st->inner, st->kind == LOG_SOFTMAX ? v - log(sum) : exp(v) / sum);
  }
}

/* The threshold at which the excess of the values above it sums to 1: of the values that stay the mean excess is
 * 1 / count, and those below leave until none does (Michelot 1986). */
static double support_limit(const state *st, const cn_operand *in, int64_t at, int64_t *count) {
  double tau = -INFINITY;
  *count = 0;
  for (int64_t before = -1; *count != before && !cn_past_deadline();) {
    double sum = 0, limit = tau;
    before = *count;
    *count = 0;
    for (int64_t i = 0; i < st->n; i++) {
      double v = get(in, at + i * st->inner);
      if (v > limit || isnan(v)) sum += v, ++*count;
    }
    tau = *count ? (sum - 1) / (double)*count : limit;
  }
  return tau;
}

/* Keras takes off more than that: (the sum of all partial sums of the sorted support - 1) / count. A value's share in
 * those sums is its rank from below; equal values have the mean of theirs. */
static double rank_of(const state *st, const cn_operand *in, int64_t at, double limit, double v) {
  double rank = 0.5;
  for (int64_t k = 0; k < st->n && !cn_late_at(k); k++) {
    double w = get(in, at + k * st->inner);
    if (w > limit) rank += w < v ? 1 : w == v ? 0.5 : 0;
  }
  return rank;
}

static void sparse(const state *st, const cn_operand *in, cn_operand *out, int64_t at) {
  int64_t count;
  double limit = support_limit(st, in, at, &count), sum = 0;
  for (int64_t i = 0; i < st->n && !cn_past_deadline(); i++) {
    double v = get(in, at + i * st->inner);
    if (v > limit) sum += rank_of(st, in, at, limit, v) * v;
  }
  double tau = (sum - 1) / (double)count;
  for (int64_t i = 0; i < st->n; i++) {
    double v = get(in, at + i * st->inner) - tau;
    put(out, at + i * st->inner, v < 0 ? 0 : v);
  }
}

/* (x, y, dy): what stays passes on, and what was taken off took its share from each of the support. */
static void sparse_back(const cn_step *s, int64_t at) {
  const state *st = s->state;
  int64_t count;
  double limit = support_limit(st, s->in[0], at, &count), sum = 0;
  for (int64_t i = at; i < at + st->n * st->inner; i += st->inner)
    if (get(s->in[1], i) > 0) sum += get(s->in[2], i);
  for (int64_t i = at; i < at + st->n * st->inner; i += st->inner) {
    const double v = get(s->in[0], i), rank = v > limit ? rank_of(st, s->in[0], at, limit, v) : 0;
    const double taken = sum * rank / (double)count;
    put(s->out[0], i, (get(s->in[1], i) > 0 ? get(s->in[2], i) : 0) - taken);
  }
}

static void rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  for (int64_t r = begin; r < end; r++) {
    int64_t at = r / st->inner * st->n * st->inner + r % st->inner;
    if (st->kind == SPARSEMAX && s->n_in > 1) sparse_back(s, at);
    else if (st->kind == SPARSEMAX) sparse(st, s->in[0], s->out[0], at);
    else strided(st, s->in[0], s->out[0], at);
  }
}

static void neighbours(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const float *x = (const float *)s->in[0]->data + begin * st->n;
  float *y = (float *)s->out[0]->data + begin * st->n;
  if (st->kind == SOFTMAX) cn_norm()->softmax(x, y, end - begin, st->n);
  else cn_norm()->log_softmax(x, y, end - begin, st->n);
}

enum { COLUMNS = 64 };

/* Groups of columns, several for each outer index. */
static void columns(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const int64_t groups = (st->inner + COLUMNS - 1) / COLUMNS;
  for (int64_t i = begin; i < end; i++) {
    const int64_t column = i % groups * COLUMNS, at = i / groups * st->n * st->inner + column, left = st->inner - column;
    cn_norm()->softmax_columns(st->kind == LOG_SOFTMAX, (const float *)s->in[0]->data + at,
                               (float *)s->out[0]->data + at, st->n, st->inner, left < COLUMNS ? left : COLUMNS);
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size == 0) return;
  const int64_t rows_total = s->out[0]->size / st->n, grain = 4096 / st->n + 1;
  if (st->kind == SPARSEMAX || s->in[0]->dtype != CORNU_FLOAT32) cn_parallel_range(rows_total, grain, rows, (void *)s);
  else if (st->inner == 1) cn_parallel_range(rows_total, grain, neighbours, (void *)s);
  else
    cn_parallel_range(rows_total / st->inner * ((st->inner + COLUMNS - 1) / COLUMNS), grain / COLUMNS + 1, columns,
                      (void *)s);
}

static cn_status plan_kind(struct cn_planner *p, cn_step *s, kind what, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  int axis;
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_axis_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  st->n = s->in[0]->shape[axis];
  st->inner = cn_shape_size(s->in[0]->rank - axis - 1, s->in[0]->shape + axis + 1);
  st->kind = what;
  s->run = run;
  s->flops = 4.0 * (double)s->out[0]->size;
  return CORNU_OK;
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) { return plan_kind(p, s, SOFTMAX, e); }
static cn_status plan_log(struct cn_planner *p, cn_step *s, cn_error *e) { return plan_kind(p, s, LOG_SOFTMAX, e); }
static cn_status plan_sparse(struct cn_planner *p, cn_step *s, cn_error *e) { return plan_kind(p, s, SPARSEMAX, e); }

/* ---- gradients ---- */

static cn_edge sum_along(cn_gradient *g, cn_edge a) {
  const cn_ints axis = {.n = 1, .v = {((const cn_axis_attrs *)g->attrs)->axis}};
  return cn_g_sum(g, a, &axis, true);
}

static void gradient(cn_gradient *g) { /* y (dy - sum(y dy)) */
  const cn_edge y = g->out[0], dy = g->dy[0];
  g->dx[0] = cn_g_mul(g, y, cn_g_sub(g, dy, sum_along(g, cn_g_mul(g, y, dy))));
}

static void gradient_log(cn_gradient *g) { /* dy - exp(y) sum(dy) */
  const cn_edge dy = g->dy[0];
  g->dx[0] = cn_g_sub(g, dy, cn_g_mul(g, cn_g1(g, &cn_op_exp, NULL, g->out[0]), sum_along(g, dy)));
}

static void gradient_sparse(cn_gradient *g) {
  const cn_edge in[] = {g->in[0], g->out[0], g->dy[0]};
  g->dx[0] = cn_gradient_emit(g, &cn_op_sparsemax_gradient, g->attrs, in, 3);
}

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_axis_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis whose sum becomes 1")},
    {0}};
const cn_op cn_op_softmax = {
    .name = "softmax",
    .help = CN_HELP("exp(x) / sum(exp(x)) along an axis\n(…) -> (…)"),
    .flags = CN_OP_INPLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_log_softmax = {
    .name = "log_softmax",
    .help = CN_HELP("x - log(sum(exp(x))) along an axis\n(…) -> (…)"),
    .flags = CN_OP_INPLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan_log,
    .gradient = CN_GRADIENT(gradient_log),
};
const cn_op cn_op_sparsemax = {
    .name = "sparsemax",
    .help = CN_HELP("x less a threshold along an axis, 0 below it: Keras 3's sparsemax\n(…) -> (…)"),
    .flags = CN_OP_INPLACE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan_sparse,
    .gradient = CN_GRADIENT(gradient_sparse),
};
const cn_op cn_op_sparsemax_gradient = {
    .name = "sparsemax_gradient",
    .help = CN_HELP("(x, y, dy) -> what comes back to x"),
    .flags = CN_OP_HIDDEN,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .shape = shape,
    .plan = plan_sparse,
};
