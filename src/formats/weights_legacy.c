/* Weights of Keras 1 and 2, and of .h5 files of Keras 3: layers by order or by name, arrays by order. */
#include <string.h>

#include "formats/weights.h"

typedef struct file_layer { const char *name; cn_stored_list arrays; } file_layer;
typedef struct file_layers { file_layer *items; int count, capacity; } file_layers;

/* ---- What the file has ---- */

static const char *join(cn_loading *g, const char *a, const char *b) {
  return *a ? cn_arena_printf(&g->arena, "%s/%s", a, b) : cn_arena_string(&g->arena, b);
}

static cn_status add_layer(cn_loading *g, file_layers *out, const char *name, file_layer **layer) {
  if (!cn_arena_grow(&g->arena, &out->items, &out->capacity, out->count, sizeof *out->items)) return cn_no_memory(g->e);
  *layer = &out->items[out->count++];
  **layer = (file_layer){.name = name};
  return CORNU_OK;
}

static cn_status list_named(cn_loading *g, file_layers *out) {
  cn_h5 *f = g->source->h5;
  cn_names layers, weights;
  bool found;
  CN_TRY(cn_h5_attr_texts(f, g->source->group, "layer_names", &g->arena, &layers, &found, g->e));
  if (layers.count > cn_limits.max_layers)
    return cn_fail(g->e, CORNU_ERR_LIMIT, "more than %d layers", cn_limits.max_layers);
  for (int i = 0; i < layers.count; i++) {
    file_layer *l;
    const char *path = join(g, g->source->group, layers.items[i]);
    if (!path) return cn_no_memory(g->e);
    CN_TRY(add_layer(g, out, layers.items[i], &l));
    cn_status status = cn_h5_attr_texts(f, path, "weight_names", &g->arena, &weights, &found, g->e);
    if (!status && !found) status = cn_fail(g->e, CORNU_ERR_FORMAT, "no attribute \"weight_names\"");
    for (int k = 0; k < weights.count && !status; k++)
      status = cn_stored_add(g, &l->arrays, join(g, path, weights.items[k]), weights.items[k]);
    if (status) return cn_at(g->e, status, "weights of \"%s\"", layers.items[i]);
  }
  return CORNU_OK;
}

/* Before Keras 1.1: layer_0 … with param_0 …, and counts in attributes. */
static cn_status list_numbered(cn_loading *g, file_layers *out) {
  cn_h5 *f = g->source->h5;
  int64_t n_layers = 0, n_arrays;
  bool found;
  CN_TRY(cn_h5_attr_int(f, g->source->group, "nb_layers", &n_layers, &found, g->e));
  if (n_layers > cn_limits.max_layers)
    return cn_fail(g->e, CORNU_ERR_LIMIT, "more than %d layers", cn_limits.max_layers);
  for (int64_t i = 0; i < n_layers; i++) {
    file_layer *l;
    const char *name = cn_arena_printf(&g->arena, "layer_%lld", (long long)i);
    const char *path = name ? join(g, g->source->group, name) : NULL;
    if (!path) return cn_no_memory(g->e);
    CN_TRY(add_layer(g, out, name, &l));
    n_arrays = 0;
    CN_TRY(cn_h5_attr_int(f, path, "nb_params", &n_arrays, &found, g->e));
    if (n_arrays > cn_limits.max_layers)
      return cn_fail(g->e, CORNU_ERR_LIMIT, "%s has more than %d arrays", name, cn_limits.max_layers);
    for (int64_t k = 0; k < n_arrays; k++) {
      const char *param = cn_arena_printf(&g->arena, "param_%lld", (long long)k);
      CN_TRY(cn_stored_add(g, &l->arrays, param ? join(g, path, param) : NULL, param));
    }
  }
  return CORNU_OK;
}

static cn_status list_layers(cn_loading *g, file_layers *out) {
  *out = (file_layers){0};
  return g->source->layout == CN_WEIGHTS_NUMBERED ? list_numbered(g, out) : list_named(g, out);
}

/* ---- One layer, several owners: a nested model, a wrapper around two ---- */

typedef struct owner { cn_layer *layer; int first, count; /* its arrays in `picked` */ } owner;

typedef struct sharing {
  cn_loading *g;
  const file_layer *from;
  cn_slots slots;        /* one per array of the file that is expected */
  owner *owners;
  int n_owners;
  int *owner_of;         /* slot -> owner */
  int *array_of;         /* slot -> array of the file */
} sharing;

