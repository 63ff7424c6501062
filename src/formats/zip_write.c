/* Writing zip archives. Each entry's header is written again when its check sum and its packed size are known. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "formats/zip.h"

enum { STORED = 0, DEFLATED = 8, PIECE = 1 << 16, UTF_8 = 1 << 11, FIRST_DAY = 0x21 /* 1980-01-01 */ };

typedef struct written { uint64_t at, packed, size; uint32_t sum; } written;

typedef struct writer {
  FILE *file;
  uint64_t at;
  int method;
  bool failed;
  uint8_t piece[PIECE];
} writer;

static void put(writer *w, const void *data, size_t size) {
  w->failed = w->failed || (size && fwrite(data, size, 1, w->file) != 1);
  w->at += size;
}

static void put_number(writer *w, uint64_t n, int bytes) {
  uint8_t p[8];
  for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(n >> 8 * i);
  put(w, p, (size_t)bytes);
}

static uint64_t at_most_32(uint64_t n) { return n < UINT32_MAX ? n : UINT32_MAX; }

/* What both headers of an entry have: from the version that reads it to the lengths of its name and extra field. */
static void put_common(writer *w, const char *name, const written *n, size_t extra) {
  put_number(w, 45, 2);
  put_number(w, UTF_8, 2);
  put_number(w, (uint64_t)w->method, 2);
  put_number(w, (uint64_t)FIRST_DAY << 16, 4);
  put_number(w, n->sum, 4);
  put_number(w, at_most_32(n->packed), 4);
  put_number(w, at_most_32(n->size), 4);
  put_number(w, strlen(name), 2);
  put_number(w, extra, 2);
}

/* Always with room for sizes of 64 bits, since the packed one is not known at first. */
static void put_local(writer *w, const char *name, const written *n) {
  put(w, "PK\3\4", 4);
  put_common(w, name, &(written){.packed = UINT32_MAX, .size = UINT32_MAX, .sum = n->sum}, 20);
  put(w, name, strlen(name));
  put_number(w, 1, 2);
  put_number(w, 16, 2);
  put_number(w, n->size, 8);
  put_number(w, n->packed, 8);
}

static void put_central(writer *w, const char *name, const written *n) {
  const uint64_t numbers[] = {n->size, n->packed, n->at};
  size_t extra = 0;
  for (int i = 0; i < 3; i++) extra += numbers[i] >= UINT32_MAX ? 8 : 0;
  put(w, "PK\1\2", 4);
  put_number(w, 45, 2);
  put_common(w, name, n, extra ? 4 + extra : 0);
  put_number(w, 0, 6); /* no comment, the first disk */
  put_number(w, 0, 4); /* attributes */
  put_number(w, at_most_32(n->at), 4);
  put(w, name, strlen(name));
  if (!extra) return;
  put_number(w, 1, 2);
  put_number(w, extra, 2);
  for (int i = 0; i < 3; i++)
    if (numbers[i] >= UINT32_MAX) put_number(w, numbers[i], 8);
}

static void put_end(writer *w, uint64_t begin, uint64_t count) {
  const uint64_t end = w->at, size = end - begin;
  if (begin >= UINT32_MAX || size >= UINT32_MAX || count >= UINT16_MAX) {
    put(w, "PK\6\6", 4);
    put_number(w, 44, 8);
    put_number(w, 45 << 16 | 45, 4);
    put_number(w, 0, 8);
    put_number(w, count, 8);
    put_number(w, count, 8);
    put_number(w, size, 8);
    put_number(w, begin, 8);
    put(w, "PK\6\7\0\0\0", 8);
    put_number(w, end, 8);
    put_number(w, 1, 4);
  }
  const uint64_t told = count < UINT16_MAX ? count : UINT16_MAX;
  put(w, "PK\5\6\0\0\0", 8);
  put_number(w, told, 2);
  put_number(w, told, 2);
  put_number(w, at_most_32(size), 4);
  put_number(w, at_most_32(begin), 4);
  put_number(w, 0, 2);
}

static void put_deflated(writer *w, z_stream *s, const void *data, size_t size, int flush) {
  const uint8_t *from = data;
  do {
    s->next_in = (uint8_t *)from;
    s->avail_in = size < 1 << 30 ? (uInt)size : 1 << 30;
    from += s->avail_in;
    size -= s->avail_in;
    do {
      s->next_out = w->piece;
      s->avail_out = PIECE;
      deflate(s, size ? Z_NO_FLUSH : flush);
      put(w, w->piece, PIECE - s->avail_out);
    } while (!s->avail_out && !w->failed);
  } while (size && !w->failed);
}

static void put_data(writer *w, const cn_zip_part *part) {
  z_stream s = {0};
  if (w->method == STORED) {
    put(w, part->head, part->head_size);
    put(w, part->body, part->body_size);
  } else if (deflateInit2(&s, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
    put_deflated(w, &s, part->head, part->head_size, Z_NO_FLUSH);
    put_deflated(w, &s, part->body, part->body_size, Z_FINISH);
    deflateEnd(&s);
  } else {
    w->failed = true;
  }
}

static void put_entry(writer *w, const cn_zip_part *part, written *n) {
  *n = (written){.at = w->at, .size = part->head_size + part->body_size};
  if (part->head_size) n->sum = (uint32_t)crc32_z(n->sum, part->head, part->head_size);
  if (part->body_size) n->sum = (uint32_t)crc32_z(n->sum, part->body, part->body_size);
  put_local(w, part->name, n);
  uint64_t begin = w->at;
  put_data(w, part);
  uint64_t end = w->at;
  n->packed = end - begin;
  w->failed = w->failed || fseeko(w->file, (off_t)n->at, SEEK_SET);
  put_local(w, part->name, n);
  w->failed = w->failed || fseeko(w->file, (off_t)end, SEEK_SET);
  w->at = end;
}

static cn_status write_archive(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e) {
  written *all = cn_calloc((size_t)n + 1, sizeof *all);
  writer *w = cn_calloc(1, sizeof *w);
  cn_status status = all && w ? CORNU_OK : cn_no_memory(e);
  if (!status && !(w->file = fopen(path, "wb"))) status = cn_fail(e, CORNU_ERR_IO, "cannot create the zip archive");
  if (!status) {
    w->method = compress ? DEFLATED : STORED;
    for (int i = 0; i < n && !w->failed; i++) put_entry(w, &parts[i], &all[i]);
    uint64_t begin = w->at;
    for (int i = 0; i < n; i++) put_central(w, parts[i].name, &all[i]);
    put_end(w, begin, (uint64_t)n);
    if (fclose(w->file) || w->failed) status = cn_fail(e, CORNU_ERR_IO, "cannot write the zip archive");
  }
  cn_free(w);
  cn_free(all);
  return status;
}

cn_status cn_zip_write(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e) {
  cn_file_write w;
  CN_TRY(cn_file_begin(&w, path, e));
  cn_status status = write_archive(w.temporary, parts, n, compress, e);
  if (!status) return cn_file_commit(&w, e);
  cn_file_abandon(&w);
  return cn_at(e, status, "%s", path);
}
