/* Objectives in a trace: what a loss is made of becomes symbols, and its results become edges. */
#include "train/trainer.h"

typedef struct ends {
  cn_tensor *out[CN_MAX_RESULTS], *masks[CN_MAX_RESULTS], *given[CN_MAX_RESULTS], *made[CN_MAX_RESULTS];
} ends;

static cn_status trace_ends(cn_trace *trace, const cn_sym *outputs, int n_out, const cn_edge *given, int n_given,
                            ends *s) {
  cn_status status = trace->status;
  for (int i = 0; i < n_out && !status; i++) {
    status = cn_trace_symbol(trace, outputs[i].data, &s->out[i], trace->error);
    if (!status && outputs[i].mask != CN_NO_EDGE)
      status = cn_trace_symbol(trace, outputs[i].mask, &s->masks[i], trace->error);
  }
  for (int i = 0; i < n_given && !status; i++) status = cn_trace_symbol(trace, given[i], &s->given[i], trace->error);
  return status;
}

/* What layers add to the loss comes on top. */
static cn_status build(const cornu_objective *o, cn_trace *trace, const cornu_objective_call *call, ends *s,
                       cn_edge *results, int *n_results) {
  int n = CN_MAX_RESULTS;
  cn_status status = o->build(o->user, call, s->made, &n, trace->error);
  for (int i = 0; i < n && !status; i++) status = cn_trace_edge(trace, s->made[i], &results[i], trace->error);
  if (!status && n < 1) status = cn_fail(trace->error, CORNU_ERR_CALLBACK, "the objective returned no loss");
  if (status) return status;
  *n_results = n;
  if (trace->loss == CN_NO_EDGE) return CORNU_OK;
  const cn_cast_attrs as = {cn_edge_type(trace, results[0])->dtype};
  results[0] = cn_emit2(trace, &cn_op_add, NULL, results[0], cn_emit1(trace, &cn_op_cast, &as, trace->loss));
  return trace->status;
}

void cn_objective_trace(const cornu_objective *o, cn_trace *trace, bool training, const cn_sym *outputs, int n_outputs,
                        const cn_edge *given, int n_given, cn_edge *results, int *n_results) {
  ends s = {0};
  if (n_outputs > CN_MAX_RESULTS || n_given > CN_MAX_RESULTS) {
    cn_trace_fail(trace, CORNU_ERR_LIMIT, "more than %d outputs or targets", CN_MAX_RESULTS);
    return;
  }
  const cornu_objective_call call = {.training = training, .outputs = s.out, .masks = s.masks, .n_outputs = n_outputs,
                                     .given = s.given, .n_given = n_given};
  cn_status status = trace_ends(trace, outputs, n_outputs, given, n_given, &s);
  if (!status) status = build(o, trace, &call, &s, results, n_results);
  if (status && !trace->status) trace->status = status;
  for (int i = 0; i < CN_MAX_RESULTS; i++) {
    cornu_tensor_release(s.out[i]);
    cornu_tensor_release(s.masks[i]);
    cornu_tensor_release(s.given[i]);
    cornu_tensor_release(s.made[i]);
  }
}
