/* keras.ops: new arrays of keras.ops.numpy. */
#include "layers/operation.h"

static void filled(cn_operation_call *c, double v) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_fill_attrs a = {v, cn_operation_type(c, x)->dtype};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_full_like, &a, x));
}
static void zeros_like(cn_operation_call *c) { filled(c, 0); }
static void ones_like(cn_operation_call *c) { filled(c, 1); }

const cn_operation cn_operations_numpy_make[] = {
    {.name = "ZerosLike EmptyLike", .arguments = "x", .emit = zeros_like},
    {.name = "OnesLike", .arguments = "x", .emit = ones_like},
    {0}};
