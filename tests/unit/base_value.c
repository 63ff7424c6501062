/* The value tree: makers, readers, dicts in order, deep copies, equality, numbers between kinds, texts for messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/value.h"

static cornu_tree *tree;

static int new_tree(void **state) {
  (void)state;
  return !(tree = cornu_tree_new());
}

static int free_tree(void **state) {
  (void)state;
  cornu_tree_free(tree);
  return cornu_memory_used() != 0;
}

static cn_value *parse(const char *text) {
  cn_value *v;
  cn_error e;
  if (cornu_json_read(tree, text, strlen(text), &v, &e)) fail_msg("%s: %s", text, e.message);
  return v;
}

static void test_makers(void **state) {
  (void)state;
  char text[] = "a\0b";
  cn_value *list = cornu_value_list(tree), *dict = cornu_value_dict(tree), *s = cornu_value_string(tree, text, 3);
  text[0] = 'x'; /* the text is copied */
  size_t length = 9;
  assert_memory_equal(cornu_value_as_string(s, &length), "a\0b", 4);
  assert_int_equal(length, 3);
  assert_true(cornu_value_append(tree, list, s));
  assert_true(cornu_value_append(tree, list, cornu_value_float(tree, 2.5)));
  assert_true(cornu_value_set(tree, dict, "z", cornu_value_int(tree, INT64_MIN)));
  assert_true(cornu_value_set(tree, dict, "a", cornu_value_bool(tree, true)));
  assert_true(cornu_value_set(tree, dict, "n", cornu_value_null(tree)));
  assert_true(cornu_value_set(tree, dict, "z", list)); /* replaces at its place */
  assert_int_equal(cornu_value_count(dict), 3);
  assert_string_equal(cornu_value_key(dict, 0), "z");
  assert_string_equal(cornu_value_key(dict, 2), "n");
  assert_null(cornu_value_key(dict, 3));
  assert_ptr_equal(cornu_value_at(dict, 0), list);
  assert_ptr_equal(cornu_value_get(dict, "z"), list);
  assert_null(cornu_value_at(dict, 3));
  assert_int_equal(cornu_value_count(s), 0);
  assert_false(cornu_value_append(tree, dict, s)); /* wrong kinds and lost makers */
  assert_false(cornu_value_set(tree, list, "k", s));
  assert_false(cornu_value_append(tree, list, NULL));
  assert_false(cornu_value_set(tree, NULL, "k", s));
  assert_int_equal(cornu_value_count(list), 2);
}

static void test_readers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    cornu_kind kind;
    bool is_number, is_integer;
    int64_t i;
    double f;
  } cases[] = {
      {"null", CORNU_NULL, false, false, 0, 0},
      {"true", CORNU_BOOL, true, true, 1, 1},
      {"-7", CORNU_INT, true, true, -7, -7},
      {"9007199254740993", CORNU_INT, true, true, 9007199254740993, 9007199254740992.0},
      {"3.0", CORNU_FLOAT, true, true, 3, 3},
      {"3.5", CORNU_FLOAT, true, false, 0, 3.5},
      {"-9223372036854775808.0", CORNU_FLOAT, true, true, INT64_MIN, -9223372036854775808.0},
      {"9223372036854775808.0", CORNU_FLOAT, true, false, 0, 9223372036854775808.0},
      {"Infinity", CORNU_FLOAT, true, false, 0, INFINITY},
      {"\"3\"", CORNU_STRING, false, false, 0, 0},
      {"[3]", CORNU_LIST, false, false, 0, 0},
      {"{\"a\": 3}", CORNU_DICT, false, false, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const cn_value *v = parse(cases[i].text);
    double f;
    int64_t n;
    assert_int_equal(cornu_value_kind(v), cases[i].kind);
    assert_int_equal(cn_value_number(v, &f), cases[i].is_number);
    assert_int_equal(cn_value_integer(v, &n), cases[i].is_integer);
    assert_true(cornu_value_as_int(v) == cases[i].i && cornu_value_as_float(v) == cases[i].f);
    assert_int_equal(cornu_value_as_bool(v), cases[i].f != 0);
    assert_int_equal(cornu_value_as_string(v, NULL) != NULL, cases[i].kind == CORNU_STRING);
    assert_int_equal(cn_value_is_null(v), cases[i].kind == CORNU_NULL);
  }
  assert_false(cn_value_integer(parse("NaN"), &(int64_t){0}));
  size_t length = 9;
  assert_true(cornu_value_kind(NULL) == CORNU_NULL && cornu_value_count(NULL) == 0 && !cornu_value_at(NULL, 0));
  assert_true(!cornu_value_get(NULL, "a") && !cornu_value_key(NULL, 0) && cornu_value_as_int(NULL) == 0);
  assert_true(!cornu_value_as_string(NULL, &length) && length == 0 && cn_value_is_null(NULL));
}

