/* Gradients for their own sake: of a function of tensors, or of a model to its inputs and weights. Traced, planned and
 * run once: what a function refers to may change between two calls. */
#include <string.h>

#include "base/text.h"
#include "graph/gradient.h"
#include "train/trainer.h"

/* A trainable weight, by its layer. */
typedef struct weight { cn_layer *owner; int index; const char *name; } weight;

typedef struct job {
  const cornu_gradients_call *call;
  cn_arena arena;
  cn_tensor **from, **held;  /* inputs and what is given; states before and after */
  cn_type *types;
  weight *weights;
  int n_weights, cap_weights, left; /* left: how many of the layer's come that train */
  const char *layer;
  int n_results, n_grads;    /* grads: of inputs that are floats, then of weights that the trace used */
  int *grad_of;              /* an input, or behind those a weight */
  cn_state_list states;
  cn_plan *plan;
  const void **in;           /* of the plan */
  int n_in;
} job;

static cn_status add_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  job *j = user;
  if (j->left-- <= 0) return CORNU_OK;
  for (int i = 0; i < j->n_weights; i++)
    if (j->weights[i].owner == owner && j->weights[i].index == index) return CORNU_OK; /* of a shared layer */
  if (!cn_arena_grow(&j->arena, &j->weights, &j->cap_weights, j->n_weights, sizeof *j->weights)) return cn_no_memory(e);
  const char *name = cn_arena_printf(&j->arena, "%s/%s", j->layer, path);
  if (!name) return cn_no_memory(e);
  j->weights[j->n_weights++] = (weight){owner, index, name};
  return CORNU_OK;
}

static cn_status list_weights(job *j, cn_error *e) {
  cn_model *m = j->call->model;
  if (!m) return CORNU_OK;
  CN_TRY(cn_model_build(m, e));
  CN_TRY(cn_model_init_weights(m, j->call->seed, e));
  for (int i = 0; i < m->n_layers; i++) {
    j->left = cornu_layer_trainable_weights(m->layers[i]);
    j->layer = m->layers[i]->name;
    CN_TRY(cn_layer_each_weight(m->layers[i], add_weight, j, e));
  }
  return CORNU_OK;
}

static cn_status convert(job *j, cn_tensor *x, int i, cn_error *e) {
  const cn_model *m = j->call->model;
  if (!x || cornu_tensor_is_symbolic(x)) return cn_fail(e, CORNU_ERR_ARGUMENT, "a tensor is missing, or a symbol");
  const bool of_model = m && i < j->call->n_inputs;
  const cornu_dtype dtype = of_model ? m->nodes[m->inputs[i].node].out_types[0].dtype : x->dtype;
  cn_tensor_fetch(x);
  CN_TRY(x->dtype == dtype ? cornu_tensor_contiguous(x, &j->from[i], e) : cornu_tensor_cast(x, dtype, &j->from[i], e));
  j->types[i] = (cn_type){.dtype = dtype, .rank = x->rank};
  memcpy(j->types[i].shape, x->shape, sizeof x->shape);
  return CORNU_OK;
}

/* ---- The trace ---- */

static int weight_of(const job *j, const cn_trace_state *s) {
  for (int i = 0; i < j->n_weights && s->weight; i++)
    if (j->weights[i].owner == s->owner && j->weights[i].index == s->index) return i;
  return -1;
}

static void trace_gradients(job *j, cn_trace *t, cn_edge loss) {
  const int n_in = j->call->n_inputs;
  cn_edge *to = cn_arena_array(&j->arena, (size_t)(n_in + t->n_states) + 1, sizeof *to);
  cn_edge *grads = cn_arena_array(&j->arena, (size_t)(n_in + t->n_states) + 1, sizeof *grads);
  j->grad_of = cn_arena_array(&j->arena, (size_t)(n_in + t->n_states) + 1, sizeof *j->grad_of);
  if (!to || !grads || !j->grad_of) {
    t->status = cn_no_memory(t->error);
    return;
  }
  for (int i = 0; i < n_in; i++)
    if (cn_dtype_is_float(j->types[i].dtype)) to[j->n_grads] = t->graph->inputs[i], j->grad_of[j->n_grads++] = i;
  for (int i = 0; i < t->n_states; i++) {
    const int w = weight_of(j, &t->states[i]);
    if (w >= 0) to[j->n_grads] = t->states[i].in, j->grad_of[j->n_grads++] = n_in + w;
  }
  cn_trace_gradients(t, loss, to, j->n_grads, grads);
  for (int i = 0; i < j->n_grads && !t->status; i++) t->status = cn_graph_add_output(t->graph, grads[i], t->error);
}

