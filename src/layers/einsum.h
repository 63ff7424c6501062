/* Einstein sums of two operands, by one letter for each axis: "abc" * "cd" -> "abd". */
#ifndef CN_LAYERS_EINSUM_H
#define CN_LAYERS_EINSUM_H

#include "layers/layer.h"

/* Letters of one operand appear in it once. Letters of both operands that the result lacks are summed over. */
cn_edge cn_emit_einsum(cn_trace *t, const char *a_axes, cn_edge a, const char *b_axes, cn_edge b, const char *out_axes);
/* The same plus a bias whose axes are the last ones of the result (1: it repeats): one `dense` where that is possible. */
cn_edge cn_emit_einsum_dense(cn_trace *t, const char *a_axes, cn_edge a, const char *b_axes, cn_edge b,
                             const char *out_axes, cn_edge bias);
/* x with its axes in the order of out_axes; those that it lacks are summed away. */
cn_edge cn_emit_arranged(cn_trace *t, const char *axes, cn_edge x, const char *out_axes);
/* "ij,jk->ik", "b...c,cd", "ii->i": any number of operands, as numpy.einsum takes them. */
cn_edge cn_emit_einsum_equation(cn_trace *t, const char *equation, const cn_edge *in, int n);

#endif
