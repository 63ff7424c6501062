/* Lowering: the calls of a model into a trace, and the first trace, which builds the layers. */
#include <string.h>

#include "base/text.h"
#include "model/model.h"
#include "model/plans.h"

enum { MAX_NESTING = 64 };

static cn_status keep_types(cn_model *m, cn_trace *t, cn_model_node *n, const cn_sym *out, int n_out) {
  if (n->out_types) return CORNU_OK;
  cn_type *types = cn_arena_array(&m->arena, (size_t)n_out + 1, sizeof *types);
  if (!types) return cn_no_memory(t->error);
  for (int i = 0; i < n_out; i++) types[i] = *cn_edge_type(t, out[i].data);
  n->out_types = types;
  n->n_out = n_out;
  return CORNU_OK;
}

/* Values of every call under way: syms[node] points to its outputs. */
static void call_node(cn_model *m, cn_trace *t, cn_model_node *n, cn_sym **syms, int *counts) {
  int index = (int)(n - m->nodes);
  cn_layer *l = m->layers[n->layer];
  cn_sym *in = cn_arena_array(&t->graph->arena, (size_t)n->n_in + 1, sizeof *in);
  if (!in) {
    t->status = cn_no_memory(t->error);
    return;
  }
  for (int i = 0; i < n->n_in; i++) {
    cn_model_ref r = n->in[i];
    if (r.tensor >= counts[r.node]) {
      const cn_model_node *from = &m->nodes[r.node];
      cn_trace_fail(t, CORNU_ERR_FORMAT, "layer \"%s\": takes output %d of \"%s\", which has %d", l->name, r.tensor + 1,
                    from->layer >= 0 ? m->layers[from->layer]->name : from->input_name, counts[r.node]);
      return;
    }
    in[i] = syms[r.node][r.tensor];
  }
  cn_call call = {.in = in, .n_in = n->n_in, .n_positional = n->n_positional, .args = n->args, .kwargs = n->kwargs};
  cn_layer_call(l, t, &call);
  syms[index] = call.out;
  counts[index] = call.n_out;
  if (!t->status && !m->built) t->status = keep_types(m, t, n, call.out, call.n_out);
}

cn_status cn_model_lower(cn_model *m, cn_trace *t, const cn_sym *in, cn_sym *out) {
  cn_sym **syms = cn_arena_array(&t->graph->arena, (size_t)m->n_nodes + 1, sizeof *syms);
  int *counts = cn_arena_array(&t->graph->arena, (size_t)m->n_nodes + 1, sizeof *counts);
  if (!syms || !counts) return t->status = cn_no_memory(t->error);
  if (t->depth >= MAX_NESTING) {
    cn_trace_fail(t, CORNU_ERR_LIMIT, "models are nested more than %d deep", MAX_NESTING);
    return t->status;
  }
  t->depth++;
  for (int i = 0; i < m->n_nodes && !t->status; i++) {
    cn_model_node *n = &m->nodes[i];
    if (n->input < 0) {
      call_node(m, t, n, syms, counts);
      continue;
    }
    syms[i] = (cn_sym *)&in[n->input];
    counts[i] = 1;
    if (!m->built && m->unknown_input) *n->out_types = *cn_edge_type(t, in[n->input].data);
  }
  t->depth--;
  for (int i = 0; i < m->n_outputs && !t->status; i++) {
    cn_model_ref r = m->outputs[i];
    if (r.tensor < counts[r.node]) out[i] = syms[r.node][r.tensor];
    else
      cn_trace_fail(t, CORNU_ERR_FORMAT, "output %d of the model is output %d of a layer that has %d", i + 1,
                    r.tensor + 1, counts[r.node]);
  }
  if (!t->status && !m->built) {
    m->built = true;
    m->unknown_input = false;
  }
  return t->status;
}

static void add_outputs(cn_model *m, cn_trace *t, const cn_sym *results) {
  for (int i = 0; i < m->n_outputs && !t->status; i++)
    t->status = cn_graph_add_output(t->graph, results[i].data, t->error);
  for (int i = 0; i < t->n_states && !t->status; i++) {
    const cn_trace_state *s = &t->states[i];
    t->status = cn_graph_add_output(t->graph, s->next == CN_NO_EDGE ? s->in : s->next, t->error);
  }
}

/* What a trace is for: shapes alone, or a plan, for which some sizes may be known already. */
typedef struct purpose { bool plan; const cn_sizes *sizes; bool *measures; cn_state_list *states; } purpose;

/* A graph of the whole model for these input types, or of its next size; the caller frees it and the list of states. */
static cn_status trace_model(cn_model *m, const cn_type *inputs, const purpose *what, cn_graph **out, cn_error *e) {
  CN_TRY(cn_graph_new(out, e));
  cn_graph *g = *out;
  cn_trace t;
  cn_trace_begin(&t, g, e);
  t.planning = what->plan;
  if (what->sizes) t.sizes = *what->sizes;
  cn_sym *in = cn_arena_array(&g->arena, (size_t)m->n_inputs + 1, sizeof *in);
  cn_sym *results = cn_arena_array(&g->arena, (size_t)m->n_outputs + 1, sizeof *results);
  if (!in || !results) t.status = cn_no_memory(e);
  for (int i = 0; i < m->n_inputs && !t.status; i++) {
    in[i].mask = CN_NO_EDGE;
    t.status = cn_graph_add_input(g, &inputs[i], &in[i].data, e);
    if (t.status) cn_at(e, t.status, "input %d of the model", i + 1);
  }
  if (!t.status) cn_model_lower(m, &t, in, results);
  bool measures = what->measures && t.measured != CN_NO_EDGE;
  if (measures) t.status = cn_graph_add_output(g, t.measured, e), *what->measures = true;
  else add_outputs(m, &t, results);
  if (what->states && !measures && !t.status) t.status = cn_states_list(&t, what->states, e);
  cn_status status = cn_trace_end(&t);
  if (status) {
    cn_graph_free(g);
    *out = NULL;
  }
  return status;
}

cn_status cn_model_build_for(cn_model *m, const cn_type *inputs, cn_error *e) {
  if (m->built) return CORNU_OK;
  cn_graph *g;
  CN_TRY(trace_model(m, inputs, &(purpose){.plan = false}, &g, e));
  cn_graph_free(g);
  return CORNU_OK;
}

cn_status cn_model_build(cn_model *m, cn_error *e) {
  if (m->built) return CORNU_OK;
  if (m->unknown_input)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "the model does not say the shape of its input: give the first layer a "
                   "batch_input_shape in the config, or save the model again after it was built");
  cn_type *types = cn_calloc((size_t)m->n_inputs + 1, sizeof *types);
  if (!types) return cn_no_memory(e);
  for (int i = 0; i < m->n_inputs; i++) types[i] = *cn_model_type(m, m->inputs[i]);
  cn_status status = cn_model_build_for(m, types, e);
  cn_free(types);
  return status;
}

cn_status cn_model_compile(cn_model *m, const cn_type *inputs, const cn_sizes *sizes, bool *measures, cn_plan **out,
                           cn_state_list *states, cn_error *e) {
  *out = NULL;
  cn_graph *g;
  CN_TRY(trace_model(m, inputs, &(purpose){true, sizes, measures, states}, &g, e));
  g->exact = m->exact;
  cn_status status = cn_plan_compile(g, out, e);
  if (status) cn_states_free(states);
  return status;
}
