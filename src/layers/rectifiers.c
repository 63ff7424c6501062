/* ReLU and its kin: LeakyReLU, ELU, ThresholdedReLU. */
#include <math.h>

#include "layers/layer.h"
#include "ops/ops.h"

static void emit_act(cn_trace *t, cn_call *c, cn_act act) {
  cn_call_return(t, c, cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = act}, cn_emit_compute(t, c->in[0].data)),
                 CN_NO_EDGE);
}

/* ---- ReLU ---- */

typedef struct relu { double max_value, negative_slope, threshold; } relu;

static const cn_field relu_fields[] = {
    {.name = "max_value", .kind = CN_F_FLOAT, .offset = offsetof(relu, max_value), .standard = "null",
     .help = CN_HELP("largest value; null: none")},
    {.name = "negative_slope", .kind = CN_F_FLOAT, .offset = offsetof(relu, negative_slope), .standard = "0",
     .help = CN_HELP("slope below the threshold")},
    {.name = "threshold", .kind = CN_F_FLOAT, .offset = offsetof(relu, threshold), .standard = "0",
     .help = CN_HELP("where the slope changes")},
    {0}};

/* TensorFlow keeps the slope of a leaky ReLU in float32, Keras 3 casts the maximum from it: seen in float64. */
static void lower_relu(cn_layer *l, cn_trace *t, cn_call *c) {
  const relu *s = l->settings;
  double slope = isnan(s->negative_slope) ? 0 : s->negative_slope, threshold = isnan(s->threshold) ? 0 : s->threshold;
  double max = isnan(s->max_value) ? INFINITY : s->max_value;
  if (isinf(max) && threshold == 0) slope = (float)slope;
  if (l->origin.keras >= 3) max = (float)max;
  emit_act(t, c, (cn_act){CN_ACT_RELU, slope, max, threshold});
}

const cn_layer_type cn_layer_relu = {
    .name = "ReLU",
    .versions = "2 3",
    .help = CN_HELP("max(x, 0), with slope, maximum and threshold: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(relu),
    .fields = relu_fields,
    .lower = lower_relu,
};

/* ---- LeakyReLU, ELU, ThresholdedReLU ---- */

typedef struct one { double value; } one;

static const cn_field leaky_fields[] = {
    {.name = "negative_slope", .aliases = "alpha", .kind = CN_F_FLOAT, .offset = offsetof(one, value),
     .standard = "0.3", .help = CN_HELP("slope below 0")},
    {0}};
static const cn_field elu_fields[] = {
    {.name = "alpha", .kind = CN_F_FLOAT, .offset = offsetof(one, value), .standard = "1",
     .help = CN_HELP("scale below 0")},
    {0}};
static const cn_field threshold_fields[] = {
    {.name = "theta", .kind = CN_F_FLOAT, .offset = offsetof(one, value), .standard = "1",
     .help = CN_HELP("values above stay, others become 0")},
    {0}};

static double value_of(const cn_layer *l) { return ((const one *)l->settings)->value; }
static void lower_leaky(cn_layer *l, cn_trace *t, cn_call *c) {
  emit_act(t, c, (cn_act){CN_ACT_RELU, (float)value_of(l), INFINITY, 0});
}
static void lower_elu(cn_layer *l, cn_trace *t, cn_call *c) { emit_act(t, c, (cn_act){CN_ACT_ELU, value_of(l), 0, 0}); }
static void lower_threshold(cn_layer *l, cn_trace *t, cn_call *c) {
  emit_act(t, c, (cn_act){CN_ACT_THRESHOLDED, value_of(l), 0, 0});
}

const cn_layer_type cn_layer_leaky_relu = {
    .name = "LeakyReLU",
    .versions = "1 2 3",
    .help = CN_HELP("x above 0, negative_slope * x below: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(one),
    .fields = leaky_fields,
    .lower = lower_leaky,
};
const cn_layer_type cn_layer_elu = {
    .name = "ELU",
    .versions = "1 2 3",
    .help = CN_HELP("x above 0, alpha * (exp(x) - 1) below: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(one),
    .fields = elu_fields,
    .lower = lower_elu,
};
const cn_layer_type cn_layer_thresholded_relu = {
    .name = "ThresholdedReLU",
    .versions = "1 2 3",
    .help = CN_HELP("x above theta, else 0: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(one),
    .fields = threshold_fields,
    .lower = lower_threshold,
};
