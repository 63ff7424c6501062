/* Schedules of learning rates. */
#ifndef CN_TRAIN_SCHEDULE_H
#define CN_TRAIN_SCHEDULE_H

#include "train/optimizer.h"

typedef struct cn_schedule_type {
  const char *name, *aliases, *help;
  size_t settings_size;
  const cn_field *fields;
  cn_status (*check)(const void *settings, cn_error *e); /* NULL: nothing */
  double (*rate)(const void *settings, double step);
} cn_schedule_type;

struct cn_schedule {
  const cn_schedule_type *type;
  void *settings;
};

extern const cn_schedule_type cn_schedule_types[]; /* the last one has no name */

/* From {class_name, config}. Keeps nothing of v. */
cn_status cn_schedule_parse(const cn_value *v, cn_arena *arena, const cn_schedule **out, cn_error *e);

#endif
