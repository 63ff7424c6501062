/* slope: what comes back through an activation. */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static const cn_act *act_of(const cn_step *s) { return &((const cn_act_attrs *)s->attrs)->act; }

static void floats(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  cn_slope()->backward(act_of(s), (float *)s->out[0]->data + begin, (const float *)s->in[0]->data + begin,
                       (const float *)s->in[1]->data + begin, end - begin);
}

static void doubles(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const double *dy = s->in[0]->data, *v = s->in[1]->data;
  double *dx = s->out[0]->data;
  for (int64_t i = begin; i < end; i++) dx[i] = dy[i] * cn_slope_double(act_of(s), v[i]);
}

static void run(const cn_step *s) {
  cn_parallel_range(s->out[0]->size, 16384, s->out[0]->dtype == CORNU_FLOAT64 ? doubles : floats, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = run;
  s->flops = (double)s->out[0]->size;
  return CORNU_OK;
}

const cn_op cn_op_slope = {
    .name = "slope",
    .help = CN_HELP("(dy, v) -> dy times the slope of the act, told by its result v or its argument: see "
                    "cn_act_by_result"),
    .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE | CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_act_attrs),
    .shape = shape,
    .plan = plan,
};
