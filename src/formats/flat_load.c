/* Flat files into models: arrays by the paths of their layers. */
#include <string.h>

#include "formats/flat.h"

typedef struct walker {
  cn_flat *f;
  cn_arena arena;
  cn_map taken;      /* names of arrays that were asked for */
  bool declaring;    /* before the build: what decides shapes */
  bool lenient;      /* what does not fit stays as it is */
  cn_error *e;
} walker;

static const char *join(walker *w, const char *a, const char *b) {
  return *a ? cn_arena_printf(&w->arena, "%s/%s", a, b) : cn_arena_string(&w->arena, b);
}

/* ---- Before the build ---- */

static cn_status no_text(void *user, const char *name, char **text, size_t *length, cn_error *e) {
  (void)user, (void)name, (void)length, (void)e;
  *text = NULL;
  return CORNU_OK;
}

typedef struct store { walker *w; const char *path; } store;

static cn_status store_array(void *user, const char *name, int number, cn_tensor **out, cn_error *e) {
  const store *s = user;
  const char *path = join(s->w, s->path, name);
  (void)number;
  *out = NULL;
  if (!path) return cn_no_memory(e);
  cn_flat_array *a = cn_flat_find(s->w->f, path);
  if (!a) return CORNU_OK;
  a->used = true;
  CN_TRY(cn_flat_use(s->w->f, a, out, e));
  cn_tensor_fetch(*out);
  return CORNU_OK;
}

/* A custom layer that wants the file's own arrays: all below its path, with their values at once, which the handler may
 * use in the first trace. */
static cn_status adopt(walker *w, cn_layer *l, const char *path) {
  size_t length = strlen(path);
  for (int i = 0; i < w->f->count; i++) {
    cn_flat_array *a = &w->f->arrays[i];
    cn_tensor *value;
    if (strncmp(a->name, path, length) != 0 || a->name[length] != '/') continue;
    CN_TRY(cn_layer_add_weight(l, a->name + length + 1, a->type.rank, a->type.shape, true, NULL, w->e));
    CN_TRY(cn_flat_use(w->f, a, &value, w->e));
    cn_tensor_fetch(value);
    cn_status status = cn_layer_set_weight(l, l->n_weights - 1, value, w->e);
    cornu_tensor_release(value);
    CN_TRY(status);
  }
  return CORNU_OK;
}

static cn_status declare(walker *w, cn_layer *l, const char *path) {
  store s = {w, path};
  bool open = l->custom && !l->custom->build && !l->n_weights && !l->n_children && !l->model && !l->built;
  if (open) CN_TRY(adopt(w, l, path));
  if (!l->type || !l->type->restore) return CORNU_OK;
  return l->type->restore(l, &(cn_layer_store){&s, no_text, store_array}, w->e);
}

/* ---- Weights ---- */

const char *cn_flat_name(cn_arena *arena, cn_map *taken, const char *path, const char *name, cn_error *e) {
  const char *base = cn_arena_printf(arena, "%s/%s", path, name), *out = base;
  for (int i = 1; out && cn_map_get(taken, out); i++) out = cn_arena_printf(arena, "%s_%d", base, i);
  if (out && cn_map_set(taken, out, (void *)out)) return out;
  cn_no_memory(e);
  return NULL;
}

static cn_status put_weight(walker *w, cn_layer *l, int index, const char *path) {
  const cn_weight *weight = &l->weights[index];
  const char *name = cn_flat_name(&w->arena, &w->taken, path, weight->name, w->e);
  if (!name) return CORNU_ERR_MEMORY;
  cn_flat_array *a = cn_flat_find(w->f, name);
  if (a) a->used = true;
  if (!a && w->lenient) return CORNU_OK;
  if (!a) return cn_fail(w->e, CORNU_ERR_FORMAT, "the file has no array \"%s\"", name);
  if (!cn_shape_equal(a->type.rank, a->type.shape, weight->rank, weight->shape)) {
    if (w->lenient) return CORNU_OK;
    return cn_fail(w->e, CORNU_ERR_SHAPE, "%s is %s in the file, the config needs %s", weight->name,
                   CN_SHAPE(a->type.rank, a->type.shape), CN_SHAPE(weight->rank, weight->shape));
  }
  cn_tensor *value;
  CN_TRY(cn_flat_use(w->f, a, &value, w->e));
  cn_status status = cn_layer_set_weight(l, index, value, w->e);
  cornu_tensor_release(value);
  return status;
}

/* ---- All ---- */

static cn_status walk_model(walker *w, cn_model *m, const char *path);

static cn_status walk_layer(walker *w, cn_layer *l, const char *path) {
  if (!path) return cn_no_memory(w->e);
  cn_status status = w->declaring ? declare(w, l, path) : CORNU_OK;
  for (int i = 0; i < l->n_weights && !w->declaring && !status; i++) status = put_weight(w, l, i, path);
  if (status) return cn_at(w->e, status, "layer \"%s\" (%s)", path, l->class_name);
  for (int i = 0; i < l->n_children; i++)
    CN_TRY(walk_layer(w, l->children[i].layer, join(w, path, l->children[i].attribute)));
  return l->model ? walk_model(w, l->model, path) : CORNU_OK;
}

static cn_status walk_model(walker *w, cn_model *m, const char *path) {
  for (int i = 0; i < m->n_layers; i++) CN_TRY(walk_layer(w, m->layers[i], join(w, path, cn_model_label(m, i))));
  return CORNU_OK;
}

static cn_status walk(walker *w, cn_model *m) {
  cn_status status = walk_model(w, m, "");
  cn_map_free(&w->taken);
  cn_arena_free(&w->arena);
  return status;
}

cn_status cn_flat_declare(cn_model *m, cn_flat *f, cn_error *e) {
  return walk(&(walker){.f = f, .declaring = true, .e = e}, m);
}

cn_status cn_flat_load(cn_model *m, cn_flat *f, const cornu_load_options *options, cn_error *e) {
  bool lenient = options->by_name || options->skip_mismatch;
  CN_TRY(walk(&(walker){.f = f, .lenient = lenient, .e = e}, m));
  for (int i = 0; i < f->count && !lenient; i++)
    if (!f->arrays[i].used && strncmp(f->arrays[i].name, CN_FLAT_OPTIMIZER, strlen(CN_FLAT_OPTIMIZER)) != 0)
      return cn_fail(e, CORNU_ERR_FORMAT, "array \"%s\": the model has no such weight", f->arrays[i].name);
  return CORNU_OK;
}
