/* Arrays of a file into weights of layers. */
#include "base/context.h"
#include "formats/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TOLD = 6, MOST_IMPORTED = 64 };

cn_status cn_stored_add(cn_loading *g, cn_stored_list *list, const char *path, const char *name) {
  if (!path || !name || !cn_arena_grow(&g->arena, &list->items, &list->capacity, list->count, sizeof *list->items))
    return cn_no_memory(g->e);
  cn_stored *s = &list->items[list->count];
  *s = (cn_stored){.path = path, .name = name};
  CN_TRY(cn_h5_array_type(g->source->h5, path, &s->type, g->e));
  list->count++;
  return CORNU_OK;
}

void cn_loading_problem(cn_loading *g, const char *format, ...) {
  if (g->n_problems++ >= MOST_TOLD) return;
  char text[640];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (g->n_problems > 1) cn_text_add(&g->problems, "; ");
  cn_text_add(&g->problems, text);
}

const char *cn_loading_layer(cn_loading *g, const cn_layer *top, const cn_layer *owner) {
  const char *text = top == owner ? cn_arena_printf(&g->arena, "layer \"%s\" (%s)", owner->name, owner->class_name)
                                  : cn_arena_printf(&g->arena, "layer \"%s/%s\" (%s)", top->name, owner->name,
                                                    owner->class_name);
  return text ? text : "layer";
}

/* ---- Slots ---- */

static cn_status add_slot(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  cn_slots *s = user;
  (void)path;
  if (!cn_arena_grow(s->arena, &s->items, &s->capacity, s->count, sizeof *s->items)) return cn_no_memory(e);
  s->items[s->count++] = (cn_slot){owner, index};
  return CORNU_OK;
}

cn_status cn_slots_of(cn_loading *g, cn_layer *l, cn_slots *out) {
  *out = (cn_slots){.arena = &g->arena};
  return cn_layer_each_weight(l, add_slot, out, g->e);
}

/* ---- Comparing ---- */

/* Runs a callback of the owner as if it came from where the weights come from. */
static cn_origin lend_origin(const cn_loading *g, cn_layer *owner) {
  cn_origin own = owner->origin;
  owner->origin = g->origin;
  owner->origin.channels_first = own.channels_first;
  return own;
}

int cn_weights_stored(const cn_loading *g, const cn_layer *owner) {
  if (g->origin.keras != 1 || !owner->type || !owner->type->keras1_arrays) return owner->n_weights;
  cn_layer *l = (cn_layer *)owner;
  cn_origin own = lend_origin(g, l);
  int count = owner->type->keras1_arrays(owner);
  l->origin = own;
  return count;
}

static bool same_but_ones(int rank_a, const int64_t *a, int rank_b, const int64_t *b) {
  int i = 0, k = 0;
  for (;;) {
    while (i < rank_a && a[i] == 1) i++;
    while (k < rank_b && b[k] == 1) k++;
    if (i == rank_a || k == rank_b) return i == rank_a && k == rank_b;
    if (a[i++] != b[k++]) return false;
  }
}

bool cn_weights_fit(const cn_layer *owner, int weight, const cn_type *type) {
  const cn_weight *w = &owner->weights[weight];
  if (!owner->type || !owner->type->import) return same_but_ones(type->rank, type->shape, w->rank, w->shape);
  int64_t have = cn_shape_size(type->rank, type->shape), want = cn_shape_size(w->rank, w->shape);
  return have == want || (type->rank <= 2 && (have == 2 * want || 2 * have == want)); /* biases of cuDNN come double */
}

/* ---- Putting ---- */

static void count_problem(cn_loading *g, const cn_layer *owner, const char *label, int n) {
  if (g->skip_mismatch) {
    cn_log(CORNU_LOG_WARNING, "%s: %s: %d arrays in the file, %d in the config: left out", g->source->name, label, n,
           owner->n_weights);
    return;
  }
  cn_text names = {0};
  for (int i = 0; i < owner->n_weights && i < 6; i++)
    cn_text_addf(&names, "%s%s", i ? ", " : "", owner->weights[i].name);
  if (owner->n_weights > 6) cn_text_add(&names, ", …");
  cn_loading_problem(g, "%s: %d array%s in the file, the config needs %d (%s)", label, n, n == 1 ? "" : "s",
                     owner->n_weights, names.data ? names.data : "none");
  cn_text_free(&names);
}

static void shape_problem(cn_loading *g, const cn_layer *owner, int weight, const char *label, int rank,
                          const int64_t *shape) {
  const cn_weight *w = &owner->weights[weight];
  if (g->skip_mismatch) {
    cn_log(CORNU_LOG_WARNING, "%s: %s: %s is %s in the file, not %s: left out", g->source->name, label, w->name,
           CN_SHAPE(rank, shape), CN_SHAPE(w->rank, w->shape));
    return;
  }
  cn_loading_problem(g, "%s: %s is %s in the file, the config needs %s", label, w->name, CN_SHAPE(rank, shape),
                     CN_SHAPE(w->rank, w->shape));
}

