/* Quantiles of the last axis: each line is sorted in the step's scratch, then read at the places that q asks for. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "ops/gradient.h"
#include "ops/ops.h"

enum { MAX_TASKS = 8 };
typedef struct state { int64_t n, lines; int tasks; } state;

/* Heap sort: no memory besides the line, and its time does not depend on the order. */
static void sift(double *v, int64_t root, int64_t n) {
  for (int64_t child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && v[child] < v[child + 1]) child++;
    if (v[root] >= v[child]) return;
    double swapped = v[root];
    v[root] = v[child];
    v[child] = swapped;
  }
}

static void sort(double *v, int64_t n) {
  for (int64_t i = n / 2 - 1; i >= 0 && !cn_late_at(i); i--) sift(v, i, n);
  for (int64_t i = n - 1; i > 0 && !cn_late_at(i); i--) {
    double largest = v[0];
    v[0] = v[i];
    v[i] = largest;
    sift(v, 0, i);
  }
}

static int64_t clipped(double index, int64_t n) {
  if (!(index > 0)) return 0;
  return index > (double)(n - 1) ? n - 1 : (int64_t)index;
}

static double value_at(const double *v, int64_t n, double q, int method) {
  double at = (double)(n - 1) * q;
  int64_t low = clipped(floor(at), n), high = clipped(ceil(at), n);
  if (method == CN_QUANTILE_LOWER) return v[low];
  if (method == CN_QUANTILE_HIGHER) return v[high];
  if (method == CN_QUANTILE_NEAREST) return v[clipped(nearbyint(at), n)];
  if (method == CN_QUANTILE_MIDPOINT) return 0.5 * (v[low] + v[high]);
  int64_t left = high > 0 ? high - 1 : 0, right = left + 1 < n ? left + 1 : n - 1;
  double share = (double)right - at;
  return left == right ? v[left] : v[right] * (1 - share) + v[left] * share;
}

/* Reads a line without its NaN; -1 where one is there and counts. */
static int64_t read_line(const cn_operand *x, int64_t line, int64_t n, bool skip_nan, double *v) {
  size_t size = cornu_dtype_bytes(x->dtype);
  int64_t read = 0;
  cn_convert(v, CORNU_FLOAT64, (const char *)x->data + (size_t)(line * n) * size, x->dtype, n);
  for (int64_t k = 0; k < n; k++) {
    if (!isnan(v[k])) v[read++] = v[k];
    else if (!skip_nan) return -1;
  }
  return read;
}

static void task(void *context, int t) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_quantile_attrs *a = s->attrs;
  const cn_operand *q = s->in[1], *y = s->out[0];
  double *v = (double *)s->scratch + st->n * t;
  for (int64_t line = st->lines * t / st->tasks; line < st->lines * (t + 1) / st->tasks; line++) {
    int64_t n = read_line(s->in[0], line, st->n, a->skip_nan, v);
    if (n > 0) sort(v, n);
    for (int64_t i = 0; i < q->size; i++) {
      double at, result;
      cn_convert(&at, CORNU_FLOAT64, (const char *)q->data + (size_t)i * cornu_dtype_bytes(q->dtype), q->dtype, 1);
      result = n > 0 ? value_at(v, n, at, a->method) : NAN;
      cn_convert((char *)y->data + (size_t)(i * st->lines + line) * cornu_dtype_bytes(y->dtype), y->dtype, &result,
                 CORNU_FLOAT64, 1);
    }
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size > 0) cn_parallel(st->tasks, task, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  const cn_operand *x = s->in[0];
  if (!st) return cn_no_memory(e);
  st->n = x->shape[x->rank - 1];
  st->lines = cn_shape_size(x->rank - 1, x->shape);
  st->tasks = st->lines < MAX_TASKS ? (int)st->lines : MAX_TASKS;
  s->scratch_bytes = (size_t)st->tasks * (size_t)st->n * sizeof(double);
  s->flops = (double)x->size * log2((double)st->n + 1);
  s->run = run;
  return CORNU_OK;
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *q = &t->in[1];
  cn_type *y = &t->out[0];
  CN_TRY(cn_want_rank(x, "quantile", 1, CN_MAX_RANK, e));
  CN_TRY(cn_want_float(x, "quantile", e));
  if (q->rank + x->rank - 1 > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "quantile: more than %d dimensions", CN_MAX_RANK);
  *y = (cn_type){.dtype = x->dtype, .rank = q->rank + x->rank - 1};
  for (int i = 0; i < y->rank; i++) y->shape[i] = i < q->rank ? q->shape[i] : x->shape[i - q->rank];
  return CORNU_OK;
}

