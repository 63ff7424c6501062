/* What a file keeps of the optimizer: arrays by name, read when they are asked for. */
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"

typedef struct reading {
  cn_source *source;
  cn_arena arena;
  cornu_npz_visit visit;
  void *user;
  cn_error *e;
} reading;

static cn_status visit_array(reading *r, const char *group, const char *name) {
  cn_tensor *t;
  const char *path = cn_arena_printf(&r->arena, "%s/%s", group, name);
  if (!path) return cn_no_memory(r->e);
  CN_TRY(cn_h5_array_read(r->source->h5, path, &t, r->e));
  cn_status status = r->visit(r->user, name, t, r->e);
  cornu_tensor_release(t);
  return status;
}

/* Keras 1 and 2, and .h5 of Keras 3: the names are in an attribute, in the optimizer's own order. */
static cn_status visit_named(reading *r, const char *group) {
  cn_names names;
  bool found;
  CN_TRY(cn_h5_attr_texts(r->source->h5, group, "weight_names", &r->arena, &names, &found, r->e));
  for (int i = 0; i < names.count; i++) CN_TRY(visit_array(r, group, names.items[i]));
  return CORNU_OK;
}

static int by_number(const void *a, const void *b) {
  int first = atoi(*(const char *const *)a), second = atoi(*(const char *const *)b);
  return (first > second) - (first < second);
}

/* .keras: the names are numbers. */
static cn_status visit_numbered(reading *r, const char *group) {
  cn_names names;
  CN_TRY(cn_h5_members(r->source->h5, group, &r->arena, &names, r->e));
  if (names.count) qsort(names.items, (size_t)names.count, sizeof *names.items, by_number);
  for (int i = 0; i < names.count; i++) CN_TRY(visit_array(r, group, names.items[i]));
  return CORNU_OK;
}

static bool of_optimizer(const cn_flat_array *a) {
  return strncmp(a->name, CN_FLAT_OPTIMIZER, strlen(CN_FLAT_OPTIMIZER)) == 0;
}

/* In the order of the header. */
static cn_status visit_flat(reading *r) {
  const cn_flat *f = r->source->flat;
  for (int i = 0; i < f->count; i++) {
    cn_tensor *t;
    if (!of_optimizer(&f->arrays[i])) continue;
    CN_TRY(cn_flat_use(f, &f->arrays[i], &t, r->e));
    cn_tensor_fetch(t);
    cn_status status = r->visit(r->user, f->arrays[i].name + strlen(CN_FLAT_OPTIMIZER), t, r->e);
    cornu_tensor_release(t);
    CN_TRY(status);
  }
  return CORNU_OK;
}

const char *cn_source_optimizer(const cn_source *s, bool *numbered) {
  static const char *const groups[] = {"optimizer/vars", "optimizer_weights"};
  for (int i = 0; s->flat && i < s->flat->count; i++)
    if (of_optimizer(&s->flat->arrays[i])) return *numbered = false, CN_FLAT_OPTIMIZER;
  for (int i = 0; s->h5 && i < CN_COUNT(groups); i++) {
    *numbered = i == 0;
    if (cn_h5_find(s->h5, groups[i]) == CN_H5_GROUP) return groups[i];
  }
  return NULL;
}

static cn_status visit_all(reading *r) {
  bool numbered;
  const char *group = cn_source_optimizer(r->source, &numbered);
  if (!group) return CORNU_OK;
  if (r->source->flat) return visit_flat(r);
  return numbered ? visit_numbered(r, group) : visit_named(r, group);
}

cornu_status cornu_model_optimizer_weights(const cornu_model *m, cornu_npz_visit visit, void *user, cornu_error *e) {
  cn_source source;
  if (!m || !visit) return cn_fail(e, CORNU_ERR_ARGUMENT, "the %s is NULL", m ? "visitor" : "model");
  if (!m->optimizer_path) return CORNU_OK;
  int parts = CN_SOURCE_WEIGHTS | (m->optimizer_trusted ? CN_SOURCE_TRUSTED : 0);
  CN_TRY(cn_source_open(m->optimizer_path, parts, &source, e));
  reading r = {.source = &source, .visit = visit, .user = user, .e = e};
  cn_status status = visit_all(&r);
  if (status && status != CORNU_ERR_CALLBACK) cn_at(e, status, "%s", source.name);
  cn_arena_free(&r.arena);
  cn_source_close(&source);
  return status;
}
