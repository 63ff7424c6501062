/* gate: the first half of the channels, perhaps through tanh, times the sigmoid of the second half. */
#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "gate: input", 1, CN_MAX_RANK, e));
  int64_t channels = x->shape[x->rank - 1];
  if (x->dtype != CORNU_FLOAT32 || channels % 2)
    return cn_fail(e, CORNU_ERR_SHAPE, "gate: input is %s %s, needs float32 and an even number of channels",
                   cornu_dtype_name(x->dtype), CN_SHAPE(x->rank, x->shape));
  t->out[0] = *x;
  if (channels > 0) t->out[0].shape[x->rank - 1] = channels / 2;
  return CORNU_OK;
}

static void range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_operand *y = s->out[0];
  const int64_t n = y->shape[y->rank - 1];
  const bool tanh = ((const cn_gate_attrs *)s->attrs)->tanh;
  const float *x = s->in[0]->data;
  cn_act_math()->gate(tanh, (float *)y->data + begin * n, x + begin * 2 * n, end - begin, n);
}

static void run(const cn_step *s) {
  const cn_operand *y = s->out[0];
  const int64_t n = y->shape[y->rank - 1];
  if (y->size > 0) cn_parallel_range(y->size / n, 8192 / n + 1, range, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = run;
  s->flops = (double)s->in[0]->size;
  return CORNU_OK;
}

const cn_op cn_op_gate = {
  .name = "gate", .help = CN_HELP("the first half of the channels times the sigmoid of the second half"),
  .flags = CN_OP_HIDDEN | CN_OP_SAMPLES, .min_in = 1, .max_in = 1, .n_out = 1, .attrs_size = sizeof(cn_gate_attrs),
  .shape = shape, .plan = plan,
};
