/* Files: whole reads within the limits, and writes that leave the old file whole when they fail. */
#ifndef CN_BASE_FILE_H
#define CN_BASE_FILE_H

#include <stdatomic.h>

#include "base/memory.h"

/* The whole file with a NUL behind it; the caller frees *data with cn_free. Refuses folders and more than max bytes. */
cn_status cn_file_read(const char *path, size_t max, char **data, size_t *size, cn_error *e);
/* The first bytes of a file at an offset; *got may be less than size at the end of the file. */
cn_status cn_file_peek(const char *path, size_t offset, void *data, size_t size, size_t *got, cn_error *e);
/* Files that are not on the disk: while they are given to the calling thread, their names mean them. */
typedef struct cn_mapping cn_mapping;
typedef struct cn_given_file { const char *name; cn_mapping *content; const struct cn_given_file *next; } cn_given_file;
void cn_file_give(const cn_given_file *list);  /* borrowed; NULL: none */
cn_mapping *cn_file_given(const char *path);   /* borrowed; NULL: it is not one of them */
/* What a host has: copied whole, since it may be needed for longer than the host keeps it; the name is borrowed. The caller
 * drops the content. */
cn_status cn_file_take(const cornu_source *host, cn_given_file *out, cn_error *e);

/* An open file. Its path is for messages; it is borrowed. memory: what it is instead of a descriptor, or NULL. */
typedef struct cn_file { int fd; uint64_t size; const char *path; cn_mapping *memory; } cn_file;
cn_status cn_file_open(const char *path, cn_file *out, cn_error *e);
void cn_file_close(cn_file *f);
/* Exactly `size` bytes; CORNU_ERR_FORMAT: the file ends before. */
cn_status cn_file_read_at(const cn_file *f, uint64_t offset, void *data, size_t size, cn_error *e);
/* A file in memory, with 64 readable bytes behind: private pages of it (what is written into them stays in this process),
 * or memory of the heap. A file must not be cut while it is mapped; one that is replaced by renaming keeps its old pages.
 * References are counted; dropping NULL is fine. */
struct cn_mapping {
  atomic_int references;
  char *data;
  size_t size, mapped;       /* mapped 0: heap */
  struct cn_mapping *whole;  /* that this is a part of */
};
cn_status cn_file_map(const char *path, cn_mapping **out, cn_error *e);
cn_status cn_file_map_open(const cn_file *f, cn_mapping **out, cn_error *e);
/* A part of it, which keeps the whole: both are dropped on their own. */
cn_status cn_mapping_part(cn_mapping *whole, size_t offset, size_t size, cn_mapping **out, cn_error *e);
/* Takes data of cn_alloc_data over, on failure, too. */
cn_status cn_mapping_of(char *data, size_t size, cn_mapping **out, cn_error *e);
cn_mapping *cn_mapping_share(cn_mapping *m);
void cn_mapping_drop(cn_mapping *m);
/* Frees the memory of the whole pages in [p, p + size) of a mapped file until they are looked at again. What was written
 * into them is lost. */
void cn_mapping_let_go(const void *p, size_t size);
/* Brings the pages of [p, p + size) into memory at once, of a mapped file to be read or of a block to be written: cheaper
 * than a fault for each. */
void cn_pages_read(const void *p, size_t size);
void cn_pages_write(void *p, size_t size);
bool cn_file_is_folder(const char *path);
bool cn_file_exists(const char *path);
const char *cn_base_name(const char *path); /* what stands behind the last folder; part of `path` */

/* A write goes to a temporary file beside `path`, which cn_file_commit brings onto the disk and then renames onto it, so
 * that whoever looks, after a crash, too, finds the old file or the new one whole; cn_file_abandon removes it. A file that
 * is replaced keeps its rights, and links stay links. */
#define CN_BESIDE_TEMPORARY ".parts" /* behind `temporary`: a file that is needed to write it, and removed after that */
typedef struct cn_file_write { char *path, *temporary; } cn_file_write;
cn_status cn_file_begin(cn_file_write *w, const char *path, cn_error *e);  /* w->temporary is where to write */
cn_status cn_file_commit(cn_file_write *w, cn_error *e);
void cn_file_abandon(cn_file_write *w);

#endif
