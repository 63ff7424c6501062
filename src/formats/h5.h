/* HDF5 files, as far as Keras uses them: groups, arrays, and attributes of text and numbers. Two readers serve them. The
 * plain one (hdf5.h) is Cornu's own and reads what Keras writes. What is beyond it, as repacked files are, goes to
 * libhdf5, with the filters deflate, shuffle and fletcher32, but for trusted files alone: the library does not stand
 * files that are made to harm. Neither reader follows a link or a storage that leads out of the file.
 *
 * Paths are relative to the root, with slashes; "" is the root. All functions may be called from any thread. */
#ifndef CN_FORMATS_H5_H
#define CN_FORMATS_H5_H

#include "base/file.h"
#include "ops/op.h"

typedef struct cn_h5 cn_h5;

/* Texts in an arena. */
typedef struct cn_names { const char **items; int count, capacity; } cn_names;
bool cn_names_add(cn_arena *a, cn_names *names, const char *text, size_t length); /* copies */

cn_status cn_h5_open(const char *path, bool trusted, cn_h5 **out, cn_error *e);
/* A file in memory; arrays may refer to it. */
cn_status cn_h5_open_memory(cn_mapping *image, bool trusted, cn_h5 **out, cn_error *e);
/* Several files as one that has what any of them has. */
cn_status cn_h5_open_union(const char *const *paths, int n, bool trusted, cn_h5 **out, cn_error *e);
void cn_h5_close(cn_h5 *f); /* NULL is fine */

typedef enum cn_h5_kind { CN_H5_NONE, CN_H5_GROUP, CN_H5_ARRAY } cn_h5_kind;
cn_h5_kind cn_h5_find(cn_h5 *f, const char *path);
/* Names of the members of a group, sorted by their bytes. */
cn_status cn_h5_members(cn_h5 *f, const char *path, cn_arena *a, cn_names *out, cn_error *e);

bool cn_h5_has_attr(cn_h5 *f, const char *path, const char *name);
/* A text, NULL when there is no such attribute; the last byte is followed by a NUL. */
cn_status cn_h5_attr_text(cn_h5 *f, const char *path, const char *name, cn_arena *a, const char **out, size_t *length,
                          cn_error *e);
/* A list of texts, joined from name0, name1, … when it was too long for one attribute. *found: it is there. */
cn_status cn_h5_attr_texts(cn_h5 *f, const char *path, const char *name, cn_arena *a, cn_names *out, bool *found,
                           cn_error *e);
cn_status cn_h5_attr_int(cn_h5 *f, const char *path, const char *name, int64_t *out, bool *found, cn_error *e);

/* What an array is, without reading it: dtype and shape. */
cn_status cn_h5_array_type(cn_h5 *f, const char *path, cn_type *out, cn_error *e);
/* The array as a new tensor (the caller releases). Its size is checked against the limits, and against what the file
 * holds, before memory is taken. */
cn_status cn_h5_array_read(cn_h5 *f, const char *path, cn_tensor **out, cn_error *e);
/* The same; a large array may stay in the file until it is fetched (cn_tensor_fetch). */
cn_status cn_h5_array_use(cn_h5 *f, const char *path, cn_tensor **out, cn_error *e);

/* An array that is read by rows, as often as wanted; by one thread at a time. chunk: so many of them are packed together
 * (0: none are). The file must stay open. The size of the whole array has no limit. */
typedef struct cn_h5_rows { cn_h5 *file; void *state; cn_type what; int64_t chunk; } cn_h5_rows;
cn_status cn_h5_rows_open(cn_h5 *f, const char *path, cn_h5_rows *out, cn_error *e);
cn_status cn_h5_rows_read(cn_h5_rows *r, int64_t first, int64_t n, void *to, cn_error *e);
void cn_h5_rows_close(cn_h5_rows *r);

#endif
