/* Weights of layers in Keras's order, those of wrapped layers and nested models with them. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "layers/layer.h"

cn_status cn_layer_add_weight(cn_layer *l, const char *name, int rank, const int64_t *shape, bool trainable,
                              const cn_value *initializer, cn_error *e) {
  if (cn_shape_size(rank, shape) < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "weight \"%s\" would have shape %s: the input shape is not known", name,
                   CN_SHAPE(rank, shape));
  if (!cn_arena_grow(&l->arena, &l->weights, &l->cap_weights, l->n_weights, sizeof *l->weights)) return cn_no_memory(e);
  cn_weight *w = &l->weights[l->n_weights];
  *w = (cn_weight){.name = cn_arena_string(&l->arena, name), .rank = rank, .dtype = l->compute,
                   .trainable = trainable, .initializer = initializer};
  if (!w->name) return cn_no_memory(e);
  if (rank) memcpy(w->shape, shape, sizeof *shape * (size_t)rank);
  l->n_weights++;
  return CORNU_OK;
}

int cn_layer_find_weight(const cn_layer *l, const char *name) {
  for (int i = 0; i < l->n_weights; i++)
    if (strcmp(l->weights[i].name, name) == 0) return i;
  return -1;
}

cn_edge cn_layer_weight_edge(cn_layer *l, cn_trace *t, const char *name) {
  int i = cn_layer_find_weight(l, name);
  if (i < 0 || t->status) return CN_NO_EDGE;
  const cn_weight *w = &l->weights[i];
  cn_type type = {.dtype = w->dtype, .rank = w->rank};
  memcpy(type.shape, w->shape, sizeof type.shape);
  if (t->variables) return cn_trace_weight_now(t, l, i, &type);
  cn_edge edge = CN_NO_EDGE;
  t->status = cn_graph_add_constant(t->graph, &type, w->value, &edge, t->error);
  return t->status ? CN_NO_EDGE : edge;
}

void cn_layer_weight_keep(cn_layer *l, cn_trace *t, const char *name, cn_edge next) {
  const int i = cn_layer_find_weight(l, name);
  if (i >= 0 && t->variables) cn_trace_weight_keep(t, l, i, next);
}

static atomic_uint changes;
unsigned cn_layer_changes(void) { return atomic_load_explicit(&changes, memory_order_acquire); }

void cn_layer_changed(cn_layer *l) {
  atomic_fetch_add_explicit(&l->revision, 1, memory_order_release);
  atomic_fetch_add_explicit(&changes, 1, memory_order_release);
}

void cn_layer_weight_changed(cn_layer *l, int index) {
  atomic_fetch_add(&l->weights[index].value->buffer->version, 1);
  cn_layer_changed(l);
}

/* ---- Changes that belong together, and who looks at the weights meanwhile ---- */

static const uint64_t NOBODY = UINT64_MAX;
static pthread_rwlock_t changing = PTHREAD_RWLOCK_INITIALIZER;
static atomic_uint_least64_t changes_before = UINT64_MAX; /* the count when the thread that changes weights began */
static _Thread_local int held;                            /* how often the calling thread has the lock */
static _Thread_local bool writes;

void cornu_weights_begin(void) {
  if (held++ > 0) return;
  pthread_rwlock_wrlock(&changing);
  writes = true;
  atomic_store(&changes_before, cn_layer_changes());
}

void cornu_weights_end(void) {
  if (held == 0 || --held > 0) return;
  if (writes) atomic_store(&changes_before, NOBODY);
  writes = false;
  pthread_rwlock_unlock(&changing);
}

void cn_weights_wait(void) {
  if (held++ == 0) pthread_rwlock_rdlock(&changing);
}

bool cn_weights_look(unsigned seen) {
  if (held == 0 && pthread_rwlock_tryrdlock(&changing)) {
    if (atomic_load(&changes_before) == seen) return false;
    pthread_rwlock_rdlock(&changing);
  }
  held++;
  return true;
}

