/* HDF5 files through Cornu's own reader. Large arrays are used where they are mapped, small ones are copied. */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/h5_reader.h"
#include "formats/hdf5.h"

enum { MAPPED = 1 << 16 }; /* bytes from which an array stays in the mapping; below, alignment is worth more */

typedef struct plain { cn_hdf5 file; cn_mapping *mapping; } plain;

/* ---- Opening: the whole file is looked through, so that one reader serves all of it ---- */

typedef struct scan { const cn_hdf5 *file; uint64_t objects, bytes; int depth; } scan;

static cn_status check_message(const cn_hdf5_message *m, cn_error *e) {
  if (m->type != CN_HDF5_LAYOUT || m->size < 2) return CORNU_OK;
  if (m->data[0] != 3 && m->data[0] != 4) return cn_hdf5_outside(e, "arrays of an older or newer layout");
  return m->data[1] > 2 ? cn_hdf5_outside(e, "virtual arrays") : CORNU_OK;
}

static cn_status pass(void *user, const uint8_t *data, size_t size, cn_error *e) {
  (void)user, (void)data, (void)size, (void)e;
  return CORNU_OK;
}

static cn_status check_attributes(const cn_hdf5 *f, const cn_hdf5_message *m, cn_error *e) {
  uint64_t heap, names;
  CN_TRY(cn_hdf5_info(m, 2, &heap, &names, e));
  return cn_hdf5_dense(f, heap, names, CN_HDF5_BY_ATTRIBUTE, pass, NULL, e);
}

/* Reads all messages of an object, and tells whether it is a group. */
static cn_status scan_messages(scan *s, uint64_t object, bool *group, cn_error *e) {
  cn_hdf5_walk w;
  cn_hdf5_message m;
  bool more = true;
  *group = false;
  CN_TRY(cn_hdf5_start(&w, s->file, object, e));
  while (more) {
    CN_TRY(cn_hdf5_next(&w, &m, &more, e));
    if (more) CN_TRY(check_message(&m, e));
    if (more && m.type == CN_HDF5_ATTRIBUTES) CN_TRY(check_attributes(s->file, &m, e));
    *group |= more && (m.type == CN_HDF5_GROUP || m.type == CN_HDF5_LINK_INFO);
  }
  s->bytes = s->bytes > w.bytes ? s->bytes - w.bytes : 0;
  return CORNU_OK;
}

static cn_status scan_object(void *user, const char *name, uint64_t object, cn_error *e) {
  scan *s = user;
  bool group;
  (void)name;
  if (object == CN_HDF5_NOWHERE) return CORNU_OK; /* a link elsewhere: whoever asks for it is told */
  if (s->depth > cn_limits.max_depth || s->objects-- == 0 || s->bytes == 0)
    return cn_fail(e, CORNU_ERR_LIMIT, "the groups of the HDF5 file are nested too deep, or in each other");
  CN_TRY(scan_messages(s, object, &group, e));
  if (!group) return CORNU_OK;
  s->depth++;
  cn_status status = cn_hdf5_members(s->file, object, scan_object, s, e);
  s->depth--;
  return status;
}

static void close_plain(void *state) {
  plain *f = state;
  cn_hdf5_close(&f->file);
  cn_mapping_drop(f->mapping);
  cn_free(f);
}

cn_status cn_h5_plain_open(const char *path, cn_mapping *image, void **state, cn_error *e) {
  plain *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  if (image) f->mapping = cn_mapping_share(image);
  cn_status status = image ? CORNU_OK : cn_file_map(path, &f->mapping, e);
  if (!status) {
    status = cn_hdf5_open(&f->file, f->mapping->data, f->mapping->size, e);
    scan s = {.file = &f->file, .objects = f->file.size / 16, .bytes = 4 * f->file.size};
    if (!status) status = scan_object(&s, "", f->file.root, e);
    f->file.checked = !status;
  }
  if (status) close_plain(f);
  else *state = f;
  return status;
}

/* ---- Objects ---- */

