/* Training: the graph of a model, of its loss and of the gradients is one plan; the optimizer follows it. Weights are
 * inputs of that plan and change in place. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "graph/gradient.h"
#include "graph/plan.h"
#include "model/model.h"
#include "model/states.h"
#include "train/optimizer.h"

enum { MOST_RESULTS = 64, MOST_PROGRAMS = 8, GRAIN = 16384 };

/* A weight of the model. */
typedef struct variable {
  cn_layer *layer;
  int index;
  bool trains;
  cn_tensor *gradient, *slots[CN_MAX_SLOTS]; /* of those that train */
} variable;

typedef enum source { FROM_CALLER, FROM_VARIABLE, FROM_STATE, FROM_RUN } source;
typedef struct feed { source source; int index; } feed; /* of an input of the plan */
/* A variable that the plan itself gives its next value: statistics. */
typedef struct moved { int variable; cn_tensor *next; } moved;

/* The plan for one set of shapes. Its outputs: results, gradients of `trained`, `moved`, states. */
typedef struct program {
  cn_plan *plan;
  bool training;
  int n_types, n_feeds, n_results, n_trained, n_moved;
  cn_type *types;
  feed *feeds;
  int *trained;
  moved *moved;
  cn_state_list states;
  struct program *next;
} program;

struct cornu_trainer {
  cn_arena arena;
  cn_model *model;
  cornu_objective objective;
  cn_optimizer optimizer;
  variable *variables;
  int n_variables, cap_variables;
  int64_t steps, runs;
  program *programs; /* those used last first */
};

/* ---- Variables ---- */

typedef struct listing { cornu_trainer *t; int left; } listing; /* how many come that train */

static cn_status list_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  listing *l = user;
  cornu_trainer *t = l->t;
  (void)path;
  const bool trains = l->left-- > 0;
  for (int i = 0; i < t->n_variables; i++)
    if (t->variables[i].layer == owner && t->variables[i].index == index) return CORNU_OK; /* of a shared layer */
  if (!cn_arena_grow(&t->arena, &t->variables, &t->cap_variables, t->n_variables, sizeof *t->variables))
    return cn_no_memory(e);
  t->variables[t->n_variables++] = (variable){.layer = owner, .index = index, .trains = trains};
  return CORNU_OK;
}

static cn_tensor *value_of(const variable *v) { return v->layer->weights[v->index].value; }

/* Weights that a file holds, or somebody else, are copied: the trainer writes into its own. */
static cn_status own(const variable *v, cn_error *e) {
  cn_tensor *value = value_of(v), *copy;
  const bool alone = atomic_load(&value->references) == 1 && atomic_load(&value->buffer->references) == 1;
  if (alone && !value->buffer->stored && cornu_tensor_is_contiguous(value)) return CORNU_OK;
  cn_tensor_fetch(value);
  CN_TRY(cn_tensor_make(value->dtype, value->rank, value->shape, &copy, e));
  cn_status status = cornu_tensor_copy(copy, value, e);
  if (!status) status = cn_layer_set_weight(v->layer, v->index, copy, e);
  cornu_tensor_release(copy);
  return status;
}

static cn_status make_room(cornu_trainer *t, variable *v, cn_error *e) {
  const cn_tensor *value = value_of(v);
  if (!v->trains) return CORNU_OK;
  CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &v->gradient, e));
  for (int i = 0; i < t->optimizer.slots; i++)
    if (!t->optimizer.type->keeps || t->optimizer.type->keeps(t->optimizer.settings, i))
      CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &v->slots[i], e));
  return CORNU_OK;
}

static cn_status list_variables(cornu_trainer *t, uint64_t seed, cn_error *e) {
  CN_TRY(cn_model_build(t->model, e));
  CN_TRY(cn_model_init_weights(t->model, seed, e));
  for (int i = 0; i < t->model->n_layers; i++) {
    listing l = {t, cornu_layer_trainable_weights(t->model->layers[i])}; /* which come first */
    CN_TRY(cn_layer_each_weight(t->model->layers[i], list_weight, &l, e));
  }
  for (int i = 0; i < t->n_variables; i++) {
    CN_TRY(own(&t->variables[i], e));
    CN_TRY(make_room(t, &t->variables[i], e));
  }
  return CORNU_OK;
}