cn_status cn_layer_set_weight(cn_layer *l, int index, cn_tensor *value, cn_error *e) {
  cn_weight *w = &l->weights[index];
  if (!cn_shape_equal(value->rank, value->shape, w->rank, w->shape))
    return cn_fail(e, CORNU_ERR_SHAPE, "layer \"%s\" (%s): %s has shape %s, expected %s", l->name, l->class_name,
                   w->name, CN_SHAPE(value->rank, value->shape), CN_SHAPE(w->rank, w->shape));
  cn_tensor *own;
  CN_TRY(cn_check_time(e));
  CN_TRY(value->dtype == w->dtype ? cornu_tensor_contiguous(value, &own, e)
                                  : cornu_tensor_cast(value, w->dtype, &own, e));
  cornu_tensor_release(w->value);
  w->value = own;
  w->provisional = false;
  cn_layer_changed(l);
  return CORNU_OK;
}

typedef struct walk { cn_weight_visit visit; void *user; bool trainable; cn_error *e; } walk;

static cn_status walk_model(const walk *w, cornu_model *m, const char *prefix);

/* Own weights, then children's, of one kind: trainable or not. */
static cn_status walk_layer(const walk *w, cn_layer *l, const char *prefix, bool frozen) {
  frozen |= !l->trainable;
  for (int i = 0; i < l->n_weights; i++) {
    if ((l->weights[i].trainable && !frozen) != w->trainable) continue;
    char path[512];
    snprintf(path, sizeof path, "%s%s", prefix, l->weights[i].name);
    CN_TRY(w->visit(w->user, l, i, path, w->e));
  }
  for (int i = 0; i < l->n_children; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s%s/", prefix, l->children[i].attribute);
    CN_TRY(walk_layer(w, l->children[i].layer, path, frozen));
  }
  return l->model ? walk_model(w, l->model, prefix) : CORNU_OK;
}

static cn_status walk_model(const walk *w, cornu_model *m, const char *prefix) {
  for (int i = 0; i < cornu_model_layers(m); i++) {
    cn_layer *l = cornu_model_layer(m, i);
    char path[512];
    snprintf(path, sizeof path, "%s%s/", prefix, l->name);
    CN_TRY(walk_layer(w, l, path, false));
  }
  return CORNU_OK;
}

cn_status cn_layer_each_weight(cn_layer *l, cn_weight_visit visit, void *user, cn_error *e) {
  walk w = {visit, user, true, e};
  CN_TRY(walk_layer(&w, l, "", false));
  w.trainable = false;
  return walk_layer(&w, l, "", false);
}

/* ---- public ---- */

typedef struct finder { int wanted, at; cn_layer *owner; int index; char path[512]; } finder;

static cn_status find(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)e;
  finder *f = user;
  if (f->at++ != f->wanted) return CORNU_OK;
  f->owner = owner;
  f->index = index;
  snprintf(f->path, sizeof f->path, "%s", path);
  return CORNU_ERR_NOT_FOUND; /* stops the walk */
}

int cornu_layer_weights(const cornu_layer *l) {
  finder f = {.wanted = -1};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  return f.at;
}

int cornu_layer_trainable_weights(const cornu_layer *l) {
  finder f = {.wanted = -1};
  walk w = {find, &f, true, NULL};
  walk_layer(&w, (cn_layer *)l, "", false);
  return f.at;
}

/* Paths of weights further down are made once and kept with the layer that was asked. */
static const char *keep_path(cn_layer *l, const char *path) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  const char *kept = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < l->n_paths && !kept; i++)
    if (strcmp(l->paths[i], path) == 0) kept = l->paths[i];
  if (!kept && cn_arena_grow(&l->path_arena, &l->paths, &l->cap_paths, l->n_paths, sizeof *l->paths) &&
      (kept = cn_arena_string(&l->path_arena, path)))
    l->paths[l->n_paths++] = kept;
  pthread_mutex_unlock(&lock);
  return kept;
}

const char *cornu_layer_weight_name(const cornu_layer *l, int i) {
  finder f = {.wanted = i};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  if (!f.owner) return NULL;
  return f.owner == l ? f.owner->weights[f.index].name : keep_path((cn_layer *)l, f.path);
}

cornu_tensor *cornu_layer_weight(const cornu_layer *l, int i) {
  finder f = {.wanted = i};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  cn_tensor *value = f.owner ? f.owner->weights[f.index].value : NULL;
  if (value) cn_tensor_fetch(value);
  return value;
}

