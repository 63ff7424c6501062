/* Rows of .npy files, of .npz archives and of HDF5 files. */
#include <string.h>

#include "base/text.h"
#include "formats/h5.h"
#include "formats/rows.h"
#include "formats/zip.h"

static size_t row_bytes(const cn_npy *a) { return a->shape[0] ? a->bytes / (size_t)a->shape[0] : 0; }

/* ---- Arrays whose columns come first ---- */

typedef cn_status (*read_bytes)(void *state, uint64_t at, char *to, size_t size, cn_error *e);

/* Each element of a row has its own column, in which rows follow each other; `form` is as the file says, at: where its
 * data begins. */
static cn_status read_columns(const cn_npy *form, read_bytes read, void *state, uint64_t at, int64_t first, int64_t n,
                              char *to, cn_error *e) {
  const size_t row = row_bytes(form);
  int64_t columns = 1, index[CN_MAX_RANK] = {0};
  for (int i = 1; i < form->rank; i++) columns *= form->shape[i];
  const size_t element = columns ? row / (size_t)columns : 0;
  char *column = cn_alloc((size_t)n * element + 1);
  cn_status status = column ? CORNU_OK : cn_no_memory(e);
  for (int64_t k = 0; k < columns && !status; k++) {
    int64_t place = 0;
    for (int i = 1; i < form->rank; i++) place = place * form->shape[i] + index[i];
    status = read(state, at + (uint64_t)(k * form->shape[0] + first) * element, column, (size_t)n * element, e);
    for (int64_t i = 0; i < n && !status; i++)
      memcpy(to + (size_t)i * row + (size_t)place * element, column + (size_t)i * element, element);
    for (int i = 1; i < form->rank && ++index[i] == form->shape[i]; i++) index[i] = 0;
  }
  cn_free(column);
  return status;
}

/* They are read in stretches: a column is a walk through all of the array. */
static bool turn(cornu_rows *r) {
  if (!r->form.fortran || r->form.rank < 2) return false;
  r->form.fortran = false;
  r->stretch = 1;
  return true;
}

/* ---- .npy ---- */

typedef struct plain { cn_file file; size_t offset, row; cn_npy form; } plain;

static cn_status plain_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  const plain *p = state;
  return cn_file_read_at(&p->file, p->offset + (uint64_t)first * p->row, to, (size_t)n * p->row, e);
}

static cn_status plain_bytes(void *state, uint64_t at, char *to, size_t size, cn_error *e) {
  return cn_file_read_at(&((plain *)state)->file, at, to, size, e);
}

static cn_status plain_columns(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  const plain *p = state;
  return read_columns(&p->form, plain_bytes, state, p->offset, first, n, to, e);
}

static void plain_close(void *state) {
  plain *p = state;
  cn_file_close(&p->file);
  cn_free(p);
}

cn_status cn_rows_of_npy(cornu_rows *r, cn_error *e) {
  static const cn_rows_kind kind = {plain_read, plain_close, true}, columns = {plain_columns, plain_close, false};
  size_t offset;
  CN_TRY(cn_npy_head(r->path, &r->form, &offset, e));
  CN_TRY(cn_rows_check(&r->form, e));
  plain *p = cn_calloc(1, sizeof *p);
  if (!p) return cn_no_memory(e);
  cn_status status = cn_file_open(r->path, &p->file, e);
  if (!status && (p->file.size < offset || p->file.size - offset < r->form.bytes))
    status = cn_fail(e, CORNU_ERR_FORMAT, "the file ends before its array of shape %s is complete",
                     CN_SHAPE(r->form.rank, r->form.shape));
  if (status) return plain_close(p), status;
  p->offset = offset;
  p->row = row_bytes(&r->form);
  p->form = r->form;
  r->kind = turn(r) ? &columns : &kind;
  r->state = p;
  return CORNU_OK;
}

/* ---- .npz: stored entries where they lie, packed ones as a stream ---- */

typedef struct archive {
  cn_zip *zip;
  int entry;
  size_t offset, row, bytes; /* of the data in the entry; of a row; of all rows */
  cn_npy form;               /* as the file says */
  uint64_t at;               /* stored: where the data lies; packed: how much of it has gone by */
  bool begun;                /* packed: the entry is open */
} archive;

