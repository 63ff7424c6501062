/* keras.ops: choosing, sorting and indexing of keras.ops.numpy. */
#include "layers/operation.h"

static void where(cn_operation_call *c) {
  if (!cn_argument(c, "x1") || !cn_argument(c, "x2"))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "gives as many elements as there are true ones, which no plan can know: "
                  "give it x1 and x2");
  cn_edge condition = cn_argument_tensor(c, "condition"), a = cn_argument_tensor(c, "x1");
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, condition, a, cn_argument_tensor(c, "x2")));
}

const cn_operation cn_operations_numpy_select[] = {
    {.name = "Where", .arguments = "condition x1 x2", .emit = where},
    {0}};