static int find_variable(const cornu_trainer *t, const void *layer, int index) {
  for (int i = 0; i < t->n_variables; i++)
    if (t->variables[i].layer == layer && t->variables[i].index == index) return i;
  return -1;
}

/* ---- Programs ---- */

static void free_program(program *p) {
  if (!p) return;
  for (int i = 0; i < p->n_moved; i++) cornu_tensor_release(p->moved[i].next);
  cn_states_free(&p->states);
  cn_plan_free(p->plan);
  cn_free(p->types);
  cn_free(p->feeds);
  cn_free(p->trained);
  cn_free(p->moved);
  cn_free(p);
}

/* The objective on symbols; edges of its results. */
static void trace_objective(cornu_trainer *t, cn_trace *trace, bool training, const cn_sym *outputs,
                            const cn_edge *given, int n_given, cn_edge *results, int *n_results) {
  const int n_out = t->model->n_outputs;
  cn_tensor *out[MOST_RESULTS] = {NULL}, *in[MOST_RESULTS] = {NULL}, *made[MOST_RESULTS] = {NULL};
  if (n_out > MOST_RESULTS || n_given > MOST_RESULTS) {
    cn_trace_fail(trace, CORNU_ERR_LIMIT, "more than %d outputs or targets", MOST_RESULTS);
    return;
  }
  cn_status status = CORNU_OK;
  for (int i = 0; i < n_out && !status; i++) status = cn_trace_symbol(trace, outputs[i].data, &out[i], trace->error);
  for (int i = 0; i < n_given && !status; i++) status = cn_trace_symbol(trace, given[i], &in[i], trace->error);
  *n_results = MOST_RESULTS;
  if (!status)
    status = t->objective.build(t->objective.user, training, out, n_out, in, n_given, made, n_results, trace->error);
  if (status) *n_results = 0;
  for (int i = 0; i < *n_results && !status; i++) status = cn_trace_edge(trace, made[i], &results[i], trace->error);
  if (!status && *n_results < 1) status = cn_fail(trace->error, CORNU_ERR_CALLBACK, "the objective returned no loss");
  if (status && !trace->status) trace->status = status;
  for (int i = 0; i < MOST_RESULTS; i++) {
    cornu_tensor_release(out[i]);
    cornu_tensor_release(in[i]);
    cornu_tensor_release(made[i]);
  }
}

/* The gradients of the variables that train, as outputs of the graph. */
static void trace_gradients(cornu_trainer *t, cn_trace *trace, cn_edge loss, program *p) {
  cn_edge *to = cn_arena_array(&trace->graph->arena, (size_t)trace->n_states + 1, sizeof *to);
  cn_edge *grads = cn_arena_array(&trace->graph->arena, (size_t)trace->n_states + 1, sizeof *grads);
  p->trained = cn_calloc((size_t)trace->n_states + 1, sizeof *p->trained);
  if (!to || !grads || !p->trained) {
    trace->status = cn_no_memory(trace->error);
    return;
  }
  for (int i = 0; i < trace->n_states; i++) {
    const cn_trace_state *s = &trace->states[i];
    const int v = s->weight ? find_variable(t, s->owner, s->index) : -1;
    if (v < 0 || !t->variables[v].trains) continue;
    to[p->n_trained] = s->in;
    p->trained[p->n_trained++] = v;
  }
  cn_trace_gradients(trace, loss, to, p->n_trained, grads);
  for (int i = 0; i < p->n_trained && !trace->status; i++)
    trace->status = cn_graph_add_output(trace->graph, grads[i], trace->error);
}

/* What the states and statistics are after the run. */
static void trace_next(cornu_trainer *t, cn_trace *trace, program *p) {
  p->moved = cn_calloc((size_t)trace->n_states + 1, sizeof *p->moved);
  if (!p->moved) trace->status = cn_no_memory(trace->error);
  for (int i = 0; i < trace->n_states && !trace->status; i++) {
    const cn_trace_state *s = &trace->states[i];
    const int v = s->weight && s->next != CN_NO_EDGE ? find_variable(t, s->owner, s->index) : -1;
    if (v < 0) continue;
    moved *m = &p->moved[p->n_moved++];
    m->variable = v;
    trace->status = cornu_tensor_new(s->type.dtype, s->type.rank, s->type.shape, &m->next, trace->error);
    if (!trace->status) trace->status = cn_graph_add_output(trace->graph, s->next, trace->error);
  }
  for (int i = 0; i < trace->n_states && !trace->status; i++) {
    const cn_trace_state *s = &trace->states[i];
    if (!s->weight)
      trace->status = cn_graph_add_output(trace->graph, s->next == CN_NO_EDGE ? s->in : s->next, trace->error);
  }
  if (!trace->status) trace->status = cn_states_list(trace, &p->states, trace->error);
}

