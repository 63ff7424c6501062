/* Running models: plans are kept for the shapes seen last, and one is made for each thread that runs at the same
 * moment. */
#include "model/plans.h"

#include <pthread.h>
#include <string.h>

#include "base/text.h"

enum { MAX_IDLE = 8 };

typedef struct cached {
  cn_plan *plan;
  cn_state_list states;
  cn_type *inputs;        /* concrete types, n_inputs of them */
  cn_sizes sizes;         /* those that the data has decided */
  bool measures;          /* its one output is the next of these sizes */
  unsigned revision;      /* sum over the layers when it was compiled */
  unsigned changes;       /* of all layers, when that sum was looked at last */
  struct cached *next;
} cached;

/* The plans that do not run now. A run takes its plan out and puts it back when it is done. */
struct cn_plan_cache {
  cached *_Atomic last;   /* what ran last, so that the same again needs no lock; NULL: it runs */
  pthread_mutex_t lock;
  cached *first;          /* the others, those used last first */
};

static void free_cached(cached *c) {
  cn_plan_free(c->plan);
  cn_states_free(&c->states);
  cn_free(c->inputs);
  cn_free(c);
}

void cn_plan_cache_free(struct cn_plan_cache *c) {
  if (!c) return;
  if (c->last) free_cached(c->last);
  for (cached *p = c->first, *next; p; p = next) {
    next = p->next;
    free_cached(p);
  }
  pthread_mutex_destroy(&c->lock);
  cn_free(c);
}

static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER;

static struct cn_plan_cache *cache_of(cn_model *m) {
  struct cn_plan_cache *c = atomic_load_explicit(&m->plans, memory_order_acquire);
  if (c) return c;
  pthread_mutex_lock(&creating);
  if (!m->plans && (c = cn_calloc(1, sizeof *c))) {
    pthread_mutex_init(&c->lock, NULL);
    atomic_store_explicit(&m->plans, c, memory_order_release);
  }
  c = m->plans;
  pthread_mutex_unlock(&creating);
  return c;
}

static unsigned layer_revision(const cn_layer *l) {
  unsigned sum = atomic_load_explicit(&((cn_layer *)l)->revision, memory_order_acquire);
  for (int i = 0; i < l->n_children; i++) sum += layer_revision(l->children[i].layer);
  return l->model ? sum + cn_model_revision(l->model) : sum;
}

unsigned cn_model_revision(const cn_model *m) {
  unsigned sum = 0;
  for (int i = 0; i < m->n_layers; i++) sum += layer_revision(m->layers[i]);
  return sum;
}

static bool same_types(const cn_type *a, const cn_type *b, int n) {
  for (int i = 0; i < n; i++)
    if (a[i].dtype != b[i].dtype || !cn_shape_equal(a[i].rank, a[i].shape, b[i].rank, b[i].shape)) return false;
  return true;
}

static bool fresh(cached *p, const cn_model *m) {
  unsigned changes = cn_layer_changes();
  if (p->changes == changes) return true;
  if (p->revision != cn_model_revision(m)) return false;
  p->changes = changes;
  return true;
}

static bool fits(const cached *p, const cn_model *m, const cn_type *types, const cn_sizes *sizes) {
  return same_types(p->inputs, types, m->n_inputs) && cn_shape_equal(p->sizes.n, p->sizes.v, sizes->n, sizes->v);
}

static void put_first(struct cn_plan_cache *c, cached *p) {
  p->next = c->first;
  c->first = p;
  int idle = 0;
  for (cached **link = &c->first; *link; link = &(*link)->next)
    if (++idle > MAX_IDLE) {
      cached *oldest = *link;
      *link = NULL;
      free_cached(oldest);
      return;
    }
}

static cached *take_listed(struct cn_plan_cache *c, const cn_model *m, const cn_type *types, const cn_sizes *sizes) {
  for (cached **link = &c->first; *link;) {
    cached *p = *link;
    bool stale = !fresh(p, m);
    if (!stale && !fits(p, m, types, sizes)) {
      link = &p->next;
      continue;
    }
    *link = p->next;
    if (!stale) return p;
    free_cached(p);
  }
  return NULL;
}

