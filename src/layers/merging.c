/* Merging layers: ranks, masks, concatenation. */
#include "layers/merging.h"

#include "base/text.h"

const cn_field cn_merge_fields[] = {{0}};

static bool keras34(const cn_layer *l) { return cn_origin_at_least(&l->origin, 3, 4, 0); }

/* ---- Inputs ---- */

/* Appends axes of size 1: behind the batch axis (at 1), or at the end (at -1). */
static cn_edge widen(cn_trace *t, cn_edge x, int rank, int at) {
  while (!t->status && cn_edge_type(t, x)->rank < rank) x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){at}, x);
  return x;
}

static void check_broadcast(cn_trace *t, cn_edge a, cn_edge b) {
  if (t->status) return;
  const cn_type *x = cn_edge_type(t, a), *y = cn_edge_type(t, b);
  for (int i = 0; i < x->rank; i++)
    if (x->shape[i] != 1 && y->shape[i] != 1 && !cn_dims_agree(x->shape[i], y->shape[i])) {
      cn_trace_fail(t, CORNU_ERR_SHAPE, "cannot merge inputs of shapes %s and %s", CN_SHAPE(x->rank, x->shape),
          CN_SHAPE(y->rank, y->shape));
      return;
    }
}

/* The inputs at one rank, in memory of the trace; NULL after failure. A scalar or vector gets axes in front. */
static cn_edge *level_inputs(cn_trace *t, const cn_call *c) {
  if (t->status) return NULL;
  cn_edge *x = cn_arena_array(&t->graph->arena, (size_t)c->n_positional + 1, sizeof *x);
  if (!x) {
    t->status = cn_no_memory(t->error);
    return NULL;
  }
  int rank = 0;
  for (int i = 0; i < c->n_positional; i++)
    if (cn_edge_type(t, c->in[i].data)->rank > rank) rank = cn_edge_type(t, c->in[i].data)->rank;
  for (int i = 0; i < c->n_positional; i++) {
    x[i] = widen(t, c->in[i].data, rank, cn_edge_type(t, c->in[i].data)->rank > 0 ? 1 : 0);
    if (i > 0) check_broadcast(t, x[i - 1], x[i]);
  }
  return t->status ? NULL : x;
}

/* ---- Masks ---- */

static cn_edge join_masks(cn_trace *t, cn_edge a, cn_edge b, bool any) {
  if (a == CN_NO_EDGE || b == CN_NO_EDGE) return a == CN_NO_EDGE ? b : a;
  return cn_emit2(t, any ? &cn_op_logical_or : &cn_op_logical_and, NULL, a, b);
}

cn_edge cn_merge_mask(cn_layer *l, cn_trace *t, const cn_call *c) {
  bool any = keras34(l);
  cn_edge mask = CN_NO_EDGE;
  for (int i = 0; i < c->n_positional; i++) {
    if (any && c->in[i].mask == CN_NO_EDGE) return CN_NO_EDGE;
    mask = join_masks(t, mask, c->in[i].mask, any);
  }
  return mask;
}

/* ---- Element-wise merges ---- */

void cn_merge_fold(cn_layer *l, cn_trace *t, cn_call *c, const cn_op *op, bool divide) {
  cn_edge *x = level_inputs(t, c);
  if (!x) return;
  cn_edge y = x[0];
  for (int i = 1; i < c->n_positional; i++) y = cn_emit2(t, op, NULL, y, x[i]);
  if (divide) y = cn_emit2(t, &cn_op_div, NULL, y, cn_emit_number(t, c->n_positional));
  cn_call_return(t, c, y, cn_merge_mask(l, t, c));
}

/* The input's mask over all of its axes; none when axes were added to it, as Keras loses it then. */
static cn_edge element_mask(cn_trace *t, const cn_sym *in, cn_edge x) {
  if (in->mask == CN_NO_EDGE || in->data != x) return CN_NO_EDGE;
  return widen(t, in->mask, cn_edge_type(t, x)->rank, -1);
}

static cn_edge like(cn_trace *t, cn_edge x, double v) {
  return cn_emit_scalar(t, cn_edge_type(t, x)->dtype, v);
}