static cn_h5_kind find(void *state, const char *path) {
  const cn_hdf5 *f = &((plain *)state)->file;
  uint64_t object;
  cn_hdf5_message m;
  if (cn_hdf5_find(f, path, &object, NULL)) return CN_H5_NONE;
  if (!cn_hdf5_message_of(f, object, CN_HDF5_GROUP, &m, NULL) && m.data) return CN_H5_GROUP;
  if (!cn_hdf5_message_of(f, object, CN_HDF5_LINK_INFO, &m, NULL) && m.data) return CN_H5_GROUP;
  return !cn_hdf5_message_of(f, object, CN_HDF5_LAYOUT, &m, NULL) && m.data ? CN_H5_ARRAY : CN_H5_NONE;
}

typedef struct listing { cn_arena *arena; cn_names *names; } listing;

static cn_status list_member(void *user, const char *name, uint64_t object, cn_error *e) {
  (void)object;
  listing *l = user;
  if (l->names->count >= cn_limits.max_layers)
    return cn_fail(e, CORNU_ERR_LIMIT, "a group has more than %d members", cn_limits.max_layers);
  return cn_names_add(l->arena, l->names, name, strlen(name)) ? CORNU_OK : cn_no_memory(e);
}

static cn_status members(void *state, const char *path, cn_arena *a, cn_names *out, cn_error *e) {
  const cn_hdf5 *f = &((plain *)state)->file;
  uint64_t object;
  CN_TRY(cn_hdf5_find(f, path, &object, e));
  cn_status status = cn_hdf5_members(f, object, list_member, &(listing){a, out}, e);
  return status ? cn_at(e, status, "\"%s\"", path) : CORNU_OK;
}

/* ---- Attributes ---- */

static cn_status open_attribute(void *state, const char *path, const char *name, cn_hdf5_attribute *a, cn_error *e) {
  const cn_hdf5 *f = &((plain *)state)->file;
  uint64_t object;
  *a = (cn_hdf5_attribute){0};
  CN_TRY(cn_hdf5_find(f, path, &object, e));
  cn_status status = cn_hdf5_attribute_of(f, object, name, a, e);
  if (status) return cn_at(e, status, "attribute \"%s\"", name);
  if (a->space.rank <= 1) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" has %d dimensions, expected 0 or 1", name, a->space.rank);
}

static bool has_attr(void *state, const char *path, const char *name) {
  cn_hdf5_attribute a;
  return !open_attribute(state, path, name, &a, NULL) && a.found;
}

static cn_status text_at(const plain *f, const cn_hdf5_attribute *a, int64_t i, int64_t *steps, const char **text,
                         size_t *length, cn_error *e) {
  const uint8_t *p = a->data + (size_t)i * a->type.size;
  *text = (const char *)p;
  if (a->type.kind != CN_HDF5_VLEN) {
    *length = cn_h5_fixed_length(*text, a->type.size, a->type.padding);
    return CORNU_OK;
  }
  CN_TRY(cn_hdf5_heap(&f->file, p, &p, length, steps, e));
  *text = (const char *)p;
  *length = strnlen(*text, *length);
  return CORNU_OK;
}

static cn_status add_texts(const plain *f, const cn_hdf5_attribute *a, const char *name, cn_arena *arena, cn_names *out,
                           cn_error *e) {
  int64_t steps = 10000000; /* through global heaps */
  size_t total = 0;
  if (!a->type.text) return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" is not text", name);
  for (int64_t i = 0; i < a->space.count; i++) {
    const char *text;
    size_t length;
    cn_status status = text_at(f, a, i, &steps, &text, &length, e);
    if (status) return cn_at(e, status, "attribute \"%s\"", name);
    total += length;
    if (total > cn_limits.max_text_bytes)
      return cn_fail(e, CORNU_ERR_LIMIT, "attribute \"%s\" has more than %zu bytes", name, cn_limits.max_text_bytes);
    CN_TRY(cn_h5_add_text(name, text, length, arena, out, e));
  }
  return CORNU_OK;
}

static cn_status texts(void *state, const char *path, const char *name, cn_arena *arena, cn_names *out, bool *found,
                       cn_error *e) {
  cn_hdf5_attribute a;
  *found = false;
  CN_TRY(open_attribute(state, path, name, &a, e));
  *found = a.found;
  return a.found && a.space.count ? add_texts(state, &a, name, arena, out, e) : CORNU_OK;
}

