/* Config fields: every kind with its nulls, ranges and defaults, older spellings, unknown keys, hooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/field.h"

typedef struct config {
  int64_t units, maybe, any;
  double rate, free;
  bool flag;
  const char *text, *name;
  int mode, reduce;
  cn_ints kernel, axes, open;
  const cn_value *extra;
  cornu_dtype dtype;
  int hooked;
} config;

#define AT(member) .offset = offsetof(config, member)
static const cn_field fields[] = {
    {.name = "units",
     .aliases = "output_dim nb_units",
     .kind = CN_F_INT,
     AT(units),
     .min = 1,
     .max = 100,
     .help = CN_HELP("size")},
    {.name = "maybe", .kind = CN_F_INT, AT(maybe), .standard = "null", .min = 0, .max = INFINITY},
    {.name = "any", .kind = CN_F_INT, AT(any), .standard = "-3"},
    {.name = "rate", .aliases = "p", .kind = CN_F_FLOAT, AT(rate), .standard = "0.5", .min = 0, .max = 1},
    {.name = "free", .kind = CN_F_FLOAT, AT(free), .standard = "null", .min = -1e300, .max = 2.5},
    {.name = "flag", .kind = CN_F_BOOL, AT(flag), .standard = "true"},
    {.name = "text", .kind = CN_F_STRING, AT(text), .standard = "\"a b\""},
    {.name = "name", .kind = CN_F_STRING, AT(name), .standard = "null"},
    {.name = "mode", .kind = CN_F_ENUM, AT(mode), .standard = "\"same\"", .choices = "valid same causal"},
    {.name = "reduce", .kind = CN_F_ENUM, AT(reduce), .standard = "\"sum\"", .choices = "sum null mean"},
    {.name = "kernel", .kind = CN_F_INTS, AT(kernel), .standard = "[3, 5]", .min = 1, .max = 9, .count = 2},
    {.name = "axes", .kind = CN_F_INTS, AT(axes), .standard = "null"},
    {.name = "open", .kind = CN_F_INTS, AT(open), .standard = "[]", .min = -1, .max = 50, .null_items = true},
    {.name = "extra", .kind = CN_F_VALUE, AT(extra), .standard = "{}"},
    {.name = "dtype", .kind = CN_F_DTYPE, AT(dtype), .standard = "\"float32\""},
    {.name = "hooked", .kind = CN_F_LAYER, AT(hooked), .standard = "7"},
    {.name = "seed", .aliases = "random_seed", .kind = CN_F_IGNORED, .help = CN_HELP("inference draws nothing")},
    {0}};

static cn_status parse_hooked(void *user, const cn_field *f, const cn_value *v, void *member, cn_error *e) {
  ++*(int *)user;
  assert_string_equal(f->name, "hooked");
  int64_t i;
  if (!cn_value_integer(v, &i)) return cn_fail(e, CORNU_ERR_FORMAT, "no layer");
  return *(int *)member = (int)i, CORNU_OK;
}

static cornu_tree *tree;
static int hook_calls;

static int new_tree(void **state) {
  (void)state;
  hook_calls = 0;
  return !(tree = cornu_tree_new());
}

static int free_tree(void **state) {
  (void)state;
  cornu_tree_free(tree);
  return cornu_memory_used() != 0;
}

/* keys: the inside of a dict; units are given. */
static cn_status parse(const char *keys, config *c, cn_error *e) {
  char text[1000];
  cn_value *v;
  const cn_field_hooks hooks = {&hook_calls, parse_hooked};
  snprintf(text, sizeof text, "{%s%s\"units\": 4}", keys, *keys ? ", " : "");
  if (cornu_json_read(tree, text, strlen(text), &v, e)) fail_msg("%s: %s", text, e->message);
  memset(c, 0xA5, sizeof *c);
  return cn_fields_parse(fields, v, c, "name2 trainable", &hooks, &tree->arena, e);
}

static config parsed(const char *keys) {
  config c;
  cn_error e;
  if (parse(keys, &c, &e)) fail_msg("{%s}: %s", keys, e.message);
  return c;
}

static bool ints_are(const cn_ints *a, int n, ...) {
  va_list args;
  bool same = a->n == n;
  va_start(args, n);
  for (int i = 0; i < n; i++) same = va_arg(args, int64_t) == a->v[i] && same;
  va_end(args);
  return same;
}
#define I(x) ((int64_t)(x))

static void test_defaults(void **state) {
  (void)state;
  config c = parsed("");
  assert_true(c.units == 4 && c.maybe == CN_NULL_INT && c.any == -3);
  assert_true(c.rate == 0.5 && isnan(c.free) && c.flag);
  assert_string_equal(c.text, "a b");
  assert_null(c.name);
  assert_true(c.mode == 1 && c.reduce == 0);
  assert_true(ints_are(&c.kernel, 2, I(3), I(5)) && c.axes.n == -1 && ints_are(&c.open, 0));
  assert_true(cn_value_is(c.extra, CORNU_DICT) && c.extra->count == 0);
  assert_true(c.dtype == CORNU_FLOAT32 && c.hooked == 7 && hook_calls == 1);
}

