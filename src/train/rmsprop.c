/* RMSprop (Tieleman and Hinton 2012), with momentum and centred (Graves 2013). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double rho, momentum, epsilon; bool centered; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, rho, "0.9", 0, 1, "how much of the mean of the squares stays"),
    CN_NUMBER_FIELD(settings, momentum, "0", 0, 1, "how much of the last step goes on"),
    CN_EPSILON_FIELD(settings, "1e-7"),
    CN_FLAG_FIELD(settings, centered, "false", "divides by the variance instead of the mean square"),
    {0}};

static const cn_slot slots[] = {{.name = "velocity", .older = "velocity rms accumulator"},
                                {.name = "momentum", .older = "momentum momentum momentum", .group = 1},
                                {.name = "average_gradient", .older = "average_gradient mg mg", .group = 2},
                                {0}};

static bool keeps(const void *settings_, int slot, const cn_subject *v) {
  const settings *s = settings_;
  (void)v;
  return slot == 0 || (slot == 1 ? s->momentum > 0 : s->centered);
}

/* Keras 1 and 2 add epsilon to the root, later ones and tf.keras with momentum to what it is taken of. */
static bool adds_outside(const settings *s) {
  return s->common.lineage >= CN_KERAS_2 || (s->common.lineage == CN_TF_LEGACY && s->momentum == 0);
}

static cn_unused unused(const void *settings_) {
  return ((const settings *)settings_)->momentum > 0 ? CN_UNUSED_LEFT : CN_UNUSED_ZERO;
}

#define RULE(name, real, attributes)                                                                               \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                    \
    const settings *s = u->settings;                                                                               \
    const real rho = (real)s->rho, rest = (real)(1 - s->rho), momentum = (real)s->momentum, rate = (real)u->rate;  \
    const real outside = adds_outside(s) ? (real)s->epsilon : 0, inside = adds_outside(s) ? 0 : (real)s->epsilon;   \
    const real *restrict g = u->gradient, *q = u->seconds;                                                         \
    real *restrict w = u->value, *restrict v = u->slots[0], *restrict m = u->slots[1], *restrict mean = u->slots[2]; \
    for (int64_t i = begin; i < end; i++) {                                                                        \
      v[i] = rho * v[i] + rest * CN_SQUARE(i);                                                                     \
      real variance = v[i];                                                                                        \
      if (mean) {                                                                                                  \
        mean[i] = rho * mean[i] + rest * g[i];                                                                     \
        variance -= mean[i] * mean[i];                                                                             \
      }                                                                                                            \
      const real step = rate * g[i] / (CN_ROOT(real, variance + inside) + outside);                                \
      if (m) m[i] = momentum * m[i] + step;                                                                        \
      w[i] -= m ? m[i] : step;                                                                                     \
    }                                                                                                              \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_rmsprop = {
    .name = "RMSprop",
    .help = "v: moving mean of g²; w -= rate * g / sqrt(v + epsilon)",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .keeps = keeps,
    .unused = unused,
    .update = update,
};
