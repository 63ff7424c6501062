/* keras.ops: keras.ops.core. */
#include "layers/operation.h"

static void stop_gradient(cn_operation_call *c) { cn_operation_return(c, cn_argument_tensor(c, "variable")); }

const cn_operation cn_operations_core[] = {
    {.name = "Cast", .arguments = "x", .op = "cast"},
    {.name = "StopGradient", .arguments = "variable", .emit = stop_gradient},
    {0}};