/* ---- quantile_weights ---- */

static cn_status weights_shape(cn_typing *t, cn_error *e) {
  t->out[0] = t->in[0];
  if (t->in[0].rank >= CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "quantile_weights: more than %d dimensions", CN_MAX_RANK);
  t->out[0].shape[t->out[0].rank++] = ((const cn_quantile_weights_attrs *)t->attrs)->n;
  return CORNU_OK;
}

/* The value of a line that is 1 at one place, for each place near to the one asked for. */
static void weights_run(const cn_step *s) {
  const cn_quantile_weights_attrs *a = s->attrs;
  const cn_operand *q = s->in[0], *y = s->out[0];
  const size_t size = cornu_dtype_bytes(y->dtype);
  double *line = s->scratch;
  memset(line, 0, (size_t)a->n * sizeof *line);
  memset(y->data, 0, (size_t)y->size * size);
  for (int64_t i = 0; i < q->size; i++) {
    double at;
    cn_convert(&at, CORNU_FLOAT64, (const char *)q->data + (size_t)i * cornu_dtype_bytes(q->dtype), q->dtype, 1);
    const int64_t near = clipped(floor((double)(a->n - 1) * at), a->n);
    for (int64_t k = near > 1 ? near - 2 : 0; k < a->n && k <= near + 2; k++) {
      line[k] = 1;
      const double w = value_at(line, a->n, at, a->quantile.method);
      line[k] = 0;
      cn_convert((char *)y->data + (size_t)(i * a->n + k) * size, y->dtype, &w, CORNU_FLOAT64, 1);
    }
  }
}

static cn_status weights_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->scratch_bytes = (size_t)((const cn_quantile_weights_attrs *)s->attrs)->n * sizeof(double);
  s->run = weights_run;
  return CORNU_OK;
}

const cn_op cn_op_quantile_weights = {
    .name = "quantile_weights",
    .help = CN_HELP("shares of the elements of a sorted line in its quantiles\nq (k…) -> (k…, n)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_quantile_weights_attrs),
    .shape = weights_shape,
    .plan = weights_plan,
};

static void gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]), q = *cn_gradient_type(g, g->in[1]);
  const int64_t n = x.shape[x.rank - 1], lines = cn_shape_size(x.rank - 1, x.shape);
  const int64_t count = cn_shape_size(q.rank, q.shape);
  const cn_quantile_weights_attrs a = {*(const cn_quantile_attrs *)g->attrs, n};
  if (a.quantile.skip_nan || g->wanted[1]) {
    cn_gradient_refuse(g, g->wanted[1] ? "with respect to the places" : "where NaN are left out");
    return;
  }
  cn_edge weights = cn_g1(g, &cn_op_quantile_weights, &a, g->in[1]);
  weights = cn_g_cast(g, cn_g_reshape(g, weights, 2, (const int64_t[]){count, n}), x.dtype);
  const cn_edge dy = cn_g_reshape(g, g->dy[0], 2, (const int64_t[]){count, lines});
  const cn_edge sorted = cn_g_as(g, cn_g_matmul(g, cn_g_cast(g, dy, x.dtype), true, weights, false), g->in[0]);
  const cn_edge order = cn_g1(g, &cn_op_argsort, &(cn_sort_attrs){.axis = -1}, g->in[0]);
  g->dx[0] = cn_g2(g, &cn_op_put_along_axis, &(cn_put_attrs){-1, n}, sorted, order);
}

static const cn_field fields[] = {
    {.name = "method", .kind = CN_F_ENUM, .offset = offsetof(cn_quantile_attrs, method), .standard = "\"linear\"",
     .choices = CN_QUANTILE_CHOICES, .help = CN_HELP("what stands between two elements")},
    {.name = "skip_nan", .kind = CN_F_BOOL, .offset = offsetof(cn_quantile_attrs, skip_nan), .standard = "false",
     .help = CN_HELP("leaves NaN out; else a line with one gives NaN")},
    {0}};
const cn_op cn_op_quantile = {
    .name = "quantile",
    .help = CN_HELP("quantiles q (0 … 1) of the last axis\n(x (…, n), q (k…)) -> (k…, …)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_quantile_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
