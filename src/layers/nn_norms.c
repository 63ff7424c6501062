/* keras.ops: normalisations of keras.ops.nn. */
#include "layers/operation.h"

#include <math.h>


typedef struct options {
  cn_ints axis;
  int64_t order;
  double epsilon;
  bool keepdims, rms_scaling;
} options;

#define AXIS(text, words) \
  {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(options, axis), .standard = text, .help = CN_HELP(words)}
#define EPSILON(text, words) \
  {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(options, epsilon), .standard = text,                      \
   .help = CN_HELP(words)}

/* backend.epsilon() of the program that wrote the model: nobody changes it. */
static double epsilon_of(const options *o) { return isnan(o->epsilon) ? 1e-7 : o->epsilon; }

static cn_edge with_number(cn_trace *t, const cn_op *op, cn_edge x, double v) {
  return cn_emit2(t, op, NULL, x, cn_emit_like(t, x, v));
}

/* ---- moments ---- */

static const cn_field moments_fields[] = {
    {.name = "axes", .kind = CN_F_INTS, .offset = offsetof(options, axis), .help = CN_HELP("axes to reduce")},
    {.name = "keepdims", .kind = CN_F_BOOL, .offset = offsetof(options, keepdims), .standard = "false",
     .help = CN_HELP("keeps them with size 1")},
    {.name = "synchronized", .kind = CN_F_IGNORED, .standard = "false",
     .help = CN_HELP("of several devices: there is one")},
    {0}};

static void moments(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_reduce_attrs a = {o->axis, o->keepdims};
  cn_edge mean = cn_emit1(c->t, &cn_op_mean, &a, x), variance = cn_emit1(c->t, &cn_op_var, &a, x);
  cn_operation_return_as(c, mean, dtype);
  cn_operation_return_as(c, variance, dtype);
}

/* ---- batch_normalization ---- */

static const cn_field batch_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(options, order),
     .help = CN_HELP("the axis of the statistics")},
    EPSILON("0.001", "added to the variance"),
    {0}};

static cn_edge as_like(cn_operation_call *c, const char *name, cn_edge x) {
  cn_edge v = cn_argument_optional(c, name);
  return v == CN_NO_EDGE ? v : cn_emit_cast(c->t, v, cn_operation_type(c, x)->dtype);
}

static void batch_norm(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_edge in[] = {x, as_like(c, "mean", x), as_like(c, "variance", x), as_like(c, "scale", x), as_like(c, "offset", x)};
  cn_batch_norm_attrs a = {.axis = o->order, .epsilon = o->epsilon};
  cn_operation_return_as(c, cn_emit(c->t, &cn_op_batch_norm, &a, in, 5), dtype);
}

/* ---- layer_normalization, rms_normalization ---- */

static const cn_field layer_fields[] = {
    AXIS("-1", "what is normalised together"), EPSILON("null", "added to the variance; null: 1e-7"),
    {.name = "rms_scaling", .kind = CN_F_BOOL, .offset = offsetof(options, rms_scaling), .standard = "false",
     .help = CN_HELP("divides by the deviation alone; beta is left out")},
    {0}};
static const cn_field rms_fields[] = {
    AXIS("-1", "what is normalised together"), EPSILON("null", "added to the mean of squares; null: 1e-7"), {0}};

/* Ascending, counted from 0. */
static cn_ints sorted_axes(cn_operation_call *c, const cn_ints *axes, int rank) {
  bool there[CN_MAX_RANK] = {false};
  cn_ints out = {.n = 0};
  for (int i = 0, axis; i < axes->n && !c->t->status; i++) {
    c->t->status = cn_axis(axes->v[i], rank, &axis, c->t->error);
    if (!c->t->status) there[axis] = true;
  }
  for (int i = 0; i < rank; i++)
    if (there[i]) out.v[out.n++] = i;
  return out;
}

/* A parameter laid over the axes, unless it has an axis for each of x's. */
static cn_edge laid_over(cn_operation_call *c, cn_edge v, cn_edge x, const cn_ints *axes) {
  const cn_type type = *cn_operation_type(c, x);
  if (v == CN_NO_EDGE || cn_operation_type(c, v)->rank == type.rank) return v;
  cn_reshape_attrs a = {.shape = {.n = type.rank, .v = {1, 1, 1, 1, 1, 1, 1, 1}}};
  for (int i = 0; i < axes->n; i++) a.shape.v[axes->v[i]] = type.shape[axes->v[i]];
  return cn_emit1(c->t, &cn_op_reshape, &a, v);
}

/* Does it have the shape of the axes, so that the op can apply it? */
static bool fits(cn_operation_call *c, cn_edge v, cn_edge x, const cn_ints *axes) {
  if (v == CN_NO_EDGE) return true;
  const cn_type *p = cn_operation_type(c, v), *type = cn_operation_type(c, x);
  bool good = p->rank == axes->n;
  for (int i = 0; good && i < axes->n; i++) good = p->shape[i] == type->shape[axes->v[i]];
  return good;
}

