/* Patterns of names, against what Python's re.fullmatch says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "train/pattern.h"

static const struct { const char *pattern, *text; bool matches; } cases[] = {
    {"encoder/.*", "encoder/kernel", true}, {"encoder/.*", "encoder/", true},   {"encoder/.*", "encoder", false},
    {"^a/kernel$", "a/kernel", true},       {"a", "ab", false},                 {"a", "ba", false},
    {".*kernel.*", "d/kernel_1", true},     {".*ab", "aab", true},              {"a+b?", "aaa", true},
    {"a+b?", "b", false},                   {"a+b?c", "aabc", true},            {"[a-c]1*", "b11", true},
    {"[^/]*/bias", "d/bias", true},         {"[^/]*/bias", "d/e/bias", false},  {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},                {"", "", true},                     {"", "a", false},
    {"[]x]", "]", true},                    {"[a-]", "-", true},                {".*.*.*.*.*.*x", "aaaaaaaaaaaaaaaaaaaaaaaa", false}};

static void test_matches(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(cn_pattern_valid(cases[i].pattern));
    assert_int_equal(cn_pattern_matches(cases[i].pattern, cases[i].text), cases[i].matches);
  }
}

static void test_invalid(void **state) {
  (void)state;
  static const char *const invalid[] = {"(a)", "a|b", "a{2}", "[a", "[", "[^", "\\", "\\d", "*a", "a**", "a^b", "a$b"};
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) assert_false(cn_pattern_valid(invalid[i]));
  char most[400];
  memset(most, 'a', sizeof most);
  most[sizeof most - 1] = 0;
  assert_false(cn_pattern_valid(most));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_invalid)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
