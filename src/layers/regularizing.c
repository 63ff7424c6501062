/* Layers that act in training alone and are the identity at inference; and Lambda, which needs a handler. */
#include "layers/layer.h"

#define IGNORED(text, other, words) {.name = text, .aliases = other, .kind = CN_F_IGNORED, .standard = "null", .help = words}
static const cn_field rate_fields[] = {
    IGNORED("rate", "p", "share of values dropped in training"), IGNORED("noise_shape", NULL, "training alone"),
    IGNORED("data_format", "dim_ordering", "where the channels are; no effect at inference"), {0}};
static const cn_field noise_fields[] = {IGNORED("stddev", "sigma", "deviation of the noise in training"), {0}};
static const cn_field penalty_fields[] = {IGNORED("l1", NULL, "training alone"), IGNORED("l2", NULL, "training alone"), {0}};
static const cn_field no_fields[] = {{0}};

#define IDENTITY(id, class_name, in_versions, words, table) \
  const cn_layer_type cn_layer_##id = {.name = class_name, .versions = in_versions, .help = words ": (…) -> (…)", .flags = CN_MASK_PASSES | CN_LAYER_IDENTITY, \
                                       .min_in = 1, .max_in = 1, .fields = table};
IDENTITY(dropout, "Dropout", "1 2 3", "the identity at inference", rate_fields)
IDENTITY(spatial_dropout1d, "SpatialDropout1D", "1 2 3", "the identity at inference", rate_fields)
IDENTITY(spatial_dropout2d, "SpatialDropout2D", "1 2 3", "the identity at inference", rate_fields)
IDENTITY(spatial_dropout3d, "SpatialDropout3D", "1 2 3", "the identity at inference", rate_fields)
IDENTITY(gaussian_dropout, "GaussianDropout", "1 2 3", "the identity at inference", rate_fields)
IDENTITY(alpha_dropout, "AlphaDropout", "2 3", "the identity at inference", rate_fields)
IDENTITY(gaussian_noise, "GaussianNoise", "1 2 3", "the identity at inference", noise_fields)
IDENTITY(activity_regularization, "ActivityRegularization", "1 2 3", "the identity at inference", penalty_fields)
IDENTITY(identity, "Identity", "2 3", "the identity", no_fields)

static cn_status check_lambda(cn_layer *l, cn_error *e) {
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "Python code is never run; give a handler in Lua: custom_objects = { [\"%s\"] = function(x, layer) … end }", l->name);
}

static const cn_field lambda_fields[] = {
    IGNORED("function", "function_type module", "Python code; never run"), IGNORED("output_shape", "output_shape_type output_shape_module", "the handler's result tells"),
    IGNORED("arguments", "mask", "in layer.config for the handler"), {0}};
const cn_layer_type cn_layer_lambda = {.name = "Lambda", .versions = "1 2 3", .help = "Python code: needs a handler", .min_in = 1, .max_in = -1,
                                       .fields = lambda_fields, .check = check_lambda};