static cn_status set_weights(cn_layer *l, cornu_tensor *const *weights, int n, cn_error *e) {
  int have = cornu_layer_weights(l);
  if (n != have)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) has %d weights, not %d", l->name, l->class_name, have, n);
  for (int pass = 0; pass < 2; pass++) /* all fit before one is set */
    for (int i = 0; i < n; i++) {
      finder f = {.wanted = i};
      cn_layer_each_weight(l, find, &f, NULL);
      const cn_weight *w = &f.owner->weights[f.index];
      const cn_tensor *given = weights[i];
      if (cornu_tensor_is_symbolic(given) || !cn_shape_equal(given->rank, given->shape, w->rank, w->shape))
        return cn_fail(e, CORNU_ERR_SHAPE, "layer \"%s\" (%s): %s has shape %s, expected %s", l->name, l->class_name,
                       f.path, CN_SHAPE(given->rank, given->shape), CN_SHAPE(w->rank, w->shape));
      if (!pass) continue;
      cn_tensor *copy;
      CN_TRY(cornu_tensor_cast(weights[i], w->dtype, &copy, e));
      cn_status status = cn_layer_set_weight(f.owner, f.index, copy, e);
      cornu_tensor_release(copy);
      CN_TRY(status);
    }
  return CORNU_OK;
}

cornu_status cornu_layer_set_weights(cornu_layer *l, cornu_tensor *const *weights, int n, cornu_error *e) {
  cornu_weights_begin();
  const cn_status status = set_weights(l, weights, n, e);
  cornu_weights_end();
  return status;
}

static cn_status copy_part(cn_layer *l, const cn_value *parts, const char *key, const cn_value **out, cn_error *e) {
  const cn_value *v = cn_value_find(parts, key);
  if (cn_value_is_null(v)) return CORNU_OK;
  *out = cn_value_copy(&l->arena, v);
  return *out ? CORNU_OK : cn_no_memory(e);
}

cornu_status cornu_layer_add_weight(cornu_layer *l, const char *name, int rank, const int64_t *shape, bool trainable,
                                    const cornu_value *parts, cornu_error *e) {
  if (cn_layer_find_weight(l, name) >= 0)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" has a weight \"%s\" already", l->name, name);
  CN_TRY(cn_layer_add_weight(l, name, rank, shape, trainable, NULL, e));
  cn_weight *w = &l->weights[l->n_weights - 1];
  CN_TRY(copy_part(l, parts, "initializer", &w->initializer, e));
  CN_TRY(copy_part(l, parts, "regularizer", &w->regularizer, e));
  CN_TRY(copy_part(l, parts, "constraint", &w->constraint, e));
  w->provisional = w->initializer != NULL;
  /* zeros until the file's array comes: a handler may look at its weights while the model is built */
  return cornu_tensor_new(l->compute, rank, shape, &w->value, e);
}

cornu_status cornu_layer_weight_symbol(cornu_layer *l, int i, cornu_tensor **out, cornu_error *e) {
  cn_trace *t = cn_trace_current();
  finder f = {.wanted = i};
  *out = NULL;
  if (!t || !t->variables) return CORNU_OK;
  cn_layer_each_weight(l, find, &f, NULL);
  if (!f.owner) return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" has no weight %d", l->name, i);
  const cn_edge edge = cn_layer_weight_edge(f.owner, t, f.owner->weights[f.index].name);
  return t->status ? t->status : cn_trace_symbol(t, edge, out, e);
}

bool cornu_layer_in_training(const cornu_layer *l) {
  const cn_trace *t = cn_trace_current();
  (void)l;
  return t && t->variables && t->training;
}

cornu_status cornu_layer_add_loss(cornu_layer *l, cornu_tensor *loss, cornu_error *e) {
  cn_trace *t = cn_trace_current();
  cn_edge edge;
  if (!t || !t->variables) return CORNU_OK;
  CN_TRY(cn_trace_edge(t, loss, &edge, e));
  cn_trace_add_loss(t, edge);
  return t->status ? cn_at(t->error, t->status, "layer \"%s\"", l->name) : CORNU_OK;
}
