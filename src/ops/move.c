/* Copies that are one strided view of the input: transpose, broadcast_to, tile, reverse, repeat, split, slice. */
#include <string.h>

#include "base/text.h"
#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* How the first output reads the input; further outputs of a split begin `step` elements later each. */
typedef struct view { int rank; int64_t shape[CN_WALK_RANK], stride[CN_WALK_RANK], offset, step; } view;
typedef struct state { cn_walk walk; int64_t offset, step; } state;

static void run(const cn_step *s) {
  const state *st = s->state;
  size_t size = cornu_dtype_bytes(s->in[0]->dtype);
  for (int i = 0; i < s->n_out; i++)
    if (s->out[i]->size > 0)
      cn_walk_copy(&st->walk, s->out[i]->data,
                   (const char *)s->in[0]->data + (st->offset + i * st->step) * (int64_t)size, size);
}

static cn_status plan_view(struct cn_planner *p, cn_step *s, const view *v, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  cn_walk_strided(&st->walk, v->rank, v->shape, v->stride);
  st->offset = v->offset;
  st->step = v->step;
  s->run = run;
  return CORNU_OK;
}

/* The input as it is. */
static view whole(const cn_step *s) {
  view v = {.rank = s->in[0]->rank};
  memcpy(v.shape, s->in[0]->shape, sizeof s->in[0]->shape);
  cn_shape_strides(v.rank, v.shape, v.stride);
  return v;
}

static const cn_ints *ints_of(const void *attrs) { return &((const cn_ints_attrs *)attrs)->v; }

/* ---- transpose ---- */

static cn_status permutation(const cn_ints *v, int rank, int *axes, cn_error *e) {
  unsigned seen = 0;
  if (v->n >= 0 && v->n != rank)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "transpose: %d axes for %d dimensions", v->n, rank);
  for (int i = 0; i < rank; i++) {
    axes[i] = rank - 1 - i;
    if (v->n >= 0) CN_TRY(cn_axis(v->v[i], rank, &axes[i], e));
    if (seen & 1u << axes[i]) return cn_fail(e, CORNU_ERR_ARGUMENT, "transpose: axis %d twice", axes[i]);
    seen |= 1u << axes[i];
  }
  return CORNU_OK;
}

static cn_status transpose_shape(cn_typing *t, cn_error *e) {
  int axes[CN_MAX_RANK];
  CN_TRY(permutation(ints_of(t->attrs), t->in[0].rank, axes, e));
  t->out[0] = t->in[0];
  for (int i = 0; i < t->in[0].rank; i++) t->out[0].shape[i] = t->in[0].shape[axes[i]];
  return CORNU_OK;
}

static cn_status transpose_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  int axes[CN_MAX_RANK];
  CN_TRY(permutation(ints_of(s->attrs), s->in[0]->rank, axes, e));
  view from = whole(s), v = from;
  for (int i = 0; i < v.rank; i++) v.shape[i] = from.shape[axes[i]], v.stride[i] = from.stride[axes[i]];
  return plan_view(p, s, &v, e);
}

static void transpose_gradient(cn_gradient *g) {
  const cn_ints *v = ints_of(g->attrs);
  cn_ints_attrs back = {.v = {.n = v->n}};
  const int rank = cn_gradient_type(g, g->in[0])->rank;
  for (int i = 0; i < v->n; i++) back.v.v[v->v[i] < 0 ? v->v[i] + rank : v->v[i]] = i;
  g->dx[0] = cn_g1(g, &cn_op_transpose, &back, g->dy[0]);
}

#define INTS(text, other, words)                                                                                       \
  { .name = text, .aliases = other, .kind = CN_F_INTS, .offset = offsetof(cn_ints_attrs, v), .help = CN_HELP(words) }
static const cn_field transpose_fields[] = {
    {.name = "axes", .aliases = "perm", .kind = CN_F_INTS, .offset = offsetof(cn_ints_attrs, v), .standard = "null",
     .help = CN_HELP("new order; null: reversed")},
    {0}};
const cn_op cn_op_transpose = {
    .name = "transpose",
    .help = CN_HELP("axes in another order"),
    .flags = CN_OP_TEXTS | CN_OP_SAMPLES,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_ints_attrs),
    .fields = transpose_fields,
    .shape = transpose_shape,
    .plan = transpose_plan,
    .gradient = CN_GRADIENT(transpose_gradient),
};

/* ---- broadcast_to ---- */

