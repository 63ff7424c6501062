/* Plans of the host after their model has got other weights. Who runs a plan swaps it for one that is compiled anew; that
 * may be made by another thread in advance. */
#include <string.h>

#include "model/plans.h"

/* What a plan had before it was swapped, or will have. */
typedef struct cn_renewed {
  cn_plan *plan;
  cn_state_list states;
  unsigned revision, changes;
  struct cn_renewed *older;
} cn_renewed;

static void free_renewed(cn_renewed *r) {
  for (cn_renewed *older; r; r = older) {
    older = r->older;
    cn_plan_free(r->plan);
    cn_states_free(&r->states);
    cn_free(r);
  }
}

void cn_plan_renewed_free(cornu_plan *p) {
  free_renewed(atomic_load(&p->next));
  free_renewed(atomic_load(&p->old));
}

static bool same_type(const cn_type *a, const cn_type *b) {
  return a->dtype == b->dtype && cn_shape_equal(a->rank, a->shape, b->rank, b->shape);
}

/* The host's buffers, and the states, have to fit: a layer may have been adapted to other data. */
static cn_status check_types(const cornu_plan *p, const cn_renewed *r, cn_error *e) {
  const cn_type *want = p->types + p->model->n_inputs;
  bool same = r->states.count == p->n_states;
  for (int i = 0; i < p->model->n_outputs && same; i++) same = same_type(want++, cn_plan_output_type(r->plan, i));
  for (int i = 0; i < p->n_states && same; i++) same = same_type(want++, &r->states.items[i].type);
  if (same) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%s: its outputs or states have other shapes since a layer changed: make the plan or "
                 "runner anew", p->model->name);
}

/* By a thread that may read the weights. */
static cn_status renew(cornu_plan *p, cn_renewed **out, cn_error *e) {
  cn_renewed *r = *out = cn_calloc(1, sizeof *r);
  if (!r) return cn_no_memory(e);
  r->changes = cn_layer_changes();
  r->revision = cn_model_revision(p->model);
  cn_status status = cn_model_compile(p->model, p->types, NULL, NULL, &r->plan, &r->states, e);
  if (!status) status = check_types(p, r, e);
  if (status) free_renewed(r), *out = NULL;
  return status;
}

static void swap(cornu_plan *p, cn_renewed *r) {
  const cn_renewed old = {p->plan, p->states, p->revision, p->changes, NULL};
  p->plan = r->plan, p->states = r->states, p->revision = r->revision, p->changes = r->changes;
  *r = old;
}

/* What was made in advance. Nothing is freed here, which would wait for a plan that is being compiled. */
static void take_next(cornu_plan *p) {
  cn_renewed *r = atomic_exchange(&p->next, NULL);
  if (!r) return;
  swap(p, r);
  r->older = atomic_exchange(&p->old, NULL);
  atomic_store(&p->old, r);
}

cn_status cn_plan_update(cornu_plan *p, cn_error *e) {
  if (atomic_load_explicit(&p->next, memory_order_relaxed)) take_next(p);
  if (p->changes == cn_layer_changes() || !cn_weights_look(p->changes)) return CORNU_OK;
  const unsigned changes = cn_layer_changes();
  cn_status status = CORNU_OK;
  cn_renewed *r = NULL;
  if (p->revision == cn_model_revision(p->model)) p->changes = changes;
  else status = renew(p, &r, e);
  if (r) swap(p, r);
  free_renewed(r);
  cornu_weights_end();
  return status;
}

cornu_status cornu_plan_refresh(cornu_plan *p, cornu_error *e) {
  cn_renewed *r;
  free_renewed(atomic_exchange(&p->old, NULL));
  cn_weights_wait();
  cn_status status = renew(p, &r, e);
  cornu_weights_end();
  if (!status) free_renewed(atomic_exchange(&p->next, r));
  return status;
}
