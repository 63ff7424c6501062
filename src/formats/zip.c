/* Reading zip archives. */
#include "formats/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/text.h"

enum { STORED = 0, DEFLATED = 8, PIECE = 1 << 16 };
enum { END = 22, END_64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30 }; /* bytes of records */

typedef struct entry {
  const char *name;
  uint64_t at, packed, size; /* of its data in the file */
  uint32_t sum;
  int method;
  bool encrypted;
} entry;

struct cn_zip {
  cn_file file;
  cn_arena arena;
  entry *entries;
  int count;
  cn_map map;             /* name -> entry */
  const entry *open;      /* being read: … */
  uint64_t left, at, end; /* … bytes that are still to come, and where they are in the file */
  uint32_t sum;           /* of those before */
  z_stream stream;        /* of a deflated entry */
  uint8_t piece[PIECE];   /* of the packed bytes */
};

static uint64_t number(const uint8_t *p, int bytes) {
  uint64_t n = 0;
  while (bytes-- > 0) n = n << 8 | p[bytes];
  return n;
}

static bool is_record(const uint8_t *p, const char *letters) { return memcmp(p, letters, 4) == 0; }

static cn_status damaged(cn_error *e, const char *what) {
  return cn_fail(e, CORNU_ERR_FORMAT, "cannot open the zip archive: damaged: %s", what);
}

/* ---- The directory, sections 4.3.12 to 4.3.16 ---- */

typedef struct directory { uint64_t at, size, count; } directory;

/* The end of a large archive is in another record, to which one in front of the plain end leads. */
static cn_status read_end_64(const cn_zip *z, uint64_t end, directory *d, cn_error *e) {
  uint8_t locator[LOCATOR], p[END_64];
  if (end < LOCATOR + END_64) return damaged(e, "the record at its end");
  CN_TRY(cn_file_read_at(&z->file, end - LOCATOR, locator, sizeof locator, e));
  uint64_t at = number(locator + 8, 8);
  if (!is_record(locator, "PK\6\7") || at > end - LOCATOR - END_64) return damaged(e, "the record at its end");
  CN_TRY(cn_file_read_at(&z->file, at, p, sizeof p, e));
  if (!is_record(p, "PK\6\6") || number(p + 16, 4) || number(p + 20, 4) || number(p + 24, 8) != number(p + 32, 8))
    return damaged(e, "the record at its end");
  *d = (directory){number(p + 48, 8), number(p + 40, 8), number(p + 24, 8)};
  return d->size > at || d->at != at - d->size ? damaged(e, "its directory is not in front of its end") : CORNU_OK;
}

static cn_status read_end(const cn_zip *z, const uint8_t *p, uint64_t end, directory *d, cn_error *e) {
  *d = (directory){number(p + 16, 4), number(p + 12, 4), number(p + 10, 2)};
  if (d->at == UINT32_MAX || d->size == UINT32_MAX || d->count == UINT16_MAX) return read_end_64(z, end, d, e);
  if (number(p + 4, 2) || number(p + 6, 2) || number(p + 8, 2) != d->count)
    return damaged(e, "it is one of several parts");
  return d->size > end || d->at != end - d->size ? damaged(e, "its directory is not in front of its end") : CORNU_OK;
}

/* The record at the end has a comment of up to 65535 bytes behind it. */
static cn_status find_directory(cn_zip *z, directory *d, cn_error *e) {
  size_t size = z->file.size < END + UINT16_MAX ? (size_t)z->file.size : END + UINT16_MAX;
  uint8_t *tail = cn_alloc(size + 1);
  if (!tail) return cn_no_memory(e);
  cn_status status = cn_file_read_at(&z->file, z->file.size - size, tail, size, e);
  size_t at = size < END ? 0 : size - END + 1;
  while (!status && at-- > 0)
    if (is_record(tail + at, "PK\5\6") && number(tail + at + 20, 2) == size - END - at) break;
  if (!status)
    status = at == SIZE_MAX || size < END
                 ? cn_fail(e, CORNU_ERR_FORMAT, "cannot open the zip archive: no directory at its end: it is no archive, "
                                                "or was cut short")
                 : read_end(z, tail + at, z->file.size - size + at, d, e);
  cn_free(tail);
  return status;
}

