/* Shapes and dtypes. */
#include <string.h>

#include "base/text.h"
#include "tensor/tensor.h"

static const struct { const char *name; size_t bytes; } dtypes[CORNU_DTYPES] = {
    {"float32", 4}, {"float64", 8}, {"float16", 2}, {"bfloat16", 2}, {"int8", 1}, {"int16", 2}, {"int32", 4},
    {"int64", 8}, {"uint8", 1}, {"uint16", 2}, {"uint32", 4}, {"uint64", 8}, {"bool", 1},
    {"string", sizeof(cornu_text)}};

const char *cornu_dtype_name(cornu_dtype dtype) { return (unsigned)dtype < CORNU_DTYPES ? dtypes[dtype].name : "none"; }
size_t cornu_dtype_bytes(cornu_dtype dtype) { return (unsigned)dtype < CORNU_DTYPES ? dtypes[dtype].bytes : 0; }

bool cornu_dtype_parse(const char *name, cornu_dtype *out) {
  for (int d = 0; d < CORNU_DTYPES; d++)
    if (strcmp(name, dtypes[d].name) == 0) return *out = (cornu_dtype)d, true;
  return false;
}

bool cn_dtype_is_float(cornu_dtype d) { return d <= CORNU_BFLOAT16; }
bool cn_dtype_is_integer(cornu_dtype d) { return d >= CORNU_INT8 && d <= CORNU_UINT64; }

int64_t cn_shape_size(int rank, const int64_t *shape) {
  int64_t size = 1;
  bool unknown = false, empty = false, overflow = false;
  for (int i = 0; i < rank; i++) {
    unknown |= shape[i] < 0;
    empty |= shape[i] == 0;
    if (shape[i] > 0 && !cn_mul_i64(size, shape[i], &size)) overflow = true, size = 1;
  }
  return unknown ? -1 : empty ? 0 : overflow ? -2 : size;
}

bool cn_shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b) {
  return rank_a == rank_b && (rank_a == 0 || memcmp(a, b, sizeof *a * (size_t)rank_a) == 0);
}

void cn_shape_strides(int rank, const int64_t *shape, int64_t *stride) {
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; i--) {
    stride[i] = step;
    if (shape[i] > 0 && !cn_mul_i64(step, shape[i], &step)) step = 0; /* of an empty one, in which nothing is looked for */
  }
}

cn_status cn_shape_broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *out,
                             cn_error *e) {
  int n = rank_a > rank_b ? rank_a : rank_b;
  int64_t result[CN_MAX_RANK];
  for (int i = 0; i < n; i++) {
    int64_t x = i < n - rank_a ? 1 : a[i - (n - rank_a)], y = i < n - rank_b ? 1 : b[i - (n - rank_b)];
    if (x == y || y == 1) result[i] = x;
    else if (x == 1) result[i] = y;
    else if (x < 0) result[i] = y;
    else if (y < 0) result[i] = x;
    else
      return cn_fail(e, CORNU_ERR_SHAPE, "shapes %s and %s do not broadcast", CN_SHAPE(rank_a, a), CN_SHAPE(rank_b, b));
  }
  memcpy(out, result, sizeof *out * (size_t)n);
  *rank = n;
  return CORNU_OK;
}
