/* Recurrent layers, wrappers, masking and embedding on numbers that a pencil can check. */
#include "layer_run.h"

/* h = x + h: running sums. */
#define SUM_CONFIG "\"units\": 1, \"activation\": \"linear\", \"use_bias\": false"
#define SUM(more) "{\"class_name\": \"SimpleRNN\", \"config\": {\"name\": \"r\", " SUM_CONFIG more "}}"
#define SUM_WEIGHTS {A2(1, 1, 1), A2(1, 1, 1)}

static void simple_rnn(void **state) {
  (void)state;
  layer_run last = {.json = SUM(""), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 10, 100)}, .weights = SUM_WEIGHTS};
  EXPECT(&last, A2(1, 1, 111));
  layer_run all = {.json = SUM(", \"return_sequences\": true, \"return_state\": true"), .origin = KERAS3,
                   .in = {A3(1, 3, 1, 1, 10, 100)}, .weights = SUM_WEIGHTS};
  EXPECT(&all, A3(1, 3, 1, 1, 11, 111), A2(1, 1, 111));
  layer_run back = {.json = SUM(", \"return_sequences\": true, \"go_backwards\": true"), .origin = KERAS3,
                    .in = {A3(1, 3, 1, 1, 10, 100)}, .weights = SUM_WEIGHTS};
  EXPECT(&back, A3(1, 3, 1, 100, 110, 111)); /* in processing order */
  layer_run begun = {.json = SUM(""), .origin = KERAS2, .in = {A3(1, 2, 1, 1, 10), A2(1, 1, 1000)},
                 .weights = SUM_WEIGHTS};
  EXPECT(&begun, A2(1, 1, 1011));
  layer_run time_major = {.json = SUM(", \"return_sequences\": true, \"time_major\": true"), .origin = TFKERAS,
                          .in = {A3(2, 2, 1, 1, 2, 10, 20)}, .weights = SUM_WEIGHTS};
  EXPECT(&time_major, A3(2, 2, 1, 1, 2, 11, 22));
}

static void masks(void **state) {
  (void)state;
  layer_run carried = {.json = SUM(", \"return_sequences\": true"), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 1, 1)},
                       .mask = {A2(1, 3, 1, 1, 0)}, .weights = SUM_WEIGHTS};
  EXPECT(&carried, A3(1, 3, 1, 1, 2, 2));
  EXPECT_MASK(&carried, 0, A2(1, 3, 1, 1, 0));
  layer_run late = {.json = SUM(", \"return_sequences\": true"), .origin = KERAS3, .in = {A3(1, 3, 1, 5, 1, 1)},
                    .mask = {A2(1, 3, 0, 1, 1)}, .weights = SUM_WEIGHTS};
  EXPECT(&late, A3(1, 3, 1, 0, 1, 2)); /* zeros before the first step that counts */
  layer_run zeroed = {.json = SUM(", \"return_sequences\": true, \"zero_output_for_mask\": true"), .origin = KERAS3,
                      .in = {A3(1, 3, 1, 1, 1, 1)}, .mask = {A2(1, 3, 1, 1, 0)}, .weights = SUM_WEIGHTS};
  EXPECT(&zeroed, A3(1, 3, 1, 1, 2, 0));
  layer_run wide = {.json = SUM(""), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 1, 1)}, .mask = {A3(1, 3, 1, 1, 1, 0)},
                 .weights = SUM_WEIGHTS};
  EXPECT(&wide, A2(1, 1, 2));
  expect_mask(&wide, 0, NULL);
}

#define BIDIRECTIONAL(mode) \
  "{\"class_name\": \"Bidirectional\", \"config\": {\"name\": \"b\", \"merge_mode\": " mode ", \"layer\": " \
      "" SUM(", \"return_sequences\": true") "}}"
#define TWO_SUM_WEIGHTS {A2(1, 1, 1), A2(1, 1, 1), A2(1, 1, 1), A2(1, 1, 1)}

