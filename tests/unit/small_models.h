/* Small models as JSON, for tests of memory: between them they use most kinds of layers. Include after cmocka.h. */
#ifndef TESTS_SMALL_MODELS_H
#define TESTS_SMALL_MODELS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

#define SEQUENTIAL(layers) "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": [" layers "]}}"
#define LAYER(class_name, config) "{\"class_name\": \"" class_name "\", \"config\": {" config "}}"
#define INPUT(shape) "\"batch_input_shape\": [null, " shape "], "
#define CALL(of) "[[[\"" of "\", 0, 0, {}]]]"

/* clang-format off */
static const char convolutions[] = SEQUENTIAL(
    LAYER("Conv1D", INPUT("16, 3") "\"filters\": 4, \"kernel_size\": 3, \"padding\": \"same\"") ", "
    LAYER("BatchNormalization", "\"axis\": -1") ", " LAYER("MaxPooling1D", "\"pool_size\": 2") ", "
    LAYER("SeparableConv1D", "\"filters\": 5, \"kernel_size\": 3, \"activation\": \"softmax\"") ", "
    LAYER("GlobalAveragePooling1D", "\"name\": \"g\""));
static const char recurrent[] = SEQUENTIAL(
    LAYER("Masking", INPUT("6, 3") "\"mask_value\": 0.0") ", "
    LAYER("LSTM", "\"units\": 4, \"return_sequences\": true, \"stateful\": true") ", "
    LAYER("Bidirectional", "\"layer\": " LAYER("GRU", "\"units\": 3")) ", " LAYER("Dense", "\"units\": 2"));
static const char embedded[] = SEQUENTIAL(
    LAYER("Embedding", INPUT("5") "\"input_dim\": 7, \"output_dim\": 3, \"mask_zero\": true") ", "
    LAYER("TimeDistributed", "\"layer\": " LAYER("Dense", "\"units\": 2, \"activation\": \"tanh\"")) ", "
    LAYER("SimpleRNN", "\"units\": 4"));
static const char branches[] =
    "{\"class_name\": \"Model\", \"config\": {\"name\": \"m\", \"layers\": ["
    "{\"class_name\": \"InputLayer\", \"name\": \"x\", \"config\": {\"batch_input_shape\": [null, 6, 6, 2], \"name\": \"x\"}, "
    "\"inbound_nodes\": []}, "
    "{\"class_name\": \"Conv2DTranspose\", \"name\": \"a\", \"config\": {\"name\": \"a\", \"filters\": 2, \"kernel_size\": 3, "
    "\"padding\": \"same\"}, \"inbound_nodes\": " CALL("x") "}, "
    "{\"class_name\": \"DepthwiseConv2D\", \"name\": \"b\", \"config\": {\"name\": \"b\", \"kernel_size\": 3, "
    "\"padding\": \"same\"}, \"inbound_nodes\": " CALL("x") "}, "
    "{\"class_name\": \"Concatenate\", \"name\": \"c\", \"config\": {\"name\": \"c\", \"axis\": 1}, \"inbound_nodes\": "
    "[[[\"a\", 0, 0, {}], [\"b\", 0, 0, {}]]]}, "
    "{\"class_name\": \"UpSampling2D\", \"name\": \"u\", \"config\": {\"name\": \"u\", \"interpolation\": \"bilinear\"}, "
    "\"inbound_nodes\": " CALL("c") "}, "
    "{\"class_name\": \"LayerNormalization\", \"name\": \"n\", \"config\": {\"name\": \"n\"}, \"inbound_nodes\": " CALL("u") "}], "
    "\"input_layers\": [[\"x\", 0, 0]], \"output_layers\": [[\"n\", 0, 0], [\"b\", 0, 0]]}}";
/* clang-format on */

/* Writes JSON text to a file and its name to `path`, of SMALL_MODEL_PATH bytes; the caller removes it. */
enum { SMALL_MODEL_PATH = 32 };
static inline void small_model_write(const char *text, char *path) {
  strcpy(path, "/tmp/cornu-test-XXXXXX.json");
  FILE *f = fdopen(mkstemps(path, 5), "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static inline cornu_tensor *small_model_tensor(const cornu_port *port) {
  cornu_error e;
  cornu_tensor *t;
  if (cornu_tensor_new(port->dtype, port->rank, port->shape, &t, &e)) fail_msg("%s", e.message);
  return t;
}

#endif
