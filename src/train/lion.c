/* Lion (Chen et al. 2023). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double beta_1, beta_2; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, beta_1, "0.9", 0, 1, "how much of the mean goes into the sign, the rest is the gradient"),
    CN_NUMBER_FIELD(settings, beta_2, "0.99", 0, 1, "how much of the mean of the gradients stays"),
    {0}};

static const cn_slot slots[] = {{.name = "momentum", .older = "m m m"}, {0}};

#define RULE(name, real, attributes)                                                                     \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                          \
    const settings *s = u->settings;                                                                     \
    const real one = (real)s->beta_1, two = (real)s->beta_2, rate = (real)u->rate, *restrict g = u->gradient; \
    real *restrict w = u->value, *restrict m = u->slots[0];                                              \
    for (int64_t i = begin; i < end; i++) {                                                              \
      const real to = m[i] * one + g[i] * (1 - one);                                                     \
      w[i] -= to > 0 ? rate : to < 0 ? -rate : 0;                                                        \
      m[i] = m[i] * two + g[i] * (1 - two);                                                              \
    }                                                                                                    \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_lion = {
    .name = "Lion",
    .help = "w -= rate * sign(beta_1 * m + (1 - beta_1) * g); m: moving mean of g, by beta_2",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .update = update,
};
