/* Views: other shapes of the same elements; and what is about shapes. */
#include <string.h>

#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status reshape_shape(cn_typing *t, cn_error *e) {
  const cn_ints *want = &((const cn_reshape_attrs *)t->attrs)->shape;
  const cn_type *x = &t->in[0];
  cn_type *out = &t->out[0];
  if (want->n < 0 || want->n > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "reshape: to %d dimensions, expected at most %d", want->n, CN_MAX_RANK);
  *out = (cn_type){.dtype = x->dtype, .rank = want->n};
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < want->n; i++) {
    int64_t d = want->v[i];
    if (d == CN_DIM_COPY) d = i < x->rank ? x->shape[i] : 1;
    if (d == CN_DIM_OPEN) d = -1;
    if (want->v[i] == CN_DIM_INFER) {
      if (open >= 0)
        return cn_fail(e, CORNU_ERR_SHAPE, "reshape: more than one open dimension in %s", CN_SHAPE(want->n, want->v));
      open = i;
      continue;
    }
    out->shape[i] = d;
    known = cn_dim_mul(known, d);
  }
  int64_t size = cn_shape_size(x->rank, x->shape);
  if (open >= 0)
    out->shape[open] = size < 0 || known < 0 ? -1 : known > 0 && size % known == 0 ? size / known : known == 0 ? 0 : -3;
  /* (?, 4, 6) to (?, open, 3): with both batches unknown, the rest decides. */
  if (open > 0 && out->shape[open] == -1 && x->rank > 0 && x->shape[0] < 0 && out->shape[0] < 0) {
    int64_t rest = cn_shape_size(x->rank - 1, x->shape + 1), others = 1;
    for (int i = 1; i < out->rank; i++)
      if (i != open) others = cn_dim_mul(others, out->shape[i]);
    if (rest >= 0 && others > 0) out->shape[open] = rest % others == 0 ? rest / others : -3;
  }
  int64_t made = cn_shape_size(out->rank, out->shape);
  bool broken = open >= 0 && out->shape[open] == -3;
  if (broken || (made >= 0 && size >= 0 && made != size))
    return cn_fail(e, CORNU_ERR_SHAPE, "reshape: %s does not fit %s", CN_SHAPE(x->rank, x->shape),
                   CN_SHAPE(want->n, want->v));
  return CORNU_OK;
}

static const cn_field reshape_fields[] = {
    {.name = "shape", .aliases = "newshape target_shape", .kind = CN_F_INTS,
     .offset = offsetof(cn_reshape_attrs, shape), .help = CN_HELP("new shape; one -1 is found out")},
    {0}};
const cn_op cn_op_reshape = {
    .name = "reshape",
    .help = CN_HELP("the same elements under another shape"),
    .flags = CN_OP_VIEW | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_reshape_attrs),
    .fields = reshape_fields,
    .shape = reshape_shape,
    .gradient = CN_GRADIENT(cn_gradient_view),
};

static cn_status same_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  return CORNU_OK;
}

const cn_op cn_op_stop_gradient = {
    .name = "stop_gradient",
    .help = CN_HELP("the same, as a constant for what is learned: no gradient goes through it"),
    .flags = CN_OP_VIEW | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = same_shape,
    .gradient = CN_GRADIENT(cn_gradient_zero),
};

static cn_status expand_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  int axis;
  if (x->rank >= CN_MAX_RANK) return cn_fail(e, CORNU_ERR_SHAPE, "expand_dims: more than %d dimensions", CN_MAX_RANK);
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, x->rank + 1, &axis, e));
  t->out[0] = *x;
  t->out[0].rank++;
  memmove(t->out[0].shape + axis + 1, x->shape + axis, sizeof *x->shape * (size_t)(x->rank - axis));
  t->out[0].shape[axis] = 1;
  return CORNU_OK;
}

static const cn_field axis_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_axis_attrs, axis),
     .help = CN_HELP("where the new axis will be")},
    {0}};
const cn_op cn_op_expand_dims = {
    .name = "expand_dims",
    .help = CN_HELP("an axis of size 1 more"),
    .flags = CN_OP_VIEW | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = axis_fields,
    .shape = expand_shape,
    .gradient = CN_GRADIENT(cn_gradient_view),
};

