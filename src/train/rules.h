/* What the files of optimizers share: RULE(name, real) defines the update of one dtype. */
#ifndef CN_TRAIN_RULES_H
#define CN_TRAIN_RULES_H

#include "train/optimizer.h"

/* The first member of the settings. */
#define CN_RATE_FIELD(settings, value)                                                                              \
  {.name = "learning_rate", .aliases = "lr", .kind = CN_F_FLOAT, .offset = offsetof(settings, rate),                 \
   .standard = value, .min = 0, .max = 1e30, .help = "of a step"}

#define CN_RULE(RULE)                                                                \
  RULE(update_floats, float)                                                         \
  RULE(update_doubles, double)                                                       \
  static void update(const cn_update *u, int64_t begin, int64_t end) {               \
    if (u->dtype == CORNU_FLOAT64) update_doubles(u, begin, end);                    \
    else update_floats(u, begin, end);                                               \
  }

#endif