static cn_status integer(void *state, const char *path, const char *name, int64_t *out, bool *found, cn_error *e) {
  cn_hdf5_attribute a;
  *found = false;
  CN_TRY(open_attribute(state, path, name, &a, e));
  *found = a.found;
  if (!a.found) return CORNU_OK;
  if (a.space.count != 1 || a.type.kind != CN_HDF5_INTEGER || !a.type.known || a.type.swapped)
    return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" is not one whole number", name);
  uint64_t bits; /* aligned */
  memcpy(&bits, a.data, a.type.size);
  cn_convert(out, CORNU_INT64, &bits, a.type.dtype, 1);
  return CORNU_OK;
}

/* ---- Arrays ---- */

static cn_status refuse_type(const cn_hdf5_type *t, cn_error *e) {
  static const char *const names[] = {"integer",  "float",     "time",        "string", "bit field", "opaque",
                                      "compound", "reference", "enumeration", "list",   "array"};
  return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                 "its elements are of an HDF5 %s type of %zu bytes; arrays hold integers, floats or bools",
                 t->text ? "string" : t->kind < CN_COUNT(names) ? names[t->kind] : "unknown", t->size);
}

static cn_status open_array(const plain *f, const char *path, cn_hdf5_array *a, cn_error *e) {
  uint64_t object;
  cn_status status = cn_hdf5_find(&f->file, path, &object, e);
  if (!status) status = cn_hdf5_array_of(&f->file, object, a, e);
  if (!status && !a->type.known) status = refuse_type(&a->type, e);
  if (!status && a->space.rank < 0) status = cn_fail(e, CORNU_ERR_FORMAT, "it has no shape");
  return status ? cn_at(e, status, "array \"%s\"", path) : CORNU_OK;
}

static cn_status array_type(void *state, const char *path, cn_type *out, cn_error *e) {
  cn_hdf5_array a;
  *out = (cn_type){0};
  CN_TRY(open_array(state, path, &a, e));
  *out = (cn_type){.dtype = a.type.dtype, .rank = a.space.rank};
  memcpy(out->shape, a.space.shape, sizeof *out->shape * (size_t)a.space.rank);
  return CORNU_OK;
}

static void let_go(void *mapping, void *data) {
  (void)data;
  cn_mapping_drop(mapping);
}

/* As tensors hold them. */
static void settle(const cn_hdf5_array *a, char *data, int64_t count) {
  if (a->type.swapped) cn_h5_swap_bytes(data, a->type.size, count);
  for (int64_t i = 0; a->type.dtype == CORNU_BOOL8 && i < count; i++) data[i] = data[i] != 0;
}

static cn_status copy_array(const plain *f, const cn_hdf5_array *a, size_t bytes, cn_tensor **out, cn_error *e) {
  if (a->chunked) CN_TRY(cn_hdf5_check_chunks(&f->file, a, e));
  CN_TRY(cornu_tensor_new(a->type.dtype, a->space.rank, a->space.shape, out, e));
  char *to = (*out)->data;
  cn_status status = a->chunked ? cn_hdf5_unpack(&f->file, a, to, e) : CORNU_OK;
  if (status) {
    cornu_tensor_release(*out);
    *out = NULL;
    return status;
  }
  if (bytes && !a->chunked) memcpy(to, a->data, bytes);
  settle(a, to, a->space.count);
  return CORNU_OK;
}

/* The file's own bytes; stay: they need not be aligned, and are given back when they are no longer looked at. */
static cn_status map_array(const plain *f, const cn_hdf5_array *a, bool stay, cn_tensor **out, cn_error *e) {
  cn_mapping *m = cn_mapping_share(f->mapping);
  cn_status status =
      stay ? cn_tensor_of_file(a->type.dtype, a->space.rank, a->space.shape, a->data, let_go, m, out, e)
           : cornu_tensor_wrap(a->type.dtype, a->space.rank, a->space.shape, (void *)a->data, let_go, m, out, e);
  if (status) cn_mapping_drop(m);
  return status;
}

