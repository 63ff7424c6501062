/* Zip archives through libzip. */
#include "formats/zip.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

#include "base/file.h"
#include "base/text.h"

struct cn_zip {
  zip_t *archive;
  cn_arena arena;
  const char **names;
  int count;
  cn_map map;          /* name -> pointer into names */
  zip_file_t *entry;   /* being read */
  uint64_t left;       /* bytes of it that are still to come */
};

static cn_status fail_zip(cn_zip *z, const char *what, cn_error *e) {
  return cn_fail(e, CORNU_ERR_FORMAT, "%s: %s", what, zip_strerror(z->archive));
}

static cn_status fail_open(int code, cn_error *e) {
  if (code == ZIP_ER_EXISTS) return cn_fail(e, CORNU_ERR_FORMAT, "the zip archive has two entries with the same name");
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  cn_status status = CORNU_ERR_FORMAT;
  if (code == ZIP_ER_NOENT) status = CORNU_ERR_NOT_FOUND;
  if (code == ZIP_ER_MEMORY) status = CORNU_ERR_MEMORY;
  if (code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK) status = CORNU_ERR_IO;
  cn_fail(e, status, "cannot open the zip archive: %s", zip_error_strerror(&error));
  zip_error_fini(&error);
  return status;
}

static cn_status read_names(cn_zip *z, cn_error *e) {
  int64_t count = zip_get_num_entries(z->archive, 0);
  if (count < 0 || count > 16 * (int64_t)cn_limits.max_layers)
    return cn_fail(e, CORNU_ERR_LIMIT, "the zip archive has %lld entries, more than the limits allow",
                   (long long)count);
  z->names = cn_arena_array(&z->arena, (size_t)count + 1, sizeof *z->names);
  if (!z->names) return cn_no_memory(e);
  for (z->count = 0; z->count < count; z->count++) {
    const char *raw = zip_get_name(z->archive, (uint64_t)z->count, ZIP_FL_ENC_GUESS);
    if (!raw) return fail_zip(z, "a damaged entry", e);
    const char *name = cn_arena_string(&z->arena, raw);
    if (!name) return cn_no_memory(e);
    if (!cn_utf8_valid(name, strlen(name)))
      return cn_fail(e, CORNU_ERR_FORMAT, "the name of entry %d is not UTF-8", z->count + 1);
    if (cn_map_get(&z->map, name))
      return cn_fail(e, CORNU_ERR_FORMAT, "the zip archive has two entries named \"%s\"", name);
    z->names[z->count] = name;
    if (!cn_map_set(&z->map, name, &z->names[z->count])) return cn_no_memory(e);
  }
  return CORNU_OK;
}

cn_status cn_zip_open(const char *path, cn_zip **out, cn_error *e) {
  *out = NULL;
  cn_zip *z = cn_calloc(1, sizeof *z);
  if (!z) return cn_no_memory(e);
  int code = 0;
  z->archive = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
  cn_status status = z->archive ? read_names(z, e) : fail_open(code, e);
  if (status) cn_zip_close(z);
  else *out = z;
  return status;
}

void cn_zip_close(cn_zip *z) {
  if (!z) return;
  cn_zip_abandon(z);
  if (z->archive) zip_discard(z->archive);
  cn_map_free(&z->map);
  cn_arena_free(&z->arena);
  cn_free(z);
}

int cn_zip_count(const cn_zip *z) { return z->count; }
const char *cn_zip_name(const cn_zip *z, int entry) { return entry >= 0 && entry < z->count ? z->names[entry] : NULL; }

int cn_zip_find(const cn_zip *z, const char *name) {
  const char **at = cn_map_get(&z->map, name);
  return at ? (int)(at - z->names) : -1;
}

/* Deflate packs at most 1032 to 1: a larger ratio is a lie; Keras wants no more than 100 to 1 beyond 4 GiB. */
static cn_status check_sizes(cn_zip *z, int entry, const zip_stat_t *s, size_t max, cn_error *e) {
  const char *name = z->names[entry];
  const uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((s->valid & wanted) != wanted) return cn_fail(e, CORNU_ERR_FORMAT, "entry \"%s\" tells no size", name);
  if (s->encryption_method != ZIP_EM_NONE)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "entry \"%s\" is encrypted: unpack and repack the archive", name);
  if (s->comp_method != ZIP_CM_STORE && s->comp_method != ZIP_CM_DEFLATE)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "entry \"%s\" is packed by zip method %d; Cornu reads stored (0) and deflated (8) ones", name,
                   (int)s->comp_method);
  if (s->size > max)
    return cn_fail(e, CORNU_ERR_LIMIT, "entry \"%s\" has %llu bytes, the limit is %zu", name,
                   (unsigned long long)s->size, max);
  if (s->size / 1040 > s->comp_size || (s->size > UINT32_MAX && s->size / 100 > s->comp_size))
    return cn_fail(e, CORNU_ERR_LIMIT, "entry \"%s\" unpacks %llu bytes from %llu: not plausible", name,
                   (unsigned long long)s->size,
                   (unsigned long long)s->comp_size);
  return CORNU_OK;
}

