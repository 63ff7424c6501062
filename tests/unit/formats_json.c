/* JSON as Python writes it, to values and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/value.h"

static cn_value *parse(cornu_tree *tree, const char *text) {
  cn_value *v;
  cn_error e;
  if (cornu_json_read(tree, text, strlen(text), &v, &e)) fail_msg("%s: %s", text, e.message);
  return v;
}

/* Written text of what was read: numbers, order of keys and texts survive. */
static void test_round_trips(void **state) {
  (void)state;
  static const char *const same[] = {
      "null", "true", "false", "0", "-0.0", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993",
      "1.5", "0.1", "1e+300", "5e-324", "0.0010000000474974513", "NaN", "Infinity", "-Infinity", "\"\"", "\"gr\xc3\xbcn\"",
      "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f/\"", "\"\xee\x80\x80#1\"", "[]", "{}", "[1, [2.0, {\"b\": 1, \"a\": []}], \"x\"]"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    cornu_tree *tree = cornu_tree_new();
    const char *text;
    assert_int_equal(cornu_json_write(tree, parse(tree, same[i]), 0, &text, NULL), CORNU_OK);
    assert_string_equal(text, same[i]);
    cornu_tree_free(tree);
  }
}

static void test_reading(void **state) {
  (void)state;
  cornu_tree *tree = cornu_tree_new();
  assert_int_equal(parse(tree, " 7 ")->kind, CORNU_INT);
  assert_int_equal(parse(tree, "7.0")->kind, CORNU_FLOAT);
  assert_int_equal(parse(tree, "9223372036854775808")->kind, CORNU_FLOAT);
  assert_true(parse(tree, "18446744073709551615")->f == 18446744073709551615.0);
  assert_true(parse(tree, "-9223372036854775808")->i == INT64_MIN);
  assert_true(isinf(parse(tree, "1e999")->f));
  assert_true(parse(tree, "2.5E-3")->f == 2.5e-3);
  assert_string_equal(parse(tree, "\"\\u00fc\\u20AC\\ud83d\\ude00\\/\"")->s, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80/");
  assert_string_equal(parse(tree, "\"\\ud800x\"")->s, "\xef\xbf\xbdx"); /* half a pair */
  cn_value *text = parse(tree, "\"a\\u0000b\"");
  assert_true(text->count == 3 && memcmp(text->s, "a\0b", 4) == 0);
  cn_value *dict = parse(tree, "\xef\xbb\xbf{\"a\": 1, \"b\": 2, \"a\": 3}");
  assert_int_equal(dict->count, 2);
  assert_int_equal(cornu_value_as_int(cn_value_find(dict, "a")), 3);
  cornu_tree_free(tree);
}

/* Many keys go through a map; of equal ones the last counts. */
static void test_large_dict(void **state) {
  (void)state;
  static char text[64 * 1024];
  size_t n = 0;
  n += (size_t)snprintf(text, sizeof text, "{");
  for (int i = 0; i < 3000; i++) n += (size_t)snprintf(text + n, sizeof text - n, "\"k%d\": %d, ", i % 2000, i);
  snprintf(text + n, sizeof text - n, "\"last\": 0}");
  cornu_tree *tree = cornu_tree_new();
  cn_value *v = parse(tree, text);
  assert_int_equal(v->count, 2001);
  assert_int_equal(cornu_value_as_int(cn_value_find(v, "k5")), 2005);
  assert_int_equal(cornu_value_as_int(cn_value_find(v, "k1500")), 1500);
  assert_string_equal(v->keys[31], "k31");
  cornu_tree_free(tree);
}

static void test_errors(void **state) {
  (void)state;
  static const struct { const char *text, *says; } cases[] = {
      {"", "line 1, column 1: not valid"},
      {"[1,\n 2,]", "line 2, column 4: not valid"},
      {"{\"a\"}", "line 1, column 5: not valid"},
      {"{a: 1}", "not valid"}, /* the two readers differ by a column */
      {"{1: 1}", "a key in quotes"},
      {"[1 2]", "line 1, column 4: not valid"},
      {"{\"a\": 1", "not valid"},
      {"\"abc", "a text without end"},
      {"\"abc\\\"", "a text without end"},
      {"\"\\x\"", "not valid"},
      {"\"\\u12g4\"", "hexadecimal"},
      {"\"\\u12\"", "hexadecimal"},
      {"\"\xff\"", "not UTF-8"},
      {"01", "zero in front"},
      {"1.", "digits"},
      {"1e", "digits"},
      {"-", "a value expected"},
      {"nul", "not valid"},
      {"Nan", "a value expected"},
      {"1 x", "line 1, column 3: more text"},
      {"{\"a\\u0000\": 1}", "a key with a NUL"},
      {"'a'", "not valid"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tree *tree = cornu_tree_new();
    cn_value *v;
    cn_error e;
    assert_int_equal(cornu_json_read(tree, cases[i].text, strlen(cases[i].text), &v, &e), CORNU_ERR_FORMAT);
    if (!strstr(e.message, cases[i].says)) fail_msg("%s: %s", cases[i].text, e.message);
    assert_null(v);
    cornu_tree_free(tree);
  }
}

static void test_limits(void **state) {
  (void)state;
  char deep[500];
  cornu_tree *tree = cornu_tree_new();
  cn_value *v;
  memset(deep, '[', 200), memset(deep + 200, ']', sizeof deep - 200);
  assert_int_equal(cornu_json_read(tree, deep, 400, &v, NULL), CORNU_OK);
  memset(deep, '[', 201);
  assert_int_equal(cornu_json_read(tree, deep, 401, &v, NULL), CORNU_ERR_LIMIT);
  cn_value *loop = cornu_value_list(tree);
  cornu_value_append(tree, loop, loop);
  const char *text;
  assert_int_equal(cornu_json_write(tree, loop, 0, &text, NULL), CORNU_ERR_LIMIT);
  cornu_tree_free(tree);
}

static void test_indent(void **state) {
  (void)state;
  cornu_tree *tree = cornu_tree_new();
  const char *text;
  assert_int_equal(cornu_json_write(tree, parse(tree, "{\"a\": [1, 2], \"b\": {}, \"c\": []}"), 2, &text, NULL),
                   CORNU_OK);
  assert_string_equal(text, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}");
  cornu_tree_free(tree);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips), cmocka_unit_test(test_reading),
                                     cmocka_unit_test(test_large_dict),
                                     cmocka_unit_test(test_errors),      cmocka_unit_test(test_limits),
                                         cmocka_unit_test(test_indent)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