/* What Keras does about an array that does not fit and is to be skipped: with arrays by object its layer ends there, those
 * before it are set; with arrays by name the others are set, too. */
static bool ends_layer(const cn_loading *g) { return g->skip_mismatch && g->source->layout == CN_WEIGHTS_OBJECTS; }

/* Sets a weight, whose shape may differ in dimensions of 1. */
static cn_status set_weight(cn_loading *g, cn_layer *owner, int weight, cn_tensor *value, const char *label) {
  const cn_weight *w = &owner->weights[weight];
  if (!same_but_ones(value->rank, value->shape, w->rank, w->shape)) {
    shape_problem(g, owner, weight, label, value->rank, value->shape);
    return CORNU_OK;
  }
  cn_tensor *shaped;
  CN_TRY(cornu_tensor_reshape(value, w->rank, w->shape, &shaped, g->e));
  cn_status status = cn_layer_set_weight(owner, weight, shaped, g->e);
  cornu_tensor_release(shaped);
  return status ? cn_at(g->e, status, "%s", label) : CORNU_OK;
}

static cn_status put_plain(cn_loading *g, cn_layer *owner, const char *label, const cn_stored *arrays, int n) {
  if (n != owner->n_weights) return count_problem(g, owner, label, n), CORNU_OK;
  for (int i = 0; i < n; i++) {
    if (!cn_weights_fit(owner, i, &arrays[i].type)) {
      shape_problem(g, owner, i, label, arrays[i].type.rank, arrays[i].type.shape);
      if (ends_layer(g)) break;
      continue;
    }
    cn_tensor *value;
    cn_status status = cn_h5_array_use(g->source->h5, arrays[i].path, &value, g->e);
    if (status) return cn_at(g->e, status, "%s", label);
    status = set_weight(g, owner, i, value, label);
    cornu_tensor_release(value);
    CN_TRY(status);
  }
  return CORNU_OK;
}

static double own_size(const cn_layer *l) {
  double size = 0;
  for (int i = 0; i < l->n_weights; i++) size += (double)cn_shape_size(l->weights[i].rank, l->weights[i].shape);
  return size;
}

/* import wants the data, so the sizes are compared first: what a layer can use is at most a few times its weights, and
 * those of a layer it wraps. */
static bool plausible(const cn_layer *owner, const cn_stored *arrays, int n) {
  double want = 4096 + 4 * own_size(owner), have = 0;
  for (int i = 0; i < owner->n_children; i++) want += own_size(owner->children[i].layer);
  for (int i = 0; i < n; i++) have += (double)cn_shape_size(arrays[i].type.rank, arrays[i].type.shape);
  return n <= MOST_IMPORTED && have <= want;
}

static void implausible_problem(cn_loading *g, const cn_layer *owner, const char *label, const cn_stored *arrays,
                                int n) {
  bool told = false;
  for (int i = 0; i < n && n == owner->n_weights; i++)
    if (!cn_weights_fit(owner, i, &arrays[i].type)) {
      shape_problem(g, owner, i, label, arrays[i].type.rank, arrays[i].type.shape);
      told = true;
    }
  if (!told) count_problem(g, owner, label, n);
}

static cn_status convert_and_set(cn_loading *g, cn_layer *owner, const char *label, cn_tensor **values, int *n) {
  cn_origin own = lend_origin(g, owner);
  cn_status status = owner->type->import(owner, values, n, g->e);
  owner->origin = own;
  if (status) return cn_at(g->e, status, "%s", label);
  if (*n != owner->n_weights) return count_problem(g, owner, label, *n), CORNU_OK;
  for (int i = 0; i < *n && !status; i++) {
    const cn_weight *w = &owner->weights[i];
    if (ends_layer(g) && !same_but_ones(values[i]->rank, values[i]->shape, w->rank, w->shape)) break;
    status = set_weight(g, owner, i, values[i], label);
  }
  return status;
}

static cn_status put_imported(cn_loading *g, cn_layer *owner, const char *label, const cn_stored *arrays, int n) {
  cn_tensor *values[MOST_IMPORTED] = {0};
  if (!plausible(owner, arrays, n)) return implausible_problem(g, owner, label, arrays, n), CORNU_OK;
  cn_status status = CORNU_OK;
  int count = 0;
  for (; count < n && !status; count++) {
    status = cn_h5_array_use(g->source->h5, arrays[count].path, &values[count], g->e);
    if (status) cn_at(g->e, status, "%s", label);
  }
  if (!status) status = convert_and_set(g, owner, label, values, &count);
  for (int i = 0; i < MOST_IMPORTED; i++) cornu_tensor_release(i < count ? values[i] : NULL);
  return status;
}

cn_status cn_weights_put(cn_loading *g, cn_layer *owner, const char *label, const cn_stored *arrays, int n) {
  bool imported = owner->type && owner->type->import;
  return imported ? put_imported(g, owner, label, arrays, n) : put_plain(g, owner, label, arrays, n);
}

