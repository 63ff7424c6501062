/* SGD, with momentum (Nesterov 1983). */
#include "train/rules.h"

typedef struct settings { double rate, momentum; bool nesterov; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD(settings, "0.01"),
    {.name = "momentum", .kind = CN_F_FLOAT, .offset = offsetof(settings, momentum), .standard = "0", .min = 0,
     .max = 1, .help = "how much of the last step goes on"},
    {.name = "nesterov", .kind = CN_F_BOOL, .offset = offsetof(settings, nesterov), .standard = "false",
     .help = "looks ahead along the momentum"},
    {0}};

static bool keeps(const void *s, int slot) {
  (void)slot;
  return ((const settings *)s)->momentum != 0;
}

#define RULE(name, real)                                                                             \
  static void name(const cn_update *u, int64_t begin, int64_t end) {                                 \
    const settings *s = u->settings;                                                                 \
    const real *g = u->gradient, rate = (real)u->rate, momentum = (real)s->momentum;                 \
    real *w = u->value, *m = u->slots[0];                                                            \
    if (!m)                                                                                          \
      for (int64_t i = begin; i < end; i++) w[i] -= rate * g[i];                                     \
    else                                                                                             \
      for (int64_t i = begin; i < end; i++) {                                                        \
        m[i] = momentum * m[i] - rate * g[i];                                                        \
        w[i] += s->nesterov ? momentum * m[i] - rate * g[i] : m[i];                                  \
      }                                                                                              \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_sgd = {
    .name = "SGD",
    .help = "w -= rate * g; with momentum m = momentum * m - rate * g, w += m",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = "momentum",
    .keeps = keeps,
    .update = update,
};