static void test_given(void **state) {
  (void)state;
  assert_int_equal(parsed("\"maybe\": 12").maybe, 12);
  assert_int_equal(parsed("\"maybe\": 12.0").maybe, 12);
  assert_int_equal(parsed("\"maybe\": true").maybe, 1);
  assert_true(parsed("\"maybe\": 9223372036854775807").maybe == INT64_MAX);
  assert_true(parsed("\"any\": -9007199254740993").any == -9007199254740993);
  assert_true(parsed("\"rate\": 1").rate == 1 && parsed("\"p\": 0.25").rate == 0.25);
  assert_true(parsed("\"rate\": 0.75, \"p\": 0.25").rate == 0.75); /* today's spelling goes first */
  assert_true(isnan(parsed("\"rate\": NaN").rate) && parsed("\"free\": -1e300").free == -1e300);
  assert_true(!parsed("\"flag\": false").flag && !parsed("\"flag\": 0").flag && parsed("\"flag\": 1.0").flag);
  assert_string_equal(parsed("\"name\": \"n\"").name, "n");
  assert_int_equal(parsed("\"mode\": \"causal\"").mode, 2);
  assert_int_equal(parsed("\"mode\": \"VALID\"").mode, 0);
  assert_int_equal(parsed("\"reduce\": null").reduce, -1);
  assert_int_equal(parsed("\"reduce\": \"mean\"").reduce, 2);
  config c = parsed("\"kernel\": 2, \"axes\": -4, \"open\": [null, 50, -1]");
  assert_true(ints_are(&c.kernel, 2, I(2), I(2)) && ints_are(&c.axes, 1, I(-4)));
  assert_true(ints_are(&c.open, 3, CN_NULL_INT, I(50), I(-1)));
  c = parsed("\"kernel\": [9], \"axes\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]");
  assert_true(ints_are(&c.kernel, 2, I(9), I(9)) && c.axes.n == 16 && c.axes.v[15] == 16);
  c = parsed("\"kernel\": [1, 9.0]");
  assert_true(ints_are(&c.kernel, 2, I(1), I(9)));
  assert_int_equal(parsed("\"extra\": [1, 2]").extra->count, 2);
  assert_null(parsed("\"extra\": null").extra);
  assert_int_equal(parsed("\"dtype\": \"bfloat16\"").dtype, CORNU_BFLOAT16);
  assert_int_equal(parsed("\"dtype\": {\"class_name\": \"DTypePolicy\", \"config\": {\"name\": \"float64\"}}").dtype,
                   CORNU_FLOAT64);
  assert_int_equal(parsed("\"hooked\": 3").hooked, 3);
  parsed("\"seed\": [\"anything\"], \"random_seed\": null, \"trainable\": 3, \"name2\": {}");
}

