/* Training: the graph of a model, of its loss and of the gradients is one plan; the optimizer follows it. Weights are
 * inputs of that plan and change in place. */
#include <string.h>

#include "base/deadline.h"
#include "model/plans.h"
#include "train/trainer.h"

/* ---- Variables ---- */

typedef struct listing { cornu_trainer *t; const char *layer; int left; } listing; /* how many come that train */

static cn_status list_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  listing *l = user;
  cornu_trainer *t = l->t;
  const bool trains = l->left-- > 0;
  for (int i = 0; i < t->n_variables; i++)
    if (t->variables[i].layer == owner && t->variables[i].index == index) return CORNU_OK; /* of a shared layer */
  if (!cn_arena_grow(&t->arena, &t->variables, &t->cap_variables, t->n_variables, sizeof *t->variables))
    return cn_no_memory(e);
  const char *full = cn_arena_printf(&t->arena, "%s/%s", l->layer, path);
  if (!full) return cn_no_memory(e);
  t->variables[t->n_variables++] = (cn_variable){.layer = owner, .index = index, .path = full, .trains = trains};
  return CORNU_OK;
}

/* Weights that a file holds, or somebody else, are copied: the trainer writes into its own. Others may come with
 * cornu_layer_set_weight. */
static cn_status own(const cn_variable *v, cn_error *e) {
  cn_tensor *value = cn_variable_value(v), *copy;
  const bool alone = atomic_load(&value->references) == 1 && atomic_load(&value->buffer->references) == 1;
  if (alone && !value->buffer->stored && cornu_tensor_is_contiguous(value)) return CORNU_OK;
  cn_tensor_fetch(value);
  CN_TRY(cn_tensor_make(value->dtype, value->rank, value->shape, &copy, e));
  cn_status status = cornu_tensor_copy(copy, value, e);
  if (!status) status = cn_layer_set_weight(v->layer, v->index, copy, e);
  cornu_tensor_release(copy);
  return status;
}

static cn_status list_variables(cornu_trainer *t, uint64_t seed, cn_error *e) {
  CN_TRY(cn_model_build(t->model, e));
  CN_TRY(cn_model_init_weights(t->model, seed, e));
  for (int i = 0; i < t->model->n_layers; i++) {
    cn_layer *layer = t->model->layers[i];
    listing l = {t, cornu_layer_name(layer), cornu_layer_trainable_weights(layer)}; /* which come first */
    CN_TRY(cn_layer_each_weight(layer, list_weight, &l, e));
  }
  for (int i = 0; i < t->n_variables; i++) {
    cn_variable *v = &t->variables[i];
    CN_TRY(own(v, e));
    if (v->trains) CN_TRY(cn_optimizer_choose(&t->optimizer, v->path, &v->optimizer, e));
  }
  return CORNU_OK;
}

int cn_variable_find(const cornu_trainer *t, const void *layer, int index) {
  for (int i = 0; i < t->n_variables; i++)
    if (t->variables[i].layer == layer && t->variables[i].index == index) return i;
  return -1;
}

/* ---- Batches ---- */

/* The statistics of layers follow the run. */
static void move(const cornu_trainer *t, const cn_program *p) {
  for (int i = 0; i < p->n_moved; i++) {
    const cn_variable *v = &t->variables[p->moved[i].variable];
    memcpy(cn_variable_value(v)->data, p->moved[i].next->data,
           (size_t)cornu_tensor_size(cn_variable_value(v)) * cornu_dtype_bytes(cn_variable_value(v)->dtype));
    cn_layer_weight_changed(v->layer, v->index);
  }
}

typedef struct run {
  cn_arena arena;
  const void **in;
  void **out;
  cn_tensor **held;          /* states before and after */
} run;

static cn_status prepare(cornu_trainer *t, const cn_program *p, run *r, cn_tensor *const *from, cn_tensor **results,
                         cn_error *e) {
  const int states = p->states.count, n_out = p->n_results + p->n_trained + p->n_rows + p->n_moved + states;
  r->in = cn_arena_array(&r->arena, (size_t)p->n_feeds + 1, sizeof *r->in);
  r->out = cn_arena_array(&r->arena, (size_t)n_out + 1, sizeof *r->out);
  r->held = cn_arena_array(&r->arena, 2 * (size_t)states + 1, sizeof *r->held);
  if (!r->in || !r->out || !r->held) return cn_no_memory(e);
  if (states) CN_TRY(cn_states_begin(&p->states, r->held, e));
  for (int i = 0; i < p->n_feeds; i++) {
    const cn_feed *f = &p->feeds[i];
    r->in[i] = f->source == CN_FROM_CALLER     ? from[f->index]->data
               : f->source == CN_FROM_VARIABLE ? cn_variable_value(&t->variables[f->index])->data
               : f->source == CN_FROM_STATE    ? r->held[f->index]->data
                                            : (const void *)&t->runs;
  }
  int at = 0;
  for (int i = 0; i < p->n_results; i++) {
    const cn_type *type = cn_plan_output_type(p->plan, i);
    CN_TRY(cn_tensor_make(type->dtype, type->rank, type->shape, &results[i], e));
    r->out[at++] = results[i]->data;
  }
  for (int i = 0; i < p->n_trained; i++) r->out[at++] = t->variables[p->trained[i]].gradient->data;
  for (int i = 0; i < p->n_rows; i++) r->out[at++] = p->rows[i]->data;
  for (int i = 0; i < p->n_moved; i++) r->out[at++] = p->moved[i].next->data;
  for (int i = 0; i < states; i++) r->out[at++] = r->held[states + i]->data;
  return CORNU_OK;
}

