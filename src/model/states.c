/* States of stateful layers. Many threads may run models that share a layer: each run takes the states as they are when
 * it begins and leaves its own when it ends. */
#include "model/states.h"

#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of every layer's states */

cn_status cn_states_list(const cn_trace *t, cn_state_list *out, cn_error *e) {
  *out = (cn_state_list){0};
  if (!t->n_states) return CORNU_OK;
  out->items = cn_calloc((size_t)t->n_states, sizeof *out->items);
  if (!out->items) return cn_no_memory(e);
  for (int i = 0; i < t->n_states; i++) {
    const cn_trace_state *s = &t->states[i];
    if (!s->weight) out->items[out->count++] = (cn_state_ref){s->owner, s->index, s->type};
  }
  return CORNU_OK;
}

void cn_states_free(cn_state_list *list) {
  cn_free(list->items);
  *list = (cn_state_list){0};
}

/* The layer's state, retained; NULL: it has none yet. */
static cn_tensor *present(cn_layer *l, int index) {
  pthread_mutex_lock(&lock);
  cn_tensor *t = index < l->n_states ? l->states[index] : NULL;
  if (t) cornu_tensor_retain(t);
  pthread_mutex_unlock(&lock);
  return t;
}

/* Takes the tensor over; false: no memory. */
static bool put(cn_layer *l, int index, cn_tensor *t) {
  bool room = true;
  pthread_mutex_lock(&lock);
  while (room && l->n_states <= index) {
    room = cn_arena_grow(&l->arena, &l->states, &l->cap_states, l->n_states, sizeof *l->states);
    if (room) l->states[l->n_states++] = NULL;
  }
  cn_tensor *old = room ? l->states[index] : t;
  if (room) l->states[index] = t;
  pthread_mutex_unlock(&lock);
  cornu_tensor_release(old);
  return room;
}

static void forget(cn_layer *l) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < l->n_states; i++) cornu_tensor_release(l->states[i]);
  l->n_states = 0;
  pthread_mutex_unlock(&lock);
}

static cn_status begin_one(const cn_state_ref *s, cn_tensor **now, cn_tensor **next, cn_error *e) {
  const cn_type *want = &s->type;
  CN_TRY(cornu_tensor_new(want->dtype, want->rank, want->shape, next, e));
  *now = present(s->layer, s->index);
  if (!*now) return cornu_tensor_new(want->dtype, want->rank, want->shape, now, e);
  if (cn_shape_equal((*now)->rank, (*now)->shape, want->rank, want->shape)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE,
                 "layer \"%s\" (%s): state %d has shape %s from the last run, this one needs %s: reset "
                 "the states first, or keep all batches of one size",
                 s->layer->name, s->layer->class_name, s->index + 1, CN_SHAPE((*now)->rank, (*now)->shape),
                 CN_SHAPE(want->rank, want->shape));
}

cn_status cn_states_begin(const cn_state_list *list, cn_tensor **held, cn_error *e) {
  memset(held, 0, 2 * (size_t)list->count * sizeof *held);
  for (int i = 0; i < list->count; i++) CN_TRY(begin_one(&list->items[i], &held[i], &held[list->count + i], e));
  return CORNU_OK;
}

void cn_states_end(const cn_state_list *list, cn_tensor **held, bool keep) {
  for (int i = 0; i < list->count; i++) {
    cornu_tensor_release(held[i]);
    if (!keep) cornu_tensor_release(held[list->count + i]);
    else put(list->items[i].layer, list->items[i].index, held[list->count + i]);
  }
}

/* ---- For users ---- */

/* The layer that holds state *index of l: itself, or one that it wraps; *index becomes its own. NULL: there is none. */
static cn_layer *holder(cn_layer *l, int *index) {
  pthread_mutex_lock(&lock);
  int own = l->n_states;
  pthread_mutex_unlock(&lock);
  if (*index < own) return l;
  *index -= own;
  cn_layer *found = NULL;
  for (int i = 0; i < l->n_children && !found; i++) found = holder(l->children[i].layer, index);
  return found;
}

int cornu_layer_states(const cornu_layer *l) {
  int count = INT32_MAX;
  return holder((cn_layer *)l, &count) ? 0 : INT32_MAX - count;
}

cornu_tensor *cornu_layer_state(cornu_layer *l, int i) {
  cn_layer *owner = i < 0 ? NULL : holder(l, &i);
  return owner ? present(owner, i) : NULL;
}

cornu_status cornu_layer_set_states(cornu_layer *l, cornu_tensor *const *states, int n, cornu_error *e) {
  int count = cornu_layer_states(l);
  if (n != count)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) has %d states, not %d%s", l->name, l->class_name, count, n,
                   count ? "" : ": they are there after the first run of a stateful layer");
  for (int i = 0; i < n; i++) {
    int index = i;
    cn_layer *owner = holder(l, &index);
    cn_tensor *now = cornu_layer_state(l, i), *copy = NULL;
    bool fits = cn_shape_equal(states[i]->rank, states[i]->shape, now->rank, now->shape);
    cn_status status = fits ? cornu_tensor_new(now->dtype, now->rank, now->shape, &copy, e)
                            : cn_fail(e, CORNU_ERR_SHAPE, "layer \"%s\": state %d has shape %s, not %s", l->name, i + 1,
                                      CN_SHAPE(now->rank, now->shape), CN_SHAPE(states[i]->rank, states[i]->shape));
    cornu_tensor_release(now);
    if (!status) status = cornu_tensor_copy(copy, states[i], e);
    if (status) return cornu_tensor_release(copy), status;
    put(owner, index, copy);
  }
  return CORNU_OK;
}

void cornu_layer_reset_states(cornu_layer *l) {
  forget(l);
  for (int i = 0; i < l->n_children; i++) cornu_layer_reset_states(l->children[i].layer);
  if (l->model) cornu_model_reset_states(l->model);
}

void cornu_model_reset_states(cornu_model *m) {
  for (int i = 0; i < m->n_layers; i++) cornu_layer_reset_states(m->layers[i]);
}
