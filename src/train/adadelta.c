/* Adadelta (Zeiler 2012). */
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double rho, epsilon; } settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, rho, "0.95", 0, 1, "how much of the means stays"),
    CN_EPSILON_FIELD(settings, "1e-7"),
    {0}};

static const cn_slot slots[] = {
    {.name = "accumulated_grad", .older = "accumulated_grad accum_grad accumulator"},
    {.name = "accumulated_delta_var", .older = "accumulated_delta_var accum_var delta_accumulator"},
    {0}};

static cn_unused unused(const void *settings_) { return (void)settings_, CN_UNUSED_LEFT; }

#define RULE(name, real, attributes)                                                                        \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                             \
    const settings *s = u->settings;                                                                        \
    const real rho = (real)s->rho, rest = (real)(1 - s->rho), epsilon = (real)s->epsilon, rate = (real)u->rate; \
    const real *restrict g = u->gradient, *q = u->seconds;                                                  \
    real *restrict w = u->value, *restrict grads = u->slots[0], *restrict steps = u->slots[1];              \
    for (int64_t i = begin; i < end; i++) {                                                                 \
      const real square = CN_SQUARE(i);                                                                     \
      grads[i] = rho * grads[i] + rest * square;                                                            \
      const real ratio = CN_ROOT(real, steps[i] + epsilon) / CN_ROOT(real, grads[i] + epsilon);             \
      steps[i] = rho * steps[i] + rest * (ratio * ratio * square);                                          \
      w[i] -= rate * (ratio * g[i]);                                                                        \
    }                                                                                                       \
  }
CN_RULE(RULE)

const cn_optimizer_type cn_optimizer_adadelta = {
    .name = "Adadelta",
    .help = "a and d: moving means of g² and of squared steps; step = sqrt(d + epsilon) / sqrt(a + epsilon) * g, "
            "w -= rate * step",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .unused = unused,
    .update = update,
};
