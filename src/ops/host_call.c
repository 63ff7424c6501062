/* host_call: a callback of the host as a step: eager custom layers. */
#include <string.h>

#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  t->out[0] = ((const cn_host_call_attrs *)t->attrs)->out;
  if (t->out[0].dtype != CORNU_TEXT) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "a custom layer cannot return strings: its result has to outlive its tensors");
}

static cn_status call(const cn_step *s, cn_tensor **in, cn_tensor **out, cn_error *e) {
  const cn_host_call_attrs *a = s->attrs;
  for (int i = 0; i < s->n_in; i++) {
    cn_tensor *view;
    CN_TRY(cornu_tensor_wrap(s->in[i]->dtype, s->in[i]->rank, s->in[i]->shape, s->in[i]->data, NULL, NULL, &view, e));
    /* a copy: the host may keep it beyond the run */
    cn_status status = cornu_tensor_cast(view, view->dtype, &in[i], e);
    cornu_tensor_release(view);
    CN_TRY(status);
  }
  CN_TRY(a->call(a->user, in, s->n_in, out, 1, e));
  const cn_operand *want = s->out[0];
  if (!*out || !cn_shape_equal((*out)->rank, (*out)->shape, want->rank, want->shape))
    return cn_fail(e, CORNU_ERR_SHAPE, "the custom layer returned shape %s, its output_shape says %s",
                   *out ? CN_SHAPE((*out)->rank, (*out)->shape) : "nothing", CN_SHAPE(want->rank, want->shape));
  cn_tensor *flat;
  CN_TRY(cornu_tensor_cast(*out, want->dtype, &flat, e));
  memcpy(want->data, flat->data, (size_t)want->size * cornu_dtype_bytes(want->dtype));
  cornu_tensor_release(flat);
  return CORNU_OK;
}

static void run(const cn_step *s) {
  cn_tensor *in[CN_MAX_OUT] = {NULL}, *out = NULL;
  s->failure->status = CORNU_OK;
  cn_status status = call(s, in, &out, s->failure);
  if (status && !s->failure->status) cn_fail(s->failure, status, "the custom layer failed");
  s->failure->status = status;
  for (int i = 0; i < s->n_in; i++) cornu_tensor_release(in[i]);
  cornu_tensor_release(out);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  if (s->n_in > CN_MAX_OUT) return cn_fail(e, CORNU_ERR_LIMIT, "a custom layer with more than %d inputs", CN_MAX_OUT);
  s->failure = cn_plan_memory(p, sizeof *s->failure);
  if (!s->failure) return cn_no_memory(e);
  s->run = run;
  return CORNU_OK;
}

static void gradient(cn_gradient *g) {
  cn_gradient_refuse(g, "as it runs a function: without eager = true it is traced, and has that of its operations");
}

const cn_op cn_op_host_call = {
    .name = "host_call",
    .help = CN_HELP("a callback of the host"),
    .flags = CN_OP_HIDDEN | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = -1,
    .n_out = 1,
    .attrs_size = sizeof(cn_host_call_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