static void bidirectional(void **state) {
  (void)state;
  layer_run concat = {.json = BIDIRECTIONAL("\"concat\""), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 10, 100)},
                 .weights = TWO_SUM_WEIGHTS};
  EXPECT(&concat, A3(1, 3, 2, 1, 111, 11, 110, 111, 100));
  layer_run sum = {.json = BIDIRECTIONAL("\"sum\""), .origin = KERAS1, .in = {A3(1, 3, 1, 1, 10, 100)},
                 .weights = TWO_SUM_WEIGHTS};
  EXPECT(&sum, A3(1, 3, 1, 112, 121, 211));
  layer_run two = {.json = BIDIRECTIONAL("null"), .origin = KERAS2, .in = {A3(1, 3, 1, 1, 10, 100)},
                 .weights = TWO_SUM_WEIGHTS};
  EXPECT(&two, A3(1, 3, 1, 1, 11, 111), A3(1, 3, 1, 111, 110, 100));
  /* Masked steps: zeros in tf.keras and Keras 3, carried over before (the backward layer meets them first: zeros). */
  layer_run zeros = {.json = BIDIRECTIONAL("\"concat\""), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 1, 1)},
                 .mask = {A2(1, 3, 1, 1, 0)},
                     .weights = TWO_SUM_WEIGHTS};
  EXPECT(&zeros, A3(1, 3, 2, 1, 2, 2, 1, 0, 0));
  layer_run carried = {.json = BIDIRECTIONAL("\"concat\""), .origin = KERAS2, .in = {A3(1, 3, 1, 1, 1, 1)},
                 .mask = {A2(1, 3, 1, 1, 0)},
                       .weights = TWO_SUM_WEIGHTS};
  EXPECT(&carried, A3(1, 3, 2, 1, 2, 2, 1, 2, 0));
  EXPECT_MASK(&carried, 0, A2(1, 3, 1, 1, 0));
}

/* One unit, one feature, linear: gates i f c o take 1, 0, 2, 3 times x. c = 2 x², h = 6 x³ after one step. */
#define LSTM(class, more) \
  "{\"class_name\": \"" class "\", \"config\": {\"name\": \"l\", \"units\": 1, \"activation\": \"linear\", " \
      "\"recurrent_activation\": \"linear\"" more "}}"

static void lstm(void **state) {
  (void)state;
  layer_run r = {.json = LSTM("LSTM", ", \"return_state\": true"), .origin = KERAS3, .in = {A3(2, 1, 1, 1, 2)},
                 .weights = {A2(1, 4, 1, 0, 2, 3), A2(1, 4, 0, 0, 0, 0), A1(4, 0, 0, 0, 0)}};
  EXPECT(&r, A2(2, 1, 6, 48), A2(2, 1, 6, 48), A2(2, 1, 2, 8));
  layer_run begun = {.json = LSTM("LSTM", ", \"return_state\": true"), .origin = KERAS3,
                     .in = {A3(1, 1, 1, 1), A2(1, 1, 0), A2(1, 1, 100)},
                     .weights = {A2(1, 4, 1, 0, 2, 3), A2(1, 4, 0, 0, 0, 0),
                         A1(4, 0, 1, 0, 0)}}; /* f = 1 keeps c = 100 */
  EXPECT(&begun, A2(1, 1, 306), A2(1, 1, 306), A2(1, 1, 102));
  layer_run one = {.json = LSTM("LSTM", ""), .origin = KERAS3, .in = {A3(1, 1, 1, 1), A2(1, 1, 0)},
                   .weights = {A2(1, 4, 1, 0, 2, 3), A2(1, 4, 0, 0, 0, 0), A1(4, 0, 1, 0, 0)}};
  expect_failure(&one, CORNU_ERR_SHAPE, "1 initial states", "2 states");
}

/* Keras 1 keeps W, U, b for each of i, c, f, o. */
static void keras1_lstm(void **state) {
  (void)state;
  layer_run r = {.json = "{\"class_name\": \"LSTM\", \"config\": {\"name\": \"l\", \"output_dim\": 1, "
      "\"activation\": \"linear\", "
                         "\"inner_activation\": \"linear\", \"inner_init\": \"orthogonal\", \"forget_bias_init\": "
                             "\"one\", \"consume_less\": \"cpu\", "
                         "\"input_dim\": 1, \"input_length\": null, \"dropout_W\": 0.5, \"dropout_U\": 0.5, "
                             "\"W_regularizer\": null}}",
                 .origin = KERAS1, .in = {A3(1, 1, 1, 1)},
                 .weights = {A2(1, 1, 1), A2(1, 1, 0), A1(1, 0), A2(1, 1, 2), A2(1, 1, 0), A1(1, 0),
                             A2(1, 1, 0), A2(1, 1, 0), A1(1, 50), A2(1, 1, 3), A2(1, 1, 0), A1(1, 0)}};
  EXPECT(&r, A2(1, 1, 6)); /* the forget gate's 50 multiplies c = 0 */
}

