/* Adam's rule and settings, which other optimizers share. */
#ifndef CN_TRAIN_ADAM_H
#define CN_TRAIN_ADAM_H

#include "train/optimizer.h"

typedef struct cn_adam { cn_optimizer_settings common; double beta_1, beta_2, epsilon; bool amsgrad; } cn_adam;

extern const cn_slot cn_adam_slots[];
bool cn_adam_keeps(const void *settings, int slot, const cn_subject *v);
void cn_adam_update(const cn_update *u, int64_t begin, int64_t end);

#endif
