/* Ftrl, "follow the regularized leader" (McMahan et al. 2013). */
#include "train/rules.h"

typedef struct settings {
  cn_optimizer_settings common;
  double learning_rate_power, initial_accumulator_value, l1_regularization_strength, l2_regularization_strength;
  double l2_shrinkage_regularization_strength, beta;
} settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, learning_rate_power, "-0.5", -1e30, 0, "of the sum of squares: 0 keeps the rate"),
    CN_NUMBER_FIELD(settings, initial_accumulator_value, "0.1", 0, 1e30, "what the sum of the squares begins with"),
    CN_NUMBER_FIELD(settings, l1_regularization_strength, "0", 0, 1e30, "penalty on absolute values"),
    CN_NUMBER_FIELD(settings, l2_regularization_strength, "0", 0, 1e30, "penalty on squares"),
    CN_NUMBER_FIELD(settings, l2_shrinkage_regularization_strength, "0", 0, 1e30,
                    "penalty on squares, in the gradient alone"),
    CN_NUMBER_FIELD(settings, beta, "0", 0, 1e30, "of the paper"),
    {0}};

static double initial(const void *s) { return ((const settings *)s)->initial_accumulator_value; }

static const cn_slot slots[] = {
    {.name = "accumulator", .older = "accumulator accumulator accumulator", .initial = initial},
    {.name = "linear", .older = "linear linear linear"},
    {0}};

static cn_unused unused(const void *settings_) { return (void)settings_, CN_UNUSED_LEFT; }

#define RULE(name, real, attributes)                                                                               \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                    \
    const settings *s = u->settings;                                                                               \
    const real *restrict g = u->gradient, *q = u->seconds, rate = (real)u->rate, power = (real)-s->learning_rate_power; \
    const real l1 = (real)s->l1_regularization_strength, shrink = (real)(2 * s->l2_shrinkage_regularization_strength); \
    const real l2 = (real)(s->l2_regularization_strength + s->beta / (2 * u->rate));                               \
    const bool root = s->learning_rate_power == -0.5;                                                              \
    real *restrict w = u->value, *restrict sum = u->slots[0], *restrict linear = u->slots[1];                      \
    for (int64_t i = begin; i < end; i++) {                                                                        \
      const real after = sum[i] + CN_SQUARE(i);                                                                    \
      const real old = root ? CN_ROOT(real, sum[i]) : CN_POWER(real, sum[i], power);                               \
      const real new = root ? CN_ROOT(real, after) : CN_POWER(real, after, power);                                 \
      linear[i] += g[i] + shrink * w[i] - (new - old) / rate * w[i];                                               \
      const real clipped = linear[i] < -l1 ? -l1 : linear[i] > l1 ? l1 : linear[i];                                \
      w[i] = (clipped - linear[i]) / (new / rate + 2 * l2);                                                        \
      sum[i] = after;                                                                                              \
    }                                                                                                              \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_ftrl = {
    .name = "Ftrl",
    .help = "Follows the regularized leader: penalties on what the sum of all steps leads to, which gives exact zeros",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .unused = unused,
    .update = update,
};
