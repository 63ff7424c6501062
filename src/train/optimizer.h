/* Optimizers: one descriptor in one file of train/; the build collects them. */
#ifndef CN_TRAIN_OPTIMIZER_H
#define CN_TRAIN_OPTIMIZER_H

#include "base/field.h"
#include "tensor/tensor.h"

enum { CN_MAX_SLOTS = 4 };

/* One variable in one step. Slots are what the optimizer keeps of it, zeros before the first step. */
typedef struct cn_update {
  const void *settings;
  double rate;               /* of learning, in this step */
  int64_t step;              /* from 1 */
  cornu_dtype dtype;         /* float32 or float64, of all of them */
  void *value, *slots[CN_MAX_SLOTS];
  const void *gradient;
} cn_update;

typedef struct cn_optimizer_type {
  const char *name, *aliases; /* Keras's class name; others, separated by spaces */
  const char *help;          /* the rule, and where it comes from */
  size_t settings_size;
  const cn_field *fields;    /* beside those of all optimizers: optimizer.c */
  const char *slots;         /* the names of what is kept, as Keras saves it, separated by spaces */
  bool (*keeps)(const void *settings, int slot); /* whether these settings need it; NULL: all */
  /* Elements begin … end - 1. */
  void (*update)(const cn_update *u, int64_t begin, int64_t end);
} cn_optimizer_type;

extern const cn_optimizer_type *const cn_optimizer_types[]; /* sorted by name */
extern const int cn_optimizer_type_total;

typedef struct cn_optimizer {
  const cn_optimizer_type *type;
  void *settings;            /* in the arena */
  double rate;
  int slots;
} cn_optimizer;

/* From a name or {class_name, config}. Keeps nothing of v. */
cn_status cn_optimizer_parse(const cn_value *v, cn_arena *arena, cn_optimizer *out, cn_error *e);

#endif
