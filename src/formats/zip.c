/* Zip archives through libzip; stored entries also where they lie in the mapped file. */
#include "formats/zip.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "base/deadline.h"
#include "base/text.h"

struct cn_zip {
  cn_file file;        /* the same open file as the archive's */
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

static cn_status open_memory(cn_zip *z, cn_error *e) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_buffer_create(z->file.memory->data, z->file.memory->size, 0, &error);
  if (source && !(z->archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error))) zip_source_free(source);
  const int code = zip_error_code_zip(&error);
  zip_error_fini(&error);
  return z->archive ? read_names(z, e) : fail_open(code, e);
}

/* libzip gets the open file, so that it and the mapping see one and the same, and closes its own descriptor. */
static cn_status open_archive(cn_zip *z, cn_error *e) {
  int code = 0, fd = dup(z->file.fd);
  if (fd < 0) return cn_fail(e, CORNU_ERR_IO, "cannot open the zip archive: too many open files");
  z->archive = zip_fdopen(fd, ZIP_CHECKCONS, &code);
  if (z->archive) return read_names(z, e);
  close(fd);
  return fail_open(code, e);
}

cn_status cn_zip_open(const char *path, cn_zip **out, cn_error *e) {
  *out = NULL;
  cn_zip *z = cn_calloc(1, sizeof *z);
  if (!z) return cn_no_memory(e);
  cn_status status = cn_file_open(path, &z->file, e);
  if (!status) status = z->file.memory ? open_memory(z, e) : open_archive(z, e);
  if (status) cn_zip_close(z);
  else *out = z;
  return status;
}

