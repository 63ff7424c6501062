/* YAML as PyYAML reads it. What words mean is what PyYAML 6.0.1 gave for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "formats/yaml.h"

/* Reads YAML and compares it, written as JSON. */
static void expect(const char *yaml, const char *json) {
  cornu_tree *tree = cornu_tree_new();
  cn_value *v;
  cn_error e;
  const char *text;
  if (cn_yaml_read(tree, yaml, strlen(yaml), &v, &e)) fail_msg("%s: %s", yaml, e.message);
  assert_int_equal(cornu_json_write(tree, v, 0, &text, NULL), CORNU_OK);
  if (strcmp(text, json) != 0) fail_msg("%s: %s, expected %s", yaml, text, json);
  cornu_tree_free(tree);
}

static void expect_error(const char *yaml, cn_status status, const char *part) {
  cornu_tree *tree = cornu_tree_new();
  cn_value *v;
  cn_error e = {0};
  cn_status got = cn_yaml_read(tree, yaml, strlen(yaml), &v, &e);
  if (got != status || !strstr(e.message, part)) fail_msg("%.60s: %s: %s", yaml, cornu_status_name(got), e.message);
  cornu_tree_free(tree);
}

static void test_words(void **state) {
  (void)state;
  static const char *const words[][2] = {
      {"yes", "true"}, {"No", "false"}, {"on", "true"}, {"OFF", "false"}, {"TRUE", "true"}, {"tRue", "\"tRue\""},
      {"y", "\"y\""}, {"~", "null"}, {"Null", "null"}, {"nULL", "\"nULL\""}, {"", "null"}, {"0", "0"}, {"-0", "0"},
      {"+12", "12"}, {"012", "10"}, {"-017", "-15"}, {"08", "\"08\""}, {"0x1F", "31"}, {"-0x10", "-16"}, {"0b101", "5"},
      {"0o7", "\"0o7\""}, {"1_000", "1000"}, {"_1", "\"_1\""}, {"1__0", "10"}, {"1:30", "90"}, {"-1:30", "-90"},
      {"1:2:3", "3723"}, {"01:30", "\"01:30\""}, {"1:60", "\"1:60\""}, {"1:30.5", "90.5"}, {"1.", "1.0"},
      {"-.5", "\"-.5\""}, {".5", "0.5"}, {"+.5", "\"+.5\""}, {"1e3", "\"1e3\""}, {"1.e3", "\"1.e3\""},
      {"1.5e3", "\"1.5e3\""}, {"1.5e+3", "1500.0"}, {"1_0.2_5", "10.25"}, {".inf", "Infinity"}, {"-.INF", "-Infinity"},
      {"+.inf", "Infinity"}, {".nan", "NaN"}, {"-.nan", "\"-.nan\""}, {"inf", "\"inf\""}, {"1.5.2", "\"1.5.2\""},
      {"9223372036854775807", "9223372036854775807"}, {"-9223372036854775809", "-9.223372036854776e+18"},
      {"6.8523015e+5", "685230.15"}, {"685_230.15", "685230.15"}, {"190:20:30.15", "685230.15"}, {"0x", "\"0x\""},
      {"1,2", "\"1,2\""}, {"0b12", "\"0b12\""}, {"'1'", "\"1\""}, {"\"no\"", "\"no\""}, {"! 12", "\"12\""},
      {"!!str 12", "\"12\""}, {"!!float 3", "3.0"}, {"!!int '7'", "7"}, {"!!python/unicode 'a'", "\"a\""},
      {"!!binary aGk=", "\"hi\""}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    char yaml[100], json[100];
    snprintf(yaml, sizeof yaml, "k: %s", words[i][0]);
    snprintf(json, sizeof json, "{\"k\": %s}", words[i][1]);
    expect(yaml, json);
  }
}

static void test_structure(void **state) {
  (void)state;
  expect("- !!python/tuple [null, 3]\n- &a {x: 1}\n- *a\n- !!python/tuple []\n", "[[null, 3], {\"x\": 1}, {\"x\": 1}, []]");
  expect("{1: a, b: 2, b: 3}", "{\"1\": \"a\", \"b\": 3}");
  expect("- &d {x: 1, y: 2}\n- {<<: *d, y: 3}\n", "[{\"x\": 1, \"y\": 2}, {\"y\": 3, \"x\": 1}]");
  expect("!!python/object/apply:collections.OrderedDict\n- - - b\n    - 1\n  - - a\n    - 2\n", "{\"b\": 1, \"a\": 2}");
  expect("!!python/object/apply:tensorflow.python.training.tracking.data_structures.ListWrapper\n- - 3\n", "[3]");
  expect("!!python/object/apply:builtins.dict\n- {k: 3}\n", "{\"k\": 3}");
}