/* z = 0.5 x, r = h, h~ = x + (r h) 2 or, with reset_after, x + r (2 h + 1): h' = z h + (1 - z) h~. */
#define GRU(more) "{\"class_name\": \"GRU\", \"config\": {\"name\": \"g\", \"units\": 1, \"activation\": " \
    "\"linear\", \"recurrent_activation\": \"linear\"" more "}}"
#define GRU_KERNELS A2(1, 3, 0.5F, 0, 1), A2(1, 3, 0, 1, 2)

static void gru(void **state) {
  (void)state;
  layer_run before = {.json = GRU(", \"reset_after\": false"), .origin = KERAS3, .in = {A3(1, 1, 1, 1), A2(1, 1, 3)},
                      .weights = {GRU_KERNELS, A1(3, 0, 0, 0)}};
  EXPECT(&before, A2(1, 1, 0.5F * 3 + 0.5F * (1 + 9 * 2)));
  layer_run after = {.json = GRU(", \"reset_after\": true"), .origin = KERAS3, .in = {A3(1, 1, 1, 1), A2(1, 1, 3)},
                     .weights = {GRU_KERNELS, A2(2, 3, 0, 0, 0, 0, 0, 1)}};
  EXPECT(&after, A2(1, 1, 0.5F * 3 + 0.5F * (1 + 3 * (6 + 1))));
  /* The key is missing: the bias of the file decides. */
  layer_run told = {.json = GRU(""), .origin = KERAS2, .in = {A3(1, 1, 1, 1), A2(1, 1, 3)},
                    .weights = {GRU_KERNELS, A2(2, 3, 0, 0, 0, 0, 0, 1)}};
  EXPECT(&told, A2(1, 1, 0.5F * 3 + 0.5F * (1 + 3 * (6 + 1))));
}

/* cuDNN's layout (two features, three units; a gate's block: the bytes of the transposed matrix) against the plain
 * one. */
#define CUDNN_KERNEL A2(2, 12, 0.1F, 0.2F, 0.3F, 0.1F, 0.2F, 0.3F, 0.1F, 0.2F, 0.3F, 0.1F, 0.2F, 0.3F, \
                               0.4F, 0.5F, 0.6F, 0.4F, 0.5F, 0.6F, 0.4F, 0.5F, 0.6F, 0.4F, 0.5F, 0.6F)
#define PLAIN_KERNEL A2(2, 12, 0.1F, 0.3F, 0.5F, 0.1F, 0.3F, 0.5F, 0.1F, 0.3F, 0.5F, 0.1F, 0.3F, 0.5F, \
                               0.2F, 0.4F, 0.6F, 0.2F, 0.4F, 0.6F, 0.2F, 0.4F, 0.6F, 0.2F, 0.4F, 0.6F)
#define CUDNN_RECURRENT A2(3, 12, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1)
#define PLAIN_RECURRENT A2(3, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, \
    0, 1, 0, 0, 1, 0, 0, 1, 0)
#define CUDNN_BIAS A1(24, 0.1F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.2F)
#define PLAIN_BIAS A1(12, 0.3F)
#define CUDNN_IN {A3(1, 2, 2, 0.3F, -0.7F, 0.9F, 0.2F)}

