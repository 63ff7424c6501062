/* Copies that lay inputs into a larger output: concat, stack, pad. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* ---- concat, stack ---- */

static cn_status join_types(const cn_typing *t, const char *what, cn_type *out, cn_error *e) {
  *out = t->in[0];
  for (int i = 1; i < t->n_in; i++) {
    const cn_type *x = &t->in[i];
    if (x->rank != out->rank)
      return cn_fail(e, CORNU_ERR_SHAPE, "%s: %s and %s differ in rank", what, CN_SHAPE(out->rank, out->shape),
                     CN_SHAPE(x->rank, x->shape));
    if ((x->dtype == CORNU_TEXT) != (out->dtype == CORNU_TEXT))
      return cn_fail(e, CORNU_ERR_DTYPE, "%s: %s and %s do not go together", what, cornu_dtype_name(out->dtype),
                     cornu_dtype_name(x->dtype));
    out->dtype = cn_promote(out->dtype, x->dtype);
  }
  return CORNU_OK;
}

static cn_status match(const cn_type *x, cn_type *out, int besides, const char *what, cn_error *e) {
  for (int d = 0; d < x->rank; d++) {
    if (d == besides) continue;
    if (!cn_dims_agree(out->shape[d], x->shape[d]))
      return cn_fail(e, CORNU_ERR_SHAPE, "%s: %s and %s differ in dimension %d", what, CN_SHAPE(out->rank, out->shape),
                     CN_SHAPE(x->rank, x->shape), d);
    if (out->shape[d] < 0) out->shape[d] = x->shape[d];
  }
  return CORNU_OK;
}

static cn_status concat_shape(cn_typing *t, cn_error *e) {
  cn_type *out = &t->out[0];
  int axis;
  CN_TRY(join_types(t, "concat", out, e));
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, out->rank, &axis, e));
  for (int i = 1; i < t->n_in; i++) {
    CN_TRY(match(&t->in[i], out, axis, "concat", e));
    out->shape[axis] = out->shape[axis] < 0 || t->in[i].shape[axis] < 0 ? -1 : out->shape[axis] + t->in[i].shape[axis];
  }
  return CORNU_OK;
}

static cn_status stack_shape(cn_typing *t, cn_error *e) {
  cn_type *out = &t->out[0];
  int axis;
  CN_TRY(join_types(t, "stack", out, e));
  if (out->rank >= CN_MAX_RANK) return cn_fail(e, CORNU_ERR_SHAPE, "stack: more than %d dimensions", CN_MAX_RANK);
  for (int i = 1; i < t->n_in; i++) CN_TRY(match(&t->in[i], out, -1, "stack", e));
  CN_TRY(cn_axis(((const cn_axis_attrs *)t->attrs)->axis, out->rank + 1, &axis, e));
  memmove(out->shape + axis + 1, out->shape + axis, sizeof *out->shape * (size_t)(out->rank - axis));
  out->shape[axis] = t->n_in;
  out->rank++;
  return CORNU_OK;
}

/* row, pitch: elements of the output per outer index, and from one to the next. */
typedef struct join { int axis; int64_t outer, row, pitch; bool last; } join;

static void join_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const join *j = s->state;
  const cornu_dtype dtype = s->out[0]->dtype;
  int64_t column = 0;
  for (int i = 0; i < s->n_in; i++) {
    const cn_operand *x = s->in[i];
    const int64_t n = x->size / j->outer, pitch = j->last ? x->pitch : n;
    const char *from = (const char *)x->data + (size_t)(begin * pitch) * cornu_dtype_bytes(x->dtype);
    char *to = (char *)s->out[0]->data + (size_t)(begin * j->pitch + column) * cornu_dtype_bytes(dtype);
    column += n;
    if (from == to) continue; /* written in its place */
    for (int64_t r = begin; r < end; r++) {
      cn_convert(to, dtype, from, x->dtype, n);
      from += (size_t)pitch * cornu_dtype_bytes(x->dtype);
      to += (size_t)j->pitch * cornu_dtype_bytes(dtype);
    }
  }
}

static void join_run(const cn_step *s) {
  const join *j = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(j->outer, 16384 / j->row + 1, join_rows, (void *)s);
}

static cn_status join_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  join *j = s->state = cn_plan_memory(p, sizeof *j);
  if (!j) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_axis_attrs *)s->attrs)->axis, s->out[0]->rank, &j->axis, e));
  j->outer = cn_shape_size(j->axis, s->out[0]->shape);
  j->row = j->outer ? s->out[0]->size / j->outer : 0;
  j->last = s->op == &cn_op_concat && j->axis == s->out[0]->rank - 1;
  j->pitch = j->last ? s->out[0]->pitch : j->row;
  s->run = join_run;
  return CORNU_OK;
}

