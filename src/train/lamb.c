/* Lamb (You et al. 2020): steps of Adam as long as the variable is. */
#include "base/pool.h"
#include "train/rules.h"

typedef struct settings { cn_optimizer_settings common; double beta_1, beta_2, epsilon; } settings;

static const cn_field fields[] = {CN_RATE_FIELD("0.001"), CN_BETA_1_FIELD(settings, "0.9"),
                                  CN_BETA_2_FIELD(settings, "0.999"), CN_EPSILON_FIELD(settings, "1e-7"), {0}};

static const cn_slot slots[] = {{.name = "momentum"}, {.name = "velocity"}, {0}};

/* The step of Adam takes the place of the gradient. */
#define RULE(name, real, attributes)                                                                             \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                  \
    const settings *s = u->settings;                                                                             \
    const real one = 1 - CN_POWER(real, s->beta_1, u->step), two = 1 - CN_POWER(real, s->beta_2, u->step);       \
    const real a = (real)(1 - s->beta_1), b = (real)(1 - s->beta_2), epsilon = (real)s->epsilon, *q = u->seconds; \
    real *restrict g = u->gradient, *restrict m = u->slots[0], *restrict v = u->slots[1];                        \
    for (int64_t i = begin; i < end; i++) {                                                                      \
      m[i] += (g[i] - m[i]) * a;                                                                                 \
      v[i] += (CN_SQUARE(i) - v[i]) * b;                                                                         \
      g[i] = m[i] / one / (CN_ROOT(real, v[i] / two) + epsilon);                                                 \
    }                                                                                                            \
  }
CN_RULE(RULE)

static void update_range(void *u, int64_t begin, int64_t end) { update(u, begin, end); }

typedef struct move { const cn_update *u; double by; } move;

static void move_range(void *context, int64_t begin, int64_t end) {
  const move *j = context;
  float *w = j->u->value, *g = j->u->gradient;
  if (j->u->dtype == CORNU_FLOAT32)
    for (int64_t i = begin; i < end; i++) w[i] -= (float)j->by * g[i];
  else
    for (int64_t i = begin; i < end; i++) ((double *)j->u->value)[i] -= j->by * ((double *)j->u->gradient)[i];
}

static cn_status update_all(const cn_update *u, cn_error *e) {
  (void)e;
  const double w_norm = sqrt(cn_sum_of_squares(u->value, u->dtype, u->size));
  cn_parallel_range(u->size, 16384, update_range, (void *)u);
  const double g_norm = sqrt(cn_sum_of_squares(u->gradient, u->dtype, u->size));
  move j = {u, u->rate * (w_norm > 0 && g_norm > 0 ? w_norm / g_norm : 1)};
  cn_parallel_range(u->size, 16384, move_range, &j);
  return CORNU_OK;
}

const cn_optimizer_type cn_optimizer_lamb = {
    .name = "Lamb",
    .help = "Adam, whose step is made as long as the variable, times the rate",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .update_all = update_all,
};
