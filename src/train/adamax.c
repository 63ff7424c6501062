/* Adamax (Kingma and Ba 2015). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double beta_1, beta_2, epsilon; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_BETA_1_FIELD(settings, "0.9"),
    CN_NUMBER_FIELD(settings, beta_2, "0.999", 0, 1, "how much of the largest gradient stays"),
    CN_EPSILON_FIELD(settings, "1e-7"),
    {0}};

static const cn_slot slots[] = {{.name = "momentum", .older = "m m m"}, {.name = "norm", .older = "u v u"}, {0}};

static cn_unused unused(const void *settings_) { return (void)settings_, CN_UNUSED_LEFT; }

#define RULE(name, real, attributes)                                                                             \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                  \
    const settings *s = u->settings;                                                                             \
    const real *restrict g = u->gradient, *q = u->seconds, a = (real)(1 - s->beta_1), b = (real)s->beta_2;        \
    const real left = 1 - CN_POWER(real, s->beta_1, u->step), rate = (real)u->rate, epsilon = (real)s->epsilon;  \
    real *restrict w = u->value, *restrict m = u->slots[0], *restrict most = u->slots[1];                        \
    for (int64_t i = begin; i < end; i++) {                                                                      \
      m[i] += (g[i] - m[i]) * a;                                                                                 \
      const real size = q ? q[i] : g[i] < 0 ? -g[i] : g[i], last = b * most[i];                                  \
      most[i] = last < size ? size : last;                                                                       \
      w[i] -= rate * m[i] / (left * (most[i] + epsilon));                                                        \
    }                                                                                                            \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_adamax = {
    .name = "Adamax",
    .help = "m: moving mean of g; u = max(beta_2 * u, |g|); w -= rate / (1 - beta_1^t) * m / (u + epsilon)",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_ABSOLUTE,
    .unused = unused,
    .update = update,
};
