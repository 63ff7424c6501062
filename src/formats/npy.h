/* NumPy's array files: a header that tells dtype, order and shape, then the data. */
#ifndef CN_FORMATS_NPY_H
#define CN_FORMATS_NPY_H

#include "tensor/tensor.h"

typedef struct cn_npy {
  cornu_dtype dtype;
  bool swapped, fortran;      /* the other byte order; columns first */
  int rank;
  int64_t shape[CN_MAX_RANK]; /* as NumPy shows it */
  size_t bytes;               /* of the data */
} cn_npy;

enum { CN_NPY_START = 12, CN_NPY_MOST = 1 << 20 };
/* From the first 12 bytes: *size is where the data begins. At most CN_NPY_MOST. */
cn_status cn_npy_start(const void *start, size_t *size, cn_error *e);
/* The whole header, checked against the limits. */
cn_status cn_npy_parse(const char *head, size_t size, cn_npy *out, cn_error *e);
/* An array for the data to be read into, and what makes it an ordinary one afterwards (replaces *t). */
cn_status cn_npy_new(const cn_npy *a, cn_tensor **out, cn_error *e);
cn_status cn_npy_settle(const cn_npy *a, cn_tensor **t, cn_error *e);
/* The header of a contiguous tensor. Returns its size. */
enum { CN_NPY_HEAD = 512 };
size_t cn_npy_head(const cn_tensor *t, char head[CN_NPY_HEAD]);

#endif
