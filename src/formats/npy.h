/* NumPy's array files: a header that tells dtype, order and shape, then the data. */
#ifndef CN_FORMATS_NPY_H
#define CN_FORMATS_NPY_H

#include "tensor/tensor.h"

typedef struct cn_npy {
  cornu_dtype dtype;
  bool swapped, fortran;      /* the other byte order; columns first */
  int rank;
  int64_t shape[CN_MAX_RANK]; /* as NumPy shows it */
  int64_t width;              /* of a string: characters of 4 bytes (<U), or bytes (|S) */
  bool wide;                  /* <U */
  size_t bytes;               /* of the data */
} cn_npy;

enum { CN_NPY_START = 12, CN_NPY_MOST = 1 << 20 };
/* From the first 12 bytes: *size is where the data begins. At most CN_NPY_MOST. */
cn_status cn_npy_start(const void *start, size_t *size, cn_error *e);
/* "<f4", "|b1", …: sets dtype and swapped. */
cn_status cn_npy_dtype(const char *text, cn_npy *out, cn_error *e);
/* The whole header; whether the array is within the limits. */
cn_status cn_npy_parse(const char *head, size_t size, cn_npy *out, cn_error *e);
cn_status cn_npy_check(const cn_npy *a, cn_error *e);
/* Of a file on its own: the header, and where the data begins. */
cn_status cn_npy_head(const char *path, cn_npy *out, size_t *offset, cn_error *e);
/* An array for the data to be read into (bytes, for strings), and what makes it an ordinary one afterwards (replaces
 * *t). */
cn_status cn_npy_new(const cn_npy *a, cn_tensor **out, cn_error *e);
cn_status cn_npy_settle(const cn_npy *a, cn_tensor **t, cn_error *e);

/* A tensor as a file: the header, then the data, which is the tensor's own or, for strings, made here. Zero-initialise;
 * cn_npy_drop frees, after a failure too. */
enum { CN_NPY_HEAD = 512 };
typedef struct cn_npy_image {
  char head[CN_NPY_HEAD];
  size_t head_size, size;
  const void *data;
  cn_tensor *plain;
  void *made;
} cn_npy_image;
cn_status cn_npy_make(cn_tensor *t, cn_npy_image *out, cn_error *e);
void cn_npy_drop(cn_npy_image *image);

/* npz.c: the header of an entry of `size` bytes that has just begun, the place of its data; the name of its array. */
struct cn_zip;
cn_status cn_npz_head(struct cn_zip *z, size_t size, cn_npy *out, size_t *offset, cn_error *e);
bool cn_npz_name(const char *entry, char *out, size_t size);

/* npy_strings.c: rows of `width` characters to UTF-8 in a string tensor of this shape, and back: in UCS-4 where all of it
 * is UTF-8, else bytes; NULs at the end of a string are lost, as in NumPy. */
cn_status cn_npy_to_strings(const cn_npy *a, const char *rows, int rank, const int64_t *shape, cn_tensor **out,
                            cn_error *e);
cn_status cn_npy_from_strings(const cn_tensor *t, cn_npy *a, void **rows, cn_error *e);

#endif