static void test_wrong(void **state) {
  (void)state;
  static const struct {
    const char *keys, *message;
  } cases[] = {
      {"\"maybe\": -1", "\"maybe\" is -1, expected an integer >= 0"},
      {"\"maybe\": 1.5", "\"maybe\" is 1.5, expected an integer >= 0"},
      {"\"maybe\": \"3\"", "\"maybe\" is \"3\", expected an integer >= 0"},
      {"\"maybe\": 1e30", "\"maybe\" is 1e+30, expected an integer >= 0"},
      {"\"any\": null", "\"any\" is null, expected a value"},
      {"\"any\": [1]", "\"any\" is [1], expected an integer"},
      {"\"rate\": 1.0001", "\"rate\" is 1.0001, expected a number from 0 to 1"},
      {"\"rate\": -Infinity", "\"rate\" is -inf, expected a number from 0 to 1"},
      {"\"rate\": null", "\"rate\" is null, expected a value"},
      {"\"free\": 3", "\"free\" is 3, expected a number <= 2.5"},
      {"\"flag\": 2", "\"flag\" is 2, expected true or false"},
      {"\"flag\": \"true\"", "\"flag\" is \"true\", expected true or false"},
      {"\"flag\": null", "\"flag\" is null, expected true or false"},
      {"\"text\": 5", "\"text\" is 5, expected text"},
      {"\"text\": null", "\"text\" is null, expected a value"},
      {"\"mode\": \"full\"", "\"mode\" is \"full\", expected one of: valid, same, causal"},
      {"\"mode\": \"\"", "\"mode\" is \"\", expected one of: valid, same, causal"},
      {"\"mode\": 1", "\"mode\" is 1, expected one of: valid, same, causal"},
      {"\"mode\": null", "\"mode\" is null, expected a value"},
      {"\"kernel\": 0", "\"kernel\" is 0, expected an integer from 1 to 9, or 2 of them"},
      {"\"kernel\": [3, 10]", "\"kernel\" is [3, 10], expected an integer from 1 to 9, or 2 of them"},
      {"\"kernel\": [1, 2, 3]", "\"kernel\" is [1, 2, 3], expected an integer from 1 to 9, or 2 of them"},
      {"\"kernel\": []", "\"kernel\" is [], expected an integer from 1 to 9, or 2 of them"},
      {"\"kernel\": [null, 3]", "\"kernel\" is [null, 3], expected an integer from 1 to 9, or 2 of them"},
      {"\"kernel\": null", "\"kernel\" is null, expected a value"},
      {"\"axes\": [1, null]", "\"axes\" is [1, null], expected a list of up to 16 integers"},
      {"\"axes\": [1, 2.5]", "\"axes\" is [1, 2.5], expected a list of up to 16 integers"},
      {"\"axes\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
       "\"axes\" is [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], expected a list of up to 16 integers"},
      {"\"dtype\": \"float33\"", "\"dtype\" is \"float33\", expected a dtype such as \"float32\""},
      {"\"dtype\": 32", "\"dtype\" is 32, expected a dtype such as \"float32\""},
      {"\"hooked\": {}", "\"hooked\" > no layer"},
      {"\"mod\": 1",
       "no option \"mod\" (it has: units, maybe, any, rate, free, flag, text, name, mode, reduce, kernel, "
       "axes, open, extra, dtype, hooked): did you mean \"mode\"?"},
      {"\"nb_unit\": 1",
       "no option \"nb_unit\" (it has: units, maybe, any, rate, free, flag, text, name, mode, reduce, "
       "kernel, axes, open, extra, dtype, hooked): did you mean \"nb_units\"?"},
      {"\"bias\": 1",
       "no option \"bias\" (it has: units, maybe, any, rate, free, flag, text, name, mode, reduce, kernel, "
       "axes, open, extra, dtype, hooked)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    config c;
    cn_error e = {0};
    cn_status status = parse(cases[i].keys, &c, &e);
    assert_int_equal(status, strstr(cases[i].message, "no layer") ? CORNU_ERR_FORMAT : CORNU_ERR_ARGUMENT);
    assert_string_equal(e.message, cases[i].message);
  }
}

static void test_without_a_dict(void **state) {
  (void)state;
  config c;
  cn_error e;
  assert_int_equal(cn_fields_parse(fields, NULL, &c, NULL, NULL, &tree->arena, &e), CORNU_ERR_ARGUMENT);
  assert_string_equal(e.message, "\"units\" is missing");
  assert_int_equal(cn_fields_parse(fields + 1, NULL, &c, NULL, NULL, &tree->arena, &e), CORNU_ERR_ARGUMENT);
  assert_string_equal(e.message, "\"hooked\" cannot be given here");
  assert_int_equal(cn_fields_parse(NULL, NULL, &c, NULL, NULL, &tree->arena, &e), CORNU_OK);
  cn_value *dict = cornu_value_dict(tree);
  cornu_value_set(tree, dict, "x", dict);
  assert_int_equal(cn_fields_parse(NULL, dict, &c, "x", NULL, &tree->arena, &e), CORNU_OK);
  assert_int_equal(cn_fields_parse(NULL, dict, &c, NULL, NULL, &tree->arena, &e), CORNU_ERR_ARGUMENT);
  assert_string_equal(e.message, "no option \"x\" (it has: none)");
}

static void test_description(void **state) {
  (void)state;
  assert_int_equal(cn_field_count(fields), 17);
  assert_int_equal(cn_field_count(NULL), 0);
  assert_ptr_equal(cn_field_find(fields, "nb_units"), fields);
  assert_ptr_equal(cn_field_find(fields, "p"), fields + 3);
  assert_null(cn_field_find(fields, "output_dim nb_units"));
  assert_null(cn_field_find(fields, ""));
  cornu_field_info info;
  assert_true(cn_field_info(fields, 0, &info));
  assert_string_equal(info.name, "units");
  assert_string_equal(info.aliases, "output_dim nb_units");
  assert_string_equal(info.type, "int");
#ifndef CORNU_LITE
  assert_string_equal(info.help, "size");
#endif
  assert_null(info.standard);
  assert_true(cn_field_info(fields, 8, &info));
  assert_string_equal(info.type, "enum");
  assert_string_equal(info.choices, "valid same causal");
  assert_string_equal(info.standard, "\"same\"");
  assert_true(cn_field_info(fields, 16, &info));
  assert_string_equal(info.type, "ignored");
  assert_false(cn_field_info(fields, 17, &info));
  assert_false(cn_field_info(fields, -1, &info));
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, new_tree, free_tree)
int main(void) {
  const struct CMUnitTest tests[] = {IN_TREE(test_defaults), IN_TREE(test_given), IN_TREE(test_wrong),
                                     IN_TREE(test_without_a_dict), IN_TREE(test_description)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