/* Who feeds each input of the graph: those of the caller come first, the others as the trace asked for them. */
static void trace_feeds(const cornu_trainer *t, cn_trace *trace, program *p) {
  const cn_graph *g = trace->graph;
  p->feeds = cn_calloc((size_t)g->n_inputs + 1, sizeof *p->feeds);
  if (!p->feeds) {
    trace->status = cn_no_memory(trace->error);
    return;
  }
  int states = 0;
  for (; p->n_feeds < g->n_inputs; p->n_feeds++) {
    feed *f = &p->feeds[p->n_feeds];
    *f = (feed){FROM_CALLER, p->n_feeds};
    if (p->n_feeds < p->n_types) continue;
    const cn_trace_state *s = NULL;
    for (int i = 0; i < trace->n_states && !s; i++)
      if (trace->states[i].in == g->inputs[p->n_feeds]) s = &trace->states[i];
    if (!s) *f = (feed){FROM_RUN, 0};
    else if (s->weight) *f = (feed){FROM_VARIABLE, find_variable(t, s->owner, s->index)};
    else *f = (feed){FROM_STATE, states++};
  }
}

static void trace_all(cornu_trainer *t, cn_trace *trace, program *p) {
  const int n_in = t->model->n_inputs;
  cn_graph *g = trace->graph;
  cn_sym *in = cn_arena_array(&g->arena, (size_t)n_in + 1, sizeof *in);
  cn_sym *out = cn_arena_array(&g->arena, (size_t)t->model->n_outputs + 1, sizeof *out);
  cn_edge *given = cn_arena_array(&g->arena, (size_t)(p->n_types - n_in) + 1, sizeof *given), results[MOST_RESULTS];
  if (!in || !out || !given) trace->status = cn_no_memory(trace->error);
  for (int i = 0; i < p->n_types && !trace->status; i++) {
    cn_edge edge;
    trace->status = cn_graph_add_input(g, &p->types[i], &edge, trace->error);
    if (i < n_in) in[i] = (cn_sym){edge, CN_NO_EDGE};
    else given[i - n_in] = edge;
  }
  if (!trace->status) cn_model_lower(t->model, trace, in, out);
  if (!trace->status)
    trace_objective(t, trace, p->training, out, given, p->n_types - n_in, results, &p->n_results);
  for (int i = 0; i < p->n_results && !trace->status; i++)
    trace->status = cn_graph_add_output(g, results[i], trace->error);
  if (p->training && !trace->status) trace_gradients(t, trace, results[0], p);
  if (!trace->status) trace_next(t, trace, p);
  if (!trace->status) trace_feeds(t, trace, p);
}

static cn_status compile(cornu_trainer *t, program *p, cn_error *e) {
  cn_graph *g;
  cn_trace trace;
  CN_TRY(cn_graph_new(&g, e));
  cn_trace_begin(&trace, g, e);
  trace.planning = trace.differentiable = trace.variables = true;
  trace.training = p->training;
  trace_all(t, &trace, p);
  cn_status status = cn_trace_end(&trace);
  if (status) return cn_graph_free(g), status;
  g->exact = t->model->exact;
  return cn_plan_compile(g, &p->plan, e);
}

static bool fits(const program *p, bool training, const cn_type *types, int n) {
  bool same = p->training == training && p->n_types == n;
  for (int i = 0; i < n && same; i++)
    same = p->types[i].dtype == types[i].dtype &&
           cn_shape_equal(p->types[i].rank, p->types[i].shape, types[i].rank, types[i].shape);
  return same;
}