static void normalise(cn_operation_call *c, cn_layer_norm_kind kind, const char *gain, const char *shift, bool laid) {
  const options *o = c->options;
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_edge gamma = as_like(c, gain, x), beta = shift ? as_like(c, shift, x) : CN_NO_EDGE;
  cn_layer_norm_attrs a = {sorted_axes(c, &o->axis, cn_operation_type(c, x)->rank), epsilon_of(o), kind};
  bool last = a.axes.n == 1 && a.axes.v[0] == cn_operation_type(c, x)->rank - 1; /* else rms does not lay it over */
  if ((laid || last) && fits(c, gamma, x, &a.axes) && fits(c, beta, x, &a.axes)) {
    cn_operation_return_as(c, cn_emit3(c->t, &cn_op_layer_norm, &a, x, gamma, beta), dtype);
    return;
  }
  cn_edge y = cn_emit3(c->t, &cn_op_layer_norm, &a, x, CN_NO_EDGE, CN_NO_EDGE);
  if (laid) gamma = laid_over(c, gamma, x, &a.axes), beta = laid_over(c, beta, x, &a.axes);
  if (gamma != CN_NO_EDGE) y = cn_emit2(c->t, &cn_op_mul, NULL, y, gamma);
  if (beta != CN_NO_EDGE) y = cn_emit2(c->t, &cn_op_add, NULL, y, beta);
  cn_operation_return_as(c, y, dtype);
}

static void layer_norm(cn_operation_call *c) {
  if (((const options *)c->options)->rms_scaling) normalise(c, CN_NORM_VARIANCE, "gamma", NULL, true);
  else normalise(c, CN_NORM_STANDARD, "gamma", "beta", true);
}
static void rms_norm(cn_operation_call *c) { normalise(c, CN_NORM_RMS, "scale", NULL, false); }

/* ---- normalize ---- */

static const cn_field normalize_fields[] = {
    AXIS("null", "axes of a vector; null: all; not there: the last"),
    {.name = "order", .kind = CN_F_INT, .offset = offsetof(options, order), .standard = "2", .min = 1, .max = 1 << 20,
     .help = CN_HELP("of the norm")},
    EPSILON("null", "the least norm; null: 1e-7"), {0}};

static cn_edge power_sum(cn_operation_call *c, cn_edge x, const cn_ints *axes, int64_t order) {
  cn_edge size = cn_emit1(c->t, &cn_op_abs, NULL, x);
  if (order != 1) size = with_number(c->t, &cn_op_pow, size, (double)order);
  cn_edge sum = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){*axes, true}, size);
  return order == 1 ? sum : with_number(c->t, &cn_op_pow, sum, 1.0 / (double)order);
}

/* The norm of x; over two axes it is the matrix's, the largest sum of a column: only order 1 has one. */
static cn_edge norm_of(cn_operation_call *c, cn_edge x, const cn_ints *axes, int64_t order) {
  int rank = cn_operation_type(c, x)->rank;
  cn_ints all = {.n = axes->n < 0 ? rank : axes->n};
  for (int i = 0; i < all.n; i++) all.v[i] = axes->n < 0 ? i : axes->v[i];
  if (all.n == 1) return power_sum(c, x, &all, order);
  if (all.n != 2 || order != 1) {
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"order\" is %lld over %d axes, expected 2, or 1 over two of them",
                  (long long)order, all.n);
    return CN_NO_EDGE;
  }
  cn_edge columns = power_sum(c, x, &(cn_ints){1, {all.v[0]}}, 1);
  return cn_emit1(c->t, &cn_op_max, &(cn_reduce_attrs){{1, {all.v[1]}}, true}, columns);
}

static void normalize(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  static const cn_ints last = {1, {-1}};
  const cn_ints *axes = cn_value_find(c->bound, "axis") ? &o->axis : &last;
  cn_edge x = cn_argument_floats(c, "x", &dtype), y;
  if (cn_operation_type(c, x)->rank == 0) x = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x);
  if (o->order == 2) {
    cn_edge squares = cn_emit1(c->t, &cn_op_square, NULL, x);
    cn_edge sum = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){*axes, true}, squares);
    cn_edge inverse = cn_emit1(c->t, &cn_op_rsqrt, NULL, sum);
    y = cn_emit2(c->t, &cn_op_mul, NULL, x, with_number(c->t, &cn_op_minimum, inverse, 1 / epsilon_of(o)));
  } else {
    cn_edge norm = with_number(c->t, &cn_op_maximum, norm_of(c, x, axes, o->order), epsilon_of(o));
    y = cn_emit2(c->t, &cn_op_div, NULL, x, norm);
  }
  cn_operation_return_as(c, y, cn_dtype_is_float(dtype) ? dtype : CORNU_FLOAT32);
}

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_nn_norms[] = {
    ROW("Moments", "x", moments, moments_fields),
    ROW("BatchNorm", "x mean variance offset scale", batch_norm, batch_fields),
    ROW("LayerNorm", "x gamma beta", layer_norm, layer_fields),
    ROW("RMSNorm", "x scale", rms_norm, rms_fields),
    ROW("Normalize", "x", normalize, normalize_fields),
    {0}};
