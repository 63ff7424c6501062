/* Layers that act in training alone and are the identity at inference; and Lambda, which needs a handler. */
#include "layers/layer.h"

#define IGNORED(text, other, words) \
  {.name = text, .aliases = other, .kind = CN_F_IGNORED, .standard = "null", .help = words}

static const cn_field rate_fields[] = {
    IGNORED("rate", "p", "share of values dropped in training"), IGNORED("noise_shape", NULL, "training alone"),
    IGNORED("data_format", "dim_ordering", "where the channels are; no effect at inference"), {0}};
static const cn_field noise_fields[] = {IGNORED("stddev", "sigma", "deviation of the noise in training"), {0}};
static const cn_field penalty_fields[] = {
    IGNORED("l1", NULL, "training alone"), IGNORED("l2", NULL, "training alone"), {0}};
static const cn_field depth_fields[] = {IGNORED("drop_path_rate", NULL, "share of paths dropped in training"), {0}};
static const cn_field loss_fields[] = {IGNORED("unconditional", NULL, "training alone"), {0}};
static const cn_field metric_fields[] = {
    IGNORED("aggregation", NULL, "training alone"), IGNORED("metric_name", NULL, "training alone"), {0}};
static const cn_field no_fields[] = {{0}};

/* A call with training=true draws random numbers at inference, too. */
static void lower_random(cn_layer *l, cn_trace *t, cn_call *c) {
  static const char *const amounts[] = {"rate", "p", "stddev", "sigma", "drop_path_rate"};
  double amount = 0;
  for (int i = 0; i < CN_COUNT(amounts) && amount == 0; i++)
    cn_value_number(cn_value_find(l->config, amounts[i]), &amount);
  if (t->training && amount != 0)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "is called with training=true, which makes its outputs random: not "
                  "supported; to leave it out give custom_objects = { [\"%s\"] = function(x) return x end }", l->name);
  cn_call_return(t, c, c->in[0].data, c->in[0].mask);
}

#define IDENTITY(id, class_name, in_versions, words, table, how) \
  const cn_layer_type cn_layer_##id = { \
      .name = class_name, .versions = in_versions, .help = words ": (…) -> (…)", \
      .flags = CN_MASK_PASSES | CN_LAYER_IDENTITY, \
      .min_in = 1, .max_in = 1, .fields = table, .lower = how};
#define RANDOM(id, class_name, in_versions, table) \
  IDENTITY(id, class_name, in_versions, "the identity at inference", table, lower_random)

RANDOM(dropout, "Dropout", "1 2 3", rate_fields)
RANDOM(spatial_dropout1d, "SpatialDropout1D", "1 2 3", rate_fields)
RANDOM(spatial_dropout2d, "SpatialDropout2D", "1 2 3", rate_fields)
RANDOM(spatial_dropout3d, "SpatialDropout3D", "1 2 3", rate_fields)
RANDOM(gaussian_dropout, "GaussianDropout", "1 2 3", rate_fields)
RANDOM(alpha_dropout, "AlphaDropout", "2 3", rate_fields)
RANDOM(gaussian_noise, "GaussianNoise", "1 2 3", noise_fields)
RANDOM(stochastic_depth, "StochasticDepth", "2 3", depth_fields)
IDENTITY(add_loss, "AddLoss", "2", "the identity: its input is a loss in training", loss_fields, NULL)
IDENTITY(add_metric, "AddMetric", "2", "the identity: its input is a metric in training", metric_fields, NULL)
IDENTITY(activity_regularization, "ActivityRegularization", "1 2 3", "the identity", penalty_fields, NULL)

/* tf.keras's hands no mask on. */
static void lower_identity(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_call_return(t, c, c->in[0].data, l->origin.keras < 3 ? CN_NO_EDGE : c->in[0].mask);
}

const cn_layer_type cn_layer_identity = {
    .name = "Identity", .versions = "2 3", .help = "the identity: (…) -> (…)", .flags = CN_MASK_OWN, .min_in = 1,
    .max_in = 1, .fields = no_fields, .lower = lower_identity};

static cn_status check_lambda(cn_layer *l, cn_error *e) {
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "Python code is never run; give a handler in Lua: "
                 "custom_objects = { [\"%s\"] = function(x, layer) … end }", l->name);
}

static const cn_field lambda_fields[] = {
    IGNORED("function", "function_type module", "Python code; never run"),
    IGNORED("output_shape", "output_shape_type output_shape_module", "the handler's result tells"),
    IGNORED("arguments", "mask mask_type mask_module", "in layer.config for the handler"), {0}};
const cn_layer_type cn_layer_lambda = {
    .name = "Lambda", .versions = "1 2 3", .help = "Python code: needs a handler", .min_in = 1, .max_in = -1,
    .fields = lambda_fields, .check = check_lambda};