/* States of stateful layers are read, and given up. */
static void trace_states(job *j, cn_trace *t) {
  for (int i = 0; i < t->n_states && !t->status; i++)
    if (!t->states[i].weight)
      t->status = cn_graph_add_output(t->graph, t->states[i].next == CN_NO_EDGE ? t->states[i].in : t->states[i].next,
                                      t->error);
  if (!t->status) t->status = cn_states_list(t, &j->states, t->error);
  if (!t->status && j->states.count) {
    j->held = cn_arena_array(&j->arena, 2 * (size_t)j->states.count, sizeof *j->held);
    t->status = j->held ? cn_states_begin(&j->states, j->held, t->error) : cn_no_memory(t->error);
  }
}

static void trace_feeds(job *j, cn_trace *t) {
  const cn_graph *g = t->graph;
  int states = 0;
  j->in = cn_arena_array(&j->arena, (size_t)g->n_inputs + 1, sizeof *j->in);
  if (!j->in) t->status = cn_no_memory(t->error);
  for (int i = 0; i < g->n_inputs && !t->status; i++) {
    const cn_trace_state *s = NULL;
    for (int k = 0; k < t->n_states && !s; k++)
      if (t->states[k].in == g->inputs[i]) s = &t->states[k];
    if (i < j->n_in) j->in[i] = j->from[i]->data;
    else if (!s) j->in[i] = &j->call->seed;
    else if (!s->weight) j->in[i] = j->held[states++]->data;
    else {
      cn_tensor *value = ((cn_layer *)s->owner)->weights[s->index].value;
      cn_tensor_fetch(value);
      j->in[i] = value->data;
    }
  }
}

static void trace_all(job *j, cn_trace *t) {
  const cornu_gradients_call *c = j->call;
  const int n_out = c->model ? c->model->n_outputs : c->n_inputs;
  cn_sym *in = cn_arena_array(&j->arena, (size_t)j->n_in + 1, sizeof *in);
  cn_sym *out = cn_arena_array(&j->arena, (size_t)n_out + 1, sizeof *out);
  cn_edge *given = cn_arena_array(&j->arena, (size_t)j->n_in + 1, sizeof *given), results[CN_MAX_RESULTS];
  if (!in || !out || !given) t->status = cn_no_memory(t->error);
  for (int i = 0; i < j->n_in && !t->status; i++) {
    t->status = cn_graph_add_input(t->graph, &j->types[i], &given[i], t->error);
    in[i] = (cn_sym){given[i], CN_NO_EDGE};
  }
  if (t->status) return;
  if (c->model) cn_model_lower(c->model, t, in, out);
  else memcpy(out, in, sizeof *out * (size_t)n_out);
  if (!t->status)
    cn_objective_trace(c->objective, t, c->training, out, n_out, given + c->n_inputs, c->n_given, results,
                       &j->n_results);
  for (int i = 0; i < j->n_results && !t->status; i++) t->status = cn_graph_add_output(t->graph, results[i], t->error);
  if (!t->status) trace_gradients(j, t, results[0]);
  if (!t->status) trace_states(j, t);
  if (!t->status) trace_feeds(j, t);
}

static cn_status compile(job *j, cn_error *e) {
  cn_graph *g;
  cn_trace t;
  CN_TRY(cn_graph_new(&g, e));
  cn_trace_begin(&t, g, e);
  t.planning = t.differentiable = true;
  t.variables = j->call->model != NULL;
  t.training = j->call->training;
  trace_all(j, &t);
  cn_status status = cn_trace_end(&t);
  if (status) return cn_graph_free(g), status;
  g->exact = j->call->model && j->call->model->exact;
  return cn_plan_compile(g, &j->plan, e);
}