void cn_zip_close(cn_zip *z) {
  if (!z) return;
  cn_zip_abandon(z);
  if (z->archive) zip_discard(z->archive);
  cn_file_close(&z->file);
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
  enum { AT_ONCE = 1 << 20 };
  char *to = data;
  if (size > z->left) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry ends too early");
  while (size) {
    CN_TRY(cn_check_time(e));
    int64_t got = zip_fread(z->entry, to, size < AT_ONCE ? size : AT_ONCE);
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

/* ---- Where a stored entry lies ----
 * libzip does not tell, so the directory is walked again; what it says of the entry must be what libzip says. The numbers
 * of sections refer to PKWARE's APPNOTE.TXT 6.3.10. */

enum { END = 22, END_64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30 }; /* bytes of records */

static uint64_t number(const uint8_t *p, int bytes) {
  uint64_t n = 0;
  while (bytes-- > 0) n = n << 8 | p[bytes];
  return n;
}

static bool is_record(const uint8_t *p, const char *letters) { return memcmp(p, letters, 4) == 0; }

typedef struct directory { uint64_t at, size, count; } directory;

static bool read_at(const cn_zip *z, uint64_t at, void *data, size_t size) {
  return !cn_file_read_at(&z->file, at, data, size, NULL);
}

/* The end of a large archive is in another record, to which one in front of the plain end leads: sections 4.3.14, 15. */
static bool read_end_64(const cn_zip *z, uint64_t end, directory *d) {
  uint8_t locator[LOCATOR], p[END_64];
  if (end < LOCATOR + END_64 || !read_at(z, end - LOCATOR, locator, sizeof locator)) return false;
  uint64_t at = number(locator + 8, 8);
  if (!is_record(locator, "PK\6\7") || at > end - LOCATOR - END_64 || !read_at(z, at, p, sizeof p)) return false;
  *d = (directory){number(p + 48, 8), number(p + 40, 8), number(p + 32, 8)};
  return is_record(p, "PK\6\6") && d->size <= at && d->at == at - d->size;
}

/* The record at the end, section 4.3.16, has a comment of up to 65535 bytes behind it. */
static bool find_directory(const cn_zip *z, directory *d) {
  uint8_t tail[END + UINT16_MAX];
  size_t size = z->file.size < sizeof tail ? (size_t)z->file.size : sizeof tail;
  if (size < END || !read_at(z, z->file.size - size, tail, size)) return false;
  size_t at = size - END + 1;
  while (at-- > 0)
    if (is_record(tail + at, "PK\5\6") && number(tail + at + 20, 2) == size - END - at) break;
  if (at == SIZE_MAX) return false;
  const uint8_t *p = tail + at;
  const uint64_t end = z->file.size - size + at;
  *d = (directory){number(p + 16, 4), number(p + 12, 4), number(p + 10, 2)};
  if (d->at == UINT32_MAX || d->size == UINT32_MAX || d->count == UINT16_MAX) return read_end_64(z, end, d);
  return d->size <= end && d->at == end - d->size;
}

/* What the directory says of an entry. */
typedef struct record { const uint8_t *data, *name; size_t length; uint64_t packed, size, header; } record;

/* Numbers that do not fit into 32 bits are in the extra field, section 4.5.3. */
static bool take_64(const uint8_t **extra, size_t *left, uint64_t *n) {
  if (*n != UINT32_MAX) return true;
  if (*left < 8) return false;
  *n = number(*extra, 8);
  *extra += 8;
  *left -= 8;
  return true;
}

static bool read_extra(const uint8_t *p, size_t size, record *out) {
  static const uint8_t none[1];
  const uint8_t *found = none;
  size_t length = 0;
  while (size >= 4) {
    size_t bytes = (size_t)number(p + 2, 2);
    if (bytes > size - 4) return false;
    if (number(p, 2) == 1) found = p + 4, length = bytes;
    p += 4 + bytes;
    size -= 4 + bytes;
  }
  return take_64(&found, &length, &out->size) && take_64(&found, &length, &out->packed) &&
         take_64(&found, &length, &out->header);
}

/* One record of the directory, section 4.3.12; its bytes, 0: damaged. */
static size_t read_record(const uint8_t *p, size_t left, record *out) {
  if (left < CENTRAL || !is_record(p, "PK\1\2")) return 0;
  size_t length = (size_t)number(p + 28, 2), extra = (size_t)number(p + 30, 2);
  size_t size = CENTRAL + length + extra + (size_t)number(p + 32, 2);
  if (size > left) return 0;
  *out = (record){p, p + CENTRAL, length, number(p + 20, 4), number(p + 24, 4), number(p + 42, 4)};
  return read_extra(p + CENTRAL + length, extra, out) ? size : 0;
}

/* The data is behind the entry's own header, section 4.3.7, and in front of the directory. */
static bool check_record(const cn_zip *z, const record *n, const zip_stat_t *s, uint64_t end, uint64_t *at) {
  uint8_t p[LOCAL], name[UINT16_MAX];
  if (number(n->data + 10, 2) != ZIP_CM_STORE || number(n->data + 16, 4) != s->crc || n->size != s->size ||
      n->packed != s->size || n->length != strlen(s->name) || memcmp(n->name, s->name, n->length) != 0)
    return false;
  if (n->header > end || end - n->header < LOCAL + n->length || !read_at(z, n->header, p, sizeof p)) return false;
  if (!is_record(p, "PK\3\4") || number(p + 8, 2) != ZIP_CM_STORE || number(p + 26, 2) != n->length ||
      !read_at(z, n->header + LOCAL, name, n->length) || memcmp(name, n->name, n->length) != 0)
    return false;
  *at = n->header + LOCAL + n->length + number(p + 28, 2);
  return *at <= end && end - *at >= n->size;
}

static bool find_stored(const cn_zip *z, uint64_t entry, const zip_stat_t *s, uint64_t *at) {
  directory d;
  record n = {0};
  if (!find_directory(z, &d) || d.size > cn_limits.max_text_bytes || entry >= d.count) return false;
  uint8_t *data = cn_alloc((size_t)d.size + 1);
  bool found = data && read_at(z, d.at, data, (size_t)d.size);
  size_t from = 0, size;
  for (uint64_t i = 0; i <= entry && found; i++, from += size)
    found = (size = read_record(data + from, (size_t)d.size - from, &n)) > 0;
  found = found && check_record(z, &n, s, d.at, at);
  cn_free(data);
  return found;
}

bool cn_zip_stored(cn_zip *z, int entry, uint64_t *at) {
  zip_stat_t s;
  zip_stat_init(&s);
  return zip_stat_index(z->archive, (uint64_t)entry, 0, &s) == 0 && s.valid & ZIP_STAT_CRC &&
         s.comp_method == ZIP_CM_STORE && find_stored(z, (uint64_t)entry, &s, at);
}

cn_status cn_zip_read_at(const cn_zip *z, uint64_t at, void *data, size_t size, cn_error *e) {
  return cn_file_read_at(&z->file, at, data, size, e);
}

cn_status cn_zip_map(cn_zip *z, int entry, cn_mapping **out, cn_error *e) {
  zip_stat_t s;
  uint64_t at;
  *out = NULL;
  zip_stat_init(&s);
  if (zip_stat_index(z->archive, (uint64_t)entry, 0, &s) < 0) return fail_zip(z, z->names[entry], e);
  CN_TRY(check_sizes(z, entry, &s, SIZE_MAX - 1, e));
  if (!cn_zip_stored(z, entry, &at)) {
    char *data;
    size_t size;
    CN_TRY(cn_zip_read(z, entry, SIZE_MAX - 1, &data, &size, e));
    return cn_mapping_of(data, size, out, e);
  }
  cn_mapping *whole;
  CN_TRY(cn_file_map_open(&z->file, &whole, e));
  cn_status status = cn_mapping_part(whole, (size_t)at, (size_t)s.size, out, e);
  cn_mapping_drop(whole);
  return status;
}

/* ---- Writing ---- */

static bool add_part(zip_t *archive, const cn_zip_part *part, bool compress) {
  zip_buffer_fragment_t pieces[2] = {{(zip_uint8_t *)part->head, part->head_size},
                                     {(zip_uint8_t *)part->body, part->body_size}};
  zip_source_t *source = part->file ? zip_source_file(archive, part->file, 0, -1)
                                    : zip_source_buffer_fragment(archive, pieces, part->body_size ? 2 : 1, 0);
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

cn_status cn_zip_fill(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e) {
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
  cn_status status = cn_zip_fill(w.temporary, parts, n, compress, e);
  if (!status) return cn_file_commit(&w, e);
  cn_file_abandon(&w);
  return cn_at(e, status, "%s", path);
}
