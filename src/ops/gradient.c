/* Short forms for gradients. */
#include "ops/gradient.h"

#include <string.h>

#include "ops/ops.h"

cn_edge cn_g_add(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g2(g, &cn_op_add, NULL, a, b); }
cn_edge cn_g_sub(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g2(g, &cn_op_sub, NULL, a, b); }
cn_edge cn_g_mul(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g2(g, &cn_op_mul, NULL, a, b); }
cn_edge cn_g_div(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g2(g, &cn_op_div, NULL, a, b); }
cn_edge cn_g_neg(cn_gradient *g, cn_edge a) { return cn_g1(g, &cn_op_neg, NULL, a); }
cn_edge cn_g_square(cn_gradient *g, cn_edge a) { return cn_g1(g, &cn_op_square, NULL, a); }
cn_edge cn_g_scale(cn_gradient *g, cn_edge a, double by) { return cn_g_mul(g, a, cn_gradient_number(g, a, by)); }
cn_edge cn_g_shift(cn_gradient *g, cn_edge a, double by) { return cn_g_add(g, a, cn_gradient_number(g, a, by)); }
cn_edge cn_g_from(cn_gradient *g, double v, cn_edge a) { return cn_g_sub(g, cn_gradient_number(g, a, v), a); }

cn_edge cn_g_zeros(cn_gradient *g, cn_edge like) {
  return cn_g1(g, &cn_op_full_like, &(cn_fill_attrs){0, CORNU_DTYPES}, like);
}

cn_edge cn_g_where(cn_gradient *g, cn_edge condition, cn_edge a) {
  return cn_gradient_emit(g, &cn_op_where, NULL, (cn_edge[]){condition, a, cn_gradient_number(g, a, 0)}, 3);
}

cn_edge cn_g_cast(cn_gradient *g, cn_edge a, cornu_dtype dtype) {
  return cn_gradient_type(g, a)->dtype == dtype ? a : cn_g1(g, &cn_op_cast, &(cn_cast_attrs){dtype}, a);
}

cn_edge cn_g_reshape(cn_gradient *g, cn_edge a, int rank, const int64_t *shape) {
  const cn_type *t = cn_gradient_type(g, a);
  if (cn_shape_equal(t->rank, t->shape, rank, shape)) return a;
  cn_reshape_attrs to = {.shape = {.n = rank}};
  for (int i = 0; i < rank; i++) to.shape.v[i] = shape[i];
  return cn_g1(g, &cn_op_reshape, &to, a);
}

cn_edge cn_g_as(cn_gradient *g, cn_edge a, cn_edge like) {
  const cn_type t = *cn_gradient_type(g, like);
  return cn_g_reshape(g, a, t.rank, t.shape);
}

cn_edge cn_g_sum(cn_gradient *g, cn_edge a, const cn_ints *axes, bool keepdims) {
  return axes->n ? cn_g1(g, &cn_op_sum, &(cn_reduce_attrs){*axes, keepdims}, a) : a;
}

cn_edge cn_g_sum_rows(cn_gradient *g, cn_edge a) {
  cn_ints axes = {.n = cn_gradient_type(g, a)->rank - 1};
  for (int i = 0; i < axes.n; i++) axes.v[i] = i;
  return cn_g_sum(g, a, &axes, false);
}

cn_edge cn_g_unbroadcast(cn_gradient *g, cn_edge a, cn_edge like) {
  const cn_type have = *cn_gradient_type(g, a), want = *cn_gradient_type(g, like);
  const int more = have.rank - want.rank;
  cn_ints axes = {.n = 0};
  for (int i = 0; i < have.rank; i++)
    if (i < more || (want.shape[i - more] == 1 && have.shape[i] != 1)) axes.v[axes.n++] = i;
  return cn_g_cast(g, cn_g_as(g, cn_g_sum(g, a, &axes, true), like), want.dtype);
}

cn_edge cn_g_rebroadcast(cn_gradient *g, cn_edge a, const cn_ints *axes, bool keepdims, cn_edge like) {
  const cn_type want = *cn_gradient_type(g, like);
  int64_t shape[CN_MAX_RANK];
  memcpy(shape, want.shape, sizeof shape);
  for (int i = 0; i < (axes->n < 0 ? want.rank : axes->n); i++)
    shape[axes->n < 0 ? i : axes->v[i] < 0 ? axes->v[i] + want.rank : axes->v[i]] = 1;
  if (!keepdims) a = cn_g_reshape(g, a, want.rank, shape);
  cn_ints_attrs to = {.v = {.n = want.rank}};
  for (int i = 0; i < want.rank; i++) to.v.v[i] = want.shape[i];
  return cn_g1(g, &cn_op_broadcast_to, &to, a);
}