/* Numbers that do not fit into 32 bits are in the extra field, section 4.5.3. */
static bool take_64(const uint8_t **extra, size_t *left, uint64_t *n) {
  if (*n != UINT32_MAX) return true;
  if (*left < 8) return false;
  *n = number(*extra, 8);
  *extra += 8;
  *left -= 8;
  return true;
}

static bool read_extra(const uint8_t *p, size_t size, entry *out, uint64_t *header) {
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
         take_64(&found, &length, header);
}

/* The header in front of the data says the same, but for sizes that may come behind the data. */
static cn_status check_local(cn_zip *z, entry *n, uint64_t header, uint64_t end, cn_error *e) {
  uint8_t p[LOCAL];
  size_t length = strlen(n->name);
  if (header > end || end - header < LOCAL + length) return damaged(e, "an entry outside of it");
  CN_TRY(cn_file_read_at(&z->file, header, p, sizeof p, e));
  n->at = header + LOCAL + number(p + 26, 2) + number(p + 28, 2);
  if (!is_record(p, "PK\3\4") || number(p + 26, 2) != length || (int)number(p + 8, 2) != n->method)
    return damaged(e, "an entry that differs from the directory");
  CN_TRY(cn_file_read_at(&z->file, header + LOCAL, z->piece, length, e));
  bool later = number(p + 6, 2) & 8;
  if (memcmp(z->piece, n->name, length) != 0 || (!later && number(p + 14, 4) != n->sum))
    return damaged(e, "an entry that differs from the directory");
  return n->at > end || end - n->at < n->packed ? damaged(e, "an entry outside of it") : CORNU_OK;
}

static cn_status add_entry(cn_zip *z, entry *n, cn_error *e) {
  if (!cn_utf8_valid(n->name, strlen(n->name)))
    return cn_fail(e, CORNU_ERR_FORMAT, "the name of entry %d is not UTF-8", z->count + 1);
  if (cn_map_get(&z->map, n->name))
    return cn_fail(e, CORNU_ERR_FORMAT, "the zip archive has two entries named \"%s\"", n->name);
  z->entries[z->count] = *n;
  return cn_map_set(&z->map, n->name, &z->entries[z->count++]) ? CORNU_OK : cn_no_memory(e);
}

/* One record of the directory, of `left` bytes at most; *size: its own. */
static cn_status read_record(cn_zip *z, const directory *d, const uint8_t *p, size_t left, size_t *size, cn_error *e) {
  if (left < CENTRAL || !is_record(p, "PK\1\2")) return damaged(e, "its directory");
  size_t length = (size_t)number(p + 28, 2), extra = (size_t)number(p + 30, 2);
  *size = CENTRAL + length + extra + (size_t)number(p + 32, 2);
  if (*size > left || memchr(p + CENTRAL, 0, length)) return damaged(e, "its directory");
  entry n = {.packed = number(p + 20, 4), .size = number(p + 24, 4), .sum = (uint32_t)number(p + 16, 4),
             .method = (int)number(p + 10, 2), .encrypted = number(p + 8, 2) & 1};
  n.name = cn_arena_copy(&z->arena, (const char *)p + CENTRAL, length);
  if (!n.name) return cn_no_memory(e);
  uint64_t header = number(p + 42, 4);
  if (!read_extra(p + CENTRAL + length, extra, &n, &header)) return damaged(e, "its directory");
  CN_TRY(check_local(z, &n, header, d->at, e));
  return add_entry(z, &n, e);
}

static cn_status read_records(cn_zip *z, const directory *d, cn_error *e) {
  uint8_t *data = d->size < SIZE_MAX ? cn_alloc((size_t)d->size + 1) : NULL;
  z->entries = cn_arena_array(&z->arena, (size_t)d->count + 1, sizeof *z->entries);
  cn_status status = data && z->entries ? cn_file_read_at(&z->file, d->at, data, (size_t)d->size, e) : cn_no_memory(e);
  size_t at = 0, size = 0;
  for (uint64_t i = 0; i < d->count && !status; i++, at += size)
    status = read_record(z, d, data + at, (size_t)d->size - at, &size, e);
  if (!status && at != d->size) status = damaged(e, "its directory is longer than its entries");
  cn_free(data);
  return status;
}