static int find_owner(const sharing *s, const cn_layer *l) {
  for (int i = s->n_owners - 1; i >= 0; i--)
    if (s->owners[i].layer == l) return i;
  return -1;
}

/* One slot per array of the file; an owner whose Keras 1 arrays differ in number takes its run at its first weight. A
 * config of a later Keras does not tell how Keras 1 kept the gates of its cells: as many arrays as weights are joined. */
static cn_status share_out(sharing *s, const cn_slots *weights) {
  cn_arena *a = &s->g->arena;
  s->owners = cn_arena_array(a, (size_t)weights->count + 1, sizeof *s->owners);
  s->slots = (cn_slots){.arena = a};
  bool joined = weights->count == s->from->arrays.count;
  if (!s->owners) return cn_no_memory(s->g->e);
  for (int i = 0; i < weights->count; i++) {
    cn_slot w = weights->items[i];
    int at = find_owner(s, w.owner), times = 1;
    int stored = joined ? w.owner->n_weights : cn_weights_stored(s->g, w.owner);
    if (at < 0) s->owners[at = s->n_owners++] = (owner){.layer = w.owner};
    if (stored != w.owner->n_weights) times = s->owners[at].count ? 0 : stored, w.weight = -1;
    s->owners[at].count += times;
    for (int k = 0; k < times; k++) {
      if (!cn_arena_grow(a, &s->slots.items, &s->slots.capacity, s->slots.count, sizeof *s->slots.items))
        return cn_no_memory(s->g->e);
      s->slots.items[s->slots.count++] = w;
    }
  }
  s->array_of = cn_arena_array(a, (size_t)s->slots.count + 1, sizeof *s->array_of);
  s->owner_of = cn_arena_array(a, (size_t)s->slots.count + 1, sizeof *s->owner_of);
  if (!s->array_of || !s->owner_of) return cn_no_memory(s->g->e);
  for (int i = 0; i < s->slots.count; i++) s->owner_of[i] = find_owner(s, s->slots.items[i].owner);
  return CORNU_OK;
}

static bool slot_fits(const sharing *s, int slot, int array) {
  const cn_slot *w = &s->slots.items[slot];
  return w->weight < 0 || cn_weights_fit(w->owner, w->weight, &s->from->arrays.items[array].type);
}

static bool all_fit(const sharing *s) {
  for (int i = 0; i < s->slots.count; i++)
    if (!slot_fits(s, i, s->array_of[i])) return false;
  return true;
}

/* The owner whose name is a part of the array's name: "net/conv_1/kernel:0", in Keras 1 "conv_1_W". -1: none. */
static int named_owner(const sharing *s, const cn_map *names, const char *text) {
  char part[512];
  int found = -1;
  for (const char *p = text; *p;) {
    size_t length = strcspn(p, "/");
    bool last = !p[length];
    for (size_t n = length; n > 0 && n < sizeof part; n--) {
      if (n < length && (p[n] != '_' || !last || s->g->origin.keras != 1)) continue;
      memcpy(part, p, n);
      part[n] = 0;
      intptr_t at = (intptr_t)cn_map_get(names, part);
      if (at) {
        found = (int)at - 1;
        break;
      }
    }
    p += length + !last;
  }
  return found;
}

/* Arrays to owners by the names of the layers, when each owner's are as many as it needs. Flags that were changed after
 * a wrapper copied them move arrays without a trace in the config: the names then tell. */
static bool match_names(sharing *s, const cn_map *names) {
  int *taken = cn_arena_array(&s->g->arena, (size_t)s->slots.count + 1, sizeof *taken);
  if (!taken) return false;
  memset(taken, 0xff, sizeof *taken * (size_t)s->slots.count);
  int *next = cn_arena_array(&s->g->arena, (size_t)s->n_owners + 1, sizeof *next);
  for (int i = 0; next && i < s->slots.count; i++) {
    int o = named_owner(s, names, s->from->arrays.items[i].name);
    if (o < 0) return false;
    int slot = next[o];
    while (slot < s->slots.count && s->owner_of[slot] != o) slot++;
    if (slot == s->slots.count) return false;
    s->array_of[slot] = i;
    next[o] = slot + 1;
  }
  return next && all_fit(s);
}

static bool by_names(sharing *s) {
  cn_map names = {0};
  bool distinct = s->g->source->layout == CN_WEIGHTS_LEGACY;
  for (int i = 0; i < s->n_owners && distinct; i++)
    distinct = !cn_map_get(&names, s->owners[i].layer->name) &&
        cn_map_set(&names, s->owners[i].layer->name, (void *)(intptr_t)(i + 1));
  bool matched = distinct && match_names(s, &names);
  cn_map_free(&names);
  return matched;
}

