/* Parts that a config names for weights and results: initializers, regularizers, constraints. Each is one descriptor in
 * the table of its kind. A name that meant something else in an older Keras has a descriptor for that version. */
#ifndef CN_LAYERS_PART_H
#define CN_LAYERS_PART_H

#include "layers/layer.h"

/* Values for a weight. */
typedef struct cn_part_job {
  const void *settings;
  cornu_random *random;
  const cn_weight *weight;
} cn_part_job;

typedef struct cn_part_type {
  const char *name;         /* Keras's class name */
  const char *aliases;      /* functions and classes of any Keras that mean the same, separated by spaces */
  const char *versions;     /* in which Keras they do: "1 2 3" */
  cn_help help;
  unsigned settings_size;
  const cn_field *fields;
  /* Initializers: fills the contiguous float32 tensor `out`. */
  cn_status (*fill)(const cn_part_job *j, cn_tensor *out, cn_error *e);
  /* Regularizers: x to a scalar; constraints: a weight to that in its place. */
  cn_edge (*emit)(cn_trace *t, const void *settings, cn_edge x);
} cn_part_type;

/* Rows of field tables. */
#define CN_PART_ROW(key, other, words) \
  {.name = key, .aliases = other, .kind = CN_F_PART, .standard = "null", .help = CN_HELP(words)}
#define CN_REGULARIZER_ROW(of, other) CN_PART_ROW(of "_regularizer", other, "adds to the loss for its size")
#define CN_CONSTRAINT_ROW(of, other) CN_PART_ROW(of "_constraint", other, "what becomes of it after each step of training")
#define CN_WEIGHT_ROWS(of, regularizer, constraint) CN_REGULARIZER_ROW(of, regularizer), CN_CONSTRAINT_ROW(of, constraint)
#define CN_INITIALIZER_ROW(of, other, standard) CN_PART_ROW(of "_initializer", other, "how it begins; null: " standard)
#define CN_ACTIVITY_ROW CN_PART_ROW("activity_regularizer", NULL, "adds to the loss for the size of the results")
#define CN_KERNEL_ROWS                                                                                                 \
  CN_INITIALIZER_ROW("kernel", "init", "glorot_uniform"), CN_INITIALIZER_ROW("bias", NULL, "zeros"),                   \
  CN_WEIGHT_ROWS("kernel", "W_regularizer", "W_constraint"),                                                           \
  CN_WEIGHT_ROWS("bias", "b_regularizer", "b_constraint"), CN_ACTIVITY_ROW
#define CN_GAMMA_ROWS                                                                                                  \
  CN_INITIALIZER_ROW("beta", "beta_init", "zeros"), CN_INITIALIZER_ROW("gamma", "gamma_init", "ones"),                 \
  CN_WEIGHT_ROWS("beta", NULL, NULL), CN_WEIGHT_ROWS("gamma", NULL, NULL)

typedef struct cn_part { const cn_part_type *type; void *settings; } cn_part; /* type NULL: none */

/* Tables, ended by a descriptor without a name. */
extern const cn_part_type cn_initializers[], cn_regularizers[], cn_constraints[];

/* From a name, {class_name, config} or Keras 1's {name, …}, as that Keras meant it; null gives none. Settings are in the
 * arena, and borrow strings of v. */
cn_status cn_part_parse(cornu_part kind, const cn_value *v, const cn_origin *origin, cn_arena *arena, cn_part *out,
                        cn_error *e);

/* That all parts which the config names are there: a layer that somebody makes tells at once. */
cn_status cn_layer_check_parts(const cn_layer *l, cn_error *e);

/* Adds what the regularizer of a weight makes of it to the loss. */
void cn_layer_penalise_weight(cn_layer *l, cn_trace *t, int index);
/* The same of a result, where a model is trained; null: nothing. */
void cn_layer_penalise_result(cn_layer *l, cn_trace *t, const cn_value *regularizer, cn_edge y);
/* What the weight w becomes by its constraint. */
bool cn_layer_constrained(const cn_layer *l, int index);
cn_edge cn_layer_constrain(cn_layer *l, cn_trace *t, int index, cn_edge w);

#endif