static cn_status read_directory(cn_zip *z, cn_error *e) {
  directory d = {0};
  CN_TRY(find_directory(z, &d, e));
  if (d.count > 16 * (uint64_t)cn_limits.max_layers || d.size > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "the zip archive has %llu entries, more than the limits allow",
                   (unsigned long long)d.count);
  return d.count > d.size / CENTRAL ? damaged(e, "its directory") : read_records(z, &d, e);
}

cn_status cn_zip_open(const char *path, cn_zip **out, cn_error *e) {
  *out = NULL;
  cn_zip *z = cn_calloc(1, sizeof *z);
  if (!z) return cn_no_memory(e);
  cn_status status = cn_file_open(path, &z->file, e);
  if (!status) status = read_directory(z, e);
  if (status) cn_zip_close(z);
  else *out = z;
  return status;
}

void cn_zip_close(cn_zip *z) {
  if (!z) return;
  cn_zip_abandon(z);
  cn_file_close(&z->file);
  cn_map_free(&z->map);
  cn_arena_free(&z->arena);
  cn_free(z);
}

int cn_zip_count(const cn_zip *z) { return z->count; }
const char *cn_zip_name(const cn_zip *z, int i) { return i >= 0 && i < z->count ? z->entries[i].name : NULL; }

int cn_zip_find(const cn_zip *z, const char *name) {
  const entry *found = cn_map_get(&z->map, name);
  return found ? (int)(found - z->entries) : -1;
}

/* ---- Entries ---- */

/* Deflate packs at most 1032 to 1: a larger ratio is a lie; Keras wants no more than 100 to 1 beyond 4 GiB. */
static cn_status check_sizes(const entry *n, size_t max, cn_error *e) {
  if (n->encrypted)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "entry \"%s\" is encrypted: unpack and repack the archive", n->name);
  if (n->method != STORED && n->method != DEFLATED)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "entry \"%s\" is packed by zip method %d; Cornu reads stored (0) and deflated (8) ones", n->name,
                   n->method);
  if (n->size > max)
    return cn_fail(e, CORNU_ERR_LIMIT, "entry \"%s\" has %llu bytes, the limit is %zu", n->name,
                   (unsigned long long)n->size, max);
  if (n->size / 1040 > n->packed || (n->size > UINT32_MAX && n->size / 100 > n->packed))
    return cn_fail(e, CORNU_ERR_LIMIT, "entry \"%s\" unpacks %llu bytes from %llu: not plausible", n->name,
                   (unsigned long long)n->size, (unsigned long long)n->packed);
  if (n->method == STORED && n->size != n->packed)
    return cn_fail(e, CORNU_ERR_FORMAT, "entry \"%s\" is stored in %llu bytes, but has %llu", n->name,
                   (unsigned long long)n->packed, (unsigned long long)n->size);
  return CORNU_OK;
}

cn_status cn_zip_begin(cn_zip *z, int i, size_t max, size_t *size, cn_error *e) {
  const entry *n = &z->entries[i];
  cn_zip_abandon(z);
  CN_TRY(check_sizes(n, max, e));
  z->stream = (z_stream){0};
  if (n->method == DEFLATED && inflateInit2(&z->stream, -MAX_WBITS) != Z_OK) return cn_no_memory(e);
  z->open = n;
  z->left = n->size;
  z->at = n->at;
  z->end = n->at + n->packed;
  z->sum = 0;
  *size = (size_t)n->size;
  return CORNU_OK;
}

