/* Gradients of ops, in reverse mode: gradient() of a descriptor is told of one call of its op in a graph and what the
 * gradients of its outputs are, and emits the ops that make those of its inputs. All shapes are known then. */
#ifndef CN_OPS_GRADIENT_H
#define CN_OPS_GRADIENT_H

#include "ops/op.h"

/* A value of a graph. */
typedef int cn_edge;
#define CN_NO_EDGE (-1)

typedef struct cn_gradient {
  struct cn_trace *trace;    /* graph/trace.h */
  const cn_op *op;
  const void *attrs;
  int n_in, n_out;
  const cn_edge *in, *out;   /* CN_NO_EDGE: an absent optional input */
  const cn_edge *dy;         /* of the outputs; CN_NO_EDGE: it is zero. At least one is there */
  const bool *wanted;        /* which inputs need a gradient; never those of integers */
  cn_edge *dx;               /* to fill in: of the inputs, in their shape and dtype; as it comes, CN_NO_EDGE: zero */
} cn_gradient;

cn_edge cn_gradient_emit(cn_gradient *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in);
int cn_gradient_emit_many(cn_gradient *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in,
                          cn_edge *first);
const cn_type *cn_gradient_type(const cn_gradient *g, cn_edge e);
cn_edge cn_gradient_number(cn_gradient *g, cn_edge like, double v); /* a scalar of the dtype of `like` */
double *cn_gradient_room(cn_gradient *g, int64_t n); /* zeros, as long as the graph; NULL after failure */
cn_edge cn_gradient_vector(cn_gradient *g, cornu_dtype dtype, const double *v, int64_t n); /* a constant */
void cn_gradient_refuse(cn_gradient *g, const char *why);           /* fails: "has no gradient " and why */

/* Short forms. */
static inline cn_edge cn_g1(cn_gradient *g, const cn_op *op, const void *attrs, cn_edge a) {
  return cn_gradient_emit(g, op, attrs, &a, 1);
}
static inline cn_edge cn_g2(cn_gradient *g, const cn_op *op, const void *attrs, cn_edge a, cn_edge b) {
  return cn_gradient_emit(g, op, attrs, (cn_edge[]){a, b}, 2);
}
cn_edge cn_g_add(cn_gradient *g, cn_edge a, cn_edge b);
cn_edge cn_g_sub(cn_gradient *g, cn_edge a, cn_edge b);
cn_edge cn_g_mul(cn_gradient *g, cn_edge a, cn_edge b);
cn_edge cn_g_div(cn_gradient *g, cn_edge a, cn_edge b);
cn_edge cn_g_neg(cn_gradient *g, cn_edge a);
cn_edge cn_g_square(cn_gradient *g, cn_edge a);
cn_edge cn_g_scale(cn_gradient *g, cn_edge a, double by);   /* a * by */
cn_edge cn_g_shift(cn_gradient *g, cn_edge a, double by);   /* a + by */
cn_edge cn_g_from(cn_gradient *g, double v, cn_edge a);     /* v - a */
cn_edge cn_g_zeros(cn_gradient *g, cn_edge like);
cn_edge cn_g_where(cn_gradient *g, cn_edge condition, cn_edge a); /* a where the condition holds, else 0 */
cn_edge cn_g_cast(cn_gradient *g, cn_edge a, cornu_dtype dtype);
cn_edge cn_g_reshape(cn_gradient *g, cn_edge a, int rank, const int64_t *shape);
cn_edge cn_g_as(cn_gradient *g, cn_edge a, cn_edge like);   /* the elements of a under the shape of `like` */
cn_edge cn_g_sum(cn_gradient *g, cn_edge a, const cn_ints *axes, bool keepdims);
cn_edge cn_g_sum_rows(cn_gradient *g, cn_edge a); /* over all axes but the last: what comes back to a bias */
/* Summed over what broadcasting repeated, so that it has the shape and dtype of `like`. */
cn_edge cn_g_unbroadcast(cn_gradient *g, cn_edge a, cn_edge like);
/* a, reduced over `axes` without keepdims, repeated to the shape of `like` again. */
cn_edge cn_g_rebroadcast(cn_gradient *g, cn_edge a, const cn_ints *axes, bool keepdims, cn_edge like);

cn_edge cn_g_matmul(cn_gradient *g, cn_edge a, bool transpose_a, cn_edge b, bool transpose_b);
cn_edge cn_g_swap(cn_gradient *g, cn_edge a);               /* the last two axes swapped */
cn_edge cn_g_transpose(cn_gradient *g, cn_edge a, const int *order);
/* A constant matrix (m, n), by rows, applied along an axis of m elements: to the sum over them, for each of n. */
cn_edge cn_g_apply(cn_gradient *g, cn_edge a, int axis, const double *matrix, int64_t m, int64_t n);

/* Zeros between the elements of an axis, which become `step` apart. */
cn_edge cn_g_spread(cn_gradient *g, cn_edge a, int axis, int64_t step);
/* Positions begin … begin + n - 1 along an axis, zeros where a has none. */
cn_edge cn_g_window(cn_gradient *g, cn_edge a, int axis, int64_t begin, int64_t n);

/* gradient() of ops whose result is constant almost everywhere, or that is no number. */
void cn_gradient_zero(cn_gradient *g);
/* gradient() of views: the gradient under the input's shape. */
void cn_gradient_view(cn_gradient *g);

/* gradient() of attention: attention_gradient.c */
void cn_attention_gradient(cn_gradient *g);

#endif
