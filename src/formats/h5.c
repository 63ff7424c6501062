/* HDF5 files: which reader takes one, and what both share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/h5_reader.h"

struct cn_h5 { const cn_h5_reader *reader; void *state; };

/* ---- Shared by the readers ---- */

bool cn_names_add(cn_arena *a, cn_names *names, const char *text, size_t length) {
  char *copy = cn_arena_copy(a, text, length);
  if (!copy || !cn_arena_grow(a, &names->items, &names->capacity, names->count, sizeof *names->items)) return false;
  names->items[names->count++] = copy;
  return true;
}

cn_status cn_h5_add_text(const char *name, const char *text, size_t length, cn_arena *arena, cn_names *out,
                          cn_error *e) {
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "attribute \"%s\" has %zu bytes, the limit is %zu", name, length,
                   cn_limits.max_text_bytes);
  if (memchr(text, 0, length) || !cn_utf8_valid(text, length))
    return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" is not valid UTF-8 text", name);
  return cn_names_add(arena, out, text, length) ? CORNU_OK : cn_no_memory(e);
}

size_t cn_h5_fixed_length(const char *text, size_t width, int padding) {
  if (padding == 0) return strnlen(text, width);
  char pad = padding == 2 ? ' ' : 0;
  while (width && text[width - 1] == pad) width--;
  return width;
}

void cn_h5_swap_bytes(char *data, size_t size, int64_t count) {
  for (int64_t i = 0; i < count; i++, data += size)
    for (size_t k = 0; k < size / 2; k++) {
      char c = data[k];
      data[k] = data[size - 1 - k];
      data[size - 1 - k] = c;
    }
}

/* ---- Opening ---- */

static cn_status open_with(const char *path, cn_mapping *image, bool trusted, cn_h5 *f, cn_error *e) {
  f->reader = &cn_h5_plain;
  cn_status status = cn_h5_plain_open(path, image, &f->state, e);
  if (status != CORNU_ERR_UNSUPPORTED) return status;
  f->reader = &cn_h5_library;
  if (trusted) return cn_h5_library_open(path, image, &f->state, e);
  char what[sizeof e->message];
  snprintf(what, sizeof what, "%s", e->message);
  return cn_fail(e, status, "%s: if you know where it is from, load it with trusted = true, and libhdf5 reads it", what);
}

static cn_status open_any(const char *path, cn_mapping *image, bool trusted, cn_h5 **out, cn_error *e) {
  *out = NULL;
  cn_error own;
  cn_h5 *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  cn_status status = open_with(path, image, trusted, f, e ? e : &own);
  if (status) cn_free(f);
  else *out = f;
  return status;
}

cn_status cn_h5_open(const char *path, bool trusted, cn_h5 **out, cn_error *e) {
  return open_any(path, cn_file_given(path), trusted, out, e);
}
cn_status cn_h5_open_memory(cn_mapping *image, bool trusted, cn_h5 **out, cn_error *e) {
  return open_any("memory", image, trusted, out, e);
}

cn_status cn_h5_open_union(const char *const *paths, int n, bool trusted, cn_h5 **out, cn_error *e) {
  *out = NULL;
  cn_h5 *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  f->reader = &cn_h5_union;
  cn_status status = cn_h5_union_open(paths, n, trusted, &f->state, e);
  if (status) cn_free(f);
  else *out = f;
  return status;
}

void cn_h5_close(cn_h5 *f) {
  if (!f) return;
  f->reader->close(f->state);
  cn_free(f);
}

/* ---- Reading ---- */

cn_h5_kind cn_h5_find(cn_h5 *f, const char *path) { return f->reader->find(f->state, path); }

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

cn_status cn_h5_members(cn_h5 *f, const char *path, cn_arena *a, cn_names *out, cn_error *e) {
  *out = (cn_names){0};
  CN_TRY(f->reader->members(f->state, path, a, out, e));
  if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, by_bytes);
  return CORNU_OK;
}

bool cn_h5_has_attr(cn_h5 *f, const char *path, const char *name) { return f->reader->has_attr(f->state, path, name); }

cn_status cn_h5_attr_text(cn_h5 *f, const char *path, const char *name, cn_arena *a, const char **out, size_t *length,
                          cn_error *e) {
  cn_names texts = {0};
  bool found;
  *out = NULL;
  CN_TRY(f->reader->texts(f->state, path, name, a, &texts, &found, e));
  if (!found) return CORNU_OK;
  if (texts.count != 1)
    return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" holds %d texts, expected one", name, texts.count);
  *out = texts.items[0];
  if (length) *length = strlen(*out);
  return CORNU_OK;
}

cn_status cn_h5_attr_texts(cn_h5 *f, const char *path, const char *name, cn_arena *a, cn_names *out, bool *found,
                           cn_error *e) {
  bool more = true;
  *out = (cn_names){0};
  CN_TRY(f->reader->texts(f->state, path, name, a, out, found, e));
  if (*found) return CORNU_OK;
  for (int i = 0; more; i++) {
    char part[256];
    snprintf(part, sizeof part, "%s%d", name, i);
    CN_TRY(f->reader->texts(f->state, path, part, a, out, &more, e));
    *found |= more;
    if (out->count > 16 * cn_limits.max_layers)
      return cn_fail(e, CORNU_ERR_LIMIT, "attribute \"%s\" has too many texts", name);
  }
  return CORNU_OK;
}

cn_status cn_h5_attr_int(cn_h5 *f, const char *path, const char *name, int64_t *out, bool *found, cn_error *e) {
  return f->reader->integer(f->state, path, name, out, found, e);
}

cn_status cn_h5_array_type(cn_h5 *f, const char *path, cn_type *out, cn_error *e) {
  return f->reader->array_type(f->state, path, out, e);
}

cn_status cn_h5_array_read(cn_h5 *f, const char *path, cn_tensor **out, cn_error *e) {
  return f->reader->array_read(f->state, path, false, out, e);
}

cn_status cn_h5_array_use(cn_h5 *f, const char *path, cn_tensor **out, cn_error *e) {
  return f->reader->array_read(f->state, path, true, out, e);
}

cn_status cn_h5_rows_open(cn_h5 *f, const char *path, cn_h5_rows *out, cn_error *e) {
  *out = (cn_h5_rows){.file = f};
  if (!f->reader->rows_open) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "several files as one are not read by rows");
  cn_status status = f->reader->rows_open(f->state, path, out, e);
  if (!status && out->what.rank == 0) {
    cn_h5_rows_close(out);
    status = cn_fail(e, CORNU_ERR_SHAPE, "array \"%s\" is a single number: it has no rows", path);
  }
  return status;
}

cn_status cn_h5_rows_read(cn_h5_rows *r, int64_t first, int64_t n, void *to, cn_error *e) {
  return r->file->reader->rows_read(r->file->state, r->state, first, n, to, e);
}

void cn_h5_rows_close(cn_h5_rows *r) {
  if (r->state) r->file->reader->rows_close(r->state);
  r->state = NULL;
}
