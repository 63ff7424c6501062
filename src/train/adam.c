/* Adam (Kingma and Ba 2015), AMSGrad (Reddi et al. 2018), and AdamW (Loshchilov and Hutter 2019), which is Adam with
 * weight decay by default. */
#include "train/adam.h"

#include "train/rules.h"

#define FIELDS                                                        \
  CN_RATE_FIELD("0.001"), CN_BETA_1_FIELD(cn_adam, "0.9"), CN_BETA_2_FIELD(cn_adam, "0.999"), \
      CN_EPSILON_FIELD(cn_adam, "1e-7"),                              \
      CN_FLAG_FIELD(cn_adam, amsgrad, "false", "divides by the largest mean so far")

static const cn_field fields[] = {FIELDS, {0}};
static const cn_field fields_w[] = {
    FIELDS,
    {.name = "weight_decay", .kind = CN_F_FLOAT, .offset = offsetof(cn_optimizer_settings, weight_decay),
     .standard = "0.004", .min = 0, .max = 1e30,
     .help = "part of a variable that is taken from it in each step, times the rate"},
    {0}};

const cn_slot cn_adam_slots[] = {{.name = "momentum", .older = "m m m"}, {.name = "velocity", .older = "v v v"},
                                 {.name = "velocity_hat", .older = "vhat vhat vhat", .group = 1}, {0}};

bool cn_adam_keeps(const void *settings, int slot, const cn_subject *v) {
  (void)v;
  return slot < 2 || ((const cn_adam *)settings)->amsgrad;
}

#define RULE(name, real, attributes)                                                                                 \
  attributes static void name(const cn_update *u, int64_t begin, int64_t end) {                                      \
    const cn_adam *s = u->settings;                                                                                  \
    const real one = CN_POWER(real, s->beta_1, u->step), two = CN_POWER(real, s->beta_2, u->step);                   \
    const real alpha = (real)u->rate * CN_ROOT(real, 1 - two) / (1 - one), epsilon = (real)s->epsilon;               \
    const real a = (real)(1 - s->beta_1), b = (real)(1 - s->beta_2), *restrict g = u->gradient, *q = u->seconds;     \
    real *restrict w = u->value, *restrict m = u->slots[0], *restrict v = u->slots[1], *restrict most = u->slots[2]; \
    for (int64_t i = begin; i < end; i++) {                                                                          \
      m[i] += (g[i] - m[i]) * a;                                                                                     \
      v[i] += (CN_SQUARE(i) - v[i]) * b;                                                                             \
      if (!most) w[i] -= m[i] * alpha / (CN_ROOT(real, v[i]) + epsilon);                                             \
    }                                                                                                                \
    for (int64_t i = begin; i < end && most; i++) {                                                                  \
      most[i] = most[i] < v[i] ? v[i] : most[i];                                                                     \
      w[i] -= m[i] * alpha / (CN_ROOT(real, most[i]) + epsilon);                                                     \
    }                                                                                                                \
  }
CN_RULE(RULE)

void cn_adam_update(const cn_update *u, int64_t begin, int64_t end) { update(u, begin, end); }

const cn_optimizer_type cn_optimizer_adam = {
    .name = "Adam",
    .help = "m and v: moving means of g and g²; w -= rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + "
            "epsilon)",
    .settings_size = sizeof(cn_adam),
    .fields = fields,
    .slots = cn_adam_slots,
    .seconds = CN_SECONDS_SQUARES,
    .keeps = cn_adam_keeps,
    .update = update,
};

const cn_optimizer_type cn_optimizer_adamw = {
    .name = "AdamW",
    .help = "Adam, and w -= rate * weight_decay * w",
    .settings_size = sizeof(cn_adam),
    .fields = fields_w,
    .slots = cn_adam_slots,
    .seconds = CN_SECONDS_SQUARES,
    .keeps = cn_adam_keeps,
    .update = update,
};
