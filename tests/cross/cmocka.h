/* As much of cmocka as tests/unit uses, for machines that Debian has no cmocka for: the first test that fails ends the
 * program. */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32) /* what the tests take from POSIX */
static inline int setenv(const char *name, const char *value, int replaces) {
  return replaces || !getenv(name) ? _putenv_s(name, value) : 0;
}
static inline int unsetenv(const char *name) { return _putenv_s(name, ""); }
static inline int posix_memalign(void **p, size_t align, size_t size) { /* malloc aligns to 16 */
  *p = align <= 16 ? malloc(size) : NULL;
  return !*p;
}
#endif

typedef int (*CMFixtureFunction)(void **state);
struct CMUnitTest {
  const char *name;
  void (*test_func)(void **state);
  CMFixtureFunction setup_func, teardown_func;
  void *initial_state;
};

static const char *cross_test = "setup"; /* that runs */

#define fail_msg(...)                                                    \
  do {                                                                   \
    printf("%s:%d: %s: ", __FILE__, __LINE__, cross_test);               \
    printf(__VA_ARGS__);                                                 \
    printf("\n[  FAILED  ] 1 test(s), in which the program ended.\n");   \
    fflush(stdout);                                                      \
    _Exit(1);                                                            \
  } while (0)
#define cross_check(holds, ...) do { if (!(holds)) fail_msg(__VA_ARGS__); } while (0)

#define assert_true(x) cross_check(x, "%s does not hold", #x)
#define assert_false(x) cross_check(!(x), "%s holds", #x)
#define assert_null(x) cross_check(!(x), "%s is not NULL", #x)
#define assert_non_null(x) cross_check(x, "%s is NULL", #x)
static inline void cross_integers(int64_t a, int64_t b, int equal, const char *text) {
  cross_check((a == b) == equal, "%s is %lld, expected %s%lld", text, (long long)a, equal ? "" : "not ", (long long)b);
}
#define assert_int_equal(a, b) cross_integers((int64_t)(a), (int64_t)(b), 1, #a)
#define assert_int_not_equal(a, b) cross_integers((int64_t)(a), (int64_t)(b), 0, #a)
#define assert_ptr_equal(a, b) cross_check((const void *)(a) == (const void *)(b), "%s is not %s", #a, #b)
static inline void cross_strings(const char *a, const char *b, const char *text) {
  cross_check(a && b && strcmp(a, b) == 0, "%s is \"%s\", expected \"%s\"", text, a ? a : "NULL", b ? b : "NULL");
}
#define assert_string_equal(a, b) cross_strings((a), (b), #a)
#define assert_memory_equal(a, b, size) cross_check(memcmp((a), (b), (size)) == 0, "%s and %s differ", #a, #b)
#define assert_float_equal(a, b, most) cross_check(fabs((double)(a) - (double)(b)) <= (most), "%s is not %s", #a, #b)

#define cmocka_unit_test(f) {#f, f, NULL, NULL, NULL}
#define cmocka_unit_test_prestate(f, state) {#f, f, NULL, NULL, state}
#define cmocka_unit_test_teardown(f, teardown) {#f, f, NULL, teardown, NULL}
#define cmocka_unit_test_setup_teardown(f, setup, teardown) {#f, f, setup, teardown, NULL}

static inline int cross_run(const struct CMUnitTest *tests, size_t n, CMFixtureFunction setup, CMFixtureFunction teardown) {
  void *group = NULL;
  cross_check(!setup || setup(&group) == 0, "it failed");
  for (size_t i = 0; i < n; i++) {
    void *state = tests[i].initial_state ? tests[i].initial_state : group;
    cross_test = tests[i].name;
    cross_check(!tests[i].setup_func || tests[i].setup_func(&state) == 0, "its setup failed");
    tests[i].test_func(&state);
    cross_check(!tests[i].teardown_func || tests[i].teardown_func(&state) == 0, "its teardown failed");
  }
  cross_check(!teardown || teardown(&group) == 0, "the teardown failed");
  printf("[  PASSED  ] %zu test(s).\n", n);
  return 0;
}
#define cmocka_run_group_tests(tests, setup, teardown) cross_run(tests, sizeof tests / sizeof *tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) cmocka_run_group_tests(tests, setup, teardown)

#endif
