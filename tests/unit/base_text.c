/* Text: the growing string, shapes, nearest names, words of lists, UTF-8, snake case, maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/text.h"

static void test_builder(void **state) {
  (void)state;
  cn_text t = {0};
  cn_text_add(&t, "");
  assert_string_equal(t.data, "");
  cn_text_add(&t, "abc");
  cn_text_addf(&t, "[%d %s %.3g]", -7, "x", 0.125);
  cn_text_pad(&t, '.', 3);
  cn_text_add_bytes(&t, "a\0b", 3);
  assert_int_equal(t.length, 21);
  assert_memory_equal(t.data, "abc[-7 x 0.125]...a\0b", 22);
  cn_text_free(&t);
  assert_true(t.data == NULL && t.length == 0 && t.capacity == 0);
}

static void test_long_text(void **state) {
  (void)state;
  cn_text t = {0};
  for (int i = 0; i < 5000; i++) cn_text_addf(&t, "%d,", i % 10);
  assert_int_equal(t.length, 10000);
  assert_int_equal(strlen(t.data), 10000);
  assert_memory_equal(t.data + 9994, "7,8,9,", 7);
  cn_text_pad(&t, ' ', 100000);
  assert_int_equal(strlen(t.data), 110000);
  assert_false(t.failed);
  cn_text_pad(&t, ' ', SIZE_MAX / 2); /* no such memory: what is there stays, nothing more comes */
  assert_true(t.failed);
  cn_text_add(&t, "more");
  assert_int_equal(t.length, 110000);
  cn_text_free(&t);
  assert_int_equal(cornu_memory_used(), 0);
}

