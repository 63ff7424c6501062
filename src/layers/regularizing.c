/* Layers that act in training alone and are the identity at inference; and Lambda, which needs a handler. */
#include <math.h>

#include "base/text.h"
#include "layers/part.h"
#include "layers/spatial.h"

#define IGNORED(text, other, words) \
  {.name = text, .aliases = other, .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP(words)}
#define AMOUNT(text, other, most, words)                                                                     \
  {.name = text, .aliases = other, .kind = CN_F_FLOAT, .offset = offsetof(settings, amount), .standard = "0", \
   .max = most, .help = CN_HELP(words)}

typedef struct settings {
  double amount;
  cn_ints noise_shape; /* n = -1: the input's */
  int data_format;
  int64_t seed;
} settings;

#define SEED {.name = "seed", .kind = CN_F_INT, .offset = offsetof(settings, seed), .standard = "null", \
              .min = -9e18, .max = 9e18, .help = CN_HELP("of its random numbers; null: the model's")}

static const cn_field rate_fields[] = {
    AMOUNT("rate", "p", 1, "share of values dropped in training"),
    {.name = "noise_shape", .kind = CN_F_INTS, .offset = offsetof(settings, noise_shape), .standard = "null",
     .null_items = true,
     .help = CN_HELP("which values share their lot: 1 along an axis: all of it; null: each has its own")},
    {.name = "data_format", .aliases = "dim_ordering", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format),
     .standard = "null", .choices = CN_DATA_FORMAT_CHOICES,
     .help = CN_HELP("where the channels are; null: the writer's default")},
    SEED, {0}};
static const cn_field noise_fields[] = {AMOUNT("stddev", "sigma", 1e30, "deviation of the noise in training"), SEED,
                                        {0}};
static const cn_field depth_fields[] = {AMOUNT("drop_path_rate", NULL, 1, "share of samples dropped in training"), SEED,
                                        {0}};
typedef struct penalty { const cn_value *l1, *l2; } penalty;
static const cn_field penalty_fields[] = {
    {.name = "l1", .kind = CN_F_VALUE, .offset = offsetof(penalty, l1), .standard = "0",
     .help = CN_HELP("times the sum of absolute values is added to the loss")},
    {.name = "l2", .kind = CN_F_VALUE, .offset = offsetof(penalty, l2), .standard = "0",
     .help = CN_HELP("times the sum of squares is added to the loss")},
    {0}};
static const cn_field loss_fields[] = {IGNORED("unconditional", NULL, "whether it depends on inputs"), {0}};
static const cn_field metric_fields[] = {
    IGNORED("aggregation", NULL, "of a metric that is told in training"), IGNORED("metric_name", NULL,
                                                                                  "its name"), {0}};
static const cn_field no_fields[] = {{0}};

/* Numbers in the shape of x, or in that with some dimensions replaced by 1. */
static cn_edge draw(cn_layer *l, cn_trace *t, cn_edge x, const cn_ints *shape, int kind, double low, double high) {
  const settings *s = l->settings;
  const cn_type type = *cn_edge_type(t, x);
  cn_random_attrs a = {.shape = {.n = type.rank}, .kind = kind, .low = low, .high = high, .dtype = type.dtype,
                       .seed = s->seed == CN_NULL_INT ? 0 : s->seed};
  for (int i = 0; i < type.rank; i++) a.shape.v[i] = type.shape[i];
  if (shape && shape->n >= 0 && shape->n != type.rank)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "\"noise_shape\" has %d dimensions, the input %s", shape->n,
                  CN_SHAPE(type.rank, type.shape));
  for (int i = 0; shape && i < shape->n && i < type.rank; i++)
    if (shape->v[i] != CN_NULL_INT) a.shape.v[i] = shape->v[i];
  return cn_trace_random(t, &a);
}

static cn_edge drop(cn_layer *l, cn_trace *t, cn_edge x, const cn_ints *shape) {
  const double rate = ((const settings *)l->settings)->amount;
  const double kept = rate < 1 ? 1 / (1 - rate) : 0;
  return cn_emit2(t, &cn_op_mul, NULL, x, draw(l, t, x, shape, CN_RANDOM_KEPT, 1 - rate, kept));
}

static cn_edge dropout(cn_layer *l, cn_trace *t, cn_edge x) {
  return drop(l, t, x, &((const settings *)l->settings)->noise_shape);
}

/* Whole channels. */
static cn_edge spatial_dropout(cn_layer *l, cn_trace *t, cn_edge x) {
  const int rank = cn_edge_type(t, x)->rank;
  const int channel = cn_channels_first(l, ((const settings *)l->settings)->data_format, rank - 2) ? 1 : rank - 1;
  cn_ints shape = {.n = rank};
  for (int i = 0; i < rank; i++) shape.v[i] = i == 0 || i == channel ? CN_NULL_INT : 1;
  return drop(l, t, x, &shape);
}

/* Whole samples. */
static cn_edge stochastic_depth(cn_layer *l, cn_trace *t, cn_edge x) {
  cn_ints shape = {.n = cn_edge_type(t, x)->rank};
  for (int i = 0; i < shape.n; i++) shape.v[i] = i ? 1 : CN_NULL_INT;
  return drop(l, t, x, &shape);
}

static cn_edge gaussian_dropout(cn_layer *l, cn_trace *t, cn_edge x) {
  const double rate = ((const settings *)l->settings)->amount;
  return cn_emit2(t, &cn_op_mul, NULL, x, draw(l, t, x, NULL, CN_RANDOM_NORMAL, 1, sqrt(rate / (1 - rate))));
}