static cn_status run_plan(cornu_trainer *t, const cn_program *p, const run *r, cn_error *e) {
  if (!t->seconds) return cn_plan_run(p->plan, r->in, r->out, e);
  double *room = cn_realloc(t->seconds, ((size_t)cn_plan_steps(p->plan) + 1) * sizeof *room);
  if (!room) return cn_no_memory(e);
  t->seconds = room;
  return cn_plan_profile(p->plan, r->in, r->out, t->seconds, e);
}

static cn_status run_program(cornu_trainer *t, const cn_program *p, cn_tensor *const *from, cn_tensor **results,
                             cn_error *e) {
  run r = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < t->n_variables && p->kind != CN_TESTS && !status; i++) status = own(&t->variables[i], e);
  if (!status) status = prepare(t, p, &r, from, results, e);
  t->runs += p->kind != CN_TESTS;
  if (!status) status = run_plan(t, p, &r, e);
  if (r.held && p->states.count) cn_states_end(&p->states, r.held, !status);
  if (!status && p->kind == CN_CALLS) move(t, p);
  if (!status && p->kind == CN_TRAINS) {
    const double before = cornu_clock();
    move(t, p);
    status = cn_trainer_step(t, p, e);
    if (t->seconds) t->seconds[cn_plan_steps(p->plan)] = cornu_clock() - before;
    if (!status) status = cn_constrain(t, &t->constraints, e);
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

/* A step of training is taken whole: the time of the thread is looked at before it. */
static cn_status run_in_time(cornu_trainer *t, const cn_program *p, cn_tensor *const *from, cn_tensor **results,
                             cn_error *e) {
  CN_TRY(cn_check_time(e));
  const double deadline = cornu_set_deadline(0);
  const cn_status status = run_program(t, p, from, results, e);
  cornu_set_deadline(deadline);
  return status;
}

cornu_status cornu_trainer_batch(cornu_trainer *t, bool training, cornu_tensor *const *inputs, int n_inputs,
                                 cornu_tensor *const *given, int n_given, cornu_tensor **results, int *n_results,
                                 cornu_error *e) {
  const int n = n_inputs + n_given, room = *n_results;
  *n_results = 0;
  if (n_inputs != t->model->n_inputs)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the model takes %d inputs, not %d", t->model->n_inputs, n_inputs);
  if (training) CN_TRY(cn_trainer_begin(t, e));
  cn_arena arena = {0};
  cn_tensor **from = cn_arena_array(&arena, (size_t)n + 1, sizeof *from);
  cn_type *types = cn_arena_array(&arena, (size_t)n + 1, sizeof *types);
  cn_status status = from && types ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n && !status; i++)
    status = convert(t, i < n_inputs ? inputs[i] : given[i - n_inputs], i < n_inputs ? i : -1, &from[i], &types[i], e);
  cn_program *p = NULL;
  if (!status) status = cn_program_find(t, training ? CN_TRAINS : CN_TESTS, types, n, &p, e);
  if (!status && p->n_results > room)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "the objective has %d results: room for %d", p->n_results, room);
  for (int i = 0; p && i < p->n_results && i < room; i++) results[i] = NULL;
  if (!status) status = run_in_time(t, p, from, results, e);
  for (int i = 0; p && i < p->n_results && i < room && status; i++) cornu_tensor_release(results[i]), results[i] = NULL;
  if (!status) *n_results = p->n_results;
  for (int i = 0; i < n && from; i++) cornu_tensor_release(from[i]);
  cn_arena_free(&arena);
  return status;
}

/* What the plan is to take for an input: of the model's rank and dtype, contiguous. */
static cn_status input_of(const cn_model *m, int i, cn_tensor *x, cn_tensor **out, cn_type *type, cn_error *e) {
  CN_TRY(cn_model_check_input(m, i, x, type, e));
  if (cornu_tensor_is_symbolic(x))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "a model that a custom layer calls runs as that does: its input is symbolic");
  cn_tensor_fetch(x);
  return x->dtype == type->dtype ? cornu_tensor_contiguous(x, out, e) : cornu_tensor_cast(x, type->dtype, out, e);
}

