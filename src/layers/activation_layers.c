/* Layers that are an activation: Activation, ReLU, LeakyReLU, ELU, ThresholdedReLU, Softmax. */
#include <math.h>

#include "layers/layer.h"
#include "ops/ops.h"

static cn_edge as_float(cn_trace *t, cn_edge x) {
  return cn_dtype_is_float(cn_edge_type(t, x)->dtype) ? x : cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, x);
}

static void emit_act(cn_trace *t, cn_call *c, cn_act act) {
  cn_call_return(t, c, cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = act}, as_float(t, c->in[0].data)), CN_NO_EDGE);
}

/* ---- Activation ---- */

typedef struct named { cn_activation activation; } named;

static const cn_field named_fields[] = {
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(named, activation), .help = "the name of an activation"}, {0}};

static void lower_named(cn_layer *l, cn_trace *t, cn_call *c) {
  const named *s = l->settings;
  cn_call_return(t, c, cn_activation_emit(t, &s->activation, as_float(t, c->in[0].data)), CN_NO_EDGE);
}

const cn_layer_type cn_layer_activation = {
    .name = "Activation", .versions = "1 2 3", .help = "an activation by name: (…) -> (…)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(named), .fields = named_fields, .lower = lower_named};

/* ---- ReLU ---- */

typedef struct relu { double max_value, negative_slope, threshold; } relu;

static const cn_field relu_fields[] = {
    {.name = "max_value", .kind = CN_F_FLOAT, .offset = offsetof(relu, max_value), .standard = "null", .help = "largest value; null: none"},
    {.name = "negative_slope", .kind = CN_F_FLOAT, .offset = offsetof(relu, negative_slope), .standard = "0", .help = "slope below the threshold"},
    {.name = "threshold", .kind = CN_F_FLOAT, .offset = offsetof(relu, threshold), .standard = "0", .help = "where the slope changes"}, {0}};

static void lower_relu(cn_layer *l, cn_trace *t, cn_call *c) {
  const relu *s = l->settings;
  double slope = isnan(s->negative_slope) ? 0 : s->negative_slope, threshold = isnan(s->threshold) ? 0 : s->threshold;
  emit_act(t, c, (cn_act){CN_ACT_RELU, (float)slope, isnan(s->max_value) ? INFINITY : (float)s->max_value, (float)threshold});
}

const cn_layer_type cn_layer_relu = {
    .name = "ReLU", .versions = "2 3", .help = "max(x, 0), with slope, maximum and threshold: (…) -> (…)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(relu), .fields = relu_fields, .lower = lower_relu};

/* ---- LeakyReLU, ELU, ThresholdedReLU ---- */

typedef struct one { double value; } one;

static const cn_field leaky_fields[] = {
    {.name = "negative_slope", .aliases = "alpha", .kind = CN_F_FLOAT, .offset = offsetof(one, value), .standard = "0.3", .help = "slope below 0"}, {0}};
static const cn_field elu_fields[] = {{.name = "alpha", .kind = CN_F_FLOAT, .offset = offsetof(one, value), .standard = "1", .help = "scale below 0"}, {0}};
static const cn_field threshold_fields[] = {
    {.name = "theta", .kind = CN_F_FLOAT, .offset = offsetof(one, value), .standard = "1", .help = "values above stay, others become 0"}, {0}};

static float value_of(const cn_layer *l) { return (float)((const one *)l->settings)->value; }
static void lower_leaky(cn_layer *l, cn_trace *t, cn_call *c) { emit_act(t, c, (cn_act){CN_ACT_RELU, value_of(l), INFINITY, 0}); }
static void lower_elu(cn_layer *l, cn_trace *t, cn_call *c) { emit_act(t, c, (cn_act){CN_ACT_ELU, value_of(l), 0, 0}); }
static void lower_threshold(cn_layer *l, cn_trace *t, cn_call *c) { emit_act(t, c, (cn_act){CN_ACT_THRESHOLDED, value_of(l), 0, 0}); }

const cn_layer_type cn_layer_leaky_relu = {
    .name = "LeakyReLU", .versions = "1 2 3", .help = "x above 0, negative_slope * x below: (…) -> (…)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(one), .fields = leaky_fields, .lower = lower_leaky};
const cn_layer_type cn_layer_elu = {
    .name = "ELU", .versions = "1 2 3", .help = "x above 0, alpha * (exp(x) - 1) below: (…) -> (…)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(one), .fields = elu_fields, .lower = lower_elu};
const cn_layer_type cn_layer_thresholded_relu = {
    .name = "ThresholdedReLU", .versions = "1 2", .help = "x above theta, else 0: (…) -> (…)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(one), .fields = threshold_fields, .lower = lower_threshold};

/* ---- Softmax ---- */

typedef struct softmax { cn_ints axis; } softmax;

static const cn_field softmax_fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(softmax, axis), .standard = "-1", .help = "axis, or several: the sum over all of them is 1"},
    {.name = "robust_masking", .aliases = "softmax_robust_masking", .kind = CN_F_IGNORED, .standard = "null", .help = "no effect without a mask"}, {0}};

/* exp(x - log(sum(exp x))) over several axes. */
static cn_edge joint_softmax(cn_trace *t, const cn_ints *axes, cn_edge x) {
  cn_edge total = cn_emit1(t, &cn_op_logsumexp, &(cn_reduce_attrs){*axes, true}, x);
  return cn_emit1(t, &cn_op_exp, NULL, cn_emit2(t, &cn_op_sub, NULL, x, total));
}

/* A large negative number where the mask is false; Keras 3.14 and later also clear those outputs. */
static cn_edge masked(cn_trace *t, cn_edge x, cn_edge keep) {
  cn_edge shift = cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, cn_emit_scalar(t, CORNU_FLOAT32, 1), keep), cn_emit_scalar(t, CORNU_FLOAT32, -1e9));
  return cn_emit2(t, &cn_op_add, NULL, x, shift);
}

static void lower_softmax(cn_layer *l, cn_trace *t, cn_call *c) {
  const softmax *s = l->settings;
  cn_edge x = as_float(t, c->in[0].data), mask = cn_call_tensor(c, "mask").data, keep = CN_NO_EDGE;
  if (mask == CN_NO_EDGE && c->n_positional > 1) mask = c->in[1].data;
  if (mask != CN_NO_EDGE) {
    keep = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, mask);
    x = masked(t, x, keep);
  }
  cn_edge y = s->axis.n == 1 ? cn_emit1(t, &cn_op_softmax, &(cn_axis_attrs){s->axis.v[0]}, x) : joint_softmax(t, &s->axis, x);
  if (keep != CN_NO_EDGE && cn_origin_at_least(&l->origin, 3, 14, 0)) y = cn_emit2(t, &cn_op_mul, NULL, y, keep);
  cn_call_return(t, c, y, c->in[0].mask);
}

const cn_layer_type cn_layer_softmax = {
    .name = "Softmax", .versions = "2 3", .help = "exp(x) / sum(exp(x)) over an axis: (…) -> (…)", .flags = CN_MASK_OWN, .min_in = 1, .max_in = 2,
    .settings_size = sizeof(softmax), .fields = softmax_fields, .lower = lower_softmax};