static cn_status stored_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  const archive *a = state;
  return cn_zip_read_at(a->zip, a->at + (uint64_t)first * a->row, to, (size_t)n * a->row, e);
}

static cn_status stored_bytes(void *state, uint64_t at, char *to, size_t size, cn_error *e) {
  return cn_zip_read_at(((archive *)state)->zip, at, to, size, e);
}

static cn_status stored_columns(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  const archive *a = state;
  return read_columns(&a->form, stored_bytes, state, a->at, first, n, to, e);
}

static cn_status pass_by(archive *a, uint64_t bytes, cn_error *e) {
  char some[4096];
  while (bytes) {
    const size_t n = bytes < sizeof some ? (size_t)bytes : sizeof some;
    CN_TRY(cn_zip_next(a->zip, some, n, e));
    bytes -= n;
  }
  return CORNU_OK;
}

static cn_status begin(archive *a, cn_error *e) {
  size_t size;
  a->begun = false;
  a->at = 0;
  CN_TRY(cn_zip_begin(a->zip, a->entry, SIZE_MAX - 1, &size, e));
  CN_TRY(pass_by(a, a->offset, e));
  a->begun = true;
  return CORNU_OK;
}

static cn_status stream(archive *a, uint64_t from, size_t size, char *to, cn_error *e) {
  if (!a->begun || a->at > from) CN_TRY(begin(a, e));
  a->begun = false; /* unless all goes well */
  CN_TRY(pass_by(a, from - a->at, e));
  CN_TRY(cn_zip_next(a->zip, to, size, e));
  a->at = from + size;
  if (a->at == a->bytes) return cn_zip_end(a->zip, e);
  a->begun = true;
  return CORNU_OK;
}

static cn_status packed_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  archive *a = state;
  cn_status status = stream(a, (uint64_t)first * a->row, (size_t)n * a->row, to, e);
  if (status) cn_zip_abandon(a->zip);
  return status;
}

static void archive_close(void *state) {
  archive *a = state;
  cn_zip_close(a->zip);
  cn_free(a);
}

static cn_status find_entry(cn_zip *z, const char *name, int *out, cn_error *e) {
  char array[4096];
  for (*out = 0; *out < cn_zip_count(z); ++*out)
    if (cn_npz_name(cn_zip_name(z, *out), array, sizeof array) && strcmp(array, name) == 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_NOT_FOUND, "the archive has no such array");
}

static cn_status entry_head(cn_zip *z, int entry, cn_npy *form, size_t *offset, cn_error *e) {
  size_t size;
  CN_TRY(cn_zip_begin(z, entry, SIZE_MAX - 1, &size, e));
  cn_status status = cn_npz_head(z, size, form, offset, e);
  cn_zip_abandon(z);
  return status;
}

static cn_status open_entry(cornu_rows *r, archive *a, bool *stored, cn_error *e) {
  CN_TRY(cn_zip_open(r->path, &a->zip, e));
  CN_TRY(find_entry(a->zip, r->name, &a->entry, e));
  CN_TRY(entry_head(a->zip, a->entry, &r->form, &a->offset, e));
  CN_TRY(cn_rows_check(&r->form, e));
  a->row = row_bytes(&r->form);
  a->bytes = r->form.bytes;
  a->form = r->form;
  *stored = cn_zip_stored(a->zip, a->entry, &a->at);
  if (*stored) a->at += a->offset;
  else if (a->form.fortran && a->form.rank > 1)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "its columns come first and it is packed, so that rows cannot be read: save "
                   "numpy.ascontiguousarray(a), or with numpy.savez");
  return CORNU_OK;
}

cn_status cn_rows_of_npz(cornu_rows *r, cn_error *e) {
  static const cn_rows_kind stored_kind = {stored_read, archive_close, true};
  static const cn_rows_kind packed_kind = {packed_read, archive_close, false};
  static const cn_rows_kind columns = {stored_columns, archive_close, false};
  bool stored;
  archive *a = cn_calloc(1, sizeof *a);
  if (!a) return cn_no_memory(e);
  cn_status status = open_entry(r, a, &stored, e);
  if (status) return archive_close(a), status;
  r->in_order = !stored;
  r->stretch = !stored;
  r->kind = turn(r) ? &columns : stored ? &stored_kind : &packed_kind;
  r->state = a;
  return CORNU_OK;
}

