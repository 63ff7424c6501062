/* Adam (Kingma and Ba 2015). */
#include <math.h>

#include "train/rules.h"

typedef struct settings { double rate, beta_1, beta_2, epsilon; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD(settings, "0.001"),
    {.name = "beta_1", .kind = CN_F_FLOAT, .offset = offsetof(settings, beta_1), .standard = "0.9", .min = 0, .max = 1,
     .help = "how much of the mean of the gradients stays"},
    {.name = "beta_2", .kind = CN_F_FLOAT, .offset = offsetof(settings, beta_2), .standard = "0.999", .min = 0,
     .max = 1, .help = "how much of the mean of their squares stays"},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(settings, epsilon), .standard = "1e-7", .min = 0,
     .max = 1, .help = "added to the root of that"},
    {0}};

#define RULE(name, real)                                                                                             \
  static void name(const cn_update *u, int64_t begin, int64_t end) {                                                 \
    const settings *s = u->settings;                                                                                 \
    const double t = (double)u->step;                                                                                \
    const real alpha = (real)(u->rate * sqrt(1 - pow(s->beta_2, t)) / (1 - pow(s->beta_1, t)));                      \
    const real a = (real)(1 - s->beta_1), b = (real)(1 - s->beta_2), epsilon = (real)s->epsilon, *g = u->gradient;    \
    real *w = u->value, *m = u->slots[0], *v = u->slots[1];                                                          \
    for (int64_t i = begin; i < end; i++) {                                                                          \
      m[i] += (g[i] - m[i]) * a;                                                                                     \
      v[i] += (g[i] * g[i] - v[i]) * b;                                                                              \
      w[i] -= m[i] * alpha / ((real)(sizeof(real) == 4 ? sqrtf((float)v[i]) : sqrt((double)v[i])) + epsilon);         \
    }                                                                                                                \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_adam = {
    .name = "Adam",
    .help = "m and v: moving means of g and g²; w -= rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + "
            "epsilon)",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = "momentum velocity",
    .update = update,
};
