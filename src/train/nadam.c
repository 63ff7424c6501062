/* Nadam (Dozat 2016). Its scalar is the product of the momenta so far. */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double beta_1, beta_2, epsilon, schedule_decay; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_BETA_1_FIELD(settings, "0.9"),
    CN_BETA_2_FIELD(settings, "0.999"),
    CN_EPSILON_FIELD(settings, "1e-7"),
    CN_NUMBER_FIELD(settings, schedule_decay, "null", 0, 1e30,
                    "Keras 1 and 2: how fast the momentum rises; later ones: 1"),
    {0}};

static const cn_slot slots[] = {{.name = "momentum", .older = "m m m"}, {.name = "velocity", .older = "v v v"}, {0}};

static double momentum_at(const settings *s, double step) {
  double speed = 1;
  if (s->common.lineage >= CN_TF_LEGACY)
    speed = !isnan(s->schedule_decay) ? s->schedule_decay : !isnan(s->common.decay) ? s->common.decay : 0.004;
  return s->beta_1 * (1 - 0.5 * pow(0.96, step * speed));
}

static double advance(const void *settings_, double product, int64_t step) {
  return (float)(product * momentum_at(settings_, (double)step));
}

static cn_unused unused(const void *settings_) { return (void)settings_, CN_UNUSED_STILL; }

#define RULE(name, real, attributes)                                                                              \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                   \
    const settings *s = u->settings;                                                                              \
    const double now = momentum_at(s, (double)u->step), next = momentum_at(s, (double)u->step + 1);               \
    const real from_m = (real)(next / (1 - u->scalar * next)), from_g = (real)((1 - now) / (1 - u->scalar));       \
    const real left = 1 - CN_POWER(real, s->beta_2, u->step), rate = (real)u->rate, epsilon = (real)s->epsilon;   \
    const real a = (real)(1 - s->beta_1), b = (real)(1 - s->beta_2), *restrict g = u->gradient, *q = u->seconds;  \
    real *restrict w = u->value, *restrict m = u->slots[0], *restrict v = u->slots[1];                            \
    for (int64_t i = begin; i < end; i++) {                                                                       \
      m[i] += (g[i] - m[i]) * a;                                                                                  \
      v[i] += (CN_SQUARE(i) - v[i]) * b;                                                                          \
      w[i] -= (from_m * m[i] + from_g * g[i]) * rate / (CN_ROOT(real, v[i] / left) + epsilon);                    \
    }                                                                                                             \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_nadam = {
    .name = "Nadam",
    .help = "Adam with the momentum of Nesterov, which rises with the steps",
    .settings_size = sizeof(settings),
    .fields = fields,
    .older = "schedule_decay",
    .slots = slots,
    .scalar = "variable",
    .older_scalar = "- momentum_cache m_schedule",
    .seconds = CN_SECONDS_SQUARES,
    .own_decay = true,
    .advance = advance,
    .unused = unused,
    .update = update,
};