static bool by_order(sharing *s) {
  for (int i = 0; i < s->slots.count; i++) s->array_of[i] = i;
  return all_fit(s);
}

/* "net/conv/kernel_1:0" ends in the name "kernel"? */
static bool ends_in(const char *text, const char *name) {
  const char *slash = strrchr(text, '/');
  text = slash ? slash + 1 : text;
  size_t length = strlen(name);
  if (strncmp(text, name, length) != 0) return false;
  text += length;
  if (*text == '_') text += 1 + strspn(text + 1, "0123456789");
  return !*text || *text == ':';
}

static bool has_suffix(const cn_slot *w, const char *text) {
  return w->weight < 0 || ends_in(text, w->owner->weights[w->weight].name);
}

/* The first free array of that weight's name and shape, for each slot in turn. */
static bool by_suffix(sharing *s) {
  int n = s->slots.count;
  bool *used = cn_arena_array(&s->g->arena, (size_t)n + 1, sizeof *used);
  if (!used || n > 4096) return false;
  for (int i = 0; i < n; i++) {
    const cn_slot *w = &s->slots.items[i];
    int found = -1;
    for (int k = 0; k < n && found < 0; k++)
      if (!used[k] && slot_fits(s, i, k) && has_suffix(w, s->from->arrays.items[k].name)) found = k;
    if (found < 0) return false;
    used[found] = true;
    s->array_of[i] = found;
  }
  return true;
}

/* An owner's arrays in the order of its weights. */
static cn_status put_owner(sharing *s, int o, const cn_layer *top) {
  cn_layer *l = s->owners[o].layer;
  cn_stored *arrays = cn_arena_array(&s->g->arena, (size_t)s->owners[o].count + 1, sizeof *arrays);
  if (!arrays) return cn_no_memory(s->g->e);
  int n = 0;
  for (int i = 0; i < s->slots.count; i++) {
    if (s->owner_of[i] != o) continue;
    int weight = s->slots.items[i].weight;
    arrays[weight < 0 ? n : weight] = s->from->arrays.items[s->array_of[i]];
    n++;
  }
  return cn_weights_put(s->g, l, cn_loading_layer(s->g, top, l), arrays, n);
}

static void tell_misfit(sharing *s, const cn_layer *top) {
  by_order(s);
  for (int i = 0; i < s->slots.count; i++) {
    const cn_slot *w = &s->slots.items[i];
    if (slot_fits(s, i, i) || s->g->skip_mismatch) continue;
    const cn_weight *weight = &w->owner->weights[w->weight];
    const cn_stored *array = &s->from->arrays.items[i];
    cn_loading_problem(s->g, "%s: %s (%s) is %s in the file, the config needs %s",
                       cn_loading_layer(s->g, top, w->owner), weight->name, array->name,
                       CN_SHAPE(array->type.rank, array->type.shape), CN_SHAPE(weight->rank, weight->shape));
  }
}

static cn_status put_shared(cn_loading *g, cn_layer *l, const cn_slots *weights, const file_layer *from) {
  sharing s = {.g = g, .from = from};
  CN_TRY(share_out(&s, weights));
  if (s.slots.count != from->arrays.count) {
    if (!g->skip_mismatch)
      cn_loading_problem(g, "layer \"%s\" (%s): %d arrays in the file (\"%s\"), the config needs %d", l->name,
                         l->class_name, from->arrays.count,
                         from->name, s.slots.count);
    return CORNU_OK;
  }
  if (!by_names(&s) && !by_order(&s) && !by_suffix(&s)) {
    tell_misfit(&s, l); /* leaves them in order: what fits is taken when the rest may be skipped */
    if (!g->skip_mismatch) return CORNU_OK;
  }
  for (int i = 0; i < s.n_owners; i++) CN_TRY(put_owner(&s, i, l));
  return CORNU_OK;
}

/* ---- Pairing ---- */

static bool single_owner(const cn_slots *weights) {
  for (int i = 1; i < weights->count; i++)
    if (weights->items[i].owner != weights->items[0].owner) return false;
  return true;
}

