/* Weights as files keep them: by the objects that lead to them (Keras 3), or by layers (Keras 2 and .h5 of Keras 3). */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "formats/save.h"
#include "layers/custom.h"
#include "layers/lora.h"
#include "layers/operation.h"

typedef struct writing { cn_saving *s; cn_h5_out *f; cn_error *e; } writing;

static const char *join(writing *w, const char *a, const char *b) {
  return *a ? cn_arena_printf(&w->s->arena, "%s/%s", a, b) : cn_arena_string(&w->s->arena, b);
}

static cn_status put_weight(writing *w, const cn_layer *l, int index, const char *path) {
  cn_tensor *t;
  if (!path) return cn_no_memory(w->e);
  CN_TRY(cn_say_weight(w->s, l, index, &t));
  cn_status status = cn_h5_put_array(w->f, path, t, w->e);
  cornu_tensor_release(t);
  return status;
}

/* ---- By objects ---- */

static bool is(const cn_layer *l, const char *names) { return l->type && cn_word_in(names, l->type->name, NULL); }

static cn_status put_number(writing *w, const cn_layer *l, int index, const char *vars, int number) {
  return put_weight(w, l, index, cn_arena_printf(&w->s->arena, "%s/%d", vars, number));
}

/* The weights of a handler's layer that its file told keep the places that they had there: "dense/0" is
 * dense/vars/0. */
static cn_status put_told(writing *w, const cn_layer *l, int index, const char *path) {
  const char *name = l->weights[index].name, *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
  bool numbered = *last && strspn(last, "0123456789") == strlen(last);
  if (!numbered) return put_number(w, l, index, join(w, path, "vars"), index);
  const char *folder = slash ? cn_arena_printf(&w->s->arena, "%s/%.*s", path, (int)(slash - name), name) : path;
  return put_weight(w, l, index, folder ? cn_arena_printf(&w->s->arena, "%s/vars/%s", folder, last) : NULL);
}

/* Adapted layers are stored merged: kernel + factor a b. */
static cn_status put_merged(writing *w, const cn_layer *l, const char *vars) {
  for (int i = 0; i < l->n_weights - 2; i++) {
    cn_tensor *merged = NULL;
    if (i > 0) {
      CN_TRY(put_number(w, l, i, vars, i));
      continue;
    }
    CN_TRY(cn_lora_merge(l, i, &merged, w->e));
    const char *path = cn_arena_printf(&w->s->arena, "%s/0", vars);
    cn_status status = path ? cn_h5_put_array(w->f, path, merged, w->e) : cn_no_memory(w->e);
    cornu_tensor_release(merged);
    CN_TRY(status);
  }
  return CORNU_OK;
}

/* The weights of words have a name of their own. */
static cn_status put_words(writing *w, const cn_layer *l, const char *vars) {
  cn_tensor *kept = l->n_weights ? l->weights[0].value : cn_layer_kept(l, 1);
  const char *path = join(w, vars, "idf_weights");
  if (!kept || is(l, "Discretization")) return CORNU_OK;
  return path ? cn_h5_put_array(w->f, path, kept, w->e) : cn_no_memory(w->e);
}

static cn_status put_own(writing *w, const cn_layer *l, const char *path) {
  const char *inner = is(l, "CuDNNLSTM CuDNNGRU") ? "cell" : l->type ? l->type->weights_path : NULL;
  const char *vars = inner ? join(w, join(w, path, inner), "vars") : join(w, path, "vars");
  if (!vars) return cn_no_memory(w->e);
  if (is(l, "TextVectorization")) CN_TRY(put_words(w, l, join(w, path, "_lookup_layer/vars"))); /* where Keras looks */
  if (l->type && l->type->restore) return put_words(w, l, vars);
  if (is(l, "SpectralNormalization")) { /* with the kernel that it had last in front of its own */
    CN_TRY(put_number(w, l->children[0].layer, 0, vars, 0));
    return put_number(w, l, 0, vars, 1);
  }
  if (cn_lora_enabled(l) && l->n_weights > 2) return put_merged(w, l, vars);
  bool told = l->custom && !l->custom->build;
  for (int i = 0; i < l->n_weights; i++) CN_TRY(told ? put_told(w, l, i, path) : put_number(w, l, i, vars, i));
  return CORNU_OK;
}

static cn_status walk_model(writing *w, const cn_model *m, const char *path);

