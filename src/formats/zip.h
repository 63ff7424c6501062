/* Zip archives: .keras and .npz. Entries are stored or deflated; sizes are checked before memory is taken, check sums
 * while reading. Nothing is ever unpacked to a place that the archive names. */
#ifndef CN_FORMATS_ZIP_H
#define CN_FORMATS_ZIP_H

#include "base/file.h"

typedef struct cn_zip cn_zip;

/* Refuses archives in which two entries have one name. */
cn_status cn_zip_open(const char *path, cn_zip **out, cn_error *e);
void cn_zip_close(cn_zip *z); /* NULL is fine */

int cn_zip_count(const cn_zip *z);
const char *cn_zip_name(const cn_zip *z, int entry); /* borrowed until the close */
int cn_zip_find(const cn_zip *z, const char *name);  /* -1: none */
/* The whole entry with a NUL behind it, at most max bytes, from cn_alloc_data; the caller frees *data with cn_free. */
cn_status cn_zip_read(cn_zip *z, int entry, size_t max, char **data, size_t *size, cn_error *e);
/* The entry as a part of the mapped archive, which may begin at any byte, and whose check sum nobody has compared; an entry
 * that is packed is read into memory. It stays valid after the close. */
cn_status cn_zip_map(cn_zip *z, int entry, cn_mapping **out, cn_error *e);

/* Where a stored entry lies, and bytes from there, whose check sum nobody compares; false: it is packed. */
bool cn_zip_stored(cn_zip *z, int entry, uint64_t *at);
cn_status cn_zip_read_at(const cn_zip *z, uint64_t at, void *data, size_t size, cn_error *e);

/* The same in pieces: open one entry (its size is checked as above), read exactly `size` bytes at a time. The end must
 * be asked for, since the check sum is known there. One entry at a time. */
cn_status cn_zip_begin(cn_zip *z, int entry, size_t max, size_t *size, cn_error *e);
cn_status cn_zip_next(cn_zip *z, void *data, size_t size, cn_error *e);
cn_status cn_zip_end(cn_zip *z, cn_error *e);  /* all bytes must have been read */
void cn_zip_abandon(cn_zip *z);                /* after a failure */

/* An entry to write: head and body follow each other, or what is in a file; all are borrowed for the call. */
typedef struct cn_zip_part {
  const char *name;
  const void *head, *body;
  size_t head_size, body_size;
  const char *file; /* NULL: none */
} cn_zip_part;
cn_status cn_zip_write(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e);
/* The same into a file that is there for it. */
cn_status cn_zip_fill(const char *path, const cn_zip_part *parts, int n, bool compress, cn_error *e);

#endif
