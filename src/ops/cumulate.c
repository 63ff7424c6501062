/* cumsum and cumprod along an axis, in double precision. */
#include "base/deadline.h"
#include "base/pool.h"
#include "ops/gradient.h"
#include "ops/ops.h"

typedef struct state { int64_t n, inner; bool product; } state;

static cn_status shape(cn_typing *t, cn_error *e) {
  int axis;
  CN_TRY(cn_axis(((const cn_cumulate_attrs *)t->attrs)->axis, t->in[0].rank, &axis, e));
  t->out[0] = t->in[0];
  if (t->in[0].dtype == CORNU_BOOL8) t->out[0].dtype = CORNU_INT64;
  return CORNU_OK;
}

static void lines(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_cumulate_attrs *a = s->attrs;
  const cn_operand *x = s->in[0], *y = s->out[0];
  size_t in_size = cornu_dtype_bytes(x->dtype), out_size = cornu_dtype_bytes(y->dtype);
  for (int64_t line = begin; line < end; line++) {
    int64_t at = line / st->inner * st->n * st->inner + line % st->inner;
    double total = st->product;
    for (int64_t k = 0; k < st->n && !cn_late_at(k); k++) {
      int64_t i = at + (a->reverse ? st->n - 1 - k : k) * st->inner;
      double v, before = total;
      cn_convert(&v, CORNU_FLOAT64, (const char *)x->data + (size_t)i * in_size, x->dtype, 1);
      total = st->product ? total * v : total + v;
      cn_convert((char *)y->data + (size_t)i * out_size, y->dtype, a->exclusive ? &before : &total, CORNU_FLOAT64, 1);
    }
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / st->n, 4096 / st->n + 1, lines, (void *)s);
}

static cn_status plan(bool product, struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  int axis;
  if (!st) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_cumulate_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  *st = (state){s->in[0]->shape[axis], cn_shape_size(s->in[0]->rank - axis - 1, s->in[0]->shape + axis + 1), product};
  s->run = run;
  s->flops = (double)s->out[0]->size;
  return CORNU_OK;
}

static cn_status plan_sum(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(false, p, s, e); }
static cn_status plan_product(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(true, p, s, e); }

static cn_edge back(cn_gradient *g, cn_edge a, bool exclusive) { /* sums from the other side */
  cn_cumulate_attrs other = *(const cn_cumulate_attrs *)g->attrs;
  other.reverse = !other.reverse;
  other.exclusive = exclusive;
  return cn_g1(g, &cn_op_cumsum, &other, a);
}

static void gradient_sum(cn_gradient *g) {
  g->dx[0] = back(g, g->dy[0], ((const cn_cumulate_attrs *)g->attrs)->exclusive);
}

static void gradient_product(cn_gradient *g) { /* NaN where x is 0, as in TensorFlow */
  const bool exclusive = ((const cn_cumulate_attrs *)g->attrs)->exclusive;
  g->dx[0] = cn_g_div(g, back(g, cn_g_mul(g, g->out[0], g->dy[0]), exclusive), g->in[0]);
}

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_cumulate_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {.name = "exclusive", .kind = CN_F_BOOL, .offset = offsetof(cn_cumulate_attrs, exclusive), .standard = "false",
     .help = CN_HELP("leaves each element itself out")},
    {.name = "reverse", .kind = CN_F_BOOL, .offset = offsetof(cn_cumulate_attrs, reverse), .standard = "false",
     .help = CN_HELP("begins at the end")},
    {0}};
const cn_op cn_op_cumsum = {
    .name = "cumsum",
    .help = CN_HELP("running sums along an axis\n(…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_cumulate_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan_sum,
    .gradient = CN_GRADIENT(gradient_sum),
};
const cn_op cn_op_cumprod = {
    .name = "cumprod",
    .help = CN_HELP("running products along an axis\n(…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_cumulate_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan_product,
    .gradient = CN_GRADIENT(gradient_product),
};
