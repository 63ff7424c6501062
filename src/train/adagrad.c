/* Adagrad (Duchi et al. 2011). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double initial_accumulator_value, epsilon; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, initial_accumulator_value, "0.1", 0, 1e30, "what the sum of the squares begins with"),
    CN_EPSILON_FIELD(settings, "1e-7"),
    {0}};

/* Keras 1 and 2 begin with 0. */
static double initial(const void *settings_) {
  const settings *s = settings_;
  return s->common.lineage >= CN_KERAS_2 ? 0 : s->initial_accumulator_value;
}

static const cn_slot slots[] = {
    {.name = "accumulator", .older = "accumulator accumulator accumulator", .initial = initial}, {0}};

#define RULE(name, real, attributes)                                                                              \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                   \
    const settings *s = u->settings;                                                                              \
    const bool is_outside = s->common.lineage >= CN_TF_LEGACY;                                                    \
    const real outside = is_outside ? (real)s->epsilon : 0, inside = is_outside ? 0 : (real)s->epsilon;           \
    const real *restrict g = u->gradient, *q = u->seconds, rate = (real)u->rate;                                  \
    real *restrict w = u->value, *restrict sum = u->slots[0];                                                     \
    for (int64_t i = begin; i < end; i++) {                                                                       \
      sum[i] += CN_SQUARE(i);                                                                                     \
      w[i] -= rate * g[i] / (CN_ROOT(real, sum[i] + inside) + outside);                                           \
    }                                                                                                             \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_adagrad = {
    .name = "Adagrad",
    .help = "sum: of all g² so far; w -= rate * g / sqrt(sum + epsilon)",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .update = update,
};