/* ---- Custom layers ---- */

bool cn_weights_open(const cn_layer *l) {
  return l->custom && !l->custom->build && l->n_weights == 0 && l->n_children == 0 && !l->model && !l->built;
}

/* With values at once: the handler may use them in the first trace. */
static cn_status adopt_one(cn_loading *g, cn_layer *l, const cn_stored *array) {
  cn_tensor *value;
  CN_TRY(cn_layer_add_weight(l, array->name, array->type.rank, array->type.shape, true, NULL, g->e));
  CN_TRY(cn_h5_array_read(g->source->h5, array->path, &value, g->e));
  cn_status status = cn_layer_set_weight(l, l->n_weights - 1, value, g->e);
  cornu_tensor_release(value);
  return status;
}

cn_status cn_weights_adopt(cn_loading *g, cn_layer *l, const cn_stored *arrays, int n) {
  for (int i = 0; i < n; i++) {
    cn_status status = adopt_one(g, l, &arrays[i]);
    if (status) return cn_at(g->e, status, "layer \"%s\" (%s)", l->name, l->class_name);
  }
  return CORNU_OK;
}

/* ---- What is no weight ---- */

typedef struct store { cn_loading *g; const char *path; const cn_stored_list *arrays; } store;

static cn_status store_text(void *user, const char *name, char **text, size_t *length, cn_error *e) {
  const store *s = user;
  *text = NULL;
  return *s->path ? cn_source_asset(s->g->assets, s->path, name, text, length, e) : CORNU_OK;
}

static cn_status store_array(void *user, const char *name, int number, cn_tensor **out, cn_error *e) {
  const store *s = user;
  cn_h5 *h5 = s->g->source->h5;
  *out = NULL;
  if (s->arrays)
    return number < s->arrays->count ? cn_h5_array_read(h5, s->arrays->items[number].path, out, e) : CORNU_OK;
  const char *named = cn_arena_printf(&s->g->arena, "%s/vars/%s", s->path, name),
             *numbered = cn_arena_printf(&s->g->arena, "%s/vars/%d", s->path, number);
  if (!named || !numbered) return cn_no_memory(e);
  const char *at = cn_h5_find(h5, named) == CN_H5_ARRAY ? named : numbered;
  return cn_h5_find(h5, at) == CN_H5_ARRAY ? cn_h5_array_read(h5, at, out, e) : CORNU_OK;
}

cn_status cn_weights_restore(cn_loading *g, cn_layer *l, const char *path, const cn_stored_list *arrays) {
  store s = {g, path, arrays};
  cn_status status = l->type->restore(l, &(cn_layer_store){&s, store_text, store_array}, g->e);
  return status ? cn_at(g->e, status, "layer \"%s\" (%s)", l->name, l->class_name) : CORNU_OK;
}

/* ---- All ---- */

static cn_status finish(cn_loading *g, cn_status status) {
  if (!status && g->n_problems) {
    const char *text = g->problems.data ? g->problems.data : "the weights do not fit";
    if (g->n_problems > MOST_TOLD) cn_fail(g->e, CORNU_ERR_SHAPE, "%s; and %d more", text, g->n_problems - MOST_TOLD);
    else cn_fail(g->e, CORNU_ERR_SHAPE, "%s", text);
    status = CORNU_ERR_SHAPE;
  }
  cn_text_free(&g->problems);
  cn_arena_free(&g->arena);
  return status;
}

static bool takes_part(const cn_layer *l) {
  bool any = cn_weights_open(l) || (l->type && l->type->restore);
  for (int i = 0; l->model && i < l->model->n_layers && !any; i++) any = takes_part(l->model->layers[i]);
  for (int i = 0; i < l->n_children && !any; i++) any = takes_part(l->children[i].layer);
  return any;
}

cn_status cn_weights_declare(cn_model *m, cn_source *assets, cn_source *weights, cn_error *e) {
  cn_loading g = {.model = m, .source = weights, .assets = assets, .origin = m->origin, .e = e};
  bool any = false;
  if (weights->flat) return cn_flat_declare(m, weights->flat, e);
  for (int i = 0; i < m->n_layers && !any; i++) any = takes_part(m->layers[i]);
  if (!any || !weights->layout) return CORNU_OK;
  return finish(&g, weights->layout == CN_WEIGHTS_OBJECTS ? cn_objects_declare(&g) : cn_legacy_declare(&g));
}

cn_status cn_weights_load(cn_model *m, cn_source *s, const cn_origin *origin, const cornu_load_options *options,
                          cn_error *e) {
  if (s->flat) return cn_flat_load(m, s->flat, options, e);
  cn_loading g = {.model = m, .source = s, .origin = *origin, .by_name = options->by_name,
                  .skip_mismatch = options->skip_mismatch, .e = e};
  return finish(&g, s->layout == CN_WEIGHTS_OBJECTS ? cn_objects_load(&g) : cn_legacy_load(&g));
}
