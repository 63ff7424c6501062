/* Element-wise work on values that may have a pitch: elements are numbered as if they lay side by side, and come in
 * parts that do. Where neither value has a pitch the whole is one row. */
#ifndef CN_OPS_ROWS_H
#define CN_OPS_ROWS_H

#include "ops/op.h"

typedef struct cn_row_places { int64_t length, in, out; } cn_row_places; /* of a row; from one to the next */

static inline int64_t cn_row_length(const cn_operand *o) { return o->rank ? o->shape[o->rank - 1] : 1; }
static inline bool cn_is_pitched(const cn_operand *o) { return o->pitch != cn_row_length(o); }

/* Steps of the axes through the elements. */
static inline void cn_pitched_strides(const cn_operand *o, int64_t *stride) {
  if (o->rank == 0) return;
  cn_shape_strides(o->rank - 1, o->shape, stride);
  for (int i = 0; i < o->rank - 1; i++) stride[i] *= o->pitch;
  stride[o->rank - 1] = 1;
}

/* Of an input and an output of the same shape. */
static inline cn_row_places cn_rows_of(const cn_operand *in, const cn_operand *out) {
  if (!cn_is_pitched(in) && !cn_is_pitched(out)) return (cn_row_places){in->size, in->size, in->size};
  return (cn_row_places){cn_row_length(in), in->pitch, out->pitch};
}

/* The elements from `at` on that lie side by side, before `end`, and where the first of them is. */
static inline int64_t cn_rows_part(const cn_row_places *r, int64_t at, int64_t end, int64_t *in, int64_t *out) {
  const int64_t row = at < r->length ? 0 : at / r->length, column = at - row * r->length, left = r->length - column;
  *in = row * r->in + column;
  *out = row * r->out + column;
  return left < end - at ? left : end - at;
}

#endif
