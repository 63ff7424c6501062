/* SGD, with momentum (Nesterov 1983). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double momentum; bool nesterov; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.01"),
    CN_NUMBER_FIELD(settings, momentum, "0", 0, 1, "how much of the last step goes on"),
    CN_FLAG_FIELD(settings, nesterov, "false", "looks ahead along the momentum"),
    {0}};

static const cn_slot slots[] = {{.name = "momentum", .older = "m momentum moment"}, {0}};

static bool keeps(const void *settings_, int slot, const cn_subject *v) {
  const settings *s = settings_;
  (void)slot, (void)v;
  return s->momentum != 0 || (s->common.lineage != CN_KERAS_3 && s->common.lineage != CN_TF_LEGACY);
}

static cn_unused unused(const void *settings_) { return (void)settings_, CN_UNUSED_LEFT; }

#define RULE(name, real, attributes)                                                                 \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                      \
    const settings *s = u->settings;                                                                 \
    const real *restrict g = u->gradient, rate = (real)u->rate, momentum = (real)s->momentum;        \
    real *restrict w = u->value, *restrict m = u->slots[0];                                          \
    if (!m)                                                                                          \
      for (int64_t i = begin; i < end; i++) w[i] -= g[i] * rate;                                     \
    else if (!s->nesterov)                                                                           \
      for (int64_t i = begin; i < end; i++) {                                                        \
        m[i] = m[i] * momentum - g[i] * rate;                                                        \
        w[i] += m[i];                                                                                \
      }                                                                                              \
    else                                                                                             \
      for (int64_t i = begin; i < end; i++) {                                                        \
        m[i] = m[i] * momentum - g[i] * rate;                                                        \
        w[i] += m[i] * momentum - g[i] * rate;                                                       \
      }                                                                                              \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_sgd = {
    .name = "SGD",
    .help = "Stochastic gradient descent: w -= rate * g; with momentum m = momentum * m - rate * g, w += m",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .keeps = keeps,
    .unused = unused,
    .update = update,
};