static void cudnn(void **state) {
  (void)state;
#define CUDNN(class, more) "{\"class_name\": \"" class "\", \"config\": {\"name\": \"l\", \"units\": 3, " \
    "\"return_sequences\": true" more "}}"
  layer_run plain = {.json = CUDNN("LSTM", ", \"recurrent_activation\": \"sigmoid\""), .origin = KERAS2, .in = CUDNN_IN,
                     .weights = {PLAIN_KERNEL, PLAIN_RECURRENT, PLAIN_BIAS}};
  layer_run class = {.json = CUDNN("CuDNNLSTM", ""), .origin = KERAS2, .in = CUDNN_IN,
                 .weights = {CUDNN_KERNEL, CUDNN_RECURRENT, CUDNN_BIAS}};
  layer_run to_plain = {.json = CUDNN("LSTM", ", \"recurrent_activation\": \"sigmoid\""), .origin = KERAS2,
                 .in = CUDNN_IN,
                        .weights = {CUDNN_KERNEL, CUDNN_RECURRENT, CUDNN_BIAS}};
  layer_run to_class = {.json = CUDNN("CuDNNLSTM", ""), .origin = KERAS2, .in = CUDNN_IN,
                 .weights = {PLAIN_KERNEL, PLAIN_RECURRENT, PLAIN_BIAS}};
  run_layer(&plain);
  assert_int_equal(plain.status, CORNU_OK);
  EXPECT(&class, plain.out[0]);
  EXPECT(&to_plain, plain.out[0]);
  EXPECT(&to_class, plain.out[0]);
  layer_run refused = {.json = "{\"class_name\": \"CuDNNGRU\", \"config\": {\"name\": \"g\", \"units\": 1}}",
                 .origin = KERAS2,
                       .in = {A3(1, 1, 1, 1)}, .weights = {GRU_KERNELS, A1(3, 0, 0, 0)}};
  expect_failure(&refused, CORNU_ERR_UNSUPPORTED, "reset_after", "CuDNNGRU");
}

#define CELL "{\"class_name\": \"SimpleRNNCell\", \"config\": {\"name\": \"c\", " SUM_CONFIG "}}"
#define STACK(more) \
  "{\"class_name\": \"RNN\", \"config\": {\"name\": \"r\", \"cell\": {\"class_name\": \"StackedRNNCells\", " \
  "\"config\": {\"name\": \"s\", \"cells\": [" CELL ", " CELL "]}}, \"return_sequences\": true, " \
  "\"return_state\": true" more "}}"

static void stacked(void **state) {
  (void)state;
  layer_run r = {.json = STACK(""), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 10, 100)}, .weights = TWO_SUM_WEIGHTS};
  EXPECT(&r, A3(1, 3, 1, 1, 12, 123), A2(1, 1, 111), A2(1, 1, 123));
  layer_run back = {.json = STACK(", \"go_backwards\": true"), .origin = KERAS3, .in = {A3(1, 3, 1, 1, 10, 100)},
                    .mask = {A2(1, 3, 1, 1, 0)}, .weights = TWO_SUM_WEIGHTS};
  EXPECT(&back, A3(1, 3, 1, 0, 10, 21), A2(1, 1, 11), A2(1, 1, 21));
  /* Before Keras 2.2.3 the states of the last cell come first. */
  layer_run old = {.json = STACK(""), .origin = {.keras = 2, .minor = 1, .patch = 6},
                 .in = {A3(1, 1, 1, 1), A2(1, 1, 10), A2(1, 1, 100)},
                   .weights = TWO_SUM_WEIGHTS};
  EXPECT(&old, A3(1, 1, 1, 111), A2(1, 1, 111), A2(1, 1, 101));
  layer_run custom = {.json = "{\"class_name\": \"RNN\", \"config\": {\"name\": \"r\", \"cell\": {\"class_name\": "
      "\"Dense\", \"config\": {\"name\": \"d\", \"units\": 1}}}}",
                      .origin = KERAS3, .in = {A3(1, 1, 1, 1)}};
  expect_failure(&custom, CORNU_ERR_UNSUPPORTED, "Dense", "LSTMCell");
}