static void join_gradient(cn_gradient *g) {
  const bool stack = g->op == &cn_op_stack;
  const int64_t given = ((const cn_axis_attrs *)g->attrs)->axis;
  const int axis = (int)(given < 0 ? given + cn_gradient_type(g, g->out[0])->rank : given);
  int64_t at = 0;
  for (int i = 0; i < g->n_in; i++) {
    const cn_type x = *cn_gradient_type(g, g->in[i]);
    const int64_t n = stack ? 1 : x.shape[axis];
    if (g->wanted[i]) g->dx[i] = cn_g_cast(g, cn_g_as(g, cn_g_window(g, g->dy[0], axis, at, n), g->in[i]), x.dtype);
    at += n;
  }
}

static const cn_field axis_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_axis_attrs, axis), .standard = "0",
     .help = CN_HELP("the axis")},
    {0}};
const cn_op cn_op_concat = {
    .name = "concat",
    .aliases = "concatenate",
    .help = CN_HELP("inputs one after the other along an axis"),
    .flags = CN_OP_TEXTS | CN_OP_PITCHED_OUT | CN_OP_SAMPLES,
    .pitched_in = ~0u,
    .min_in = 1,
    .max_in = -1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = axis_fields,
    .shape = concat_shape,
    .plan = join_plan,
    .gradient = CN_GRADIENT(join_gradient),
};
const cn_op cn_op_stack = {
    .name = "stack",
    .help = CN_HELP("inputs along a new axis"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = -1,
    .n_out = 1,
    .attrs_size = sizeof(cn_axis_attrs),
    .fields = axis_fields,
    .shape = stack_shape,
    .plan = join_plan,
    .gradient = CN_GRADIENT(join_gradient),
};

/* ---- pad ---- */

static cn_status pad_shape(cn_typing *t, cn_error *e) {
  const cn_pad_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  if (a->before.n != x->rank || a->after.n != x->rank)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "pad: %d and %d paddings for %d dimensions", a->before.n, a->after.n,
                   x->rank);
  t->out[0] = *x;
  for (int i = 0; i < x->rank; i++) {
    int64_t b = a->before.v[i], f = a->after.v[i], most = a->mode == CN_PAD_REFLECT ? x->shape[i] - 1 : x->shape[i];
    if (b < 0 || f < 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "pad: a negative padding");
    if (x->shape[i] >= 0 && (a->mode == CN_PAD_REFLECT || a->mode == CN_PAD_SYMMETRIC) && (b > most || f > most))
      return cn_fail(e, CORNU_ERR_SHAPE, "pad: %lld and %lld are more than dimension %d of %s has to mirror",
                     (long long)b, (long long)f, i, CN_SHAPE(x->rank, x->shape));
    if (x->shape[i] == 0 && b + f > 0 && a->mode == CN_PAD_EDGE)
      return cn_fail(e, CORNU_ERR_SHAPE, "pad: dimension %d has no edge", i);
    t->out[0].shape[i] = x->shape[i] < 0 ? -1 : x->shape[i] + b + f;
  }
  return CORNU_OK;
}

/* Where output index i comes from; -1: padding. */
static int64_t source(int64_t i, int64_t before, int64_t n, int mode) {
  int64_t k = i - before;
  if (k >= 0 && k < n) return k;
  if (mode == CN_PAD_CONSTANT) return -1;
  if (mode == CN_PAD_EDGE) return k < 0 ? 0 : n - 1;
  int64_t mirror = mode == CN_PAD_REFLECT;
  return k < 0 ? -k - 1 + mirror : 2 * n - 1 - mirror - k;
}

static void fill(char *to, cornu_dtype dtype, double value, int64_t n) {
  size_t size = cornu_dtype_bytes(dtype);
  if (n > 0) cn_convert(to, dtype, &value, CORNU_FLOAT64, 1);
  for (int64_t i = 1; i < n; i++) memcpy(to + (size_t)i * size, to, size);
}

/* The output as rows of what is contiguous: the last axes without padding are part of the one before them. */
typedef struct pad_layout {
  int last;
  int64_t in[CN_MAX_RANK], out[CN_MAX_RANK], before[CN_MAX_RANK], stride[CN_MAX_RANK];
} pad_layout;

static void pad_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_pad_attrs *a = s->attrs;
  const pad_layout *l = s->state;
  const int last = l->last;
  const size_t size = cornu_dtype_bytes(s->out[0]->dtype);
  const int64_t length = l->out[last], before = l->before[last], n = l->in[last];
  for (int64_t r = begin; r < end; r++) {
    int64_t rest = r, offset = 0;
    bool outside = false;
    for (int d = last - 1; d >= 0; d--) {
      int64_t k = source(rest % l->out[d], l->before[d], l->in[d], a->mode);
      rest /= l->out[d];
      outside |= k < 0;
      offset += k * l->stride[d];
    }
    char *to = (char *)s->out[0]->data + (size_t)(r * length) * size;
    const char *from = (const char *)s->in[0]->data + (size_t)(outside ? 0 : offset) * size;
    if (outside || a->mode == CN_PAD_CONSTANT) {
      const int64_t head = outside ? length : before;
      fill(to, s->out[0]->dtype, a->value, head);
      if (outside) continue;
      if (n > 0) memcpy(to + (size_t)head * size, from, (size_t)n * size);
      fill(to + (size_t)(head + n) * size, s->out[0]->dtype, a->value, length - head - n);
      continue;
    }
    for (int64_t i = 0; i < length; i++) {
      if (i != before || n == 0) {
        memcpy(to + (size_t)i * size, from + (size_t)source(i, before, n, a->mode) * size, size);
        continue;
      }
      memcpy(to + (size_t)i * size, from, (size_t)n * size);
      i += n - 1;
    }
  }
}