static void test_shapes(void **state) {
  (void)state;
  static const struct {
    int rank;
    int64_t shape[8];
    const char *text;
  } cases[] = {
      {0, {0}, "()"},
      {1, {5}, "(5,)"},
      {1, {-1}, "(?,)"},
      {2, {0, 3}, "(0, 3)"},
      {4, {-1, 28, 28, 3}, "(?, 28, 28, 3)"},
      {8, {1, 2, 3, 4, 5, 6, 7, 8}, "(1, 2, 3, 4, 5, 6, 7, 8)"},
      {2, {INT64_MAX, -1}, "(9223372036854775807, ?)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(CN_SHAPE(cases[i].rank, cases[i].shape), cases[i].text);
  int64_t large[8];
  for (int i = 0; i < 8; i++) large[i] = INT64_MAX;
  char buffer[CN_SHAPE_TEXT + 1];
  buffer[CN_SHAPE_TEXT] = 'x';
  assert_true(strlen(cn_shape_text(buffer, 8, large)) < CN_SHAPE_TEXT);
  assert_int_equal(buffer[CN_SHAPE_TEXT], 'x');
}

static void test_nearest_names(void **state) {
  (void)state;
  static const char layers[] = "Dense Conv2D MaxPooling2D  AveragePooling2D LSTM";
  static const struct {
    const char *name, *nearest;
  } cases[] = {
      {"Dense", "Dense"},
      {"dense", "Dense"}, /* letter case costs nothing */
      {"Dens", "Dense"},
      {"Danse", "Dense"},
      {"MaxPoling2D", "MaxPooling2D"},
      {"MaxPooling3D", "MaxPooling2D"},
      {"Conv2DD", "Conv2D"},
      {"LSTN", "LSTM"},
      {"LXYM", NULL}, /* two of four: more than a third */
      {"Embedding", NULL},
      {"", NULL},
      {"x", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[32] = "untouched";
    bool found = cn_nearest_name(cases[i].name, layers, out, sizeof out);
    if (found != (cases[i].nearest != NULL)) fail_msg("\"%s\": %s", cases[i].name, found ? out : "nothing found");
    if (found) assert_string_equal(out, cases[i].nearest);
  }
  char out[8], name[100];
  assert_false(cn_nearest_name("Dense", NULL, out, sizeof out));
  assert_false(cn_nearest_name("Dense", "", out, sizeof out));
  assert_false(cn_nearest_name("MaxPooling2D", layers, out, sizeof out)); /* has no room */
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = 0;
  assert_false(cn_nearest_name(name, name, out, sizeof out)); /* too long for the table */
}

static void test_words(void **state) {
  (void)state;
  static const char list[] = "same valid  causal full";
  static const struct {
    const char *word;
    int index;
  } cases[] = {{"same", 0},   {"valid", 1}, {"causal", 2}, {"full", 3}, {"ful", -1},
               {"fullx", -1}, {"", -1},     {" ", -1},     {"Same", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int at = -1;
    assert_int_equal(cn_word_in(list, cases[i].word, &at), cases[i].index >= 0);
    assert_int_equal(at, cases[i].index);
  }
  assert_true(cn_word_in(list, "full", NULL));
  assert_false(cn_word_in(NULL, "full", NULL));
}

#define BYTES(text) text, sizeof(text) - 1
static void test_utf8(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t length;
    bool valid;
  } cases[] = {
      {BYTES(""), true},
      {BYTES("plain\0text"), true},
      {BYTES("\x7f\xc2\x80\xdf\xbf"), true}, /* the ends of one and two bytes */
      {BYTES("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), true},
      {BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true},
      {BYTES("\x80"), false},
      {BYTES("a\xc3"), false}, /* cut */
      {BYTES("\xe2\x82"), false},
      {BYTES("\xf0\x9f\x98"), false},
      {BYTES("\xc3("), false},
      {BYTES("\xe2\x28\xa1"), false},
      {BYTES("\xe2\x82("), false},
      {BYTES("\xc0\x80"), false}, /* longer than needed */
      {BYTES("\xc1\xbf"), false},
      {BYTES("\xe0\x9f\xbf"), false},
      {BYTES("\xf0\x8f\xbf\xbf"), false},
      {BYTES("\xed\xa0\x80"), false}, /* half a pair */
      {BYTES("\xed\xbf\xbf"), false},
      {BYTES("\xf4\x90\x80\x80"), false}, /* beyond 10FFFF */
      {BYTES("\xf5\x80\x80\x80"), false},
      {BYTES("\xff"), false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (cn_utf8_valid(cases[i].text, cases[i].length) != cases[i].valid)
      fail_msg("case %zu: not %d", i, cases[i].valid);
}

/* Expected: what Keras's to_snake_case gives. */
static void test_snake_case(void **state) {
  (void)state;
  static const struct {
    const char *name, *snake;
  } cases[] = {{"MaxPooling2D", "max_pooling2d"},
               {"Dense", "dense"},
               {"LSTM", "lstm"},
               {"GRUCell", "gru_cell"},
               {"Conv2DTranspose", "conv2d_transpose"},
               {"BatchNormalization", "batch_normalization"},
               {"AbCdEf", "ab_cd_ef"},
               {"My_Layer", "my__layer"},
               {"ReLU", "re_lu"},
               {"PReLU", "p_re_lu"},
               {"ELU", "elu"},
               {"LeakyReLU", "leaky_re_lu"},
               {"my-layer 2", "mylayer2"},
               {"conv", "conv"},
               {"A", "a"},
               {"ABc", "a_bc"},
               {"SeparableConv1D", "separable_conv1d"},
               {"StackedRNNCells", "stacked_rnn_cells"},
               {"TFOpLambda", "tf_op_lambda"},
               {"a1B", "a1b"},
               {"a1Bc", "a1_bc"},
               {"_X", "_x"},
               {"HTMLParser2", "html_parser2"},
               {"", ""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[64];
    cn_snake_case(cases[i].name, out, sizeof out);
    assert_string_equal(out, cases[i].snake);
  }
  char small[8];
  cn_snake_case("BatchNormalization", small, sizeof small);
  assert_memory_equal(small, "batch", 5);
  assert_true(strlen(small) < sizeof small);
}

static void test_map(void **state) {
  (void)state;
  static char keys[500][16];
  cn_map m = {0};
  assert_null(cn_map_get(&m, "k"));
  for (int i = 0; i < 500; i++) {
    snprintf(keys[i], sizeof keys[i], "k%d", i);
    assert_true(cn_map_set(&m, keys[i], keys[i]));
  }
  assert_true(cn_map_set(&m, "k3", keys[4])); /* replaces */
  assert_int_equal(m.count, 500);
  for (int i = 0; i < 500; i++) assert_ptr_equal(cn_map_get(&m, keys[i]), i == 3 ? keys[4] : keys[i]);
  assert_null(cn_map_get(&m, "k500"));
  assert_null(cn_map_get(&m, ""));
  cn_map_free(&m);
  assert_int_equal(cornu_memory_used(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_builder),       cmocka_unit_test(test_long_text), cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_nearest_names), cmocka_unit_test(test_words),     cmocka_unit_test(test_utf8),
      cmocka_unit_test(test_snake_case),    cmocka_unit_test(test_map),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
