/* What the ops that end in a matrix product share: packed weights, and products over a grid of rows on all threads. */
#ifndef CN_OPS_PRODUCT_H
#define CN_OPS_PRODUCT_H

#include "kernels/kernels.h"
#include "ops/op.h"

/* The i-th element of an array, given the bytes of one. */
static inline void *cn_nth(const void *p, int64_t i, size_t item) { return (char *)p + i * (int64_t)item; }

/* A packed matrix of slices * kc rows and n columns, made from slices of kc rows each: element (i, j) of slice s is at
 * source[from + slice[s] + i * row + j * column]. It begins `to` elements into the packed memory. */
typedef struct cn_pack_part {
  int64_t to, from;
  int64_t slices, kc;
  const int64_t *slice; /* NULL: one slice at 0 */
} cn_pack_part;

/* One operand packed in parts (groups of a convolution, phases of a transposed one). It lives with the plan. */
typedef struct cn_pack {
  const cn_gemm_kernels *kernels;
  int64_t row, column, n;
  int parts;
  const cn_pack_part *part;
  size_t bytes;
  const void *scale;   /* NULL, or n values of each part that multiply the columns; must be there when packing */
  const void *packed;  /* of a constant operand; NULL: packed into scratch at each run */
} cn_pack;

/* The part of a shape rule for inputs 3 and 4: a residual like t->out[0], and a scale of its channels. */
cn_status cn_check_residual(const char *op, const cn_typing *t, cn_error *e);
/* An optional input and, at run time, its data; or NULL. */
static inline const cn_operand *cn_optional_operand(const cn_step *s, int i) { return i < s->n_in ? s->in[i] : NULL; }
static inline const void *cn_optional(const cn_step *s, int i) {
  const cn_operand *o = cn_optional_operand(s, i);
  return o ? o->data : NULL;
}

/* Packs a constant operand now, or asks for w->bytes of scratch by adding them to *scratch. `kind` names what the
 * slices are, where that does not follow from the numbers of *w and its first part. */
cn_status cn_pack_plan(struct cn_planner *p, cn_pack *w, cn_operand *source, const char *kind, size_t *scratch,
                       cn_error *e);
/* The packed operand at run time; a variable one is packed into `room` by all threads. */
const void *cn_pack_ready(const cn_pack *w, const void *source, void *room);

/* Products over a grid: for every group g and every outer index (i, j, k) one call with
 * a += g * a_group + (i, j, k) · a_step,  b += g * b_group,  c, bias and residual += g * n (c also + (i, j, k) · c_step,
 * the residual + (i, j, k) · add_step). */
typedef struct cn_grid {
  cn_gemm_call call;
  int64_t outer[3], a_step[3], c_step[3], add_step[3];
  int64_t groups, a_group, b_group;
} cn_grid;
void cn_grid_fold(cn_grid *g); /* turns outer dimensions into rows of the call where the pitches allow it */
bool cn_product_is_small(int64_t m, int64_t n, int64_t k); /* not worth another thread */
void cn_grid_run(const cn_gemm_kernels *kernels, const cn_grid *g);

#endif
