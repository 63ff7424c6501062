/* Tensors: a view (shape, strides) on a reference-counted buffer. The public functions of cornu.h are here too. */
#ifndef CN_TENSOR_TENSOR_H
#define CN_TENSOR_TENSOR_H

#include <stdatomic.h>

#include "base/memory.h"

#define CN_MAX_RANK CORNU_MAX_RANK

typedef struct cn_buffer {
  atomic_int references;
  void *data;     /* behind it in its block, or the host's */
  size_t bytes;
  void (*release)(void *user, void *data); /* NULL: nothing to do */
  void *user;
  void *block;    /* the tensor that it was made with, which lives as long: one piece of memory for both and the data */
  const char *stored;                      /* where a mapped file has the bytes, at any alignment; NULL: nowhere */
  atomic_uint version;                     /* raised when the weights in it change where they are */
  atomic_bool fetched;                     /* of a stored one: the data is there, and may have been changed */
  cn_arena texts; /* the bytes of strings that were written into it */
} cn_buffer;

typedef cornu_tensor cn_tensor;
struct cn_trace; /* graph/trace.h: the graph under construction that a symbolic tensor belongs to */

struct cornu_tensor {
  atomic_int references;
  cornu_dtype dtype;
  int rank;
  int64_t shape[CN_MAX_RANK];  /* -1: unknown, in symbolic tensors only */
  int64_t stride[CN_MAX_RANK]; /* elements */
  cn_buffer *buffer;           /* NULL: symbolic */
  char *data;                  /* first element */
  struct cn_trace *trace;      /* symbolic: where it lives … */
  int edge;                    /* … and which value it is */
  uint64_t trace_serial;       /* tells a finished trace from the one under way at the same address */
};

/* Product of the dimensions: -1 when one is unknown, -2 when it overflows. */
int64_t cn_shape_size(int rank, const int64_t *shape);
bool cn_shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b);
void cn_shape_strides(int rank, const int64_t *shape, int64_t *stride); /* row-major */
/* NumPy broadcasting with unknown dimensions: ? and 1 give ?, ? and n give n. */
cn_status cn_shape_broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *out,
                             cn_error *e);

/* As cornu_tensor_new, but numbers are not set to zero: for who writes them all. */
cn_status cn_tensor_make(cornu_dtype dtype, int rank, const int64_t *shape, cn_tensor **out, cn_error *e);
/* Weights that stay in a mapped file: release(user) gives the file up. The data is that of the file where it is aligned,
 * else room that holds nothing yet. cn_tensor_fetch, before anyone but the compiler of plans looks at it: from then on
 * the data is there, and may be changed. */
cn_status cn_tensor_of_file(cornu_dtype dtype, int rank, const int64_t *shape, const void *stored,
                            void (*release)(void *user, void *data), void *user, cn_tensor **out, cn_error *e);
void cn_tensor_fetch(cn_tensor *t);
/* Where the file has the bytes of a tensor that was not fetched; NULL: they are its data. */
const char *cn_tensor_stored(const cn_tensor *t);

cn_tensor *cn_tensor_symbol(cornu_dtype dtype, int rank, const int64_t *shape, struct cn_trace *trace, int edge);
/* Gives the strings in t bytes of its own buffer, in one piece: for elements that were copied from elsewhere. */
cn_status cn_tensor_own_texts(cn_tensor *t, cn_error *e);
bool cn_text_equal(cornu_text a, cornu_text b);
bool cn_dtype_is_float(cornu_dtype d);
bool cn_dtype_is_integer(cornu_dtype d); /* bool counts as neither */
float cn_half_to_float(uint16_t h);
uint16_t cn_float_to_half(float f);      /* to nearest, ties to even */
float cn_bfloat_to_float(uint16_t b);
uint16_t cn_float_to_bfloat(float f);
/* Copies and converts `count` elements between contiguous arrays; strings to strings alone, and without their bytes. */
void cn_convert(void *to, cornu_dtype to_dtype, const void *from, cornu_dtype from_dtype, int64_t count);

#endif
