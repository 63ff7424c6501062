/* What the files of the trainer share. */
#ifndef CN_TRAIN_TRAINER_H
#define CN_TRAIN_TRAINER_H

#include "graph/plan.h"
#include "model/model.h"
#include "model/states.h"
#include "train/optimizer.h"

/* A weight of the model. */
typedef struct cn_variable {
  cn_layer *layer;
  int index;
  const char *path;           /* "conv1/kernel" */
  bool trains;
  int optimizer;              /* which of the inner ones, if there are any */
  /* Of those that train; without need for them: NULL. */
  cn_tensor *gradient, *seconds, *slots[CN_MAX_SLOTS], *average, *accumulator;
  cn_tensor *used;            /* how many rows of the gradient came to each element: see cn_unused */
  double decay;               /* of the weight; NaN: none */
  bool clipped;               /* by value, row by row, in the plan */
} cn_variable;

typedef enum cn_source { CN_FROM_CALLER, CN_FROM_VARIABLE, CN_FROM_STATE, CN_FROM_RUN } cn_source;
typedef struct cn_feed { cn_source source; int index; } cn_feed; /* of an input of the plan */
/* A variable that the plan itself gives its next value: statistics. */
typedef struct cn_moved { int variable; cn_tensor *next; } cn_moved;

typedef struct cn_part cn_part; /* step.c */

/* What a batch is run for: results alone, a step of the optimizer, or the outputs as they are in training. */
typedef enum cn_kind { CN_TESTS, CN_TRAINS, CN_CALLS } cn_kind;

/* The plan for one set of shapes. Its outputs: results, gradients of `trained`, `rows`, `moved`, states. */
typedef struct cn_program {
  cn_plan *plan;
  cn_kind kind;
  int n_types, n_feeds, n_results, n_trained, n_rows, n_moved;
  cn_type *types;
  cn_feed *feeds;
  int *trained;               /* variables */
  cn_tensor **rows;           /* what the optimizer wants to know of their rows: `seconds` and `used` of variables */
  cn_part *parts;             /* one for each that is trained */
  cn_moved *moved;
  cn_state_list states;
  struct cn_program *next;
} cn_program;

/* Weights with a constraint: the plan that applies all, and where it puts the results. */
typedef struct cn_constraints {
  cn_plan *plan;
  int n, *variables;
  cn_tensor **next;
} cn_constrained;

struct cornu_trainer {
  cn_arena arena;
  cn_model *model;
  cornu_objective objective;
  cn_optimizer optimizer;
  cn_variable *variables;
  int n_variables, cap_variables;
  bool begun;           /* there is room for what training needs of the variables */
  int64_t steps, runs;
  cn_program *programs; /* those used last first */
  double *seconds;      /* NULL, or room for those of each step of the plan that runs, and of the optimizer */
  cn_constrained constraints;
};

static inline cn_tensor *cn_variable_value(const cn_variable *v) { return v->layer->weights[v->index].value; }
static inline const cn_optimizer *cn_variable_optimizer(const cornu_trainer *t, const cn_variable *v) {
  return t->optimizer.n_inner ? &t->optimizer.inner[v->optimizer] : &t->optimizer;
}
int cn_variable_find(const cornu_trainer *t, const void *layer, int index); /* -1: none */

/* objective.c: the objective on symbols of outputs and of what is given, and edges of its results. */
enum { CN_MAX_RESULTS = 64 };
void cn_objective_trace(const cornu_objective *o, cn_trace *trace, bool training, const cn_sym *outputs, int n_outputs,
                        const cn_edge *given, int n_given, cn_edge *results, int *n_results);

/* program.c: the one for these inputs and given tensors, made when there is none yet. */
cn_status cn_program_find(cornu_trainer *t, cn_kind kind, const cn_type *types, int n, cn_program **out, cn_error *e);
void cn_program_free(cn_program *p);

/* step.c: one step of the optimizer against the gradients. */
cn_part *cn_parts_new(int n);
cn_status cn_trainer_step(cornu_trainer *t, const cn_program *p, cn_error *e);
/* What the optimizer keeps of the variables, as it is before the first step: made when it is first needed, which is never
 * where a model is evaluated alone. */
cn_status cn_trainer_begin(cornu_trainer *t, cn_error *e);
void cn_variable_free(cn_variable *v);

/* constrain.c: what constraints make of weights, after a step. */
cn_status cn_constraints_new(const cornu_trainer *t, cn_constrained *c, cn_error *e);
cn_status cn_constrain(const cornu_trainer *t, cn_constrained *c, cn_error *e);
void cn_constraints_free(cn_constrained *c);

#endif