/* A plan for these types that is this run's alone; NULL: none. Stale ones go. */
static cached *take(struct cn_plan_cache *c, const cn_model *m, const cn_type *types, const cn_sizes *sizes) {
  cached *p = atomic_exchange_explicit(&c->last, NULL, memory_order_acquire);
  if (p && fits(p, m, types, sizes) && fresh(p, m)) return p;
  pthread_mutex_lock(&c->lock);
  if (p) put_first(c, p);
  p = take_listed(c, m, types, sizes);
  pthread_mutex_unlock(&c->lock);
  return p;
}

/* A model made by hand without an input shape builds at its first run. */
static cn_status build_first(cn_model *m, const cn_type *types, cn_error *e) {
  static pthread_mutex_t building = PTHREAD_MUTEX_INITIALIZER;
  cn_type *any = cn_calloc((size_t)m->n_inputs + 1, sizeof *any);
  if (!any) return cn_no_memory(e);
  for (int i = 0; i < m->n_inputs; i++) {
    any[i] = types[i];
    if (any[i].rank) any[i].shape[0] = -1;
  }
  pthread_mutex_lock(&building);
  cn_status status = cn_model_build_for(m, any, e);
  if (!status) status = cn_model_init_weights(m, 0, e);
  pthread_mutex_unlock(&building);
  cn_free(any);
  return status;
}

static cn_status acquire(cn_model *m, const cn_type *types, const cn_sizes *sizes, cached **out, cn_error *e) {
  if (!m->built) CN_TRY(build_first(m, types, e));
  struct cn_plan_cache *c = cache_of(m);
  if (!c) return cn_no_memory(e);
  *out = take(c, m, types, sizes);
  if (*out) return CORNU_OK;
  cached *p = cn_calloc(1, sizeof *p);
  if (p) p->inputs = cn_calloc((size_t)m->n_inputs + 1, sizeof *p->inputs);
  cn_weights_wait();
  unsigned changes = cn_layer_changes(), revision = cn_model_revision(m);
  cn_status status = p && p->inputs
                         ? cn_model_compile(m, types, sizes, &p->measures, &p->plan, &p->states, e)
                         : cn_no_memory(e);
  cornu_weights_end();
  if (status) {
    if (p) free_cached(p);
    return status;
  }
  memcpy(p->inputs, types, sizeof *types * (size_t)m->n_inputs);
  p->sizes = *sizes;
  p->revision = revision;
  p->changes = changes;
  *out = p;
  return CORNU_OK;
}

static void give_back(cn_model *m, cached *p) {
  struct cn_plan_cache *c = cache_of(m);
  cached *none = NULL;
  if (atomic_compare_exchange_strong_explicit(&c->last, &none, p, memory_order_release, memory_order_relaxed)) return;
  pthread_mutex_lock(&c->lock);
  put_first(c, p);
  pthread_mutex_unlock(&c->lock);
}

/* ---- Checking inputs ---- */

static const char *where(const cn_model *m) { return *m->path ? m->path : m->name; }

/* Keras adds or drops a last dimension of 1 where the model wants it otherwise. */
static void adjust_rank(const cn_type *want, cn_type *type) {
  int rank = type->rank;
  if (rank > 0 && rank == want->rank - 1 && want->shape[rank] == 1) type->shape[type->rank++] = 1;
  else if (rank > 1 && rank == want->rank + 1 && type->shape[rank - 1] == 1) type->rank--;
}

cn_status cn_model_check_input(const cn_model *m, int i, const cn_tensor *x, cn_type *type, cn_error *e) {
  const cn_model_node *n = &m->nodes[m->inputs[i].node];
  const cn_type *want = &n->out_types[0];
  if (!x)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: input \"%s\" (%d of %d) is missing", where(m), n->input_name, i + 1,
                   m->n_inputs);
  if (cornu_tensor_is_symbolic(x) && !cn_trace_current())
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: input \"%s\" is symbolic", where(m), n->input_name);
  *type = (cn_type){.dtype = want->dtype, .rank = x->rank};
  memcpy(type->shape, x->shape, sizeof type->shape);
  if (!m->unknown_input) adjust_rank(want, type);
  bool fits = m->unknown_input || type->rank == want->rank;
  for (int d = 0; fits && !m->unknown_input && d < type->rank; d++)
    fits = want->shape[d] < 0 || want->shape[d] == type->shape[d];
  if (!fits)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: input \"%s\" (%d of %d) has shape %s, expected %s%s", where(m),
                   n->input_name, i + 1, m->n_inputs, CN_SHAPE(x->rank, x->shape), CN_SHAPE(want->rank, want->shape),
                   x->rank == want->rank - 1 ? ": add the batch dimension" : "");
  return CORNU_OK;
}