static cn_edge gaussian_noise(cn_layer *l, cn_trace *t, cn_edge x) {
  return cn_emit2(t, &cn_op_add, NULL, x,
                  draw(l, t, x, NULL, CN_RANDOM_NORMAL, 0, ((const settings *)l->settings)->amount));
}

/* Dropped values become SELU's lower limit; mean and variance stay (Klambauer et al. 2017). */
static cn_edge alpha_dropout(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  const double rate = s->amount, limit = -1.7580993408473766;
  const double a = 1 / sqrt((1 - rate) * (1 + rate * limit * limit)), b = -a * limit * rate;
  const cn_edge kept = draw(l, t, x, &s->noise_shape, CN_RANDOM_KEPT, 1 - rate, 1);
  const cn_edge moved = cn_emit2(t, &cn_op_sub, NULL, x, cn_emit_number(t, limit)); /* limit + kept (x - limit) */
  const cn_edge y = cn_emit2(t, &cn_op_add, NULL, cn_emit2(t, &cn_op_mul, NULL, moved, kept), cn_emit_number(t, limit));
  return cn_emit2(t, &cn_op_add, NULL, cn_emit2(t, &cn_op_mul, NULL, y, cn_emit_number(t, a)), cn_emit_number(t, b));
}

static void lower_random(cn_layer *l, cn_trace *t, cn_call *c, cn_edge (*act)(cn_layer *, cn_trace *, cn_edge)) {
  cn_edge x = c->in[0].data;
  if (((const settings *)l->settings)->amount != 0 && cn_layer_draws(l, t)) x = act(l, t, cn_emit_compute(t, x));
  cn_call_return(t, c, x, c->in[0].mask);
}

#define IDENTITY(id, class_name, in_versions, words, size, table, how) \
  const cn_layer_type cn_layer_##id = { \
      .name = class_name, .versions = in_versions, .help = CN_HELP(words ": (…) -> (…)"), \
      .flags = CN_MASK_PASSES | CN_LAYER_IDENTITY, \
      .min_in = 1, .max_in = 1, .settings_size = size, .fields = table, .lower = how};
#define RANDOM(id, class_name, in_versions, act, table, words) \
  static void lower_##id(cn_layer *l, cn_trace *t, cn_call *c) { lower_random(l, t, c, act); } \
  IDENTITY(id, class_name, in_versions, words ", the identity at inference", sizeof(settings), table, lower_##id)

RANDOM(dropout, "Dropout", "1 2 3", dropout, rate_fields, "sets a share of the values to 0")
RANDOM(spatial_dropout1d, "SpatialDropout1D", "1 2 3", spatial_dropout, rate_fields, "drops a share of the channels")
RANDOM(spatial_dropout2d, "SpatialDropout2D", "1 2 3", spatial_dropout, rate_fields, "drops a share of the channels")
RANDOM(spatial_dropout3d, "SpatialDropout3D", "1 2 3", spatial_dropout, rate_fields, "drops a share of the channels")
RANDOM(gaussian_dropout, "GaussianDropout", "1 2 3", gaussian_dropout, rate_fields, "multiplies by noise around 1")
RANDOM(alpha_dropout, "AlphaDropout", "2 3", alpha_dropout, rate_fields, "drops values so that mean and variance stay")
RANDOM(gaussian_noise, "GaussianNoise", "1 2 3", gaussian_noise, noise_fields, "adds noise")
RANDOM(stochastic_depth, "StochasticDepth", "2 3", stochastic_depth, depth_fields, "sets a share of the samples to 0")

static void lower_loss(cn_layer *l, cn_trace *t, cn_call *c) {
  (void)l;
  if (t->variables) cn_trace_add_loss(t, c->in[0].data);
  cn_call_return(t, c, c->in[0].data, c->in[0].mask);
}
IDENTITY(add_loss, "AddLoss", "2", "the identity: its input is added to the loss", 0, loss_fields, lower_loss)
IDENTITY(add_metric, "AddMetric", "2", "the identity: its input is a metric in training", 0, metric_fields, NULL)

static void lower_penalty(cn_layer *l, cn_trace *t, cn_call *c) {
  const penalty *p = l->settings;
  cn_value *items[] = {(cn_value *)p->l1, (cn_value *)p->l2}, name = {.kind = CORNU_STRING, .count = 4, .s = "L1L2"};
  cn_value config = {.kind = CORNU_DICT, .count = 2, .items = items, .keys = (const char *[]){"l1", "l2"}};
  cn_value *parts[] = {&name, &config};
  const cn_value both = {.kind = CORNU_DICT, .count = 2, .items = parts,
                         .keys = (const char *[]){"class_name", "config"}};
  cn_layer_penalise_result(l, t, &both, c->in[0].data);
  cn_call_return(t, c, c->in[0].data, c->in[0].mask);
}
IDENTITY(activity_regularization, "ActivityRegularization", "1 2 3", "the identity, which adds to the loss",
         sizeof(penalty),
         penalty_fields, lower_penalty)

/* tf.keras's hands no mask on. */
static void lower_identity(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_call_return(t, c, c->in[0].data, l->origin.keras < 3 ? CN_NO_EDGE : c->in[0].mask);
}

const cn_layer_type cn_layer_identity = {
    .name = "Identity", .versions = "2 3",
    .help = CN_HELP("the identity: (…) -> (…)"), .flags = CN_MASK_OWN, .min_in = 1,
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
    .name = "Lambda", .versions = "1 2 3", .help = CN_HELP("Python code: needs a handler"), .min_in = 1, .max_in = -1,
    .fields = lambda_fields, .check = check_lambda};