/* Up to *size bytes of a deflated entry; *size becomes how many there were. */
static cn_status inflate_some(cn_zip *z, uint8_t *to, size_t *size, cn_error *e) {
  z_stream *s = &z->stream;
  s->next_out = to;
  s->avail_out = *size < 1 << 30 ? (uInt)*size : 1 << 30;
  const uInt wanted = s->avail_out;
  int code = Z_OK;
  while (s->avail_out && code == Z_OK) {
    if (!s->avail_in && z->at < z->end) {
      s->avail_in = z->end - z->at < PIECE ? (uInt)(z->end - z->at) : PIECE;
      s->next_in = z->piece;
      CN_TRY(cn_file_read_at(&z->file, z->at, z->piece, s->avail_in, e));
      z->at += s->avail_in;
    }
    code = inflate(s, Z_NO_FLUSH);
  }
  *size = wanted - s->avail_out;
  if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return CORNU_OK;
  return code == Z_MEM_ERROR ? cn_no_memory(e)
                             : cn_fail(e, CORNU_ERR_FORMAT, "damaged zip entry: %s", s->msg ? s->msg : "not deflated");
}

static cn_status next_piece(cn_zip *z, uint8_t *to, size_t *size, cn_error *e) {
  if (z->open->method == DEFLATED) return inflate_some(z, to, size, e);
  if (*size > 1 << 20) *size = 1 << 20; /* still in the cache for the check sum */
  CN_TRY(cn_file_read_at(&z->file, z->at, to, *size, e));
  z->at += *size;
  return CORNU_OK;
}

cn_status cn_zip_next(cn_zip *z, void *data, size_t size, cn_error *e) {
  uint8_t *to = data;
  if (size > z->left) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry ends too early");
  while (size) {
    size_t got = size;
    CN_TRY(next_piece(z, to, &got, e));
    if (got == 0) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry ends too early");
    z->sum = (uint32_t)crc32_z(z->sum, to, got);
    to += got;
    size -= got;
    z->left -= got;
  }
  return CORNU_OK;
}

static cn_status check_end(cn_zip *z, cn_error *e) {
  uint8_t byte;
  size_t more = 1;
  if (z->left)
    return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry has %llu bytes too many", (unsigned long long)z->left);
  if (z->open->method == DEFLATED) {
    CN_TRY(inflate_some(z, &byte, &more, e));
    if (more) return cn_fail(e, CORNU_ERR_FORMAT, "the zip entry is longer than the archive says");
  }
  return z->sum == z->open->sum ? CORNU_OK : cn_fail(e, CORNU_ERR_FORMAT, "damaged zip entry: CRC error");
}

cn_status cn_zip_end(cn_zip *z, cn_error *e) {
  cn_status status = check_end(z, e);
  cn_zip_abandon(z);
  return status;
}

void cn_zip_abandon(cn_zip *z) {
  if (z->open && z->open->method == DEFLATED) inflateEnd(&z->stream);
  z->open = NULL;
  z->left = 0;
}

cn_status cn_zip_read(cn_zip *z, int i, size_t max, char **data, size_t *size, cn_error *e) {
  *data = NULL;
  CN_TRY(cn_zip_begin(z, i, max, size, e));
  char *to = *size < SIZE_MAX ? cn_alloc_data(*size + 1) : NULL;
  cn_status status = to ? cn_zip_next(z, to, *size, e) : cn_no_memory(e);
  if (!status) status = cn_zip_end(z, e);
  cn_zip_abandon(z);
  if (status) {
    cn_free(to);
    return cn_at(e, status, "entry \"%s\"", z->entries[i].name);
  }
  to[*size] = 0;
  *data = to;
  return CORNU_OK;
}

cn_status cn_zip_map(cn_zip *z, int i, cn_mapping **out, cn_error *e) {
  const entry *n = &z->entries[i];
  *out = NULL;
  if (n->method != STORED) {
    char *data;
    size_t size;
    CN_TRY(cn_zip_read(z, i, SIZE_MAX - 1, &data, &size, e));
    return cn_mapping_of(data, size, out, e);
  }
  cn_mapping *whole;
  CN_TRY(check_sizes(n, SIZE_MAX - 1, e));
  CN_TRY(cn_file_map_open(&z->file, &whole, e));
  cn_status status = cn_mapping_part(whole, (size_t)n->at, (size_t)n->size, out, e);
  cn_mapping_drop(whole);
  return status;
}
