/* sort, argsort and top_k along an axis: stable merge sort of (key, index) pairs in the step's scratch. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "ops/gradient.h"
#include "ops/ops.h"

typedef struct item { union { double f; int64_t i; } key; int64_t index; } item;
typedef struct state {
  int64_t n, kept, inner, lines; /* entries of a line, entries of it that are wanted, elements behind the axis */
  int tasks;
  bool descending, whole;        /* whole: keys are integers */
} state;
enum { MAX_TASKS = 8 };

/* NaN comes after all numbers, and first where the order descends. */
static bool before(const state *st, const item *a, const item *b) {
  if (st->descending) {
    const item *swapped = a;
    a = b;
    b = swapped;
  }
  if (st->whole) return a->key.i < b->key.i;
  return a->key.f < b->key.f || (isnan(b->key.f) && !isnan(a->key.f));
}

static void merge(const state *st, const item *from, item *to, int64_t begin, int64_t middle, int64_t end) {
  int64_t a = begin, b = middle;
  for (int64_t i = begin; i < end && !cn_late_at(i); i++) {
    bool right = a >= middle || (b < end && before(st, &from[b], &from[a]));
    to[i] = right ? from[b++] : from[a++];
  }
}

/* Returns the sorted ones: either half of the room. */
static const item *sorted(const state *st, item *items) {
  item *from = items, *to = items + st->n;
  for (int64_t width = 1; width < st->n; width *= 2) {
    for (int64_t i = 0; i < st->n && !cn_late_at(i); i += 2 * width) {
      int64_t middle = i + width < st->n ? i + width : st->n, end = middle + width < st->n ? middle + width : st->n;
      merge(st, from, to, i, middle, end);
    }
    item *swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

static void read_line(const state *st, const cn_operand *x, int64_t at, item *items) {
  size_t size = cornu_dtype_bytes(x->dtype);
  for (int64_t k = 0; k < st->n && !cn_late_at(k); k++) {
    const char *from = (const char *)x->data + (size_t)(at + k * st->inner) * size;
    if (st->whole) cn_convert(&items[k].key.i, CORNU_INT64, from, x->dtype, 1);
    else cn_convert(&items[k].key.f, CORNU_FLOAT64, from, x->dtype, 1);
    items[k].index = k;
  }
}

/* Output 0 holds values, the last output indices; an op with one output has either. */
static void write_line(const cn_step *s, int64_t line, const item *items) {
  const state *st = s->state;
  int64_t at = line / st->inner * st->kept * st->inner + line % st->inner;
  for (int i = 0; i < s->n_out; i++) {
    const cn_operand *y = s->out[i];
    bool indices = s->op == &cn_op_argsort || i == 1;
    size_t size = cornu_dtype_bytes(y->dtype);
    for (int64_t k = 0; k < st->kept && !cn_late_at(k); k++) {
      char *to = (char *)y->data + (size_t)(at + k * st->inner) * size;
      if (indices) cn_convert(to, y->dtype, &items[k].index, CORNU_INT64, 1);
      else cn_convert(to, y->dtype, &items[k].key, st->whole ? CORNU_INT64 : CORNU_FLOAT64, 1);
    }
  }
}

static void task(void *context, int t) {
  const cn_step *s = context;
  const state *st = s->state;
  item *items = (item *)s->scratch + 2 * st->n * t;
  for (int64_t line = st->lines * t / st->tasks; line < st->lines * (t + 1) / st->tasks; line++) {
    read_line(st, s->in[0], line / st->inner * st->n * st->inner + line % st->inner, items);
    write_line(s, line, sorted(st, items));
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size > 0) cn_parallel(st->tasks, task, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_sort_attrs *a = s->attrs;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  const cn_operand *x = s->in[0];
  int axis;
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(a->axis, x->rank, &axis, e));
  st->n = x->shape[axis];
  st->kept = s->out[0]->shape[axis];
  st->inner = cn_shape_size(x->rank - axis - 1, x->shape + axis + 1);
  st->lines = st->n ? x->size / st->n : 0;
  st->tasks = st->lines < MAX_TASKS ? (int)st->lines : MAX_TASKS;
  st->descending = a->descending || s->op == &cn_op_top_k;
  st->whole = !cn_dtype_is_float(x->dtype);
  s->scratch_bytes = (size_t)st->tasks * 2 * (size_t)st->n * sizeof(item);
  s->flops = (double)x->size * log2((double)st->n + 1);
  s->run = run;
  return CORNU_OK;
}

static cn_status shape(cn_typing *t, cn_error *e) {
  int axis;
  t->out[0] = t->in[0];
  return cn_axis(((const cn_sort_attrs *)t->attrs)->axis, t->in[0].rank, &axis, e);
}

static cn_status argsort_shape(cn_typing *t, cn_error *e) {
  CN_TRY(shape(t, e));
  t->out[0].dtype = CORNU_INT32;
  return CORNU_OK;
}

static cn_status top_k_shape(cn_typing *t, cn_error *e) {
  const cn_sort_attrs *a = t->attrs;
  int axis;
  CN_TRY(cn_axis(a->axis, t->in[0].rank, &axis, e));
  if (a->k < 0 || (t->in[0].shape[axis] >= 0 && a->k > t->in[0].shape[axis]))
    return cn_fail(e, CORNU_ERR_SHAPE, "k is %lld of %lld elements", (long long)a->k, (long long)t->in[0].shape[axis]);
  t->out[0] = t->in[0];
  t->out[0].shape[axis] = a->k;
  t->out[1] = t->out[0];
  t->out[1].dtype = CORNU_INT32;
  return CORNU_OK;
}

/* What comes back to a place of the order comes back to who stood there. */
static void gradient(cn_gradient *g) {
  const cn_sort_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  const cn_put_attrs put = {a->axis, x.shape[a->axis < 0 ? a->axis + x.rank : a->axis]};
  if (g->dy[0] == CN_NO_EDGE) return;
  const cn_edge order = g->n_out > 1 ? g->out[1] : cn_g1(g, &cn_op_argsort, a, g->in[0]);
  g->dx[0] = cn_g2(g, &cn_op_put_along_axis, &put, g->dy[0], order);
}

#define AXIS {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_sort_attrs, axis), .standard = "-1", \
              .help = CN_HELP("the axis")}
static const cn_field fields[] = {
    AXIS,
    {.name = "descending", .kind = CN_F_BOOL, .offset = offsetof(cn_sort_attrs, descending), .standard = "false",
     .help = CN_HELP("the largest first")},
    {0}};
static const cn_field top_k_fields[] = {
    {.name = "k", .kind = CN_F_INT, .offset = offsetof(cn_sort_attrs, k), .max = 1e15,
     .help = CN_HELP("how many")}, AXIS, {0}};

const cn_op cn_op_sort = {
    .name = "sort",
    .help = CN_HELP("sorted along an axis, NaN after all numbers\n(…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_sort_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_argsort = {
    .name = "argsort",
    .help = CN_HELP("int32 indices that sort along an axis; equal ones keep their order\n(…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_sort_attrs),
    .fields = fields,
    .shape = argsort_shape,
    .plan = plan,
};
const cn_op cn_op_top_k = {
    .name = "top_k",
    .aliases = "topk",
    .help = CN_HELP("the k largest along an axis, largest first, and their int32 indices; of equal ones the first\n"
                    "(…, n) -> (…, k), (…, k)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .attrs_size = sizeof(cn_sort_attrs),
    .fields = top_k_fields,
    .shape = top_k_shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
