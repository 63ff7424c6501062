#include "layers/emit.h"

#include <string.h>

#include "ops/ops.h"

bool cn_trace_axis(cn_trace *t, int64_t axis, int rank, int *out) {
  if (!t->status) t->status = cn_axis(axis, rank, out, t->error);
  return !t->status;
}

cn_edge cn_emit_cast(cn_trace *t, cn_edge x, cornu_dtype dtype) {
  if (t->status || cn_edge_type(t, x)->dtype == dtype) return x;
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, x);
}

cn_edge cn_emit_like(cn_trace *t, cn_edge x, double v) { return cn_emit_scalar(t, cn_edge_type(t, x)->dtype, v); }

cn_edge cn_emit_floating(cn_trace *t, cn_edge x) {
  return cn_dtype_is_float(cn_edge_type(t, x)->dtype) ? x : cn_emit_cast(t, x, CORNU_FLOAT32);
}

cn_edge cn_emit_flat(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{1, {CN_DIM_INFER}}}, x);
}

cn_edge cn_emit_range(cn_trace *t, cn_edge x, int axis, int64_t begin, int64_t end) {
  cn_slice_attrs a = {.axes = {1, {axis}}, .begin = {1, {begin}}, .end = {1, {end}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_slice, &a, x);
}

cn_edge cn_emit_new_axis(cn_trace *t, cn_edge x, int64_t axis) {
  return cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){axis}, x);
}

cn_edge cn_emit_permute(cn_trace *t, cn_edge x, const int *order) {
  cn_ints_attrs a = {.v = {.n = cn_edge_type(t, x)->rank}};
  bool same = true;
  for (int i = 0; i < a.v.n; i++) same &= (a.v.v[i] = order[i]) == i;
  return same ? x : cn_emit1(t, &cn_op_transpose, &a, x);
}

cn_edge cn_emit_move_axis(cn_trace *t, cn_edge x, int64_t from, int64_t to) {
  int rank = cn_edge_type(t, x)->rank, source, target, order[CN_MAX_RANK], next = 0;
  if (!cn_trace_axis(t, from, rank, &source) || !cn_trace_axis(t, to, rank, &target)) return CN_NO_EDGE;
  for (int i = 0; i < rank; i++) {
    if (next == source) next++;
    order[i] = i == target ? source : next++;
  }
  return cn_emit_permute(t, x, order);
}

cn_edge cn_emit_axes_last(cn_trace *t, cn_edge x, const cn_ints *axes) {
  const cn_type type = *cn_edge_type(t, x);
  int order[CN_MAX_RANK], n = 0, axis;
  bool moved[CN_MAX_RANK] = {false};
  if (axes->n < 0) return cn_emit_flat(t, x);
  for (int i = 0; i < axes->n; i++) {
    if (!cn_trace_axis(t, axes->v[i], type.rank, &axis)) return CN_NO_EDGE;
    if (moved[axis]) cn_trace_fail(t, CORNU_ERR_ARGUMENT, "axis %d is there twice", axis);
    moved[axis] = true;
  }
  cn_reshape_attrs joined = {.shape = {.n = type.rank - axes->n + 1}};
  for (int i = 0; i < type.rank; i++) {
    if (moved[i]) continue;
    joined.shape.v[n] = type.shape[i] < 0 ? CN_DIM_COPY : type.shape[i];
    order[n++] = i;
  }
  joined.shape.v[n] = CN_DIM_INFER;
  for (int i = 0; i < axes->n && !t->status; i++) {
    cn_trace_axis(t, axes->v[i], type.rank, &axis);
    order[n++] = axis;
  }
  x = cn_emit_permute(t, x, order);
  return axes->n == 1 ? x : cn_emit1(t, &cn_op_reshape, &joined, x);
}

cn_edge cn_emit_counter(cn_trace *t, cornu_dtype dtype, int64_t n, double step, double start) {
  cn_tensor *values = NULL;
  cn_edge edge = CN_NO_EDGE;
  if (!t->status) t->status = cornu_tensor_new(dtype, 1, &n, &values, t->error);
  for (int64_t i = 0; i < n && !t->status; i++) cornu_tensor_set(values, &i, start + step * (double)i);
  if (!t->status) edge = cn_emit_constant(t, values);
  cornu_tensor_release(values);
  return edge;
}

cn_edge cn_emit_kept(cn_trace *t, const cn_type *type, double rate, int64_t seed) {
  cn_random_attrs a = {.shape = {.n = type->rank}, .kind = CN_RANDOM_KEPT, .low = 1 - rate,
                       .high = rate < 1 ? 1 / (1 - rate) : 0, .dtype = type->dtype, .seed = seed == CN_NULL_INT ? 0 : seed};
  for (int i = 0; i < type->rank; i++) a.shape.v[i] = type->shape[i];
  return cn_trace_random(t, &a);
}
