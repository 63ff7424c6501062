/* What recurrent ops and their gradients share. */
#ifndef CN_OPS_RECURRENT_H
#define CN_OPS_RECURRENT_H

#include "ops/op.h"
#include "ops/ops.h"

typedef enum cn_recurrent { CN_SIMPLE, CN_LSTM, CN_GRU } cn_recurrent;

static inline int cn_recurrent_gates(cn_recurrent k) { return k == CN_LSTM ? 4 : k == CN_GRU ? 3 : 1; }

/* What gradients need of a step, so many times the units for each row: the gates as cn_slope wants them; GRU with reset
 * after the product: what reset multiplies; LSTM: the cell state before the step; the state before it. Rows are in the
 * order (time, batch). */
static inline int cn_recurrent_kept(cn_recurrent k, const cn_rnn_attrs *a) {
  return cn_recurrent_gates(k) + 1 + (k == CN_LSTM || (k == CN_GRU && a->reset_after));
}

/* gradient() of the ops in rnn.c. */
void cn_recurrent_gradient(struct cn_gradient *g);

#endif
