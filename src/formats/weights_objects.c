/* Weights of .keras and .weights.h5 files: a group per object, found by the attributes that lead to it, and in a list
 * by class names counted up (dense, dense_1). */
#include <stdlib.h>
#include <string.h>

#include "formats/weights.h"

typedef struct walker {
  cn_loading *g;
  bool declaring;       /* custom layers only, before the build */
  int depth;
  cn_layer **seen;      /* layers that got their weights from the file */
  int n_seen, cap_seen;
  cn_layer **missing;   /* layers without a group of their own */
  const char **missing_at;
  int n_missing, cap_missing, cap_missing_at;
} walker;

static const char *join(walker *w, const char *a, const char *b) {
  return *a ? cn_arena_printf(&w->g->arena, "%s/%s", a, b) : cn_arena_string(&w->g->arena, b);
}

/* ---- Arrays of one object ---- */

static bool is_number(const char *s) { return *s && strlen(s) < 9 && strspn(s, "0123456789") == strlen(s); }

static int compare_numbers(const void *a, const void *b) {
  return atoi(((const cn_stored *)a)->name) - atoi(((const cn_stored *)b)->name);
}

/* vars/0, vars/1, … in the order of their numbers (names are sorted as text in the file); entries with other names,
 * tables of lookup layers, are left out. *there: the group exists. */
static cn_status list_vars(walker *w, const char *path, cn_stored_list *out, bool *there) {
  cn_names names;
  *out = (cn_stored_list){0};
  *there = cn_h5_find(w->g->source->h5, path) == CN_H5_GROUP;
  if (!*there) return CORNU_OK;
  CN_TRY(cn_h5_members(w->g->source->h5, path, &w->g->arena, &names, w->g->e));
  for (int i = 0; i < names.count; i++)
    if (is_number(names.items[i])) CN_TRY(cn_stored_add(w->g, out, join(w, path, names.items[i]), names.items[i]));
  if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, compare_numbers);
  return CORNU_OK;
}

/* All arrays below a custom layer, "vars" left out of the names: 0, 1, dense/0. */
static cn_status list_below(walker *w, const char *path, const char *name, int depth, cn_stored_list *out) {
  cn_names members;
  cn_stored_list own;
  bool there;
  const char *vars = join(w, path, "vars");
  if (!vars || depth > cn_limits.max_depth) return vars ? CORNU_OK : cn_no_memory(w->g->e);
  CN_TRY(list_vars(w, vars, &own, &there));
  for (int i = 0; i < own.count; i++)
    CN_TRY(cn_stored_add(w->g, out, own.items[i].path, join(w, name, own.items[i].name)));
  CN_TRY(cn_h5_members(w->g->source->h5, path, &w->g->arena, &members, w->g->e));
  for (int i = 0; i < members.count; i++) {
    const char *below = join(w, path, members.items[i]), *below_name = join(w, name, members.items[i]);
    if (!below || !below_name) return cn_no_memory(w->g->e);
    if (strcmp(members.items[i], "vars") != 0 && cn_h5_find(w->g->source->h5, below) == CN_H5_GROUP)
      CN_TRY(list_below(w, below, below_name, depth + 1, out));
  }
  return CORNU_OK;
}

/* ---- Layers ---- */

/* Keras's own class name where the config spells another one. */
static const char *class_of(const cn_layer *l) {
  const char *name = strrchr(l->class_name, '>');
  name = name ? name + 1 : l->class_name;
  if (strcmp(name, "Model") == 0) return "Functional";
  if (strcmp(name, "GroupQueryAttention") == 0) return "GroupedQueryAttention";
  return name;
}

static cn_status note_seen(walker *w, cn_layer *l) {
  if (!cn_arena_grow(&w->g->arena, &w->seen, &w->cap_seen, w->n_seen, sizeof *w->seen)) return cn_no_memory(w->g->e);
  w->seen[w->n_seen++] = l;
  return CORNU_OK;
}

static cn_status note_missing(walker *w, cn_layer *l, const char *path) {
  cn_arena *a = &w->g->arena;
  if (!cn_arena_grow(a, &w->missing, &w->cap_missing, w->n_missing, sizeof *w->missing) ||
      !cn_arena_grow(a, &w->missing_at, &w->cap_missing_at, w->n_missing, sizeof *w->missing_at))
    return cn_no_memory(w->g->e);
  w->missing[w->n_missing] = l;
  w->missing_at[w->n_missing++] = path;
  return CORNU_OK;
}