static cn_status broadcast_shape(cn_typing *t, cn_error *e) {
  const cn_ints *v = ints_of(t->attrs);
  const cn_type *x = &t->in[0];
  if (v->n < x->rank || v->n > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "broadcast_to: %s to %d dimensions", CN_SHAPE(x->rank, x->shape), v->n);
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = v->n};
  for (int i = 0; i < v->n; i++) {
    int from = i - (v->n - x->rank);
    int64_t have = from < 0 ? 1 : x->shape[from], want = v->v[i] == CN_DIM_COPY ? have : v->v[i];
    if (have != 1 && !cn_dims_agree(have, want))
      return cn_fail(e, CORNU_ERR_SHAPE, "broadcast_to: %s does not broadcast to %s", CN_SHAPE(x->rank, x->shape),
                     CN_SHAPE(v->n, v->v));
    t->out[0].shape[i] = want;
  }
  return CORNU_OK;
}

static cn_status broadcast_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  view from = whole(s), v = {.rank = s->out[0]->rank};
  for (int i = 0; i < v.rank; i++) {
    int k = i - (v.rank - from.rank);
    v.shape[i] = s->out[0]->shape[i];
    v.stride[i] = k < 0 || from.shape[k] == 1 ? 0 : from.stride[k];
  }
  return plan_view(p, s, &v, e);
}

static void broadcast_gradient(cn_gradient *g) { g->dx[0] = cn_g_unbroadcast(g, g->dy[0], g->in[0]); }

static const cn_field broadcast_fields[] = {INTS("shape", NULL, "shape to broadcast to"), {0}};
const cn_op cn_op_broadcast_to = {
    .name = "broadcast_to",
    .help = CN_HELP("repeated along axes of size 1"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_ints_attrs),
    .fields = broadcast_fields,
    .shape = broadcast_shape,
    .plan = broadcast_plan,
    .gradient = CN_GRADIENT(broadcast_gradient),
};

/* ---- tile, repeat ---- */

static cn_status tile_shape(cn_typing *t, cn_error *e) {
  const cn_ints *v = ints_of(t->attrs);
  if (v->n != t->in[0].rank)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "tile: %d repeats for %d dimensions", v->n, t->in[0].rank);
  t->out[0] = t->in[0];
  for (int i = 0; i < v->n; i++) {
    if (v->v[i] < 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "tile: a negative number of repeats");
    t->out[0].shape[i] = cn_dim_mul(t->in[0].shape[i], v->v[i]);
  }
  return CORNU_OK;
}

/* Each axis becomes a pair: copies with stride 0 before (tile) or behind (repeat) the elements. */
static cn_status plan_copies(struct cn_planner *p, cn_step *s, const int64_t *copies, bool before, cn_error *e) {
  view from = whole(s), v = {.rank = 2 * s->in[0]->rank};
  for (int i = 0; i < from.rank; i++) {
    int copy = 2 * i + !before, own = 2 * i + before;
    v.shape[copy] = copies[i], v.stride[copy] = 0;
    v.shape[own] = from.shape[i], v.stride[own] = from.stride[i];
  }
  return plan_view(p, s, &v, e);
}

/* The sum over the copies: axes in pairs, as plan_copies has them, rank by rank while the pairs fit. */
static void copies_gradient(cn_gradient *g, const int64_t *copies, bool before) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  cn_edge dy = g->dy[0];
  for (int i = 0; i < x.rank; i++) {
    if (copies[i] == 1) continue;
    const int64_t outer = cn_shape_size(i, x.shape);
    const int64_t inner = cn_shape_size(x.rank - i - 1, cn_gradient_type(g, dy)->shape + i + 1);
    const int64_t paired[4] = {outer, before ? copies[i] : x.shape[i], before ? x.shape[i] : copies[i], inner};
    const cn_ints axis = {.n = 1, .v = {before ? 1 : 2}};
    cn_type left = *cn_gradient_type(g, dy);
    left.shape[i] = x.shape[i];
    dy = cn_g_reshape(g, cn_g_sum(g, cn_g_reshape(g, dy, 4, paired), &axis, false), left.rank, left.shape);
  }
  g->dx[0] = dy;
}

static void tile_gradient(cn_gradient *g) { copies_gradient(g, ints_of(g->attrs)->v, true); }

static cn_status tile_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return plan_copies(p, s, ints_of(s->attrs)->v, true, e);
}

static const cn_field tile_fields[] = {INTS("repeats", NULL, "how often along each axis"), {0}};
const cn_op cn_op_tile = {
    .name = "tile",
    .help = CN_HELP("the whole, repeated along each axis"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_ints_attrs),
    .fields = tile_fields,
    .shape = tile_shape,
    .plan = tile_plan,
    .gradient = CN_GRADIENT(tile_gradient),
};

static cn_status repeat_shape(cn_typing *t, cn_error *e) {
  const cn_repeat_attrs *a = t->attrs;
  int axis;
  CN_TRY(cn_axis(a->axis, t->in[0].rank, &axis, e));
  t->out[0] = t->in[0];
  t->out[0].shape[axis] = cn_dim_mul(t->in[0].shape[axis], a->count);
  return CORNU_OK;
}

