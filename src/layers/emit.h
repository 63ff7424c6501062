/* Small steps that layers and operations emit again and again. */
#ifndef CN_LAYERS_EMIT_H
#define CN_LAYERS_EMIT_H

#include "graph/trace.h"

bool cn_trace_axis(cn_trace *t, int64_t axis, int rank, int *out); /* negative from the end; false after failure */
cn_edge cn_emit_cast(cn_trace *t, cn_edge x, cornu_dtype dtype);   /* as it is when it has the dtype */
cn_edge cn_emit_like(cn_trace *t, cn_edge x, double v);            /* a number in the dtype of x */
cn_edge cn_emit_floating(cn_trace *t, cn_edge x);                  /* whole numbers as float32 */
cn_edge cn_emit_flat(cn_trace *t, cn_edge x);                      /* as one line */
cn_edge cn_emit_range(cn_trace *t, cn_edge x, int axis, int64_t begin, int64_t end); /* CN_NULL_INT: open */
cn_edge cn_emit_new_axis(cn_trace *t, cn_edge x, int64_t axis);    /* size 1; counts in the result */
cn_edge cn_emit_move_axis(cn_trace *t, cn_edge x, int64_t from, int64_t to);
cn_edge cn_emit_permute(cn_trace *t, cn_edge x, const int *order); /* one entry for each axis */
cn_edge cn_emit_counter(cn_trace *t, cornu_dtype dtype, int64_t n, double step, double start); /* start + step * i */
/* The axes moved to the end, in their order, and joined into one; n = -1: all. */
cn_edge cn_emit_axes_last(cn_trace *t, cn_edge x, const cn_ints *axes);
/* Factors that drop a share of values: 0, or 1 / (1 - rate); seed: CN_NULL_INT for the model's. */
cn_edge cn_emit_kept(cn_trace *t, const cn_type *type, double rate, int64_t seed);

#endif