static cn_status put_own(walker *w, cn_layer *l, const cn_layer *top, const char *path) {
  cn_stored_list arrays;
  bool there;
  const char *own = l->type && l->type->weights_path ? join(w, path, l->type->weights_path) : path;
  const char *vars = own ? join(w, own, "vars") : NULL;
  if (!vars) return cn_no_memory(w->g->e);
  if (l->n_weights == 0) return CORNU_OK;
  CN_TRY(list_vars(w, vars, &arrays, &there));
  if (l->custom && arrays.count != l->n_weights && cn_h5_find(w->g->source->h5, path) == CN_H5_GROUP) {
    arrays = (cn_stored_list){0}; /* its weights are those of its parts, too */
    CN_TRY(list_below(w, path, "", 0, &arrays));
  }
  if (arrays.count == 0 && l->type && l->type->restore) return CORNU_OK; /* it has taken what there is */
  if (arrays.count == 0) return note_missing(w, l, vars);
  CN_TRY(cn_weights_put(w->g, l, cn_loading_layer(w->g, top, l), arrays.items, arrays.count));
  return note_seen(w, l);
}

static cn_status walk_model(walker *w, cn_model *m, const char *path);

static cn_status walk_layer(walker *w, cn_layer *l, const cn_layer *top, const char *path) {
  if (!path) return cn_no_memory(w->g->e);
  if (w->depth > cn_limits.max_depth)
    return cn_fail(w->g->e, CORNU_ERR_LIMIT, "layers nested more than %d levels deep", cn_limits.max_depth);
  w->depth++;
  cn_status status = CORNU_OK;
  if (w->declaring && cn_weights_open(l)) {
    cn_stored_list arrays = {0};
    if (cn_h5_find(w->g->source->h5, path) == CN_H5_GROUP) status = list_below(w, path, "", 0, &arrays);
    if (!status) status = cn_weights_adopt(w->g, l, arrays.items, arrays.count);
  } else if (w->declaring && l->type && l->type->restore) {
    status = cn_weights_restore(w->g, l, path, NULL);
  } else if (!w->declaring) {
    status = put_own(w, l, top, path);
  }
  if (!status && l->model) status = walk_model(w, l->model, path);
  for (int i = 0; i < l->n_children && !status; i++) {
    const char *attribute = l->children[i].attribute, *at = join(w, path, attribute);
    if (at && cn_h5_find(w->g->source->h5, at) == CN_H5_NONE) { /* tf.keras keeps some parts under private names */
      const char *hidden = cn_arena_printf(&w->g->arena, "%s/_%s", path, attribute);
      if (hidden && cn_h5_find(w->g->source->h5, hidden) == CN_H5_GROUP) at = hidden;
    }
    status = walk_layer(w, l->children[i].layer, top, at);
  }
  w->depth--;
  return status;
}

/* ---- Models ---- */

/* Whether layer.weights is not empty; before the build, whether it may be. */
static bool has_weights(walker *w, cn_layer *l) {
  cn_slots slots;
  if (w->declaring) return l->n_children || l->model || (l->type && l->type->build);
  return !cn_slots_of(w->g, l, &slots) && slots.count;
}

/* How lists of layers are numbered. Keras 3 counts every layer; tf.keras leaves out what it has stored elsewhere; its
 * versions 2.12 to 2.14 list layers with weights under two names, so that these count double. */
typedef enum counting { COUNT_ALL, COUNT_NEW, COUNT_TWICE } counting;

static int count_step(walker *w, const cn_model *m, int layer, counting how) {
  if (how == COUNT_NEW) return cn_is_marked_shared(m, layer) ? 0 : 1;
  return how == COUNT_TWICE && has_weights(w, m->layers[layer]) ? 2 : 1;
}

/* Keys of a model's layers: class names in snake case, counted up. A layer that does not count has the key "". */
static cn_status class_keys(walker *w, const cn_model *m, counting how, const char **keys) {
  cn_map counts = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < m->n_layers && !status; i++) {
    char name[256];
    int step = count_step(w, m, i, how);
    cn_snake_case(class_of(m->layers[i]), name, sizeof name);
    intptr_t count = (intptr_t)cn_map_get(&counts, name);
    const char *stored = cn_arena_string(&w->g->arena, name);
    keys[i] = !step ? "" : count ? cn_arena_printf(&w->g->arena, "%s_%d", name, (int)count) : stored;
    if (!stored || !keys[i] || !cn_map_set(&counts, stored, (void *)(count + step))) status = cn_no_memory(w->g->e);
  }
  cn_map_free(&counts);
  return status;
}

/* How many of the keys the file has, among layers that can have weights. *all: every one. */
static int keys_found(walker *w, const cn_model *m, const char *path, const char *const *keys, bool *all) {
  int found = 0;
  *all = true;
  for (int i = 0; i < m->n_layers; i++) {
    const cn_layer *l = m->layers[i];
    if (!l->n_weights && !l->n_children && !l->model && !l->custom) continue;
    if (!*keys[i]) continue;
    const char *at = join(w, path, keys[i]);
    bool there = at && cn_h5_find(w->g->source->h5, at) == CN_H5_GROUP;
    found += there;
    *all = *all && there;
  }
  return found;
}

