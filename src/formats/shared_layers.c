/* Layers that several models share. The config has one in each of them, and only those behind the first are marked by a
 * number; Keras 3 stores it at its first place alone, .h5 files in all. */
#include <string.h>

#include "formats/weights.h"

bool cn_is_marked_shared(const cn_model *m, int layer) {
  const cn_value *config = cn_value_find(m->config, "config"), *layers = cn_value_find(config, "layers");
  const char *name = m->layers[layer]->name;
  int count = cn_value_is(layers, CORNU_LIST) ? layers->count : 0;
  for (int i = 0; i < count; i++) { /* the same place, or one further: a Sequential's list begins with its input */
    const cn_value *entry = layers->items[(layer + i) % count];
    const char *own = cn_value_str(cn_value_find(cn_value_find(entry, "config"), "name"));
    if (own && strcmp(own, name) == 0) return cn_value_find(entry, "shared_object_id");
  }
  return false;
}

/* Equal but for the numbers that mark shared objects. */
static bool same_config(const cn_value *a, const cn_value *b) {
  if (!a || !b || a->kind != b->kind || (a->kind != CORNU_DICT && a->kind != CORNU_LIST)) return cn_value_equal(a, b);
  int other = 0;
  for (int i = 0; a->kind == CORNU_LIST && i < a->count; i++)
    if (i >= b->count || !same_config(a->items[i], b->items[i])) return false;
  if (a->kind == CORNU_LIST) return a->count == b->count;
  for (int i = 0; i < b->count; i++) other += strcmp(b->keys[i], "shared_object_id") != 0;
  for (int i = 0; i < a->count; i++) {
    if (strcmp(a->keys[i], "shared_object_id") == 0) continue;
    const cn_value *v = cn_value_find(b, a->keys[i]);
    if (!v || !same_config(a->items[i], v)) return false;
    other--;
  }
  return other == 0;
}

bool cn_may_be_shared(const cn_layer *a, const cn_layer *b) {
  bool alike = a->type == b->type && strcmp(a->name, b->name) == 0 && same_config(a->config, b->config) &&
               a->n_weights == b->n_weights && a->n_children == b->n_children;
  for (int i = 0; alike && i < a->n_weights; i++)
    alike = cn_shape_equal(a->weights[i].rank, a->weights[i].shape, b->weights[i].rank, b->weights[i].shape);
  return alike;
}

/* ---- One layer again ---- */

static bool same_values(const cn_layer *a, const cn_layer *b) {
  for (int i = 0; i < a->n_weights; i++) {
    const cn_tensor *v = a->weights[i].value, *w = b->weights[i].value;
    if (v == w) continue;
    if (!v || !w || v->dtype != w->dtype || cornu_tensor_is_symbolic(v) || cornu_tensor_is_symbolic(w)) return false;
    cn_tensor_fetch((cn_tensor *)v);
    cn_tensor_fetch((cn_tensor *)w);
    if (memcmp(v->data, w->data, (size_t)cornu_tensor_size(v) * cornu_dtype_bytes(v->dtype)) != 0) return false;
  }
  return true;
}

static bool is_same(const cn_layer *a, const cn_layer *b) {
  if (a->model || b->model || !cn_may_be_shared(a, b) || !same_values(a, b)) return false;
  for (int i = 0; i < a->n_children; i++)
    if (!is_same(a->children[i].layer, b->children[i].layer)) return false;
  return true;
}

typedef struct tying { cn_arena arena; cn_layer **seen; int n, capacity; cn_error *e; } tying;

static cn_status tie(tying *t, cn_model *m) {
  for (int i = 0; i < m->n_layers; i++) {
    cn_layer *l = m->layers[i], *first = NULL;
    if (l->model) CN_TRY(tie(t, l->model));
    for (int k = 0; k < t->n && !first && cn_is_marked_shared(m, i); k++)
      if (is_same(t->seen[k], l)) first = t->seen[k];
    if (first) {
      m->layers[i] = cn_layer_share(first);
      cn_layer_drop(l);
    } else {
      if (!cn_arena_grow(&t->arena, &t->seen, &t->capacity, t->n, sizeof *t->seen)) return cn_no_memory(t->e);
      t->seen[t->n++] = l;
    }
  }
  return CORNU_OK;
}

cn_status cn_tie_shared(cn_model *m, cn_error *e) {
  tying t = {.e = e};
  cn_status status = tie(&t, m);
  cn_arena_free(&t.arena);
  return status;
}
