/* Strided reading: what broadcasting ops and copies share. */
#ifndef CN_OPS_BROADCAST_H
#define CN_OPS_BROADCAST_H

#include "ops/op.h"

/* An output of contiguous elements read from strided inputs; dimensions are joined where every input allows it. */
enum { CN_WALK_RANK = 16, CN_WALK_INPUTS = 3 };
typedef struct cn_walk {
  int rank, inputs;
  int64_t shape[CN_WALK_RANK];
  int64_t stride[CN_WALK_INPUTS][CN_WALK_RANK]; /* elements */
  int64_t rows, length;                         /* length: of the last dimension; rows: product of the others */
} cn_walk;

/* Shapes broadcast to the output's. */
void cn_walk_broadcast(cn_walk *w, const cn_operand *out, const cn_operand *const *in, int inputs);
/* One strided input; shape and stride as given. */
void cn_walk_strided(cn_walk *w, int rank, const int64_t *shape, const int64_t *stride);
/* Where row `row` begins in each input, in elements. */
void cn_walk_row(const cn_walk *w, int64_t row, int64_t *offset);
/* Copies strided elements of `size` bytes into a contiguous output, on all threads. */
void cn_walk_copy(const cn_walk *w, void *to, const void *from, size_t size);

#endif
