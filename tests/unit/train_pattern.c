/* Patterns of names, against what Python's re.fullmatch and re.search say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "train/pattern.h"

static const struct { const char *pattern, *text; bool matches, found; } cases[] = {
    {"encoder/.*", "encoder/kernel", true, true}, {"encoder/.*", "encoder/", true, true},
    {"encoder/.*", "encoder", false, false}, {"^a/kernel$", "a/kernel", true, true}, {"a", "ab", false, true},
    {"a", "ba", false, true}, {".*kernel.*", "d/kernel_1", true, true}, {".*ab", "aab", true, true},
    {"a+b?", "aaa", true, true}, {"a+b?", "b", false, false}, {"a+b?c", "aabc", true, true},
    {"[a-c]1*", "b11", true, true}, {"[^/]*/bias", "d/bias", true, true}, {"[^/]*/bias", "d/e/bias", false, true},
    {"a\\.b", "a.b", true, true}, {"a\\.b", "axb", false, false}, {"", "", true, true}, {"", "a", false, true},
    {"[]x]", "]", true, true}, {"[a-]", "-", true, true}, {".*.*.*.*.*.*x", "aaaaaaaaaaaaaaaaaaaaaaaa", false, false},
    {"a|bc*", "bcc", true, true}, {"a|bc*", "xax", false, true}, {"a|bc*", "xcx", false, false},
    {"(ab|c)+d?", "abcab", true, true}, {"(ab|c)+d?", "abba", false, true}, {"(?:a|b|cd)*", "acdb", true, true},
    {"(?:a|b|cd)*", "acb", false, true}, {"(a*)*b", "aaaa", false, false}, {"(a*)*b", "aaab", true, true},
    {"embed|head", "net/embedding/w", false, true}, {"^(embed|head)", "net/head", false, false},
    {"(dense|out)$", "net/out", false, true}, {"\\d+_\\w", "x12_a", false, true},
    {"[^/]+/\\D\\S", "ab/cd", true, true}, {"a^b", "ab", false, false}, {"a$b", "ab", false, false},
    {"()", "a", false, true}, {"a??b", "ab", true, true}, {"\\s", "a b", false, true}};

static void test_matches(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(cn_pattern_valid(cases[i].pattern));
    assert_int_equal(cn_pattern_matches(cases[i].pattern, cases[i].text), cases[i].matches);
    assert_int_equal(cn_pattern_found(cases[i].pattern, cases[i].text), cases[i].found);
  }
}

static void test_invalid(void **state) {
  (void)state;
  static const char *const invalid[] = {"(a", "a)", "a{2}", "[a", "[", "[^", "\\", "\\b", "(a)\\1", "(?=a)",
                                        "*a", "a**", "(*)"};
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) assert_false(cn_pattern_valid(invalid[i]));
  char most[600];
  memset(most, 'a', sizeof most);
  most[sizeof most - 1] = 0;
  assert_false(cn_pattern_valid(most));
  assert_false(cn_pattern_found(most, most));
  memset(most, '(', sizeof most - 1);
  assert_false(cn_pattern_valid(most));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_invalid)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