static cn_status check_count(const cn_model *m, int n_inputs, cn_error *e) {
  if (n_inputs == m->n_inputs) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: the model takes %d input%s, not %d", where(m), m->n_inputs,
                 m->n_inputs == 1 ? "" : "s", n_inputs);
}

/* The input as contiguous data of the wanted dtype: itself where it is, borrowed from the caller, or a tensor of the
 * run's own. */
static cn_status convert(cn_tensor *x, cornu_dtype dtype, cn_tensor **out, cn_error *e) {
  if (x->dtype == dtype && cornu_tensor_is_contiguous(x)) return *out = x, CORNU_OK;
  return cornu_tensor_cast(x, dtype, out, e);
}

enum { SMALL = 8 };

/* Tables for one run; small models need no allocation. */
typedef struct run {
  cn_type *types;
  cn_tensor **in;
  const void **in_data;
  void **out_data;
  cn_type small_types[SMALL];
  cn_tensor *small_in[SMALL];
  const void *small_in_data[SMALL];
  void *small_out_data[SMALL];
  cn_arena arena;
} run;

static cn_status prepare(run *r, int n_in, cn_error *e) {
  bool small = n_in <= SMALL;
  r->types = small ? r->small_types : cn_arena_array(&r->arena, (size_t)n_in, sizeof *r->types);
  r->in = small ? r->small_in : cn_arena_array(&r->arena, (size_t)n_in, sizeof *r->in);
  if (!r->types || !r->in) return cn_no_memory(e);
  for (int i = 0; i < n_in; i++) r->in[i] = NULL;
  return CORNU_OK;
}

static cn_status prepare_data(run *r, int n_in, int n_out, cn_error *e) {
  bool small = n_in <= SMALL && n_out <= SMALL;
  r->in_data = small ? r->small_in_data : cn_arena_array(&r->arena, (size_t)n_in, sizeof *r->in_data);
  r->out_data = small ? r->small_out_data : cn_arena_array(&r->arena, (size_t)n_out, sizeof *r->out_data);
  return r->in_data && r->out_data ? CORNU_OK : cn_no_memory(e);
}

/* The states follow the model's own inputs and outputs. */
static cn_status run_stateful(const cached *p, run *r, int n_in, int n_out, cn_error *e) {
  const cn_state_list *states = &p->states;
  cn_tensor **held = cn_arena_array(&r->arena, 2 * (size_t)states->count, sizeof *held);
  if (!held) return cn_no_memory(e);
  cn_status status = cn_states_begin(states, held, e);
  for (int i = 0; i < states->count && !status; i++) {
    r->in_data[n_in + i] = held[i]->data;
    r->out_data[n_out + i] = held[states->count + i]->data;
  }
  if (!status) status = cn_plan_run(p->plan, r->in_data, r->out_data, e);
  cn_states_end(states, held, !status);
  return status;
}

static cn_status run_plan(cn_model *m, const cached *p, run *r, cornu_tensor **outputs, cn_error *e) {
  CN_TRY(prepare_data(r, m->n_inputs + p->states.count, m->n_outputs + p->states.count, e));
  for (int i = 0; i < m->n_inputs; i++) r->in_data[i] = r->in[i]->data;
  for (int i = 0; i < m->n_outputs; i++) {
    const cn_type *t = cn_plan_output_type(p->plan, i);
    CN_TRY(cn_tensor_make(t->dtype, t->rank, t->shape, &outputs[i], e));
    r->out_data[i] = outputs[i]->data;
  }
  cn_status status = p->states.count ? run_stateful(p, r, m->n_inputs, m->n_outputs, e)
                                     : cn_plan_run(p->plan, r->in_data, r->out_data, e);
  for (int i = 0; i < m->n_outputs && !status; i++) /* strings point to the inputs' bytes so far */
    if (outputs[i]->dtype == CORNU_TEXT) status = cn_tensor_own_texts(outputs[i], e);
  return status ? cn_at(e, status, "%s", where(m)) : CORNU_OK;
}

