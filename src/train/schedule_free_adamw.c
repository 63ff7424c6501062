/* ScheduleFreeAdamW (Defazio et al. 2024): the variable is between a point that Adam moves and the mean of its places. */
#include <string.h>

#include "train/rules.h"

typedef struct settings {
  cn_optimizer_settings common;
  double beta_1, beta_2, epsilon;
  int64_t warmup_steps;
} settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.0025"),
    CN_NUMBER_FIELD(settings, beta_1, "0.9", 1e-30, 1, "how near the variable is to the mean"),
    CN_BETA_2_FIELD(settings, "0.999"),
    CN_EPSILON_FIELD(settings, "1e-8"),
    {.name = "warmup_steps", .kind = CN_F_INT, .offset = offsetof(settings, warmup_steps), .standard = "0", .min = 0,
     .max = 1e15, .help = "steps in which the rate rises"},
    {0}};

static const cn_slot slots[] = {{.name = "momentum"}, {.name = "velocity"}, {0}};

static void begin_at(const cn_update *u) {
  memcpy(u->slots[0], u->value, (size_t)u->size * cornu_dtype_bytes(u->dtype));
}

#define RULE(name, real, attributes)                                                                             \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                  \
    const settings *s = u->settings;                                                                             \
    const real t = (real)u->step, warm = (real)s->warmup_steps, part = 1 / t, b = 1 - (real)s->beta_2;           \
    const real rate = (real)u->rate * (warm > t ? t / warm : 1), near = (real)s->beta_1, far = 1 - near;         \
    const real left = 1 - CN_POWER(real, s->beta_2, u->step), epsilon = (real)s->epsilon;                        \
    const real *restrict g = u->gradient, *q = u->seconds;                                                       \
    real *restrict w = u->value, *restrict z = u->slots[0], *restrict v = u->slots[1];                           \
    for (int64_t i = begin; i < end; i++) {                                                                      \
      v[i] += (CN_SQUARE(i) - v[i]) * b;                                                                         \
      z[i] -= rate * g[i] / (CN_ROOT(real, v[i] / left) + epsilon);                                              \
      const real mean = (w[i] - far * z[i]) / near; /* the paper has z before its step; Keras on TensorFlow not */ \
      w[i] = far * z[i] + near * ((1 - part) * mean + part * z[i]);                                              \
    }                                                                                                            \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_schedule_free_adamw = {
    .name = "ScheduleFreeAdamW",
    .help = "Adam moves a point; the variable is between it and the mean of where it was, so that no schedule is needed",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .begin = begin_at,
    .update = update,
};