cornu_status cornu_trainer_call(cornu_trainer *t, cornu_tensor *const *inputs, int n_inputs, cornu_tensor **outputs,
                                cornu_error *e) {
  const cn_model *m = t->model;
  for (int i = 0; i < m->n_outputs; i++) outputs[i] = NULL;
  if (n_inputs != m->n_inputs)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the model takes %d inputs, not %d", m->n_inputs, n_inputs);
  cn_arena arena = {0};
  cn_tensor **from = cn_arena_array(&arena, (size_t)n_inputs + 1, sizeof *from);
  cn_type *types = cn_arena_array(&arena, (size_t)n_inputs + 1, sizeof *types);
  cn_status status = from && types ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n_inputs && !status; i++) status = input_of(m, i, inputs[i], &from[i], &types[i], e);
  cn_program *p = NULL;
  if (!status) status = cn_program_find(t, CN_CALLS, types, n_inputs, &p, e);
  if (!status) status = run_program(t, p, from, outputs, e);
  for (int i = 0; i < m->n_outputs && !status; i++)
    if (outputs[i]->dtype == CORNU_TEXT) status = cn_tensor_own_texts(outputs[i], e);
  for (int i = 0; i < m->n_outputs && status; i++) cornu_tensor_release(outputs[i]), outputs[i] = NULL;
  for (int i = 0; i < n_inputs && from; i++) cornu_tensor_release(from[i]);
  cn_arena_free(&arena);
  return status;
}

cornu_status cornu_trainer_profile(cornu_trainer *t, cornu_tensor *const *inputs, int n_inputs,
                                   cornu_tensor *const *given, int n_given,
                                   cornu_status (*visit)(void *user, const cornu_step *step, double seconds,
                                                         cornu_error *e),
                                   void *user, cornu_error *e) {
  cornu_tensor *results[64];
  int n_results = CN_COUNT(results);
  if (!(t->seconds = cn_calloc(1, sizeof *t->seconds))) return cn_no_memory(e);
  cn_status status = cornu_trainer_batch(t, true, inputs, n_inputs, given, n_given, results, &n_results, e);
  const cn_plan *plan = t->programs ? t->programs->plan : NULL; /* used last */
  for (int i = 0; !status && i <= cn_plan_steps(plan); i++) {
    cornu_step step = {.op = "optimizer", .layer = t->optimizer.type->name, .variant = ""};
    if (i < cn_plan_steps(plan)) cn_plan_tell(plan, i, &step);
    status = visit(user, &step, t->seconds[i], e);
  }
  for (int i = 0; i < n_results; i++) cornu_tensor_release(results[i]);
  cn_free(t->seconds);
  t->seconds = NULL;
  return status;
}

/* ---- Making ---- */

cornu_status cornu_trainer_new(cornu_model *m, const cornu_value *optimizer, const cornu_objective *objective,
                               uint64_t seed, cornu_trainer **out, cornu_error *e) {
  static const cn_value unused = {.kind = CORNU_STRING, .count = 3, .s = "sgd"};
  cornu_trainer *t = *out = cn_calloc(1, sizeof *t);
  if (!t) return cn_no_memory(e);
  t->model = cornu_model_retain(m);
  if (objective) t->objective = *objective;
  if (!optimizer) optimizer = &unused;
  t->runs = (int64_t)(seed << 32);
  cn_status status = cn_optimizer_parse(optimizer, &t->arena, &t->optimizer, e);
  if (!status) cn_optimizer_order(&t->optimizer, cornu_model_training_config(m));
  if (!status) status = list_variables(t, seed, e);
  if (!status) status = cn_constraints_new(t, &t->constraints, e);
  if (status) {
    cornu_trainer_free(t);
    *out = NULL;
  }
  return status;
}

void cornu_trainer_free(cornu_trainer *t) {
  if (!t) return;
  while (t->programs) {
    cn_program *p = t->programs;
    t->programs = p->next;
    cn_program_free(p);
  }
  for (int i = 0; i < t->n_variables; i++) cn_variable_free(&t->variables[i]);
  cn_constraints_free(&t->constraints);
  cornu_model_release(t->model);
  cn_arena_free(&t->arena);
  cn_free(t);
}

double cornu_trainer_rate(const cornu_trainer *t) {
  const cn_optimizer *o = &t->optimizer;
  return cn_optimizer_rate(o->n_inner ? &o->inner[o->n_inner - 1] : o, t->steps);
}

cornu_status cornu_trainer_set_rate(cornu_trainer *t, double rate, cornu_error *e) {
  if (t->optimizer.n_inner)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: each of its optimizers has a learning rate of its own", t->optimizer.type->name);
  if (t->optimizer.schedule)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the learning rate follows a schedule: it cannot be set; compile with a number for that");
  if (!(rate >= 0)) return cn_fail(e, CORNU_ERR_ARGUMENT, "a learning rate is a number >= 0, not %g", rate);
  t->optimizer.rate = rate;
  return CORNU_OK;
}

int64_t cornu_trainer_steps(const cornu_trainer *t) { return t->steps; }
int64_t cornu_trainer_runs(const cornu_trainer *t) { return t->runs; }
void cornu_trainer_set_runs(cornu_trainer *t, int64_t runs) { t->runs = runs; }