/* In an own layer's list the trainable ones come first: back to the order of declaration. */
static cn_status put_single(cn_loading *g, cn_layer *l, const cn_slots *weights, const file_layer *from) {
  cn_layer *o = weights->items[0].owner;
  const cn_stored *arrays = from->arrays.items;
  cn_stored *sorted = NULL;
  if (from->arrays.count == weights->count) {
    sorted = cn_arena_array(&g->arena, (size_t)weights->count, sizeof *sorted);
    if (!sorted) return cn_no_memory(g->e);
    for (int i = 0; i < weights->count; i++) sorted[weights->items[i].weight] = arrays[i];
  }
  return cn_weights_put(g, o, cn_loading_layer(g, l, o), sorted ? sorted : arrays, from->arrays.count);
}

static cn_status put_layer(cn_loading *g, cn_layer *l, const file_layer *from) {
  cn_slots weights;
  CN_TRY(cn_slots_of(g, l, &weights));
  if (weights.count == 0) {
    if (from->arrays.count && !g->skip_mismatch && !(l->type && l->type->restore))
      cn_loading_problem(g, "layer \"%s\" (%s): %d arrays in the file, the config needs none", l->name, l->class_name,
                         from->arrays.count);
    return CORNU_OK;
  }
  return single_owner(&weights) ? put_single(g, l, &weights, from) : put_shared(g, l, &weights, from);
}

/* Names of the file's layers to the layers; of equal names the last one counts. */
static cn_status name_layers(const file_layers *file, cn_map *out, cn_error *e) {
  for (int i = 0; i < file->count; i++)
    if (!cn_map_set(out, file->items[i].name, &file->items[i])) return cn_no_memory(e);
  return CORNU_OK;
}

/* Keras says nothing when no name fits; it is never what was wanted. */
static cn_status tell_no_name(const cn_loading *g, const file_layers *file) {
  const char *theirs = "";
  for (int i = 0; i < file->count && !*theirs; i++)
    if (file->items[i].arrays.count) theirs = file->items[i].name;
  if (!*theirs) return CORNU_OK;
  return cn_fail(g->e, CORNU_ERR_ARGUMENT, "by_name: no layer of the file has the name of one of the model: the file has "
                 "\"%s\" …, the model \"%s\" …", theirs, g->model->n_layers ? g->model->layers[0]->name : "");
}

static cn_status by_layer_name(cn_loading *g, const file_layers *file) {
  cn_map names = {0};
  int fitting = 0;
  cn_status status = name_layers(file, &names, g->e);
  for (int k = 0; k < g->model->n_layers && !status; k++) {
    const file_layer *from = cn_map_get(&names, g->model->layers[k]->name);
    if (!from) continue;
    fitting += from->arrays.count > 0;
    status = put_layer(g, g->model->layers[k], from);
  }
  cn_map_free(&names);
  return status || fitting ? status : tell_no_name(g, file);
}

static int weights_below(cn_loading *g, cn_layer *l) {
  cn_slots slots;
  return cn_slots_of(g, l, &slots) ? 0 : slots.count;
}

/* Says what both sides have where they part. */
static cn_status count_mismatch(cn_loading *g, const file_layer *const *file, int n_file, cn_layer *const *layers,
                                int n_layers) {
  int at = 0;
  while (at < n_file && at < n_layers && strcmp(file[at]->name, layers[at]->name) == 0) at++;
  cn_text t = {0};
  if (at < n_file) cn_text_addf(&t, "\"%s\" with %d arrays in the file", file[at]->name, file[at]->arrays.count);
  else cn_text_add(&t, "no more in the file");
  if (at < n_layers)
    cn_text_addf(&t, ", \"%s\" (%s) with %d weights in the config", layers[at]->name, layers[at]->class_name,
                 weights_below(g, layers[at]));
  else cn_text_add(&t, ", no more in the config");
  cn_fail(g->e, CORNU_ERR_SHAPE,
          "%d layers with weights in the file, %d in the config; the first that differ by name: %s. If only a part "
          "of the weights is wanted, load with by_name", n_file, n_layers, t.data ? t.data : "");
  cn_text_free(&t);
  return CORNU_ERR_SHAPE;
}

static cn_status by_position(cn_loading *g, const file_layers *file) {
  cn_model *m = g->model;
  const file_layer **with = cn_arena_array(&g->arena, (size_t)file->count + 1, sizeof *with);
  cn_layer **layers = cn_arena_array(&g->arena, (size_t)m->n_layers + 1, sizeof *layers);
  int n_file = 0, n_layers = 0;
  if (!with || !layers) return cn_no_memory(g->e);
  for (int i = 0; i < file->count; i++)
    if (file->items[i].arrays.count) with[n_file++] = &file->items[i];
  for (int i = 0; i < m->n_layers; i++)
    if (weights_below(g, m->layers[i])) layers[n_layers++] = m->layers[i];
  if (n_file != n_layers) return count_mismatch(g, with, n_file, layers, n_layers);
  for (int i = 0; i < n_file; i++) CN_TRY(put_layer(g, layers[i], with[i]));
  return CORNU_OK;
}