/* The plan for these inputs, after the sizes are known that the data decides. */
static cn_status find_plan(cn_model *m, run *r, cached **out, cn_error *e) {
  cn_sizes sizes = {0};
  for (;;) {
    int64_t size = 0;
    cn_status status = acquire(m, r->types, &sizes, out, e);
    if (status || !(*out)->measures) return status ? cn_at(e, status, "%s", where(m)) : CORNU_OK;
    status = prepare_data(r, m->n_inputs, 1, e);
    for (int i = 0; i < m->n_inputs && !status; i++) r->in_data[i] = r->in[i]->data;
    if (!status) status = cn_plan_run((*out)->plan, r->in_data, (void *[]){&size}, e);
    give_back(m, *out);
    *out = NULL;
    CN_TRY(status);
    sizes.v[sizes.n++] = size;
  }
}

/* ---- Calls on symbols, as traced functions make them: the model joins the trace, its weights as constants ---- */

static bool has_weights(const cn_model *m) {
  for (int i = 0; i < m->n_layers; i++)
    if (cornu_layer_weights(m->layers[i])) return true;
  return false;
}

/* A layer of Lua that is to be trained holds what it calls as constants: silently, weights would stay as they are. In a
 * loss, which is within no layer, that is what is wanted. */
static cn_status check_trained(const cn_model *m, const cn_trace *t, cn_error *e) {
  const bool within = t->training && t->variables && t->label && *t->label;
  for (int i = 0; i < m->n_layers && within; i++)
    if (cornu_layer_trainable_weights(m->layers[i]))
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "the weights of layer \"%s\", which is called within, would not be trained: make weights with "
                     "layer:add_weight, build a model of both layers, or freeze it (trainable = false)",
                     m->layers[i]->name);
  return CORNU_OK;
}

/* Layers without weights, such as noise, do in training what they do there. */
static cn_status lower(cn_model *m, cn_trace *t, const cn_type *types, cornu_tensor *const *inputs,
                       cornu_tensor **outputs, cn_error *e) {
  const bool variables = t->variables, training = t->training;
  const char *label = t->label;
  cn_sym *in = cn_arena_array(&t->graph->arena, (size_t)m->n_inputs + 1, sizeof *in);
  cn_sym *out = cn_arena_array(&t->graph->arena, (size_t)m->n_outputs + 1, sizeof *out);
  if (!in || !out) return cn_no_memory(e);
  CN_TRY(check_trained(m, t, e));
  for (int i = 0; i < m->n_inputs; i++) {
    cn_reshape_attrs shape = {.shape = {.n = types[i].rank}};
    for (int d = 0; d < types[i].rank; d++) shape.shape.v[d] = types[i].shape[d];
    CN_TRY(cn_trace_edge(t, inputs[i], &in[i].data, e));
    in[i] = (cn_sym){cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){types[i].dtype}, in[i].data), CN_NO_EDGE};
    if (types[i].rank != inputs[i]->rank) in[i].data = cn_emit1(t, &cn_op_reshape, &shape, in[i].data);
  }
  if (has_weights(m)) t->variables = t->training = false;
  cn_model_lower(m, t, in, out);
  t->variables = variables, t->training = training, t->label = label;
  if (t->status) return *e = *t->error, t->status;
  cn_status status = CORNU_OK;
  for (int i = 0; i < m->n_outputs && !status; i++) status = cn_trace_symbol(t, out[i].data, &outputs[i], e);
  return status;
}

static bool any_symbol(cornu_tensor *const *inputs, int n) {
  for (int i = 0; i < n; i++)
    if (inputs[i] && cornu_tensor_is_symbolic(inputs[i])) return true;
  return false;
}