static cn_status find_program(cornu_trainer *t, bool training, const cn_type *types, int n, program **out,
                              cn_error *e) {
  int count = 0;
  for (program **link = &t->programs; *link; link = &(*link)->next) {
    program *p = *link;
    if (fits(p, training, types, n)) {
      *link = p->next;
      p->next = t->programs;
      *out = t->programs = p;
      return CORNU_OK;
    }
    if (++count == MOST_PROGRAMS) {
      *link = p->next;
      free_program(p);
      break;
    }
  }
  program *p = cn_calloc(1, sizeof *p);
  if (p) p->types = cn_calloc((size_t)n + 1, sizeof *p->types);
  cn_status status = p && p->types ? CORNU_OK : cn_no_memory(e);
  if (!status) {
    memcpy(p->types, types, (size_t)n * sizeof *types);
    p->n_types = n;
    p->training = training;
    status = compile(t, p, e);
  }
  if (status) return free_program(p), status;
  p->next = t->programs;
  *out = t->programs = p;
  return CORNU_OK;
}

/* ---- Steps ---- */

typedef struct update_job { const cn_optimizer_type *type; cn_update update; } update_job;

static void update_range(void *context, int64_t begin, int64_t end) {
  const update_job *j = context;
  j->type->update(&j->update, begin, end);
}

static void step(cornu_trainer *t, const program *p) {
  t->steps++;
  for (int i = 0; i < p->n_trained; i++) {
    const variable *v = &t->variables[p->trained[i]];
    cn_tensor *value = value_of(v);
    update_job j = {t->optimizer.type, {.settings = t->optimizer.settings, .rate = t->optimizer.rate, .step = t->steps,
                                        .dtype = value->dtype, .value = value->data, .gradient = v->gradient->data}};
    for (int k = 0; k < CN_MAX_SLOTS; k++) j.update.slots[k] = v->slots[k] ? v->slots[k]->data : NULL;
    cn_parallel_range(cornu_tensor_size(value), GRAIN, update_range, &j);
    cn_layer_weight_changed(v->layer, v->index);
  }
}

/* The statistics of layers follow the run. */
static void move(const cornu_trainer *t, const program *p) {
  for (int i = 0; i < p->n_moved; i++) {
    const variable *v = &t->variables[p->moved[i].variable];
    memcpy(value_of(v)->data, p->moved[i].next->data,
           (size_t)cornu_tensor_size(value_of(v)) * cornu_dtype_bytes(value_of(v)->dtype));
    cn_layer_weight_changed(v->layer, v->index);
  }
}

typedef struct run {
  cn_arena arena;
  const void **in;
  void **out;
  cn_tensor **held;          /* states before and after */
} run;

static cn_status prepare(cornu_trainer *t, const program *p, run *r, cn_tensor *const *from, cn_tensor **results,
                         cn_error *e) {
  const int states = p->states.count, n_out = p->n_results + p->n_trained + p->n_moved + states;
  r->in = cn_arena_array(&r->arena, (size_t)p->n_feeds + 1, sizeof *r->in);
  r->out = cn_arena_array(&r->arena, (size_t)n_out + 1, sizeof *r->out);
  r->held = cn_arena_array(&r->arena, 2 * (size_t)states + 1, sizeof *r->held);
  if (!r->in || !r->out || !r->held) return cn_no_memory(e);
  if (states) CN_TRY(cn_states_begin(&p->states, r->held, e));
  for (int i = 0; i < p->n_feeds; i++) {
    const feed *f = &p->feeds[i];
    r->in[i] = f->source == FROM_CALLER     ? from[f->index]->data
               : f->source == FROM_VARIABLE ? value_of(&t->variables[f->index])->data
               : f->source == FROM_STATE    ? r->held[f->index]->data
                                            : (const void *)&t->runs;
  }
  int at = 0;
  for (int i = 0; i < p->n_results; i++) {
    const cn_type *type = cn_plan_output_type(p->plan, i);
    CN_TRY(cn_tensor_make(type->dtype, type->rank, type->shape, &results[i], e));
    r->out[at++] = results[i]->data;
  }
  for (int i = 0; i < p->n_trained; i++) r->out[at++] = t->variables[p->trained[i]].gradient->data;
  for (int i = 0; i < p->n_moved; i++) r->out[at++] = p->moved[i].next->data;
  for (int i = 0; i < states; i++) r->out[at++] = r->held[states + i]->data;
  return CORNU_OK;
}