static void pad_run(const cn_step *s) {
  const cn_operand *out = s->out[0];
  if (out->rank == 0) memcpy(out->data, s->in[0]->data, cornu_dtype_bytes(out->dtype));
  else if (out->size > 0) {
    const pad_layout *l = s->state;
    cn_parallel_range(out->size / l->out[l->last], 16384 / l->out[l->last] + 1, pad_rows, (void *)s);
  }
}

static cn_status pad_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_pad_attrs *a = s->attrs;
  const cn_operand *x = s->in[0], *out = s->out[0];
  pad_layout *l = s->state = cn_plan_memory(p, sizeof *l);
  if (!l) return cn_no_memory(e);
  int last = out->rank - 1;
  int64_t unit = 1; /* elements of the axes that are whole */
  if (a->mode == CN_PAD_CONSTANT)
    for (; last > 0 && !a->before.v[last] && !a->after.v[last]; last--) unit *= out->shape[last];
  l->last = last;
  for (int64_t d = last, stride = unit; d >= 0; stride *= x->shape[d--]) {
    const int64_t times = d == last ? unit : 1;
    l->in[d] = x->shape[d] * times, l->out[d] = out->shape[d] * times, l->before[d] = a->before.v[d] * times;
    l->stride[d] = stride;
  }
  s->run = pad_run;
  return CORNU_OK;
}

static cn_edge turned(cn_gradient *g, cn_edge a, int axis) {
  const cn_ints_attrs axes = {.v = {.n = 1, .v = {axis}}};
  return cn_g1(g, &cn_op_reverse, &axes, a);
}

/* What lies in the middle, and with it what mirrors it, axis by axis. */
static cn_edge unpad(cn_gradient *g, cn_edge dy, int axis, int64_t n) {
  const cn_pad_attrs *a = g->attrs;
  const int64_t b = a->before.v[axis], f = a->after.v[axis], skip = a->mode == CN_PAD_REFLECT;
  const cn_ints along = {.n = 1, .v = {axis}};
  cn_edge sum = cn_g_window(g, dy, axis, b, n), before = b ? cn_g_window(g, dy, axis, 0, b) : CN_NO_EDGE;
  cn_edge after = f ? cn_g_window(g, dy, axis, b + n, f) : CN_NO_EDGE;
  if (a->mode == CN_PAD_CONSTANT) return sum;
  if (b) before = a->mode == CN_PAD_EDGE ? cn_g_sum(g, before, &along, true) : turned(g, before, axis);
  if (f) after = a->mode == CN_PAD_EDGE ? cn_g_sum(g, after, &along, true) : turned(g, after, axis);
  const int64_t end = a->mode == CN_PAD_EDGE ? n - 1 : n - f - skip;
  if (b) sum = cn_g_add(g, sum, cn_g_window(g, before, axis, a->mode == CN_PAD_EDGE ? 0 : -skip, n));
  return f ? cn_g_add(g, sum, cn_g_window(g, after, axis, -end, n)) : sum;
}

static void pad_gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  g->dx[0] = g->dy[0];
  for (int i = 0; i < x.rank; i++) g->dx[0] = unpad(g, g->dx[0], i, x.shape[i]);
}

static const cn_field pad_fields[] = {
    {.name = "before", .kind = CN_F_INTS, .offset = offsetof(cn_pad_attrs, before),
     .help = CN_HELP("elements before, one number per axis")},
    {.name = "after", .kind = CN_F_INTS, .offset = offsetof(cn_pad_attrs, after),
     .help = CN_HELP("elements after, one number per axis")},
    {.name = "value", .aliases = "constant_values", .kind = CN_F_FLOAT, .offset = offsetof(cn_pad_attrs, value),
     .standard = "0", .help = CN_HELP("what constant padding holds")},
    {.name = "mode", .kind = CN_F_ENUM, .offset = offsetof(cn_pad_attrs, mode), .standard = "\"constant\"",
     .choices = "constant reflect symmetric edge", .help = CN_HELP("what padding holds")},
    {0}};
const cn_op cn_op_pad = {
    .name = "pad",
    .help = CN_HELP("elements added around"),
    .flags = CN_OP_SAMPLES,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_pad_attrs),
    .fields = pad_fields,
    .shape = pad_shape,
    .plan = pad_plan,
    .gradient = CN_GRADIENT(pad_gradient),
};