cn_edge cn_g_matmul(cn_gradient *g, cn_edge a, bool transpose_a, cn_edge b, bool transpose_b) {
  return cn_g2(g, &cn_op_matmul, &(cn_matmul_attrs){transpose_a, transpose_b}, a, b);
}

cn_edge cn_g_transpose(cn_gradient *g, cn_edge a, const int *order) {
  cn_ints_attrs to = {.v = {.n = cn_gradient_type(g, a)->rank}};
  for (int i = 0; i < to.v.n; i++) to.v.v[i] = order[i];
  return cn_g1(g, &cn_op_transpose, &to, a);
}

cn_edge cn_g_swap(cn_gradient *g, cn_edge a) {
  int order[CN_MAX_RANK];
  const int rank = cn_gradient_type(g, a)->rank;
  for (int i = 0; i < rank; i++) order[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
  return cn_g_transpose(g, a, order);
}

cn_edge cn_g_apply(cn_gradient *g, cn_edge a, int axis, const double *matrix, int64_t m, int64_t n) {
  cn_type t = *cn_gradient_type(g, a);
  const int64_t outer = cn_shape_size(axis, t.shape), inner = cn_shape_size(t.rank - axis - 1, t.shape + axis + 1);
  const cn_edge by = cn_g_reshape(g, cn_gradient_vector(g, t.dtype, matrix, m * n), 2, (const int64_t[]){m, n});
  a = cn_g_matmul(g, by, true, cn_g_reshape(g, a, 3, (const int64_t[]){outer, m, inner}), false);
  t.shape[axis] = n;
  return cn_g_reshape(g, a, t.rank, t.shape);
}

cn_edge cn_g_spread(cn_gradient *g, cn_edge a, int axis, int64_t step) {
  cn_type t = *cn_gradient_type(g, a);
  const int64_t n = t.shape[axis];
  if (step == 1 || n < 2) return a;
  const int64_t outer = cn_shape_size(axis, t.shape), inner = cn_shape_size(t.rank - axis - 1, t.shape + axis + 1);
  const cn_pad_attrs zeros = {.before = {.n = 4, .v = {0}}, .after = {.n = 4, .v = {0, 0, step - 1, 0}}};
  a = cn_g1(g, &cn_op_pad, &zeros, cn_g_reshape(g, a, 4, (const int64_t[]){outer, n, 1, inner}));
  a = cn_g_window(g, cn_g_reshape(g, a, 3, (const int64_t[]){outer, n * step, inner}), 1, 0, (n - 1) * step + 1);
  t.shape[axis] = (n - 1) * step + 1;
  return cn_g_reshape(g, a, t.rank, t.shape);
}

cn_edge cn_g_window(cn_gradient *g, cn_edge a, int axis, int64_t begin, int64_t n) {
  const cn_type t = *cn_gradient_type(g, a);
  const int64_t have = t.shape[axis], low = begin > 0 ? begin : 0, high = begin + n < have ? begin + n : have;
  if (low > 0 || high < have) {
    const cn_slice_attrs cut = {.axes = {.n = 1, .v = {axis}}, .begin = {.n = 1, .v = {low}},
                                .end = {.n = 1, .v = {high}}, .step = {.n = 1, .v = {1}}};
    a = cn_g1(g, &cn_op_slice, &cut, a);
  }
  if (begin >= 0 && begin + n <= have) return a;
  cn_pad_attrs around = {.before = {.n = t.rank, .v = {0}}, .after = {.n = t.rank, .v = {0}}};
  around.before.v[axis] = low - begin;
  around.after.v[axis] = begin + n - high;
  return cn_g1(g, &cn_op_pad, &around, a);
}

void cn_gradient_zero(cn_gradient *g) { (void)g; }

void cn_gradient_view(cn_gradient *g) {
  if (g->wanted[0]) g->dx[0] = cn_g_as(g, g->dy[0], g->in[0]);
}