cn_status cn_legacy_load(cn_loading *g) {
  file_layers file;
  CN_TRY(list_layers(g, &file));
  if (g->by_name && g->source->layout == CN_WEIGHTS_NUMBERED)
    return cn_fail(g->e, CORNU_ERR_UNSUPPORTED, "by_name: this old file has no names of layers");
  return g->by_name ? by_layer_name(g, &file) : by_position(g, &file);
}

/* ---- Custom layers ---- */

/* Without the layer's name in front and ":0" behind: "my_layer/scale:0" is "scale". */
static const char *weight_name(cn_loading *g, const cn_layer *l, const char *text) {
  size_t length = strlen(l->name);
  const char *from = strstr(text, l->name);
  from = from && from[length] == '/' ? from + length + 1 : text;
  size_t n = strlen(from);
  if (n > 2 && from[n - 2] == ':') n -= 2;
  return cn_arena_copy(&g->arena, from, n);
}

/* Whether `name` is a part of the path. */
static bool has_part(const char *path, const char *name) {
  size_t length = strlen(name);
  for (const char *part = path; (part = strstr(part, name)); part++)
    if (part[length] == '/' && (part == path || part[-1] == '/')) return true;
  return false;
}

/* Arrays in which the custom layer's name is a part of the name, or all of its own group. */
static cn_status declare_layer(cn_loading *g, cn_layer *l, const file_layer *from, bool own) {
  cn_stored_list mine = {0};
  for (int i = 0; i < from->arrays.count; i++) {
    cn_stored s = from->arrays.items[i];
    if (!own && !has_part(s.name, l->name)) continue;
    if (!cn_arena_grow(&g->arena, &mine.items, &mine.capacity, mine.count, sizeof *mine.items))
      return cn_no_memory(g->e);
    s.name = weight_name(g, l, s.name);
    if (!s.name) return cn_no_memory(g->e);
    mine.items[mine.count++] = s;
  }
  return cn_weights_adopt(g, l, mine.items, mine.count);
}

/* The arrays that a child of several may have: those that name it, or all where none does. */
static cn_status arrays_of_child(cn_loading *g, const cn_layer *child, const file_layer *from, file_layer *out) {
  *out = (file_layer){.name = from->name};
  for (int i = 0; i < from->arrays.count; i++) {
    cn_stored_list *list = &out->arrays;
    if (!has_part(from->arrays.items[i].name, child->name)) continue;
    if (!cn_arena_grow(&g->arena, &list->items, &list->capacity, list->count, sizeof *list->items))
      return cn_no_memory(g->e);
    list->items[list->count++] = from->arrays.items[i];
  }
  if (!out->arrays.count) *out = *from;
  return CORNU_OK;
}

static cn_status declare_below(cn_loading *g, cn_layer *l, const file_layer *from, bool own, int depth) {
  if (depth > cn_limits.max_depth) return CORNU_OK;
  if (cn_weights_open(l)) return declare_layer(g, l, from, own);
  if (l->type && l->type->restore) return cn_weights_restore(g, l, "", own ? &from->arrays : &(cn_stored_list){0});
  for (int i = 0; l->model && i < l->model->n_layers; i++)
    CN_TRY(declare_below(g, l->model->layers[i], from, false, depth + 1));
  for (int i = 0; i < l->n_children; i++) {
    file_layer part = *from;
    if (l->n_children > 1) CN_TRY(arrays_of_child(g, l->children[i].layer, from, &part));
    CN_TRY(declare_below(g, l->children[i].layer, &part, l->n_children == 1, depth + 1));
  }
  return CORNU_OK;
}

cn_status cn_legacy_declare(cn_loading *g) {
  file_layers file;
  cn_map names = {0};
  CN_TRY(list_layers(g, &file));
  cn_status status = name_layers(&file, &names, g->e);
  for (int k = 0; k < g->model->n_layers && !status; k++) {
    const file_layer *from = cn_map_get(&names, g->model->layers[k]->name);
    if (from) status = declare_below(g, g->model->layers[k], from, true, 0);
  }
  cn_map_free(&names);
  return status;
}