static cn_status join_trace(cn_model *m, cornu_tensor *const *inputs, int n_inputs, cornu_tensor **outputs,
                            cn_error *e) {
  cn_type *types = cn_calloc((size_t)n_inputs + 1, sizeof *types);
  cn_status status = types ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n_inputs && !status; i++) status = cn_model_check_input(m, i, inputs[i], &types[i], e);
  if (!status && !m->built) status = build_first(m, types, e);
  if (!status) status = lower(m, cn_trace_current(), types, inputs, outputs, e);
  for (int i = 0; i < m->n_outputs && status; i++) cornu_tensor_release(outputs[i]), outputs[i] = NULL;
  cn_free(types);
  return status;
}

cornu_status cornu_model_predict(cornu_model *m, cornu_tensor *const *inputs, int n_inputs, cornu_tensor **outputs,
                                 cornu_error *e) {
  CN_TRY(check_count(m, n_inputs, e));
  run r;
  r.arena = (cn_arena){0};
  for (int i = 0; i < m->n_outputs; i++) outputs[i] = NULL;
  if (cn_trace_current() && any_symbol(inputs, n_inputs)) return join_trace(m, inputs, n_inputs, outputs, e);
  cn_status status = prepare(&r, n_inputs, e);
  if (status) return cn_arena_free(&r.arena), status;
  for (int i = 0; i < n_inputs && !status; i++) {
    status = cn_model_check_input(m, i, inputs[i], &r.types[i], e);
    if (!status) status = convert(inputs[i], r.types[i].dtype, &r.in[i], e);
  }
  cached *p = NULL;
  if (!status) status = find_plan(m, &r, &p, e);
  if (!status) {
    status = run_plan(m, p, &r, outputs, e);
    give_back(m, p);
  }
  for (int i = 0; i < n_inputs; i++)
    if (r.in[i] != inputs[i]) cornu_tensor_release(r.in[i]);
  for (int i = 0; i < m->n_outputs && status; i++) cornu_tensor_release(outputs[i]), outputs[i] = NULL;
  cn_arena_free(&r.arena);
  return status;
}

/* ---- Plans of the host ---- */

void cornu_plan_free(cornu_plan *p) {
  if (!p) return;
  for (int i = 0; p->held && i < 2 * p->states.count; i++) cornu_tensor_release(p->held[i]);
  cn_free(p->held);
  cn_states_free(&p->states);
  cn_plan_renewed_free(p);
  cn_plan_free(p->plan);
  cn_free(p->types);
  cn_free(p->in_data);
  cn_free(p->out_data);
  cornu_model_release(p->model);
  cn_free(p);
}

static cn_status plan_types(const cn_model *m, const int64_t *const *shapes, bool any_batch, cn_type *types,
                            cn_error *e) {
  for (int i = 0; i < m->n_inputs; i++) {
    const cn_model_node *n = &m->nodes[m->inputs[i].node];
    types[i] = n->out_types[0];
    if (m->unknown_input) return cn_fail(e, CORNU_ERR_SHAPE, "the rank of input \"%s\" is not known", n->input_name);
    for (int d = 0; d < types[i].rank; d++) {
      int64_t want = d == 0 && any_batch ? -1 : n->out_types[0].shape[d];
      if (shapes[i][d] < 0 || (want >= 0 && want != shapes[i][d]))
        return cn_fail(e, CORNU_ERR_SHAPE, "%s: input \"%s\" has shape %s, expected %s", where(m), n->input_name,
                       CN_SHAPE(types[i].rank, shapes[i]), CN_SHAPE(types[i].rank, n->out_types[0].shape));
      types[i].shape[d] = shapes[i][d];
    }
  }
  return CORNU_OK;
}

/* Types follow those of the inputs. */
static cn_status keep_types(cornu_plan *p, cn_error *e) {
  const size_t n_in = (size_t)p->model->n_inputs, n_out = (size_t)p->model->n_outputs, n = (size_t)p->states.count;
  cn_type *types = cn_realloc(p->types, (n_in + n_out + n + 1) * sizeof *types);
  if (!types) return cn_no_memory(e);
  p->types = types;
  for (size_t i = 0; i < n_out; i++) types[n_in + i] = *cn_plan_output_type(p->plan, (int)i);
  for (size_t i = 0; i < n; i++) types[n_in + n_out + i] = p->states.items[i].type;
  p->n_states = (int)n;
  return CORNU_OK;
}