/* The kind of keys of which the file has most: counted classes, or names. */
static cn_status layer_keys(walker *w, const cn_model *m, const char *path, const char ***out) {
  const counting kinds[] = {w->g->origin.tf ? COUNT_NEW : COUNT_ALL, COUNT_TWICE};
  int most = -1;
  bool all = false;
  for (int k = 0; k < 3 && !all; k++) {
    const char **keys = cn_arena_array(&w->g->arena, (size_t)m->n_layers + 1, sizeof *keys);
    if (!keys) return cn_no_memory(w->g->e);
    if (k < 2) CN_TRY(class_keys(w, m, kinds[k], keys));
    for (int i = 0; k == 2 && i < m->n_layers; i++) keys[i] = m->layers[i]->name;
    int found = keys_found(w, m, path, keys, &all);
    if (found > most) most = found, *out = keys;
  }
  return CORNU_OK;
}

/* Groups of the list that no layer of the config leads to, and that hold weights. */
static cn_status tell_extra(walker *w, const cn_model *m, const char *path, const char *const *keys) {
  cn_map known = {0};
  cn_names members = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < m->n_layers && !status; i++)
    if (!cn_map_set(&known, keys[i], (void *)keys[i])) status = cn_no_memory(w->g->e);
  if (!status && cn_h5_find(w->g->source->h5, path) == CN_H5_GROUP)
    status = cn_h5_members(w->g->source->h5, path, &w->g->arena, &members, w->g->e);
  for (int i = 0; i < members.count && !status; i++) {
    cn_stored_list arrays = {0};
    const char *at = join(w, path, members.items[i]);
    if (!at) status = cn_no_memory(w->g->e);
    else if (!cn_map_get(&known, members.items[i]) && cn_h5_find(w->g->source->h5, at) == CN_H5_GROUP)
      status = list_below(w, at, "", 0, &arrays);
    if (arrays.count && !status)
      cn_loading_problem(w->g, "the file has %d arrays at \"%s\", for which the config has no layer", arrays.count, at);
  }
  cn_map_free(&known);
  return status;
}

static cn_status walk_model(walker *w, cn_model *m, const char *path) {
  static const char *const lists[] = {"layers", "_layer_checkpoint_dependencies"};
  const char *list = NULL, **keys = NULL;
  for (int i = 0; i < CN_COUNT(lists) && !list; i++) {
    list = join(w, path, lists[i]);
    if (list && cn_h5_find(w->g->source->h5, list) != CN_H5_GROUP) list = NULL;
  }
  if (!list) list = join(w, path, lists[0]);
  if (!list) return cn_no_memory(w->g->e);
  CN_TRY(layer_keys(w, m, list, &keys));
  for (int i = 0; i < m->n_layers; i++)
    CN_TRY(walk_layer(w, m->layers[i], m->layers[i], join(w, list, *keys[i] ? keys[i] : "(stored before)")));
  return w->declaring || w->g->skip_mismatch ? CORNU_OK : tell_extra(w, m, list, keys);
}

/* ---- Layers that are stored elsewhere ---- */

/* A layer that two models share is stored at its first place alone; the config has it twice. */
static cn_status tie(walker *w, cn_layer *l, const char *path) {
  for (int i = 0; i < w->n_seen; i++) {
    const cn_layer *first = w->seen[i];
    if (!cn_may_be_shared(first, l)) continue;
    for (int k = 0; k < l->n_weights; k++)
      if (first->weights[k].value) CN_TRY(cn_layer_set_weight(l, k, first->weights[k].value, w->g->e));
    return CORNU_OK;
  }
  if (!w->g->skip_mismatch)
    cn_loading_problem(w->g, "layer \"%s\" (%s): the file has no arrays for its %d weights at \"%s\"", l->name,
                       l->class_name, l->n_weights, path);
  return CORNU_OK;
}

cn_status cn_objects_load(cn_loading *g) {
  walker w = {.g = g};
  if (g->by_name)
    return cn_fail(g->e, CORNU_ERR_UNSUPPORTED,
                   "by_name: this file keeps weights by the place of their layer, not by its name");
  CN_TRY(walk_model(&w, g->model, ""));
  for (int i = 0; i < w.n_missing; i++) CN_TRY(tie(&w, w.missing[i], w.missing_at[i]));
  return CORNU_OK;
}

cn_status cn_objects_declare(cn_loading *g) {
  walker w = {.g = g, .declaring = true};
  return walk_model(&w, g->model, "");
}