static void time_distributed(void **state) {
  (void)state;
  layer_run r = {.json = "{\"class_name\": \"TimeDistributed\", \"config\": {\"name\": \"t\", \"layer\": " SUM("")
      "}}", .origin = KERAS3,
                 .in = {A4(1, 2, 3, 1, 1, 10, 100, 2, 20, 200)}, .mask = {A2(1, 2, 1, 0)}, .weights = SUM_WEIGHTS};
  EXPECT(&r, A3(1, 2, 1, 111, 222));
  EXPECT_MASK(&r, 0, A2(1, 2, 1, 0));
  /* A mask of the inner steps goes in; what is left of it outside is any() in tf.keras. */
  layer_run inner = {.json = "{\"class_name\": \"TimeDistributed\", \"config\": {\"name\": \"t\", \"layer\": "
      "" SUM("") "}}", .origin = TFKERAS,
                     .in = {A4(1, 2, 3, 1, 1, 10, 100, 2, 20, 200)}, .mask = {A3(1, 2, 3, 1, 0, 1, 0, 0, 0)},
                         .weights = SUM_WEIGHTS};
  EXPECT(&inner, A3(1, 2, 1, 101, 0));
  EXPECT_MASK(&inner, 0, A2(1, 2, 1, 0));
}

static void masking(void **state) {
  (void)state;
  layer_run r = {.json = "{\"class_name\": \"Masking\", \"config\": {\"name\": \"m\", \"mask_value\": -1.0}}",
                 .origin = KERAS2,
                 .in = {A3(1, 3, 2, -1, -1, -1, 5, 0, 0)}};
  EXPECT(&r, A3(1, 3, 2, 0, 0, -1, 5, 0, 0));
  EXPECT_MASK(&r, 0, A2(1, 3, 0, 1, 1));
  layer_run nan = {.json = "{\"class_name\": \"Masking\", \"config\": {\"name\": \"m\", \"mask_value\": "
      "{\"class_name\": \"__tensor__\", "
                           "\"config\": {\"value\": [1.0, 2.0], \"dtype\": \"float32\"}}}}", .origin = KERAS3,
                   .in = {A3(1, 2, 2, 1, 2, 2, 1)}};
  EXPECT(&nan, A3(1, 2, 2, 0, 0, 2, 1));
}

static void embedding(void **state) {
  (void)state;
  layer_run r = {.json = "{\"class_name\": \"Embedding\", \"config\": {\"name\": \"e\", \"input_dim\": 3, "
      "\"output_dim\": 2, \"mask_zero\": true}}",
                 .origin = KERAS3, .in = {A2(1, 3, 2.9F, 0, 1)}, .weights = {A2(3, 2, 1, 2, 3, 4, 5, 6)}};
  EXPECT(&r, A3(1, 3, 2, 5, 6, 1, 2, 3, 4));
  EXPECT_MASK(&r, 0, A2(1, 3, 1, 0, 1));
#define QUANTIZED(class, mode) \
  "{\"class_name\": \"Embedding\", \"config\": {\"name\": \"e\", \"input_dim\": 2, \"output_dim\": 3, " \
  "\"dtype\": {\"class_name\": \"" class "\", \"config\": {\"mode\": \"" mode "\", \"source_name\": \"float32\"}}}}"
  layer_run int8 = {.json = QUANTIZED("QuantizedDTypePolicy", "int8"), .origin = KERAS3, .in = {A2(1, 2, 1, 0)},
                    .weights = {A2(2, 3, 127, -127, 0, 64, 2, -4), A1(2, 127, 2)}};
  EXPECT(&int8, A3(1, 2, 3, 32, 1, -2, 1, -1, 0));
  /* Bytes hold two columns, the first in the low half: -1 | 7 << 4 = 0x7f, -8 in the low half = 0x08. */
  layer_run int4 = {.json = QUANTIZED("Int4DTypePolicy", "int4/2"), .origin = KERAS3, .in = {A2(1, 1, 1)},
                    .weights = {A2(2, 2, 0, 0, 0x7f, 0x08), A2(2, 2, 1, 1, 0.5F, 2), A2(2, 2, 0, 0, 1, -8),
                        A1(3, 0, 0, 1)}};
  EXPECT(&int4, A3(1, 1, 3, -1, 3, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(simple_rnn), cmocka_unit_test(masks), cmocka_unit_test(bidirectional), cmocka_unit_test(lstm),
      cmocka_unit_test(keras1_lstm), cmocka_unit_test(gru), cmocka_unit_test(cudnn), cmocka_unit_test(stacked),
      cmocka_unit_test(time_distributed), cmocka_unit_test(masking), cmocka_unit_test(embedding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
