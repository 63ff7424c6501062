/* States: what stateful layers carry from run to run. Runs through cornu_model_predict share those of the layers; a
 * cornu_plan has its own. */
#ifndef CN_MODEL_STATES_H
#define CN_MODEL_STATES_H

#include "layers/layer.h"

/* The states that a plan reads and writes, in the order of its further inputs and outputs. On the heap. */
/* layer: borrowed from the model */
typedef struct cn_state_ref { cn_layer *layer; int index; cn_type type; } cn_state_ref;
typedef struct cn_state_list { cn_state_ref *items; int count; } cn_state_list;

cn_status cn_states_list(const cn_trace *t, cn_state_list *out, cn_error *e);
void cn_states_free(cn_state_list *list);

/* Before a run: held (2 * count entries) gets the layers' present states, or zeros, and new tensors for the next ones.
 */
cn_status cn_states_begin(const cn_state_list *list, cn_tensor **held, cn_error *e);
/* After it: the layers keep the new ones when the run succeeded. Releases what is held. */
void cn_states_end(const cn_state_list *list, cn_tensor **held, bool keep);

#endif