static cn_status repeat_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_repeat_attrs *a = s->attrs;
  int64_t copies[CN_MAX_RANK];
  int axis;
  CN_TRY(cn_axis(a->axis, s->in[0]->rank, &axis, e));
  for (int i = 0; i < s->in[0]->rank; i++) copies[i] = i == axis ? a->count : 1;
  return plan_copies(p, s, copies, false, e);
}

static void repeat_gradient(cn_gradient *g) {
  const cn_repeat_attrs *a = g->attrs;
  int64_t copies[CN_MAX_RANK];
  const int rank = cn_gradient_type(g, g->in[0])->rank;
  for (int i = 0; i < rank; i++) copies[i] = i == (a->axis < 0 ? a->axis + rank : a->axis) ? a->count : 1;
  copies_gradient(g, copies, false);
}

static const cn_field repeat_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_repeat_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {.name = "count", .aliases = "repeats", .kind = CN_F_INT, .offset = offsetof(cn_repeat_attrs, count), .min = 0,
     .max = 1e15, .help = CN_HELP("copies of each element")},
    {0}};
const cn_op cn_op_repeat = {
    .name = "repeat",
    .help = CN_HELP("each element, repeated along an axis"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_repeat_attrs),
    .fields = repeat_fields,
    .shape = repeat_shape,
    .plan = repeat_plan,
    .gradient = CN_GRADIENT(repeat_gradient),
};

/* ---- reverse ---- */

static cn_status reverse_shape(cn_typing *t, cn_error *e) {
  int axis;
  for (int i = 0; i < ints_of(t->attrs)->n; i++) CN_TRY(cn_axis(ints_of(t->attrs)->v[i], t->in[0].rank, &axis, e));
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static cn_status reverse_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  view v = whole(s);
  for (int i = 0; i < ints_of(s->attrs)->n; i++) {
    int axis;
    CN_TRY(cn_axis(ints_of(s->attrs)->v[i], v.rank, &axis, e));
    if (v.stride[axis] < 0 || v.shape[axis] == 0) continue;
    v.offset += (v.shape[axis] - 1) * v.stride[axis];
    v.stride[axis] = -v.stride[axis];
  }
  return plan_view(p, s, &v, e);
}

static void reverse_gradient(cn_gradient *g) { g->dx[0] = cn_g1(g, &cn_op_reverse, g->attrs, g->dy[0]); }

static const cn_field reverse_fields[] = {INTS("axes", "axis", "axes to turn round"), {0}};
const cn_op cn_op_reverse = {
    .name = "reverse",
    .aliases = "flip",
    .help = CN_HELP("elements in the opposite order"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_ints_attrs),
    .fields = reverse_fields,
    .shape = reverse_shape,
    .plan = reverse_plan,
    .gradient = CN_GRADIENT(reverse_gradient),
};

/* ---- split ---- */

static cn_status split_shape(cn_typing *t, cn_error *e) {
  const cn_split_attrs *a = t->attrs;
  int axis;
  CN_TRY(cn_axis(a->axis, t->in[0].rank, &axis, e));
  int64_t n = t->in[0].shape[axis];
  if (a->count < 1 || a->count > CN_MAX_OUT || (n >= 0 && n % a->count))
    return cn_fail(e, CORNU_ERR_SHAPE, "split: axis %d of %s into %lld equal parts", axis,
                   CN_SHAPE(t->in[0].rank, t->in[0].shape), (long long)a->count);
  t->n_out = (int)a->count;
  for (int i = 0; i < t->n_out; i++) {
    t->out[i] = t->in[0];
    t->out[i].shape[axis] = n < 0 ? -1 : n / a->count;
  }
  return CORNU_OK;
}

static cn_status split_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_split_attrs *a = s->attrs;
  view v = whole(s);
  int axis;
  CN_TRY(cn_axis(a->axis, v.rank, &axis, e));
  v.shape[axis] /= a->count;
  v.step = v.shape[axis] * v.stride[axis];
  return plan_view(p, s, &v, e);
}

static void split_gradient(cn_gradient *g) {
  cn_edge parts[CN_MAX_OUT];
  for (int i = 0; i < g->n_out; i++) parts[i] = g->dy[i] == CN_NO_EDGE ? cn_g_zeros(g, g->out[i]) : g->dy[i];
  g->dx[0] = cn_gradient_emit(g, &cn_op_concat, &(cn_axis_attrs){((const cn_split_attrs *)g->attrs)->axis}, parts,
                              g->n_out);
}

static const cn_field split_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_split_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {.name = "count", .aliases = "sections", .kind = CN_F_INT, .offset = offsetof(cn_split_attrs, count), .min = 1,
     .max = CN_MAX_OUT, .help = CN_HELP("how many parts")},
    {0}};
