/* Optimizers: one descriptor in one file of train/; the build collects them. */
#ifndef CN_TRAIN_OPTIMIZER_H
#define CN_TRAIN_OPTIMIZER_H

#include "base/field.h"
#include "tensor/tensor.h"

enum { CN_MAX_SLOTS = 4 };

/* Whose rule a config means; what it holds tells (see optimizer.c). */
typedef enum cn_lineage {
  CN_KERAS_3,
  CN_TF_KERAS,  /* tf.keras from 2.11 on */
  CN_TF_LEGACY, /* tf.keras 2.0 to 2.10, keras.optimizers.legacy after that */
  CN_KERAS_2,   /* without TensorFlow in its name: 2.0 to 2.3 */
  CN_KERAS_1    /* and those of 2.x that say "lr" */
} cn_lineage;

/* The settings of all optimizers, the first member of each one's own. NaN: none. */
typedef struct cn_optimizer_settings {
  const cn_value *learning_rate; /* a number or a schedule */
  double weight_decay, clipnorm, clipvalue, global_clipnorm, ema_momentum, loss_scale_factor, decay;
  int64_t ema_overwrite_frequency, gradient_accumulation_steps; /* CN_NULL_INT: never */
  bool use_ema;
  const char *name;
  const cn_value *exclude_from_weight_decay; /* NULL or texts: parts of names */
  cn_lineage lineage;
} cn_optimizer_settings;

/* What is known of a variable before the first step. */
typedef struct cn_subject { const char *path; const cn_tensor *value; } cn_subject;

/* One variable in one step. Slots are what the optimizer keeps of it. */
typedef struct cn_update {
  const void *settings;
  double rate;               /* of learning, in this step */
  int64_t step;              /* from 1; of those that change variables */
  double scalar;             /* after the type's `advance` */
  cornu_dtype dtype;         /* float32 or float64, of all of them */
  int rank;
  const int64_t *shape;
  int64_t size;
  void *value, *slots[CN_MAX_SLOTS];
  void *gradient;
  const void *seconds;       /* NULL, or what stands for the gradient's squares (cn_seconds) */
} cn_update;

typedef struct cn_slot {
  const char *name;          /* as Keras 3 calls it */
  const char *older;         /* as tf.keras from 2.11 on, tf.keras before and Keras 2 call it; NULL: they have none */
  int group;                 /* groups are listed one behind the other, each by variable */
  double (*initial)(const void *settings); /* NULL: 0 */
} cn_slot;

/* Keras on TensorFlow hands the rows of an embedding's gradient to the optimizer one by one; what is squared there is
 * each row, not the sum of those that belong to the same token. */
typedef enum cn_seconds { CN_SECONDS_NONE, CN_SECONDS_SQUARES, CN_SECONDS_ABSOLUTE } cn_seconds;

/* tf.keras before 2.11 has a rule of its own for such rows; what comes of those that no token of the batch belongs to: as
 * with gradients of zero, nothing at all, or all but the step itself. */
typedef enum cn_unused { CN_UNUSED_ZERO, CN_UNUSED_LEFT, CN_UNUSED_STILL } cn_unused;

typedef struct cn_optimizer_type {
  const char *name, *aliases; /* Keras's class name; others, separated by spaces */
  const char *help;          /* the rule, and where it comes from */
  size_t settings_size;
  const cn_field *fields;    /* beside those of all optimizers, which they may replace */
  const char *older;         /* those that Keras 3 does not have, separated by spaces */
  const cn_slot *slots;      /* the last one has no name */
  const char *scalar, *older_scalar; /* names of a number that is kept, 1 at first; NULL: none. older: as cn_slot's */
  cn_seconds seconds;
  cn_unused (*unused)(const void *settings); /* NULL: CN_UNUSED_ZERO */
  bool own_decay;            /* "decay" is not that of the learning rate */
  /* Whether a variable has the slot; NULL: yes. */
  bool (*keeps)(const void *settings, int slot, const cn_subject *v);
  /* NULL: slots have the variable's shape. */
  void (*slot_shape)(int slot, const cn_tensor *value, int *rank, int64_t *shape);
  /* What is in the slots at the beginning, beyond their initial numbers; NULL: nothing. */
  void (*begin)(const cn_update *u);
  double (*weight_decay)(const void *settings, const cn_subject *v); /* NULL: the one of all */
  double (*advance)(const void *settings, double scalar, int64_t step); /* before the variables; NULL: none */
  /* Elements begin … end - 1; or all of a variable, on its own threads. Of one that wraps another: neither. */
  void (*update)(const cn_update *u, int64_t begin, int64_t end);
  cn_status (*update_all)(const cn_update *u, cn_error *e);
} cn_optimizer_type;

extern const cn_optimizer_type *const cn_optimizer_types[]; /* sorted by name */
extern const int cn_optimizer_type_total;

/* LossScaleOptimizer: steps whose gradients, times the scale, are not finite are passed over. */
typedef struct cn_loss_scale_settings {
  const cn_value *inner;
  double scale;
  int64_t growth;
  const char *name;
} cn_loss_scale_settings;
typedef struct cn_loss_scale {
  bool on;
  const char *name;
  double scale;
  int64_t count, growth;
} cn_loss_scale;

typedef struct cn_schedule cn_schedule;

typedef struct cn_optimizer {
  const cn_optimizer_type *type;
  void *settings;            /* in the arena; begins with cn_optimizer_settings */
  const cn_value *config;    /* as given; may be NULL */
  const cn_schedule *schedule; /* NULL: the rate is a number */
  double rate, scalar;
  int slots;
  cn_loss_scale loss_scale;
  struct cn_optimizer *inner; /* of MultiOptimizer: those by `patterns`, then the one of all other variables */
  const char **patterns;
  int n_inner;
} cn_optimizer;

static inline const cn_optimizer_settings *cn_optimizer_common(const cn_optimizer *o) { return o->settings; }

/* From a name or {class_name, config}. Keeps nothing of v. */
cn_status cn_optimizer_parse(const cn_value *v, cn_arena *arena, cn_optimizer *out, cn_error *e);
/* multi_optimizer.c: of one whose settings are parsed. */
cn_status cn_optimizer_parse_multi(cn_optimizer *o, cn_arena *arena, cn_error *e);
/* The order of its inner ones is that of their state: as in what a file says of the same patterns, if it does. */
void cn_optimizer_order(cn_optimizer *o, const cn_value *training_config);
/* Which of its inner ones a variable belongs to; 0 where there are none. */
cn_status cn_optimizer_choose(const cn_optimizer *o, const char *path, int *out, cn_error *e);
extern const cn_optimizer_type cn_optimizer_multi;
const cn_optimizer_type *cn_optimizer_find(const char *name); /* NULL: none */
/* {class_name, config} as it is now: as it was given, or as Keras 3 writes it. NULL: no memory. */
cn_value *cn_optimizer_config(const cn_optimizer *o, bool keras3, cn_arena *arena);
/* A class name without what is in front of ">" and "." in older files. */
const char *cn_plain_class(const char *name);

/* What is wanted of gradients that are sums over rows. */
cn_seconds cn_optimizer_seconds(const cn_optimizer *o);
cn_unused cn_optimizer_unused(const cn_optimizer *o);

/* What the loss is multiplied by before gradients are taken; 1: nothing. */
double cn_optimizer_loss_factor(const cn_optimizer *o);

/* The rate of step `iterations` + 1; Keras computes with it as a float32. */
double cn_optimizer_rate(const cn_optimizer *o, int64_t iterations);

#endif
