/* keras.ops: activations of keras.ops.nn. */
#include "layers/operation.h"

#define OP1(class, op_name) {.name = class, .arguments = "x", .op = op_name}

const cn_operation cn_operations_nn_activation[] = {
    OP1("Relu", "relu"),
    OP1("Relu6", "relu6"),
    OP1("Sigmoid", "sigmoid"),
    OP1("Softplus", "softplus"),
    OP1("Softsign", "softsign"),
    OP1("Silu", "silu"),
    OP1("LeakyRelu", "leaky_relu"),
    OP1("HardSilu", "hard_silu"),
    OP1("Elu", "elu"),
    OP1("Selu", "selu"),
    OP1("Gelu", "gelu"),
    OP1("Celu", "celu"),
    OP1("Softmax", "softmax"),
    OP1("LogSoftmax", "log_softmax"),
    OP1("Sparsemax", "sparsemax"),
    {0}};