const cn_op cn_op_split = {
    .name = "split",
    .help = CN_HELP("equal parts along an axis"),
    .flags = CN_OP_TEXTS | CN_OP_SAMPLES,
    .min_in = 1,
    .max_in = 1,
    .n_out = -1,
    .attrs_size = sizeof(cn_split_attrs),
    .fields = split_fields,
    .shape = split_shape,
    .plan = split_plan,
    .gradient = CN_GRADIENT(split_gradient),
};

/* ---- slice ---- */

/* Begin, length and step of entry i along an axis of n elements, as Python slices have them. */
static cn_status slice_of(const cn_slice_attrs *a, int i, int64_t n, int64_t *begin, int64_t *length, int64_t *step,
                          cn_error *e) {
  *step = a->step.n > i && a->step.v[i] != CN_NULL_INT ? a->step.v[i] : 1;
  if (*step == 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "slice: step 0");
  int64_t low = *step > 0 ? 0 : -1, high = *step > 0 ? n : n - 1;
  int64_t b = a->begin.n > i ? a->begin.v[i] : CN_NULL_INT, stop = a->end.n > i ? a->end.v[i] : CN_NULL_INT;
  b = b == CN_NULL_INT ? (*step > 0 ? low : high) : b < 0 ? b + n : b;
  stop = stop == CN_NULL_INT ? (*step > 0 ? high : low) : stop < 0 ? stop + n : stop;
  b = b < low ? low : b > high ? high : b;
  stop = stop < low ? low : stop > high ? high : stop;
  *begin = b;
  int64_t reach = *step > 0 ? stop - b : b - stop;
  *length = reach > 0 ? (reach - 1) / (*step > 0 ? *step : -*step) + 1 : 0;
  return CORNU_OK;
}

static cn_status slice_shape(cn_typing *t, cn_error *e) {
  const cn_slice_attrs *a = t->attrs;
  t->out[0] = t->in[0];
  for (int i = 0; i < a->axes.n; i++) {
    int axis;
    int64_t begin, step;
    CN_TRY(cn_axis(a->axes.v[i], t->in[0].rank, &axis, e));
    if (t->in[0].shape[axis] < 0) t->out[0].shape[axis] = -1;
    else CN_TRY(slice_of(a, i, t->in[0].shape[axis], &begin, &t->out[0].shape[axis], &step, e));
  }
  return CORNU_OK;
}

static cn_status slice_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_slice_attrs *a = s->attrs;
  view v = whole(s);
  for (int i = 0; i < a->axes.n; i++) {
    int axis;
    int64_t begin, length, step;
    CN_TRY(cn_axis(a->axes.v[i], v.rank, &axis, e));
    CN_TRY(slice_of(a, i, s->in[0]->shape[axis], &begin, &length, &step, e));
    v.offset += length ? begin * v.stride[axis] : 0;
    v.shape[axis] = length;
    if (length > 1) v.stride[axis] *= step; /* steps over a single element may be of any size */
  }
  return plan_view(p, s, &v, e);
}

static void slice_gradient(cn_gradient *g) {
  const cn_slice_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  cn_edge dy = g->dy[0];
  for (int i = 0; i < a->axes.n; i++) {
    const int axis = (int)(a->axes.v[i] < 0 ? a->axes.v[i] + x.rank : a->axes.v[i]);
    int64_t begin, length, step;
    if (slice_of(a, i, x.shape[axis], &begin, &length, &step, NULL)) return; /* its shape rule has run */
    if (length == 0) {
      g->dx[0] = cn_g_zeros(g, g->in[0]);
      return;
    }
    if (step < 0) {
      const cn_ints_attrs axes = {.v = {.n = 1, .v = {axis}}};
      dy = cn_g1(g, &cn_op_reverse, &axes, dy);
      begin += (length - 1) * step;
      step = -step;
    }
    dy = cn_g_window(g, cn_g_spread(g, dy, axis, step), axis, -begin, x.shape[axis]);
  }
  g->dx[0] = dy;
}

#define LIST(member, text, standard_value, words)                                                                      \
  {                                                                                                                    \
    .name = text, .kind = CN_F_INTS, .offset = offsetof(cn_slice_attrs, member), .standard = standard_value,           \
    .help = CN_HELP(words), .null_items = true                                                                         \
  }
static const cn_field slice_fields[] = {LIST(axes, "axes", NULL, "the sliced axes"),
                                        LIST(begin, "begin", "null", "first element of each; null: open"),
                                        LIST(end, "end", "null", "element behind the last of each; null: open"),
                                        LIST(step, "step", "null", "steps, 1"),
                                        {0}};
const cn_op cn_op_slice = {
    .name = "slice",
    .help = CN_HELP("a part along some axes"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_slice_attrs),
    .fields = slice_fields,
    .shape = slice_shape,
    .plan = slice_plan,
    .gradient = CN_GRADIENT(slice_gradient),
};
