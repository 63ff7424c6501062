/* The plans of a model, one for each set of input shapes and each thread that runs at the same moment. */
#ifndef CN_MODEL_PLANS_H
#define CN_MODEL_PLANS_H

#include <stdatomic.h>

#include "graph/plan.h"
#include "model/model.h"
#include "model/states.h"

/* A plan of the host. */
struct cornu_plan {
  cn_model *model;
  cn_plan *plan;
  cn_state_list states;
  cn_tensor **held;       /* the states now, and room for the next: the two swap after each run */
  const void **in_data;
  void **out_data;
  cn_type *types;         /* of inputs, outputs and states, which stay as they are */
  int n_states;
  unsigned revision;      /* of the model, when it was compiled */
  unsigned changes;       /* of all layers, when that was looked at last */
  struct cn_renewed *_Atomic next, *_Atomic old; /* see refresh.c */
};
/* any_batch: the first dimensions need not be those that the model fixes */
cn_status cn_plan_new(cn_model *m, const int64_t *const *shapes, bool any_batch, cornu_plan **out, cn_error *e);
/* cornu_plan_run in two parts, for those who run on the same tensors again and again. seconds: of each step, or NULL. */
cn_status cn_plan_point(cornu_plan *p, cn_tensor *const *inputs, cn_tensor *const *outputs, cn_error *e);
cn_status cn_plan_run_pointed(cornu_plan *p, cn_tensor *const *outputs, double *seconds, cn_error *e);
/* What goes before a run: the weights that the model has now. */
cn_status cn_plan_update(cornu_plan *p, cn_error *e);
void cn_plan_renewed_free(cornu_plan *p);
unsigned cn_model_revision(const cn_model *m); /* changes with any weight of its layers */

/* The type that input i takes x as: its dtype, and its rank where a last dimension of 1 may come or go. */
cn_status cn_model_check_input(const cn_model *m, int i, const cn_tensor *x, cn_type *type, cn_error *e);

void cn_plan_tell(const cn_plan *p, int i, cornu_step *out); /* of a step */
void cn_plan_cache_free(struct cn_plan_cache *c);
/* Lowers m for concrete input types into a new plan, whose last inputs and outputs are the states before and after.
 * sizes: those known so far that the data decides. *measures: the plan has one output, the next of these sizes; NULL: that
 * is an error. */
cn_status cn_model_compile(cn_model *m, const cn_type *inputs, const cn_sizes *sizes, bool *measures, cn_plan **out,
                           cn_state_list *states, cn_error *e);

#endif