cn_status cn_zip_begin(cn_zip *z, int entry, size_t max, size_t *size, cn_error *e) {
  zip_stat_t s;
  zip_stat_init(&s);
  cn_zip_abandon(z);
  if (zip_stat_index(z->archive, (uint64_t)entry, 0, &s) < 0) return fail_zip(z, z->names[entry], e);
  CN_TRY(check_sizes(z, entry, &s, max, e));
  z->entry = zip_fopen_index(z->archive, (uint64_t)entry, 0);
  if (!z->entry) return fail_zip(z, z->names[entry], e);
  z->left = s.size;
  *size = (size_t)s.size;
  return CORNU_OK;
}

static cn_status fail_entry(cn_zip *z, cn_error *e) {
  const char *why = zip_error_strerror(zip_file_get_error(z->entry));
  return cn_fail(e, CORNU_ERR_FORMAT, "damaged zip entry: %s", why);
}

cn_status cn_zip_next(cn_zip *z, void *data, size_t size, cn_error *e) {
  char *to = data;
  if (size > z->left) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry ends too early");
  while (size) {
    int64_t got = zip_fread(z->entry, to, size < 1 << 30 ? size : 1 << 30);
    if (got < 0) return fail_entry(z, e);
    if (got == 0) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry ends too early");
    to += got;
    size -= (size_t)got;
    z->left -= (uint64_t)got;
  }
  return CORNU_OK;
}

/* libzip compares the check sum when it meets the end. */
cn_status cn_zip_end(cn_zip *z, cn_error *e) {
  char byte;
  unsigned long long left = z->left;
  cn_status status = left ? cn_fail(e, CORNU_ERR_FORMAT, "the zip entry has %llu bytes too many", left) : CORNU_OK;
  int64_t got = status ? 0 : zip_fread(z->entry, &byte, 1);
  if (got < 0) status = fail_entry(z, e);
  else if (got > 0) status = cn_fail(e, CORNU_ERR_FORMAT, "the zip entry is longer than the archive says");
  cn_zip_abandon(z);
  return status;
}

void cn_zip_abandon(cn_zip *z) {
  if (z->entry) zip_fclose(z->entry);
  z->entry = NULL;
  z->left = 0;
}

cn_status cn_zip_read(cn_zip *z, int entry, size_t max, char **data, size_t *size, cn_error *e) {
  *data = NULL;
  CN_TRY(cn_zip_begin(z, entry, max, size, e));
  char *to = *size < SIZE_MAX ? cn_alloc_data(*size + 1) : NULL;
  cn_status status = to ? cn_zip_next(z, to, *size, e) : cn_no_memory(e);
  if (!status) status = cn_zip_end(z, e);
  cn_zip_abandon(z);
  if (status) {
    cn_free(to);
    return cn_at(e, status, "entry \"%s\"", z->names[entry]);
  }
  to[*size] = 0;
  *data = to;
  return CORNU_OK;
}

/* ---- Writing ---- */

static bool add_part(zip_t *archive, const cn_zip_part *part, bool compress) {
  zip_buffer_fragment_t pieces[2] = {{(zip_uint8_t *)part->head, part->head_size},
                                     {(zip_uint8_t *)part->body, part->body_size}};
  zip_source_t *source = zip_source_buffer_fragment(archive, pieces, part->body_size ? 2 : 1, 0);
  if (!source) return false;
  int64_t index = zip_file_add(archive, part->name, source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  return zip_set_file_compression(archive, (uint64_t)index, compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) == 0;
}

/* libzip removes archives without entries: this one is an end record alone. */
static cn_status write_empty(const char *path, cn_error *e) {
  static const char end[22] = "PK\5\6";
  FILE *file = fopen(path, "wb");
  if (!file) return cn_fail(e, CORNU_ERR_IO, "cannot create the zip archive");
  bool written = fwrite(end, sizeof end, 1, file) == 1;
  written = fclose(file) == 0 && written;
  return written ? CORNU_OK : cn_fail(e, CORNU_ERR_IO, "cannot write the zip archive");
}

static cn_status write_archive(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e) {
  int code = 0;
  if (n == 0) return write_empty(path, e);
  zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!archive) return cn_fail(e, CORNU_ERR_IO, "cannot create the zip archive (libzip error %d)", code);
  bool made = true;
  for (int i = 0; i < n && made; i++) made = add_part(archive, &parts[i], compress);
  if (made && zip_close(archive) == 0) return CORNU_OK;
  cn_fail(e, CORNU_ERR_IO, "cannot write the zip archive: %s", zip_strerror(archive));
  zip_discard(archive);
  return CORNU_ERR_IO;
}

cn_status cn_zip_write(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e) {
  cn_file_write w;
  CN_TRY(cn_file_begin(&w, path, e));
  cn_status status = write_archive(w.temporary, parts, n, compress, e);
  if (!status) return cn_file_commit(&w, e);
  cn_file_abandon(&w);
  return cn_at(e, status, "%s", path);
}
