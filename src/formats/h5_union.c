/* Several HDF5 files as one: the shards of Keras 3's weights. A group has the members that it has in any of them; an
 * attribute or an array is that of the first file that has it. */
#include <string.h>

#include "base/text.h"
#include "formats/h5_reader.h"

typedef struct parts { cn_h5 **files; int count; } parts;

static void close_parts(void *state) {
  parts *p = state;
  for (int i = 0; i < p->count; i++) cn_h5_close(p->files[i]);
  cn_free(p->files);
  cn_free(p);
}

/* The first file with a group or array at the path; NULL: none. */
static cn_h5 *file_with(const parts *p, const char *path, cn_h5_kind *kind) {
  for (int i = 0; i < p->count; i++)
    if ((*kind = cn_h5_find(p->files[i], path))) return p->files[i];
  *kind = CN_H5_NONE;
  return NULL;
}

static cn_h5_kind find(void *state, const char *path) {
  cn_h5_kind kind;
  file_with(state, path, &kind);
  return kind;
}

static cn_status add_members(cn_h5 *f, const char *path, cn_map *known, cn_arena *a, cn_names *out, cn_error *e) {
  cn_names names;
  CN_TRY(cn_h5_members(f, path, a, &names, e));
  for (int i = 0; i < names.count; i++) {
    if (cn_map_get(known, names.items[i])) continue;
    if (!cn_map_set(known, names.items[i], (void *)names.items[i]) ||
        !cn_names_add(a, out, names.items[i], strlen(names.items[i]))) return cn_no_memory(e);
  }
  return CORNU_OK;
}

static cn_status members(void *state, const char *path, cn_arena *a, cn_names *out, cn_error *e) {
  const parts *p = state;
  cn_map known = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < p->count && !status; i++)
    if (cn_h5_find(p->files[i], path) == CN_H5_GROUP) status = add_members(p->files[i], path, &known, a, out, e);
  cn_map_free(&known);
  return status;
}

static cn_h5 *file_with_attr(const parts *p, const char *path, const char *name) {
  for (int i = 0; i < p->count; i++)
    if (cn_h5_has_attr(p->files[i], path, name)) return p->files[i];
  return NULL;
}

static bool has_attr(void *state, const char *path, const char *name) { return file_with_attr(state, path, name); }

static cn_status texts(void *state, const char *path, const char *name, cn_arena *a, cn_names *out, bool *found,
                       cn_error *e) {
  cn_h5 *f = file_with_attr(state, path, name);
  *found = false;
  return f ? cn_h5_attr_texts(f, path, name, a, out, found, e) : CORNU_OK;
}

static cn_status integer(void *state, const char *path, const char *name, int64_t *out, bool *found, cn_error *e) {
  cn_h5 *f = file_with_attr(state, path, name);
  *found = false;
  return f ? cn_h5_attr_int(f, path, name, out, found, e) : CORNU_OK;
}

static cn_status no_array(const char *path, cn_error *e) {
  return cn_fail(e, CORNU_ERR_NOT_FOUND, "array \"%s\": in none of the files", path);
}

static cn_status array_type(void *state, const char *path, cn_type *out, cn_error *e) {
  cn_h5_kind kind;
  cn_h5 *f = file_with(state, path, &kind);
  return f ? cn_h5_array_type(f, path, out, e) : no_array(path, e);
}

static cn_status array_read(void *state, const char *path, bool stay, cn_tensor **out, cn_error *e) {
  cn_h5_kind kind;
  cn_h5 *f = file_with(state, path, &kind);
  if (!f) return no_array(path, e);
  return stay ? cn_h5_array_use(f, path, out, e) : cn_h5_array_read(f, path, out, e);
}

const cn_h5_reader cn_h5_union = {close_parts, find, members, has_attr, texts, integer, array_type, array_read,
                                   NULL, NULL, NULL};

cn_status cn_h5_union_open(const char *const *paths, int n, bool trusted, void **state, cn_error *e) {
  parts *p = cn_calloc(1, sizeof *p);
  cn_status status = CORNU_OK;
  if (!p || !(p->files = cn_calloc((size_t)n + 1, sizeof *p->files))) {
    cn_free(p);
    return cn_no_memory(e);
  }
  for (; p->count < n && !status; p->count += !status) {
    status = cn_h5_open(paths[p->count], trusted, &p->files[p->count], e);
    const char *name = strrchr(paths[p->count], '/');
    if (status) cn_at(e, status, "shard \"%s\"", name ? name + 1 : paths[p->count]);
  }
  if (status) close_parts(p);
  else *state = p;
  return status;
}
