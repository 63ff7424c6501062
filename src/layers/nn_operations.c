/* keras.ops: activations of keras.ops.nn, and softmax with its kin. */
#include "layers/operation.h"

#include <math.h>

/* Half floats are computed as float32; whole numbers become it and stay so. */
static void activate(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_edge y = cn_emit1(c->t, cn_op_find(c->operation->op), c->options, x);
  cn_operation_return_as(c, y, cn_dtype_is_float(dtype) ? dtype : CORNU_FLOAT32);
}

static bool is_whole(const cn_operation_call *c, const char *name) {
  int index;
  return cn_call_ref(cn_argument(c, name), &index) && index >= 0 && index < c->call->n_in &&
         !cn_dtype_is_float(cn_operation_type(c, c->call->in[index].data)->dtype);
}

/* ---- Those that keep whole numbers ---- */

static void clip_whole(cn_operation_call *c, double min, double max) {
  cn_operation_return(c, cn_emit1(c->t, &cn_op_clip, &(cn_clip_attrs){min, max}, cn_argument_tensor(c, "x")));
}
static void soft_shrink(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_operation_return_as(c, cn_emit1(c->t, cn_op_find("soft_shrink"), c->options, x), dtype);
}
static void relu(cn_operation_call *c) { is_whole(c, "x") ? clip_whole(c, 0, NAN) : activate(c); }
static void relu6(cn_operation_call *c) { is_whole(c, "x") ? clip_whole(c, 0, 6) : activate(c); }

typedef struct options {
  double threshold, other;
  bool approximate;
  cn_ints axis;
  int64_t one_axis;
} options;

static const cn_field threshold_fields[] = {
    {.name = "threshold", .kind = CN_F_FLOAT, .offset = offsetof(options, threshold),
     .help = CN_HELP("values above stay")},
    {.name = "default_value", .kind = CN_F_FLOAT, .offset = offsetof(options, other),
     .help = CN_HELP("what the others become")},
    {0}};

static void threshold(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  cn_edge above = cn_emit2(c->t, &cn_op_greater, NULL, x, cn_emit_like(c->t, x, o->threshold));
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, above, x, cn_emit_like(c->t, x, o->other)));
}

/* ---- gelu and glu ---- */

static const cn_field gelu_fields[] = {
    {.name = "approximate", .kind = CN_F_BOOL, .offset = offsetof(options, approximate), .standard = "true",
     .help = CN_HELP("whether to use the tanh form")},
    {0}};

static void gelu(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_act_attrs a = {.act = {.kind = ((const options *)c->options)->approximate ? CN_ACT_GELU_TANH : CN_ACT_GELU}};
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_operation_return_as(c, cn_emit1(c->t, &cn_op_activation, &a, x), dtype);
}

static const cn_field glu_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(options, one_axis), .standard = "-1",
     .help = CN_HELP("the axis that is halved")},
    {0}};

/* The first half times the sigmoid of the second. */
static void glu(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype), half;
  cn_split_attrs halves = {((const options *)c->options)->one_axis, 2};
  if (cn_emit_many(c->t, &cn_op_split, &halves, &x, 1, &half) != 2) return;
  cn_edge gate = cn_emit1(c->t, &cn_op_activation, &(cn_act_attrs){.act = {.kind = CN_ACT_SIGMOID}}, half + 1);
  cn_operation_return_as(c, cn_emit2(c->t, &cn_op_mul, NULL, half, gate), dtype);
}

/* ---- softmax ---- */

static const cn_field axis_fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(options, axis), .standard = "null",
     .help = CN_HELP("an axis or several, whose sum becomes 1; null: all; not there: the last")},
    {0}};

/* Over several axes: x - log(sum(exp(x))), and its exponential. */
static cn_edge joint(cn_trace *t, const cn_ints *axes, cn_edge x, bool logarithm) {
  cn_edge total = cn_emit1(t, &cn_op_logsumexp, &(cn_reduce_attrs){*axes, true}, x);
  cn_edge y = cn_emit2(t, &cn_op_sub, NULL, x, total);
  return logarithm ? y : cn_emit1(t, &cn_op_exp, NULL, y);
}

static void share(cn_operation_call *c, const cn_op *op, bool logarithm) {
  cornu_dtype dtype;
  static const cn_ints last = {1, {-1}};
  const cn_ints *axis = cn_value_find(c->bound, "axis") ? &((const options *)c->options)->axis : &last;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_edge y = axis->n == 1 ? cn_emit1(c->t, op, &(cn_axis_attrs){axis->v[0]}, x) : joint(c->t, axis, x, logarithm);
  cn_operation_return_as(c, y, dtype);
}
static void softmax(cn_operation_call *c) { share(c, &cn_op_softmax, false); }
static void log_softmax(cn_operation_call *c) { share(c, &cn_op_log_softmax, true); }

#define ACT(class, op_name) {.name = class, .arguments = "x", .op = op_name, .emit = activate}
#define WITH(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_nn_activation[] = {
    {.name = "Relu", .arguments = "x", .op = "relu", .emit = relu},
    {.name = "Relu6", .arguments = "x", .op = "relu6", .emit = relu6},
    ACT("Sigmoid", "sigmoid"),
    ACT("SparseSigmoid", "sparse_sigmoid"),
    ACT("Softplus", "softplus"),
    ACT("Softsign", "softsign"),
    {.name = "SoftShrink", .arguments = "x", .op = "soft_shrink", .emit = soft_shrink},
    ACT("SparsePlus", "sparse_plus"),
    ACT("Silu", "silu"),
    ACT("Squareplus", "squareplus"),
    ACT("LogSigmoid", "log_sigmoid"),
    ACT("LeakyRelu", "leaky_relu"),
    ACT("HardSigmoid", "hard_sigmoid"),
    ACT("HardSilu", "hard_silu"),
    ACT("Elu", "elu"),
    ACT("Selu", "selu"),
    ACT("Celu", "celu"),
    ACT("TanhShrink", "tanh_shrink"),
    ACT("HardTanh", "hard_tanh"),
    ACT("HardShrink", "hard_shrink"),
    ACT("Sparsemax", "sparsemax"),
    WITH("Gelu", "x", gelu, gelu_fields),
    WITH("Glu", "x", glu, glu_fields),
    WITH("Threshold", "x", threshold, threshold_fields),
    WITH("Softmax", "x", softmax, axis_fields),
    WITH("LogSoftmax", "x", log_softmax, axis_fields),
    {0}};