/* Tables for runs, and the states as zeros. */
static cn_status make_room(cornu_plan *p, cn_error *e) {
  int n = p->states.count;
  p->in_data = cn_calloc((size_t)(p->model->n_inputs + n) + 1, sizeof *p->in_data);
  p->out_data = cn_calloc((size_t)(p->model->n_outputs + n) + 1, sizeof *p->out_data);
  p->held = cn_calloc(2 * (size_t)n + 1, sizeof *p->held);
  if (!p->in_data || !p->out_data || !p->held) return cn_no_memory(e);
  for (int i = 0; i < 2 * n; i++) {
    const cn_type *t = &p->states.items[i % n].type;
    CN_TRY(cornu_tensor_new(t->dtype, t->rank, t->shape, &p->held[i], e));
  }
  return CORNU_OK;
}

cn_status cn_plan_new(cn_model *m, const int64_t *const *shapes, bool any_batch, cornu_plan **out, cn_error *e) {
  *out = NULL;
  cornu_plan *p = cn_calloc(1, sizeof *p);
  if (!p) return cn_no_memory(e);
  p->model = cornu_model_retain(m);
  p->types = cn_calloc((size_t)m->n_inputs + 1, sizeof *p->types);
  cn_status status = p->types ? plan_types(m, shapes, any_batch, p->types, e) : cn_no_memory(e);
  cn_weights_wait();
  p->changes = cn_layer_changes();
  p->revision = cn_model_revision(m);
  if (!status) status = cn_model_compile(m, p->types, NULL, NULL, &p->plan, &p->states, e);
  cornu_weights_end();
  if (!status) status = keep_types(p, e);
  if (!status) status = make_room(p, e);
  if (status) cornu_plan_free(p);
  else *out = p;
  return status;
}

cornu_status cornu_plan_new(cornu_model *m, const int64_t *const *shapes, cornu_plan **out, cornu_error *e) {
  return cn_plan_new(m, shapes, false, out, e);
}

static cn_status check_tensor(const cn_tensor *t, const cn_type *want, const char *what, int i, cn_error *e) {
  if (t && t->data && t->dtype == want->dtype && cornu_tensor_is_contiguous(t) &&
      cn_shape_equal(t->rank, t->shape, want->rank, want->shape))
    return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%s %d is %s %s, the plan needs a contiguous %s %s", what, i + 1,
                 t ? cornu_dtype_name(t->dtype) : "missing", t ? CN_SHAPE(t->rank, t->shape) : "",
                 cornu_dtype_name(want->dtype), CN_SHAPE(want->rank, want->shape));
}

/* Where runs read and write, once it is checked. */
cn_status cn_plan_point(cornu_plan *p, cn_tensor *const *inputs, cn_tensor *const *outputs, cn_error *e) {
  for (int i = 0; i < p->model->n_inputs; i++) {
    CN_TRY(check_tensor(inputs[i], cn_plan_input_type(p->plan, i), "input", i, e));
    p->in_data[i] = inputs[i]->data;
  }
  for (int i = 0; i < p->model->n_outputs; i++) {
    CN_TRY(check_tensor(outputs[i], cn_plan_output_type(p->plan, i), "output", i, e));
    p->out_data[i] = outputs[i]->data;
  }
  return CORNU_OK;
}

cn_status cn_plan_run_pointed(cornu_plan *p, cn_tensor *const *outputs, double *seconds, cn_error *e) {
  int n = p->states.count;
  for (int i = 0; i < n; i++) {
    p->in_data[p->model->n_inputs + i] = p->held[i]->data;
    p->out_data[p->model->n_outputs + i] = p->held[n + i]->data;
  }
  CN_TRY(seconds ? cn_plan_profile(p->plan, p->in_data, p->out_data, seconds, e)
                 : cn_plan_run(p->plan, p->in_data, p->out_data, e));
  for (int i = 0; i < p->model->n_outputs; i++)
    if (outputs[i]->dtype == CORNU_TEXT) CN_TRY(cn_tensor_own_texts(outputs[i], e));
  for (int i = 0; i < n; i++) {
    cn_tensor *before = p->held[i];
    p->held[i] = p->held[n + i];
    p->held[n + i] = before;
  }
  return CORNU_OK;
}

