/* What the merging layers share: bringing inputs to one rank, masks, concatenation and batched dot products. */
#ifndef CN_LAYERS_MERGING_H
#define CN_LAYERS_MERGING_H

#include "layers/layer.h"
#include "ops/ops.h"

extern const cn_field cn_merge_fields[]; /* no keys of their own */

/* Folds the inputs with a binary op from left to right, after adding axes behind the batch to those of lower rank, and
 * returns the result; `divide`: by their number. Errors name both shapes. */
void cn_merge_fold(cn_layer *l, cn_trace *t, cn_call *c, const cn_op *op, bool divide);
/* Multiply, Maximum, Minimum: as above; since Keras 3.4 masked steps do not count. */
void cn_merge_fold_masked(cn_layer *l, cn_trace *t, cn_call *c, const cn_op *op);
/* The mask of an element-wise merge: before Keras 3.4 AND of those there are, since then OR, if every input has one. */
cn_edge cn_merge_mask(cn_layer *l, cn_trace *t, const cn_call *c);
void cn_merge_concat(cn_layer *l, cn_trace *t, cn_call *c, int64_t axis);

/* Sum over axis ax of x and ay of y for each sample: (b, x without ax, y without ay), at least (b, 1).
 * Axes count from 0 with the batch, negative from the end. */
cn_edge cn_batch_dot(cn_trace *t, cn_edge x, cn_edge y, int64_t ax, int64_t ay);

#endif