/* Keras 3.4's Multiply: ones where an input is masked, zeros where all are. */
static cn_edge masked_product(cn_trace *t, const cn_call *c, const cn_edge *x) {
  cn_edge y = CN_NO_EDGE, any = CN_NO_EDGE;
  bool all_masked = true;
  for (int i = 0; i < c->n_positional; i++) {
    cn_edge mask = element_mask(t, &c->in[i], x[i]);
    all_masked &= mask != CN_NO_EDGE;
    cn_edge factor = mask == CN_NO_EDGE ? x[i] : cn_emit3(t, &cn_op_where, NULL, mask, x[i], like(t, x[i], 1));
    any = join_masks(t, any, mask, true);
    y = i == 0 ? factor : cn_emit2(t, &cn_op_mul, NULL, y, factor);
  }
  return all_masked ? cn_emit3(t, &cn_op_where, NULL, any, y, like(t, y, 0)) : y;
}

/* Keras 3.4's Maximum and Minimum: where one side is masked, the other counts alone. */
static cn_edge masked_extreme(cn_trace *t, const cn_call *c, const cn_edge *x, const cn_op *op) {
  cn_edge y = x[0], y_mask = element_mask(t, &c->in[0], x[0]);
  for (int i = 1; i < c->n_positional; i++) {
    cn_edge mask = element_mask(t, &c->in[i], x[i]), z = x[i];
    if (mask != CN_NO_EDGE) z = cn_emit3(t, &cn_op_where, NULL, mask, z, y);
    if (y_mask != CN_NO_EDGE) y = cn_emit3(t, &cn_op_where, NULL, y_mask, y, z);
    y_mask = mask != CN_NO_EDGE && y_mask != CN_NO_EDGE ? join_masks(t, mask, y_mask, true) : CN_NO_EDGE;
    y = cn_emit2(t, op, NULL, y, z);
  }
  return y;
}

void cn_merge_fold_masked(cn_layer *l, cn_trace *t, cn_call *c, const cn_op *op) {
  if (!keras34(l)) {
    cn_merge_fold(l, t, c, op, false);
    return;
  }
  cn_edge *x = level_inputs(t, c);
  if (!x) return;
  cn_edge y = op == &cn_op_mul ? masked_product(t, c, x) : masked_extreme(t, c, x, op);
  cn_call_return(t, c, y, cn_merge_mask(l, t, c));
}

/* ---- Concatenation ---- */

static void check_concat(cn_trace *t, const cn_call *c, int axis) {
  const cn_type *first = cn_edge_type(t, c->in[0].data);
  for (int i = 1; i < c->n_positional && !t->status; i++) {
    const cn_type *x = cn_edge_type(t, c->in[i].data);
    bool fits = x->rank == first->rank;
    for (int d = 0; fits && d < x->rank; d++) fits = d == axis || cn_dims_agree(x->shape[d], first->shape[d]);
    if (!fits)
      cn_trace_fail(t, CORNU_ERR_SHAPE,
          "cannot concatenate inputs of shapes %s and %s along axis %d: they may differ in that axis alone",
                    CN_SHAPE(first->rank, first->shape), CN_SHAPE(x->rank, x->shape), axis);
  }
}

/* True for every position of x's first `rank` axes. */
static cn_edge full_mask(cn_trace *t, cn_edge x, int rank) {
  cn_slice_attrs first = {.axes = {.n = 0}};
  for (int d = rank; d < cn_edge_type(t, x)->rank; d++) {
    int n = first.axes.n++;
    first.axes.v[n] = d;
    first.begin.v[n] = 0;
    first.end.v[n] = first.step.v[n] = 1;
  }
  first.begin.n = first.end.n = first.step.n = first.axes.n;
  if (first.axes.n > 0) {
    x = cn_emit1(t, &cn_op_slice, &first, x);
    x = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = first.axes}, x);
  }
  return cn_emit1(t, &cn_op_full_like, &(cn_fill_attrs){1, CORNU_BOOL8}, x);
}

/* Masks along the concatenated axis when they have it; else AND of those there are (Keras 3.4: OR, a missing one is
 * all true, and so is the result). */
static cn_edge concat_mask(cn_layer *l, cn_trace *t, const cn_call *c, int axis) {
  bool any = keras34(l);
  int rank = 0;
  cn_edge *masks = cn_arena_array(&t->graph->arena, (size_t)c->n_positional + 1, sizeof *masks);
  if (!masks) return t->status = cn_no_memory(t->error), CN_NO_EDGE;
  for (int i = 0; i < c->n_positional; i++) {
    masks[i] = c->in[i].mask;
    if (masks[i] == CN_NO_EDGE) continue;
    if (cn_edge_type(t, masks[i])->rank == cn_edge_type(t, c->in[i].data)->rank)
      masks[i] = cn_emit1(t, any ? &cn_op_any : &cn_op_all, &(cn_reduce_attrs){.axes = {1, {-1}}}, masks[i]);
    rank = cn_edge_type(t, masks[i])->rank;
  }
  if (rank == 0 || t->status) return CN_NO_EDGE;
  if (axis < rank) {
    for (int i = 0; i < c->n_positional; i++)
      if (masks[i] == CN_NO_EDGE) masks[i] = full_mask(t, c->in[i].data, rank);
    return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){axis}, masks, c->n_positional);
  }
  cn_edge mask = CN_NO_EDGE;
  for (int i = 0; i < c->n_positional; i++) {
    if (any && masks[i] == CN_NO_EDGE) return CN_NO_EDGE;
    mask = join_masks(t, mask, masks[i], any);
  }
  return mask;
}