static cn_status squeeze_shape(cn_typing *t, cn_error *e) {
  const cn_ints *axes = &((const cn_reduce_attrs *)t->attrs)->axes;
  const cn_type *x = &t->in[0];
  bool drop[CN_MAX_RANK] = {false};
  for (int i = 0; i < axes->n; i++) {
    int axis;
    CN_TRY(cn_axis(axes->v[i], x->rank, &axis, e));
    if (x->shape[axis] > 1 || x->shape[axis] == 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "squeeze: axis %d of %s is not 1", axis, CN_SHAPE(x->rank, x->shape));
    drop[axis] = true;
  }
  t->out[0] = (cn_type){.dtype = x->dtype};
  for (int i = 0; i < x->rank; i++)
    if (!(axes->n < 0 ? x->shape[i] == 1 : drop[i])) t->out[0].shape[t->out[0].rank++] = x->shape[i];
  return CORNU_OK;
}

static const cn_field squeeze_fields[] = {
    {.name = "axes", .aliases = "axis", .kind = CN_F_INTS, .offset = offsetof(cn_reduce_attrs, axes),
     .standard = "null", .help = CN_HELP("axes of size 1; null: all of them")},
    {0}};
const cn_op cn_op_squeeze = {
    .name = "squeeze",
    .help = CN_HELP("without axes of size 1"),
    .flags = CN_OP_VIEW | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_reduce_attrs),
    .fields = squeeze_fields,
    .shape = squeeze_shape,
    .gradient = CN_GRADIENT(cn_gradient_view),
};

/* ---- bitcast ---- */

static cn_status bitcast_shape(cn_typing *t, cn_error *e) {
  cornu_dtype to = ((const cn_cast_attrs *)t->attrs)->dtype;
  const cn_type *x = &t->in[0];
  int64_t from_size = (int64_t)cornu_dtype_bytes(x->dtype), to_size = (int64_t)cornu_dtype_bytes(to);
  t->out[0] = *x;
  t->out[0].dtype = to;
  bool odd = x->dtype == CORNU_BOOL8 || to == CORNU_BOOL8 || x->dtype == CORNU_TEXT || to == CORNU_TEXT;
  if (x->dtype != to && odd)
    return cn_fail(e, CORNU_ERR_DTYPE, "bitcast: %s as %s", cornu_dtype_name(x->dtype), cornu_dtype_name(to));
  if (from_size == to_size) return CORNU_OK;
  int64_t *last = &t->out[0].shape[x->rank - 1];
  if (x->rank < 1 || (*last >= 0 && *last * from_size % to_size))
    return cn_fail(e, CORNU_ERR_SHAPE, "bitcast: the last axis of %s holds no whole number of %s elements",
                   CN_SHAPE(x->rank, x->shape), cornu_dtype_name(to));
  if (*last >= 0) *last = *last * from_size / to_size;
  return CORNU_OK;
}

/* A copy: views keep the dtype. */
static void bitcast_run(const cn_step *s) {
  memcpy(s->out[0]->data, s->in[0]->data, (size_t)s->in[0]->size * cornu_dtype_bytes(s->in[0]->dtype));
}

static cn_status bitcast_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = bitcast_run;
  return CORNU_OK;
}

static const cn_field bitcast_fields[] = {
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(cn_cast_attrs, dtype),
     .help = CN_HELP("of the result")}, {0}};
const cn_op cn_op_bitcast = {
    .name = "bitcast",
    .help = CN_HELP("the same bytes under another dtype; the last axis grows or shrinks with the size of an element"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_cast_attrs),
    .fields = bitcast_fields,
    .shape = bitcast_shape,
    .plan = bitcast_plan,
    .gradient = CN_GRADIENT(cn_gradient_zero),
};

/* ---- shape ---- */

static cn_status shape_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = (cn_type){.dtype = CORNU_INT32, .rank = 1, .shape = {t->in[0].rank}};
  return CORNU_OK;
}

static void shape_run(const cn_step *s) {
  for (int i = 0; i < s->in[0]->rank; i++) ((int32_t *)s->out[0]->data)[i] = (int32_t)s->in[0]->shape[i];
}

static cn_status shape_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = shape_run;
  return CORNU_OK;
}

const cn_op cn_op_shape = {
    .name = "shape",
    .help = CN_HELP("the dimensions as an int32 vector"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape_shape,
    .plan = shape_plan,
};