static cn_status run_program(cornu_trainer *t, const program *p, cn_tensor *const *from, cn_tensor **results,
                             cn_error *e) {
  run r = {0};
  cn_status status = prepare(t, p, &r, from, results, e);
  t->runs += p->training;
  if (!status) status = cn_plan_run(p->plan, r.in, r.out, e);
  if (r.held && p->states.count) cn_states_end(&p->states, r.held, !status);
  if (!status && p->training) {
    step(t, p);
    move(t, p);
  }
  cn_arena_free(&r.arena);
  return status;
}

/* Contiguous, and inputs in the dtype of the model. */
static cn_status convert(const cornu_trainer *t, cn_tensor *x, int input, cn_tensor **out, cn_type *type, cn_error *e) {
  const cn_model *m = t->model;
  if (!x || cornu_tensor_is_symbolic(x)) return cn_fail(e, CORNU_ERR_ARGUMENT, "a tensor of the batch is missing");
  const cornu_dtype dtype = input >= 0 ? m->nodes[m->inputs[input].node].out_types[0].dtype : x->dtype;
  cn_tensor_fetch(x);
  CN_TRY(x->dtype == dtype ? cornu_tensor_contiguous(x, out, e) : cornu_tensor_cast(x, dtype, out, e));
  *type = (cn_type){.dtype = dtype, .rank = x->rank};
  memcpy(type->shape, x->shape, sizeof type->shape);
  return CORNU_OK;
}

cornu_status cornu_trainer_batch(cornu_trainer *t, bool training, cornu_tensor *const *inputs, int n_inputs,
                                 cornu_tensor *const *given, int n_given, cornu_tensor **results, int *n_results,
                                 cornu_error *e) {
  const int n = n_inputs + n_given, room = *n_results;
  *n_results = 0;
  if (n_inputs != t->model->n_inputs)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the model takes %d inputs, not %d", t->model->n_inputs, n_inputs);
  cn_arena arena = {0};
  cn_tensor **from = cn_arena_array(&arena, (size_t)n + 1, sizeof *from);
  cn_type *types = cn_arena_array(&arena, (size_t)n + 1, sizeof *types);
  cn_status status = from && types ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n && !status; i++)
    status = convert(t, i < n_inputs ? inputs[i] : given[i - n_inputs], i < n_inputs ? i : -1, &from[i], &types[i], e);
  program *p = NULL;
  if (!status) status = find_program(t, training, types, n, &p, e);
  if (!status && p->n_results > room)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "the objective has %d results: room for %d", p->n_results, room);
  for (int i = 0; p && i < p->n_results && i < room; i++) results[i] = NULL;
  if (!status) status = run_program(t, p, from, results, e);
  for (int i = 0; p && i < p->n_results && i < room && status; i++) cornu_tensor_release(results[i]), results[i] = NULL;
  if (!status) *n_results = p->n_results;
  for (int i = 0; i < n && from; i++) cornu_tensor_release(from[i]);
  cn_arena_free(&arena);
  return status;
}

/* ---- Making ---- */

cornu_status cornu_trainer_new(cornu_model *m, const cornu_value *optimizer, const cornu_objective *objective,
                               uint64_t seed, cornu_trainer **out, cornu_error *e) {
  cornu_trainer *t = *out = cn_calloc(1, sizeof *t);
  if (!t) return cn_no_memory(e);
  t->model = cornu_model_retain(m);
  t->objective = *objective;
  t->runs = (int64_t)(seed << 32);
  cn_status status = cn_optimizer_parse(optimizer, &t->arena, &t->optimizer, e);
  if (!status) status = list_variables(t, seed, e);
  if (status) {
    cornu_trainer_free(t);
    *out = NULL;
  }
  return status;
}

void cornu_trainer_free(cornu_trainer *t) {
  if (!t) return;
  while (t->programs) {
    program *p = t->programs;
    t->programs = p->next;
    free_program(p);
  }
  for (int i = 0; i < t->n_variables; i++) {
    cornu_tensor_release(t->variables[i].gradient);
    for (int k = 0; k < CN_MAX_SLOTS; k++) cornu_tensor_release(t->variables[i].slots[k]);
  }
  cornu_model_release(t->model);
  cn_arena_free(&t->arena);
  cn_free(t);
}

double cornu_trainer_rate(const cornu_trainer *t) { return t->optimizer.rate; }
void cornu_trainer_set_rate(cornu_trainer *t, double rate) { t->optimizer.rate = rate; }
int64_t cornu_trainer_steps(const cornu_trainer *t) { return t->steps; }