void cn_merge_concat(cn_layer *l, cn_trace *t, cn_call *c, int64_t axis) {
  if (t->status) return;
  cn_edge *x = cn_arena_array(&t->graph->arena, (size_t)c->n_positional + 1, sizeof *x);
  int at;
  t->status = x ? cn_axis(axis, cn_edge_type(t, c->in[0].data)->rank, &at, t->error) : cn_no_memory(t->error);
  if (t->status) return;
  check_concat(t, c, at);
  for (int i = 0; i < c->n_positional; i++) x[i] = c->in[i].data;
  cn_edge y = cn_emit(t, &cn_op_concat, &(cn_axis_attrs){at}, x, c->n_positional);
  if (!t->status) cn_call_return(t, c, y, concat_mask(l, t, c, at));
}

/* ---- Dot products ---- */

/* x with `axis` moved to position `to`. */
static cn_edge move_axis(cn_trace *t, cn_edge x, int axis, int to) {
  if (axis == to) return x;
  cn_ints_attrs a = {{.n = cn_edge_type(t, x)->rank}};
  for (int i = 0, from = 0; i < a.v.n; i++) {
    if (i == to) {
      a.v.v[i] = axis;
      continue;
    }
    if (from == axis) from++;
    a.v.v[i] = from++;
  }
  return cn_emit1(t, &cn_op_transpose, &a, x);
}

/* Any ranks: (b, X…, 1…, d) * (b, 1…, Y…, d), summed over d. */
static cn_edge broadcast_dot(cn_trace *t, cn_edge x, cn_edge y, int ax, int ay) {
  int rank_x = cn_edge_type(t, x)->rank, rank_y = cn_edge_type(t, y)->rank;
  x = move_axis(t, x, ax, rank_x - 1);
  y = move_axis(t, y, ay, rank_y - 1);
  for (int i = 0; i < rank_y - 2; i++) x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-2}, x);
  for (int i = 0; i < rank_x - 2; i++) y = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, y);
  cn_edge product = cn_emit2(t, &cn_op_mul, NULL, x, y);
  return cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {-1}}}, product);
}

/* Ranks up to 3: (b, m, d) @ (b, d, n), without the axes that a matrix of rank 2 gained. */
static cn_edge matrix_dot(cn_trace *t, cn_edge x, cn_edge y, int ax, int ay) {
  int rank_x = cn_edge_type(t, x)->rank, rank_y = cn_edge_type(t, y)->rank;
  if (rank_x == 2) x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, x), ax = 2;
  if (rank_y == 2) y = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){2}, y);
  cn_edge z = cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){.transpose_a = ax == 1, .transpose_b = ay == 2}, x, y);
  if (rank_x == 2) return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {1}}}, z);
  return rank_y == 2 ? cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {2}}}, z) : z;
}

cn_edge cn_batch_dot(cn_trace *t, cn_edge x, cn_edge y, int64_t ax, int64_t ay) {
  if (t->status) return CN_NO_EDGE;
  cn_type a = *cn_edge_type(t, x), b = *cn_edge_type(t, y);
  int i, j;
  if ((t->status = cn_axis(ax, a.rank, &i, t->error)) ||
      (t->status = cn_axis(ay, b.rank, &j, t->error))) return CN_NO_EDGE;
  if (i == 0 || j == 0 || !cn_dims_agree(a.shape[i], b.shape[j]) || a.rank + b.rank - 2 > CN_MAX_RANK) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "cannot take the dot product of shapes %s and %s along axes %d and %d%s",
        CN_SHAPE(a.rank, a.shape),
                  CN_SHAPE(b.rank, b.shape), i, j, i == 0 || j == 0 ? ": axis 0 is the batch" : "");
    return CN_NO_EDGE;
  }
  return a.rank <= 3 && b.rank <= 3 ? matrix_dot(t, x, y, i, j) : broadcast_dot(t, x, y, i, j);
}
