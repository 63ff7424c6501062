/* What the files of optimizers share. RULE(name, real, attributes) defines the update of one dtype; CN_RULE makes it for
 * both and, of floats, for each instruction set. */
#ifndef CN_TRAIN_RULES_H
#define CN_TRAIN_RULES_H

#include <math.h>

#include "base/cpu.h"
#include "train/optimizer.h"

/* The first member of all settings is `common`. */
#define CN_RATE_FIELD(value)                                                                                         \
  {.name = "learning_rate", .aliases = "lr", .kind = CN_F_VALUE,                                                     \
   .offset = offsetof(cn_optimizer_settings, learning_rate), .standard = value,                   \
   .help = "of a step: a number or a schedule"}
#define CN_NUMBER_FIELD(settings, member, value, least, most, text)                                                 \
  {.name = #member, .kind = CN_F_FLOAT, .offset = offsetof(settings, member), .standard = value, .min = least,       \
   .max = most, .help = text}
#define CN_FLAG_FIELD(settings, member, value, text)                                                                 \
  {.name = #member, .kind = CN_F_BOOL, .offset = offsetof(settings, member), .standard = value, .help = text}
#define CN_EPSILON_FIELD(settings, value) CN_NUMBER_FIELD(settings, epsilon, value, 0, 1, "keeps what divides from 0")
#define CN_BETA_1_FIELD(settings, value)                                                                             \
  CN_NUMBER_FIELD(settings, beta_1, value, 0, 1, "how much of the mean of the gradients stays")
#define CN_BETA_2_FIELD(settings, value)                                                                             \
  CN_NUMBER_FIELD(settings, beta_2, value, 0, 1, "how much of the mean of their squares stays")

#define CN_ROOT(real, x) ((real)(sizeof(real) == 4 ? sqrtf((float)(x)) : sqrt((double)(x))))
#define CN_POWER(real, x, y) ((real)(sizeof(real) == 4 ? powf((float)(x), (float)(y)) : pow((double)(x), (double)(y))))
/* What Keras squares: see cn_seconds. */
#define CN_SQUARE(i) (q ? q[i] : g[i] * g[i])

#define CN_RULE_OF_(isa, RULE) RULE(floats_##isa, float, CN_TARGET_##isa)
#define CN_RULE_NAME_(isa, ...) floats_##isa,
#define CN_RULE(RULE)                                                                                                 \
  CN_EACH_ISA(CN_RULE_OF_, RULE)                                                                                      \
  RULE(doubles, double, )                                                                                             \
  static void update(const cn_update *u, int64_t begin, int64_t end) {                                                \
    static void (*const floats[])(const cn_update *, int64_t, int64_t) = {CN_EACH_ISA(CN_RULE_NAME_, )};             \
    if (u->dtype == CORNU_FLOAT64) doubles(u, begin, end);                                                            \
    else floats[cn_cpu_isa()](u, begin, end);                                                                         \
  }

/* norms.c: sums that are the same for any number of threads. */
double cn_sum_of_squares(const void *x, cornu_dtype dtype, int64_t n);
double cn_sum_of(const void *x, cornu_dtype dtype, int64_t n);
double cn_largest_of(const void *x, cornu_dtype dtype, int64_t n); /* of absolute values; NaN when one is */

#endif