cn_status cn_rows_list_npz(const char *path, cornu_rows_visit visit, void *user, cn_error *e) {
  cn_zip *z;
  cn_status status = cn_zip_open(path, &z, e);
  for (int i = 0; !status && i < cn_zip_count(z); i++) {
    char name[4096];
    cn_npy a;
    size_t offset;
    if (!cn_npz_name(cn_zip_name(z, i), name, sizeof name)) continue;
    status = entry_head(z, i, &a, &offset, e);
    if (status) {
      cn_at(e, status, "array \"%s\"", name);
      break;
    }
    cornu_port port = {.name = name, .dtype = a.dtype, .rank = a.rank};
    memcpy(port.shape, a.shape, sizeof port.shape);
    status = visit(user, &port, e);
  }
  cn_zip_close(z);
  return status && status != CORNU_ERR_CALLBACK ? cn_at(e, status, "%s", path) : status;
}

/* ---- HDF5 ---- */

static cn_status h5_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  return cn_h5_rows_read(state, first, n, to, e);
}

static void h5_close(void *state) {
  cn_h5_rows *h = state;
  cn_h5_rows_close(h);
  cn_h5_close(h->file);
  cn_free(h);
}

cn_status cn_rows_of_h5(cornu_rows *r, bool trusted, cn_error *e) {
  static const cn_rows_kind kind = {h5_read, h5_close, false};
  cn_h5 *f;
  cn_h5_rows *h = cn_calloc(1, sizeof *h);
  if (!h) return cn_no_memory(e);
  cn_status status = cn_h5_open(r->path, trusted, &f, e);
  if (status) return cn_free(h), status;
  h->file = f;
  status = cn_h5_rows_open(f, r->name, h, e);
  if (status) return h5_close(h), status;
  r->form = (cn_npy){.dtype = h->what.dtype, .rank = h->what.rank};
  memcpy(r->form.shape, h->what.shape, sizeof r->form.shape);
  r->form.bytes = (size_t)cn_shape_size(h->what.rank, h->what.shape) * cornu_dtype_bytes(h->what.dtype);
  r->kind = &kind;
  r->state = h;
  r->stretch = h->chunk;
  return CORNU_OK;
}

typedef struct listing { cn_h5 *file; cn_arena arena; cornu_rows_visit visit; void *user; int depth; } listing;

static cn_status list_group(listing *l, const char *group, cn_error *e);

static cn_status list_member(listing *l, const char *path, cn_error *e) {
  const cn_h5_kind kind = cn_h5_find(l->file, path);
  cn_type what;
  if (kind == CN_H5_GROUP) return list_group(l, path, e);
  if (kind != CN_H5_ARRAY || cn_h5_array_type(l->file, path, &what, NULL)) return CORNU_OK; /* texts are no tensors */
  cornu_port port = {.name = path, .dtype = what.dtype, .rank = what.rank};
  memcpy(port.shape, what.shape, sizeof port.shape);
  return l->visit(l->user, &port, e);
}

static cn_status list_group(listing *l, const char *group, cn_error *e) {
  cn_names names;
  if (++l->depth > cn_limits.max_depth) return cn_fail(e, CORNU_ERR_LIMIT, "groups nested too deep");
  CN_TRY(cn_h5_members(l->file, group, &l->arena, &names, e));
  for (int i = 0; i < names.count; i++) {
    const char *path = cn_arena_printf(&l->arena, *group ? "%s/%s" : "%s%s", group, names.items[i]);
    if (!path) return cn_no_memory(e);
    CN_TRY(list_member(l, path, e));
  }
  l->depth--;
  return CORNU_OK;
}

cn_status cn_rows_list_h5(const char *path, bool trusted, cornu_rows_visit visit, void *user, cn_error *e) {
  listing l = {.visit = visit, .user = user};
  cn_status status = cn_h5_open(path, trusted, &l.file, e);
  if (!status) {
    status = list_group(&l, "", e);
    cn_h5_close(l.file);
  }
  cn_arena_free(&l.arena);
  return status && status != CORNU_ERR_CALLBACK ? cn_at(e, status, "%s", path) : status;
}