/* ---- The run ---- */

/* made: results, then gradients. */
static cn_status run(job *j, cn_tensor **made, cn_error *e) {
  const int n = j->n_results + j->n_grads;
  void **out = cn_arena_array(&j->arena, (size_t)(n + j->states.count) + 1, sizeof *out);
  if (!out) return cn_no_memory(e);
  for (int i = 0; i < n; i++) {
    const cn_type *type = cn_plan_output_type(j->plan, i);
    CN_TRY(cn_tensor_make(type->dtype, type->rank, type->shape, &made[i], e));
    out[i] = made[i]->data;
  }
  for (int i = 0; i < j->states.count; i++) out[n + i] = j->held[j->states.count + i]->data;
  return cn_plan_run(j->plan, j->in, out, e);
}

/* Weights that the trace did not use have none: zeros. */
static cn_status show_weights(const job *j, cn_tensor *const *grads, cn_error *e) {
  for (int w = 0; w < j->n_weights; w++) {
    const cn_tensor *value = j->weights[w].owner->weights[j->weights[w].index].value;
    cn_tensor *gradient = NULL;
    for (int i = 0; i < j->n_grads; i++)
      if (j->grad_of[i] == j->call->n_inputs + w) gradient = cornu_tensor_retain(grads[i]);
    if (!gradient) CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &gradient, e));
    cn_status status = j->call->visit(j->call->user, j->weights[w].name, gradient, e);
    cornu_tensor_release(gradient);
    CN_TRY(status);
  }
  return CORNU_OK;
}

static cn_status differentiate(job *j, cn_tensor **results, int *n_results, cn_tensor **to_inputs, cn_error *e) {
  const int room = *n_results;
  *n_results = 0;
  CN_TRY(list_weights(j, e));
  for (int i = 0; i < j->n_in; i++)
    CN_TRY(convert(j, i < j->call->n_inputs ? j->call->inputs[i] : j->call->given[i - j->call->n_inputs], i, e));
  CN_TRY(compile(j, e));
  if (j->n_results > room) return cn_fail(e, CORNU_ERR_ARGUMENT, "%d results: room for %d", j->n_results, room);
  const int n = j->n_results + j->n_grads;
  cn_tensor **made = cn_arena_array(&j->arena, (size_t)n + 1, sizeof *made);
  if (!made) return cn_no_memory(e);
  cn_status status = run(j, made, e);
  if (!status && j->call->visit) status = show_weights(j, made + j->n_results, e);
  for (int i = 0; i < j->n_results && !status; i++) results[i] = cornu_tensor_retain(made[i]);
  for (int i = 0; i < j->n_grads && !status; i++)
    if (j->grad_of[i] < j->call->n_inputs) to_inputs[j->grad_of[i]] = cornu_tensor_retain(made[j->n_results + i]);
  if (!status) *n_results = j->n_results;
  for (int i = 0; i < n; i++) cornu_tensor_release(made[i]);
  return status;
}

cornu_status cornu_gradients(const cornu_gradients_call *call, cornu_tensor **results, int *n_results,
                             cornu_tensor **to_inputs, cornu_error *e) {
  job j = {.call = call, .n_in = call->n_inputs + call->n_given};
  cn_status status = CORNU_OK;
  for (int i = 0; i < call->n_inputs; i++) to_inputs[i] = NULL;
  if (call->model && call->n_inputs != call->model->n_inputs)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "the model takes %d inputs, not %d", call->model->n_inputs, call->n_inputs);
  j.from = cn_arena_array(&j.arena, (size_t)j.n_in + 1, sizeof *j.from);
  j.types = cn_arena_array(&j.arena, (size_t)j.n_in + 1, sizeof *j.types);
  if (!status && (!j.from || !j.types)) status = cn_no_memory(e);
  if (!status) status = differentiate(&j, results, n_results, to_inputs, e);
  else *n_results = 0;
  for (int i = 0; i < j.n_in && j.from; i++) cornu_tensor_release(j.from[i]);
  if (j.held) cn_states_end(&j.states, j.held, false);
  cn_states_free(&j.states);
  cn_plan_free(j.plan);
  cn_arena_free(&j.arena);
  return status;
}
