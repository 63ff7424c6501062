/* Constraints of weights: one plan makes of those that have one what they become after each step. */
#include <string.h>

#include "layers/part.h"
#include "train/trainer.h"

void cn_constraints_free(cn_constrained *c) {
  for (int i = 0; i < c->n; i++) cornu_tensor_release(c->next[i]);
  cn_plan_free(c->plan);
  cn_free(c->variables);
  cn_free(c->next);
  *c = (cn_constrained){0};
}

/* Adds the variable when it has a constraint; its value is the last input of the graph. */
static void trace_variable(const cornu_trainer *t, cn_trace *trace, cn_constrained *c, int variable) {
  const cn_variable *v = &t->variables[variable];
  const cn_tensor *value = cn_variable_value(v);
  cn_type type = {.dtype = value->dtype, .rank = value->rank};
  memcpy(type.shape, value->shape, sizeof type.shape);
  cn_edge before = CN_NO_EDGE;
  if (!cn_layer_constrained(v->layer, v->index)) return;
  trace->status = cn_graph_add_input(trace->graph, &type, &before, trace->error);
  const cn_edge after = cn_layer_constrain(v->layer, trace, v->index, before);
  if (!trace->status) trace->status = cn_graph_add_output(trace->graph, after, trace->error);
  if (!trace->status) trace->status = cornu_tensor_new(type.dtype, type.rank, type.shape, &c->next[c->n], trace->error);
  if (!trace->status) c->variables[c->n++] = variable;
}

cn_status cn_constraints_new(const cornu_trainer *t, cn_constrained *c, cn_error *e) {
  cn_graph *g;
  cn_trace trace;
  c->variables = cn_calloc((size_t)t->n_variables + 1, sizeof *c->variables);
  c->next = cn_calloc((size_t)t->n_variables + 1, sizeof *c->next);
  if (!c->variables || !c->next) return cn_no_memory(e);
  CN_TRY(cn_graph_new(&g, e));
  cn_trace_begin(&trace, g, e);
  trace.planning = true;
  for (int i = 0; i < t->n_variables && !trace.status; i++)
    if (t->variables[i].trains) trace_variable(t, &trace, c, i);
  cn_status status = cn_trace_end(&trace);
  if (status || !c->n) return cn_graph_free(g), status;
  return cn_plan_compile(g, &c->plan, e);
}

cn_status cn_constrain(const cornu_trainer *t, cn_constrained *c, cn_error *e) {
  if (!c->n) return CORNU_OK;
  cn_arena arena = {0};
  const void **in = cn_arena_array(&arena, (size_t)c->n, sizeof *in);
  void **out = cn_arena_array(&arena, (size_t)c->n, sizeof *out);
  cn_status status = in && out ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < c->n && !status; i++) {
    in[i] = cn_variable_value(&t->variables[c->variables[i]])->data;
    out[i] = c->next[i]->data;
  }
  if (!status) status = cn_plan_run(c->plan, in, out, e);
  for (int i = 0; i < c->n && !status; i++) {
    const cn_variable *v = &t->variables[c->variables[i]];
    const size_t size = (size_t)cornu_tensor_size(c->next[i]) * cornu_dtype_bytes(c->next[i]->dtype);
    memcpy(cn_variable_value(v)->data, out[i], size);
    cn_layer_weight_changed(v->layer, v->index);
  }
  cn_arena_free(&arena);
  return status;
}
