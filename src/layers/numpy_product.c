/* keras.ops: products of keras.ops.numpy. */
#include "layers/operation.h"

/* Both in one float dtype. */
static void operands(cn_operation_call *c, const char *a, const char *b, cn_edge *x, cn_edge *y) {
  *x = cn_argument_tensor(c, a);
  *y = cn_argument_tensor(c, b);
  cornu_dtype d = cn_promote(cn_operation_type(c, *x)->dtype, cn_operation_type(c, *y)->dtype);
  if (d != CORNU_FLOAT64) d = CORNU_FLOAT32;
  *x = cn_emit_cast(c->t, *x, d);
  *y = cn_emit_cast(c->t, *y, d);
}

static void matmul(cn_operation_call *c) {
  cn_edge x, y;
  operands(c, "x1", "x2", &x, &y);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_matmul, NULL, x, y));
}

const cn_operation cn_operations_numpy_product[] = {
    {.name = "Matmul", .arguments = "x1 x2", .emit = matmul},
    {0}};