/* Keras 1 wrote Dense's input_dim so behind a Flatten, Keras 2 the numbers of ReLU. */
static void test_numpy(void **state) {
  (void)state;
#define DTYPE(kind, order) "!!python/object/apply:numpy.dtype\n  args: [" kind ", 0, 1]\n  state: !!python/tuple [3, " order ", null]\n"
  expect("!!python/object/apply:numpy.core.multiarray.scalar\n- " DTYPE("i8", "<") "- !!binary |\n  GwAAAAAAAAA=\n", "27");
  expect("!!python/object/apply:numpy.core.multiarray.scalar\n- " DTYPE("f8", "'>'") "- !!binary P/gAAAAAAAA=\n", "1.5");
#define ARRAY(shape, fortran, data) \
  "!!python/object/apply:numpy.core.multiarray._reconstruct\nargs:\n- !!python/name:numpy.ndarray ''\n" \
  "- !!python/tuple [0]\n- !!binary Yg==\nstate: !!python/tuple\n- 1\n- !!python/tuple " shape "\n- " \
  DTYPE("f4", "<") "- " fortran "\n- !!binary " data "\n"
  expect(ARRAY("[]", "false", "AADAQA=="), "6.0");
  expect(ARRAY("[2, 1]", "false", "AADAQAAAwEA="), "[[6.0], [6.0]]");
  expect(ARRAY("[2, 2]", "true", "AACAPwAAAEAAAEBAAACAQA=="), "[[1.0, 3.0], [2.0, 4.0]]");
  expect_error(ARRAY("[3]", "false", "AADAQA=="), CORNU_ERR_FORMAT, "not as many");
  expect_error(ARRAY("[-1]", "false", "AADAQA=="), CORNU_ERR_UNSUPPORTED, "without elements");
}

static void test_refused(void **state) {
  (void)state;
  expect_error("!!python/object/apply:os.system ['true']", CORNU_ERR_UNSUPPORTED, "python/object/apply:os.system");
  expect_error("a: !!python/name:os.system ''", CORNU_ERR_UNSUPPORTED, "line 1");
  expect_error("!thing {a: 1}", CORNU_ERR_UNSUPPORTED, "!thing");
  expect_error("&a [*a]", CORNU_ERR_FORMAT, "within");
  expect_error("[*b]", CORNU_ERR_FORMAT, "unknown anchor");
  expect_error("a: [1\nb: 2", CORNU_ERR_FORMAT, "line 2");
  expect_error("a: 1\n---\nb: 2\n", CORNU_ERR_FORMAT, "more than one document");
  expect_error("", CORNU_ERR_FORMAT, "empty");
  expect_error("? [1]\n: 2", CORNU_ERR_FORMAT, "key");
  expect_error("!!int x", CORNU_ERR_FORMAT, "!!int");
}

/* Nine lists of nine aliases each, and depth. */
static void test_bombs(void **state) {
  (void)state;
  static char text[8192];
  size_t n = (size_t)snprintf(text, sizeof text, "- &a0 [x]\n");
  for (int i = 1; i < 10; i++) {
    n += (size_t)snprintf(text + n, sizeof text - n, "- &a%d [", i);
    for (int k = 0; k < 9; k++) n += (size_t)snprintf(text + n, sizeof text - n, "*a%d,", i - 1);
    n += (size_t)snprintf(text + n, sizeof text - n, "]\n");
  }
  expect_error(text, CORNU_ERR_LIMIT, "aliases");
  memset(text, '[', 1000);
  text[1000] = 0;
  expect_error(text, CORNU_ERR_LIMIT, "deep");
  n = 0;
  for (int i = 0; i < 300; i++)
    n += (size_t)snprintf(text + n, sizeof text - n, i ? "- &b%d [*b%d]\n" : "- &b%d []\n", i, i - 1);
  expect_error(text, CORNU_ERR_LIMIT, "aliases");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_structure),
                                     cmocka_unit_test(test_numpy), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_bombs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
