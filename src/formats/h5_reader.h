/* What a reader of HDF5 files does; h5.c says which one reads a file. */
#ifndef CN_FORMATS_H5_READER_H
#define CN_FORMATS_H5_READER_H

#include "formats/h5.h"

typedef struct cn_h5_reader {
  void (*close)(void *state);
  cn_h5_kind (*find)(void *state, const char *path);
  cn_status (*members)(void *state, const char *path, cn_arena *a, cn_names *out, cn_error *e); /* in any order */
  bool (*has_attr)(void *state, const char *path, const char *name);
  /* Adds the texts of one attribute; an empty array of numbers counts as no texts. */
  cn_status (*texts)(void *state, const char *path, const char *name, cn_arena *a, cn_names *out, bool *found, cn_error *e);
  cn_status (*integer)(void *state, const char *path, const char *name, int64_t *out, bool *found, cn_error *e);
  cn_status (*array_type)(void *state, const char *path, cn_type *out, cn_error *e);
  cn_status (*array_read)(void *state, const char *path, bool stay, cn_tensor **out, cn_error *e);
  cn_status (*rows_open)(void *state, const char *path, cn_h5_rows *out, cn_error *e); /* out->state, what, chunk */
  cn_status (*rows_read)(void *state, void *rows, int64_t first, int64_t n, char *to, cn_error *e);
  void (*rows_close)(void *rows);
} cn_h5_reader;
extern const cn_h5_reader cn_h5_plain, cn_h5_library, cn_h5_union;

/* image: the file in memory, NULL: at path. CORNU_ERR_UNSUPPORTED from the plain one: a file for the other. */
cn_status cn_h5_plain_open(const char *path, cn_mapping *image, void **state, cn_error *e);
cn_status cn_h5_library_open(const char *path, cn_mapping *image, void **state, cn_error *e);
cn_status cn_h5_union_open(const char *const *paths, int n, bool trusted, void **state, cn_error *e);

/* One more text of an attribute, checked: UTF-8, no NUL, within the limits. */
cn_status cn_h5_add_text(const char *attribute, const char *text, size_t length, cn_arena *a, cn_names *out, cn_error *e);
/* How long a text of fixed width is; padding: 0 ends at a NUL, 1 NULs, 2 spaces. */
size_t cn_h5_fixed_length(const char *text, size_t width, int padding);
void cn_h5_swap_bytes(char *data, size_t size, int64_t count);

#endif