static cn_status walk_layer(writing *w, const cn_layer *l, const char *path) {
  if (!path) return cn_no_memory(w->e);
  cn_status status = put_own(w, l, path);
  if (status) return cn_at(w->e, status, "layer \"%s\" (%s)", l->name, l->class_name);
  for (int i = 0; i < l->n_children; i++) {
    const char *attribute = l->children[i].attribute;
    if (is(l, "GroupQueryAttention") && *attribute != '_') attribute = cn_arena_printf(&w->s->arena, "_%s", attribute);
    CN_TRY(walk_layer(w, l->children[i].layer, attribute ? join(w, path, attribute) : NULL));
  }
  return l->model ? walk_model(w, l->model, path) : CORNU_OK;
}

/* The name of the class in Python, where the config spells another one. */
static const char *python_class(const cn_saving *s, const cn_layer *l) {
  const char *name = l->model ? (cn_is_sequence(l->model) ? "Sequential" : "Functional") : cn_said_class(s, l);
  const char *mark = strrchr(name, '>');
  if (mark) name = mark + 1;
  return strcmp(name, "GroupQueryAttention") == 0 ? "GroupedQueryAttention" : name;
}

/* Lists number their layers by class: dense, dense_1. Operations are no layers. */
static cn_status walk_model(writing *w, const cn_model *m, const char *path) {
  cn_map counts = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < m->n_layers && !status; i++) {
    const cn_layer *l = m->layers[i];
    char name[256];
    if (l->type == &cn_layer_operation) continue;
    cn_snake_case(python_class(w->s, l), name, sizeof name);
    const char *base = cn_arena_string(&w->s->arena, name);
    intptr_t count = base ? (intptr_t)cn_map_get(&counts, base) : 0;
    const char *key = count ? cn_arena_printf(&w->s->arena, "layers/%s_%d", name, (int)count)
                            : cn_arena_printf(&w->s->arena, "layers/%s", name);
    if (!base || !key || !cn_map_set(&counts, base, (void *)(count + 1))) status = cn_no_memory(w->e);
    else status = walk_layer(w, l, join(w, path, key));
  }
  cn_map_free(&counts);
  return status;
}

cn_status cn_save_objects(cn_saving *s, cn_h5_out *f, const cn_model *m, cn_error *e) {
  writing w = {s, f, e};
  CN_TRY(cn_h5_put_group(f, "layers", e));
  return walk_model(&w, m, "");
}

/* ---- By layers ---- */

typedef struct names { const char **items; int count, capacity; } names;

typedef struct listing { writing *w; const cn_layer *layer; const char *name, *group; names weights; } listing;

static cn_status add_name(writing *w, names *list, const char *name) {
  if (!name || !cn_arena_grow(&w->s->arena, &list->items, &list->capacity, list->count, sizeof *list->items))
    return cn_no_memory(w->e);
  list->items[list->count++] = name;
  return CORNU_OK;
}

/* Names that Keras would give: "dense/kernel:0", in Keras 3 without the number. */
static cn_status put_listed(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  listing *g = user;
  (void)e;
  const char *name = cn_arena_printf(&g->w->s->arena, "%s/%s%s", g->name, path, g->w->s->keras < 3 ? ":0" : "");
  CN_TRY(add_name(g->w, &g->weights, name));
  return put_weight(g->w, owner, index, join(g->w, g->group, name));
}

static cn_status put_layer(writing *w, cn_layer *l, const char *name, const char *group) {
  listing g = {.w = w, .layer = l, .name = name, .group = group};
  CN_TRY(cn_h5_put_group(w->f, group, w->e));
  cn_status status = cn_layer_each_weight(l, put_listed, &g, w->e);
  if (!status) status = cn_h5_put_texts(w->f, group, "weight_names", g.weights.items, g.weights.count, w->e);
  return status ? cn_at(w->e, status, "layer \"%s\" (%s)", l->name, l->class_name) : CORNU_OK;
}

cn_status cn_save_layers(cn_saving *s, cn_h5_out *f, const cn_model *m, const char *group, cn_error *e) {
  writing w = {s, f, e};
  names layers = {0};
  CN_TRY(cn_h5_put_group(f, group, e));
  for (int i = 0; i < m->n_layers; i++) {
    const char *label = cn_model_label(m, i);
    char *name = cn_arena_string(&s->arena, label);
    for (char *p = name; p && *p; p++)
      if (*p == '/') *p = '_';
    if (m->layers[i]->type == &cn_layer_operation) continue;
    CN_TRY(add_name(&w, &layers, name));
    CN_TRY(put_layer(&w, m->layers[i], name, join(&w, group, name)));
  }
  return cn_h5_put_texts(f, group, "layer_names", layers.items, layers.count, e);
}