static cn_status check_written(const cn_hdf5_array *a, size_t bytes, cn_error *e) {
  if (a->data || a->chunked || !bytes) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "its shape %s needs %zu bytes, the file holds 0",
                 CN_SHAPE(a->space.rank, a->space.shape), bytes);
}

static cn_status use_array(const plain *f, const cn_hdf5_array *a, bool stay, cn_tensor **out, cn_error *e) {
  size_t bytes = (size_t)a->space.count * a->type.size;
  if (bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "it needs %zu bytes, the limit is %zu", bytes, cn_limits.max_tensor_bytes);
  CN_TRY(check_written(a, bytes, e));
  bool as_is = !a->chunked && !a->type.swapped && a->type.dtype != CORNU_BOOL8 && bytes >= MAPPED;
  stay &= f->mapping->mapped > 0;
  if (as_is && (stay || (uintptr_t)a->data % a->type.size == 0)) return map_array(f, a, stay, out, e);
  return copy_array(f, a, bytes, out, e);
}

static cn_status array_read(void *state, const char *path, bool stay, cn_tensor **out, cn_error *e) {
  cn_hdf5_array a;
  *out = NULL;
  CN_TRY(open_array(state, path, &a, e));
  cn_status status = use_array(state, &a, stay, out, e);
  return status ? cn_at(e, status, "array \"%s\"", path) : CORNU_OK;
}

/* ---- Rows ---- */

typedef struct rows {
  cn_hdf5_array array;
  cn_hdf5_place *places; /* of chunks */
  size_t touched;        /* bytes of the mapping that may be in memory */
} rows;

/* What of the mapped file may stay in memory, and what a place that is looked at brings there. */
enum { MOST_TOUCHED = 64 << 20, LEAST_TOUCHED = 1 << 16 };

static void rows_close(void *state) {
  rows *r = state;
  cn_free(r->places);
  cn_free(r);
}

static cn_status prepare_rows(const plain *f, rows *r, cn_h5_rows *out, cn_error *e) {
  const cn_hdf5_array *a = &r->array;
  CN_TRY(check_written(a, (size_t)a->space.count * a->type.size, e));
  out->what = (cn_type){.dtype = a->type.dtype, .rank = a->space.rank};
  memcpy(out->what.shape, a->space.shape, sizeof *out->what.shape * (size_t)a->space.rank);
  if (!a->chunked) return CORNU_OK;
  out->chunk = a->chunk[0];
  CN_TRY(cn_hdf5_check_chunks(&f->file, a, e));
  return a->space.count ? cn_hdf5_places(&f->file, a, &r->places, e) : CORNU_OK;
}

static cn_status rows_open(void *state, const char *path, cn_h5_rows *out, cn_error *e) {
  rows *r = cn_calloc(1, sizeof *r);
  if (!r) return cn_no_memory(e);
  cn_status status = open_array(state, path, &r->array, e);
  if (!status && (status = prepare_rows(state, r, out, e))) cn_at(e, status, "array \"%s\"", path);
  if (status) rows_close(r);
  else out->state = r;
  return status;
}

static cn_status rows_read(void *state, void *opened, int64_t first, int64_t n, char *to, cn_error *e) {
  const plain *f = state;
  rows *r = opened;
  const cn_hdf5_array *a = &r->array;
  const int64_t count = a->space.count ? a->space.count / a->space.shape[0] : 0; /* of a row */
  const size_t bytes = (size_t)count * a->type.size;
  if (a->chunked) CN_TRY(cn_hdf5_unpack_rows(&f->file, a, r->places, first, n, to, e));
  else if (bytes) memcpy(to, a->data + (size_t)first * bytes, (size_t)n * bytes);
  settle(a, to, n * count);
  r->touched += (size_t)n * bytes > LEAST_TOUCHED ? (size_t)n * bytes : LEAST_TOUCHED;
  if (r->touched <= MOST_TOUCHED || !f->mapping->mapped) return CORNU_OK;
  cn_mapping_let_go(f->mapping->data, f->mapping->size);
  r->touched = 0;
  return CORNU_OK;
}

const cn_h5_reader cn_h5_plain = {close_plain, find,       members,   has_attr,  texts,     integer,
                                  array_type,  array_read, rows_open, rows_read, rows_close};