static void test_dicts(void **state) {
  (void)state;
  cn_value *d = parse("{\"a\": 1, \"b\": 2, \"c\": 3}");
  cn_value_remove(d, "a");
  cn_value_remove(d, "missing");
  assert_true(cn_value_equal(d, parse("{\"c\": 3, \"b\": 2}")));
  assert_string_equal(d->keys[0], "b");
  assert_true(cn_value_rename(&tree->arena, d, "b", "old"));
  assert_false(cn_value_rename(&tree->arena, d, "b", "x"));
  assert_true(cn_value_equal(d, parse("{\"old\": 2, \"c\": 3}")));
  cn_value_remove(d, "c");
  cn_value_remove(d, "old");
  assert_int_equal(d->count, 0);
  cn_value_remove(parse("[1]"), "a"); /* not a dict */
  for (int i = 0; i < 100; i++)
    assert_true(cn_value_put(&tree->arena, d, (char[]){(char)('A' + i % 26), (char)('0' + i / 26), 0}, parse("0")));
  assert_int_equal(d->count, 100);
  assert_string_equal(d->keys[99], "V3");
}

static void test_copies(void **state) {
  (void)state;
  const cn_value *v = parse("{\"a\": [1, 2.5, null, \"te\\u0000xt\", {\"b\": [[], {}]}], \"t\": true}");
  cornu_tree *other = cornu_tree_new();
  cn_value *copy = cn_value_copy(&other->arena, v);
  assert_true(cn_value_equal(copy, v));
  cn_value *list = cn_value_find(copy, "a");
  assert_true(
      cn_value_push(&other->arena, list, cn_value_text(&other->arena, "more"))); /* a copy is a tree of its own */
  assert_true(cn_value_put(&other->arena, copy, "new", list));
  assert_int_equal(list->count, 6);
  assert_int_equal(cn_value_find(v, "a")->count, 5);
  assert_int_equal(v->count, 2);
  assert_null(cn_value_copy(&other->arena, NULL));
  cornu_tree_free(other);
}

static void test_equality(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    bool equal;
  } cases[] = {
      {"null", "null", true},
      {"null", "false", false},
      {"1", "1.0", true},
      {"1", "true", false},
      {"0", "false", false},
      {"NaN", "NaN", true},
      {"0.0", "-0.0", true},
      {"9007199254740993", "9007199254740992", false},
      {"9223372036854775807", "9223372036854775806", false},
      {"\"a\"", "\"a\"", true},
      {"\"a\"", "\"b\"", false},
      {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
      {"\"1\"", "1", false},
      {"[1, 2]", "[1, 2]", true},
      {"[1, 2]", "[2, 1]", false},
      {"[1]", "[1, 2]", false},
      {"[]", "{}", false},
      {"{\"a\": 1, \"b\": [2]}", "{\"b\": [2], \"a\": 1}", true},
      {"{\"a\": 1}", "{\"b\": 1}", false},
      {"{\"a\": null}", "{\"b\": null}", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const cn_value *a = parse(cases[i].a), *b = parse(cases[i].b);
    if (cn_value_equal(a, b) != cases[i].equal || cn_value_equal(b, a) != cases[i].equal)
      fail_msg("%s and %s: equal is not %d", cases[i].a, cases[i].b, cases[i].equal);
  }
  assert_true(cn_value_equal(NULL, NULL));
  assert_false(cn_value_equal(NULL, parse("null")));
}

static void test_show(void **state) {
  (void)state;
  static const struct {
    const char *json, *text;
  } cases[] = {
      {"null", "null"},
      {"[true, false]", "[true, false]"},
      {"[1, -2.5, 0.1, 1e+30]", "[1, -2.5, 0.1, 1e+30]"},
      {"{\"a\": {\"b\": \"c\"}}", "{\"a\": {\"b\": \"c\"}}"},
      {"\"123456789012345678901234567\"", "\"123456789012345678901234567\""}, /* 29 characters: just fits */
      {"\"1234567890123456789012345678\"", "\"1234567890123456789012345…"},
      {"\"123456789012345678901234\xc3\xbc....\"", "\"123456789012345678901234…"}, /* no half characters */
      {"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]", "[1, 2, 3, 4, 5, 6, 7, 8, 9…"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[30];
    assert_string_equal(cn_value_show(parse(cases[i].json), out, sizeof out), cases[i].text);
  }
  char out[30];
  assert_string_equal(cn_value_show(NULL, out, sizeof out), "null");
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, new_tree, free_tree)
int main(void) {
  const struct CMUnitTest tests[] = {
      IN_TREE(test_makers), IN_TREE(test_readers),  IN_TREE(test_dicts),
      IN_TREE(test_copies), IN_TREE(test_equality), IN_TREE(test_show),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
