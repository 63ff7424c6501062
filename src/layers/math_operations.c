/* keras.ops: keras.ops.math. */
#include "layers/operation.h"

const cn_operation cn_operations_math[] = {
    {.name = "Logsumexp", .arguments = "x", .op = "logsumexp"},
    {.name = "Rsqrt", .arguments = "x", .op = "rsqrt"},
    {.name = "Erf", .arguments = "x", .op = "erf"},
    {.name = "Erfc", .arguments = "x", .op = "erfc"},
    {.name = "Erfinv", .arguments = "x", .op = "erfinv"},
    {.name = "Logdet", .arguments = "x", .op = "log_determinant"},
    {0}};