cornu_status cornu_plan_run(cornu_plan *p, cornu_tensor *const *inputs, cornu_tensor *const *outputs, cornu_error *e) {
  CN_TRY(cn_plan_update(p, e));
  CN_TRY(cn_plan_point(p, inputs, outputs, e));
  return cn_plan_run_pointed(p, outputs, NULL, e);
}

cornu_status cornu_plan_profile(cornu_plan *p, cornu_tensor *const *inputs, cornu_tensor *const *outputs,
                                double *seconds, cornu_error *e) {
  CN_TRY(cn_plan_update(p, e));
  CN_TRY(cn_plan_point(p, inputs, outputs, e));
  return cn_plan_run_pointed(p, outputs, seconds, e);
}

void cornu_plan_reset_states(cornu_plan *p) {
  for (int i = 0; i < p->states.count; i++)
    memset(p->held[i]->data, 0, (size_t)cornu_tensor_size(p->held[i]) * cornu_dtype_bytes(p->held[i]->dtype));
}

static bool plan_port(bool known, cornu_port *out, const cn_type *t) {
  if (!known) return false;
  out->dtype = t->dtype;
  out->rank = t->rank;
  memcpy(out->shape, t->shape, sizeof out->shape);
  return true;
}

bool cornu_plan_input(const cornu_plan *p, int i, cornu_port *out) {
  return plan_port(cornu_model_input(p->model, i, out), out,
                   i >= 0 && i < p->model->n_inputs ? cn_plan_input_type(p->plan, i) : NULL);
}

bool cornu_plan_output(const cornu_plan *p, int i, cornu_port *out) {
  return plan_port(cornu_model_output(p->model, i, out), out,
                   i >= 0 && i < p->model->n_outputs ? cn_plan_output_type(p->plan, i) : NULL);
}

size_t cornu_plan_memory(const cornu_plan *p) { return cn_plan_bytes(p->plan); }
double cornu_plan_flops(const cornu_plan *p) { return cn_plan_total_flops(p->plan); }
int cornu_plan_steps(const cornu_plan *p) { return cn_plan_steps(p->plan); }

/* times: how often the step runs, with other values of what is not constant */
static double bytes_of(cn_operand *const *operands, int n, int64_t times) {
  double bytes = 0;
  for (int i = 0; i < n; i++) {
    const cn_operand *o = operands[i];
    if (o) bytes += (double)o->size * (double)cornu_dtype_bytes(o->dtype) * (o->constant ? 1 : (double)times);
  }
  return bytes;
}

void cn_plan_tell(const cn_plan *p, int i, cornu_step *out) {
  const cn_step *s = cn_plan_step(p, i);
  const int64_t times = cn_plan_step_times(p, i);
  const cn_operand *o = s->out[0];
  *out = (cornu_step){.op = s->op->name, .layer = s->label, .variant = s->variant ? s->variant : "",
                      .dtype = o->dtype, .rank = o->rank, .n_inputs = s->n_in, .flops = s->flops * (double)times,
                      .bytes = bytes_of(s->in, s->n_in, times) + bytes_of(s->out, s->n_out, times)};
  memcpy(out->shape, o->shape, sizeof out->shape);
  if (times > 1) out->shape[0] *= times;
}

bool cornu_plan_step(const cornu_plan *p, int i, cornu_step *out) {
  if (i < 0 || i >= cn_plan_steps(p->plan)) return false;
  cn_plan_tell(p->plan, i, out);
  return true;
}

int cornu_plan_producer(const cornu_plan *p, int i, int input) {
  if (i < 0 || i >= cn_plan_steps(p->plan) || input < 0 || input >= cn_plan_step(p->plan, i)->n_in) return -1;
  return cn_plan_producer(p->plan, i, input);
}

cornu_status cornu_plan_format(const cornu_plan *p, char **out, cornu_error *e) {
  return cn_plan_text(p->plan, out, e);
}
