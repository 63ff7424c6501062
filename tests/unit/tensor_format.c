/* Tensors as text. Expected: what NumPy prints with linewidth=80, where a comment does not say otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "tensor/tensor.h"

typedef struct shape {
  int rank;
  int64_t d[4];
} shape;

static cornu_tensor *new_tensor(cornu_dtype dtype, shape s) {
  cornu_tensor *t;
  cn_error e;
  if (cornu_tensor_new(dtype, s.rank, s.d, &t, &e)) fail_msg("%s", e.message);
  return t;
}

static void expect_text(cornu_tensor *t, const cornu_print_options *o, const char *text) {
  char *got;
  assert_int_equal(cornu_tensor_format(t, o, &got, NULL), CORNU_OK);
  assert_string_equal(got, text);
  cornu_free(got);
  cornu_tensor_release(t);
}

static int nothing_lost(void **state) {
  (void)state;
  return cornu_memory_used() != 0;
}

static void test_values(void **state) {
  (void)state;
  static const struct {
    cornu_dtype d;
    shape s;
    double v[8];
    const char *text;
  } cases[] = {
      {CORNU_FLOAT32, {1, {3}}, {1, 2.5, -3.25}, "[ 1.    2.5  -3.25]\nfloat32 (3,)"},
      {CORNU_FLOAT32, {1, {2}}, {1, 2}, "[1. 2.]\nfloat32 (2,)"},
      {CORNU_FLOAT64, {1, {2}}, {1.0 / 3, 2.0 / 3}, "[0.3333 0.6667]\nfloat64 (2,)"},
      {CORNU_FLOAT64, {1, {2}}, {0.0, -0.0}, "[ 0. -0.]\nfloat64 (2,)"},
      {CORNU_FLOAT64, {1, {4}}, {NAN, INFINITY, -INFINITY, 1.5}, "[ nan  inf -inf  1.5]\nfloat64 (4,)"},
      {CORNU_FLOAT16, {1, {2}}, {0.1, -2}, "[ 0.1 -2. ]\nfloat16 (2,)"},
      {CORNU_BFLOAT16, {1, {1}}, {0.1}, "[0.1001]\nbfloat16 (1,)"},
      {CORNU_INT64, {2, {2, 2}}, {1, 200, -3, 4}, "[[  1 200]\n [ -3   4]]\nint64 (2, 2)"},
      {CORNU_INT8, {3, {2, 2, 1}}, {1, 2, 3, 4}, "[[[1]\n  [2]]\n\n [[3]\n  [4]]]\nint8 (2, 2, 1)"},
      {CORNU_UINT8, {1, {3}}, {255, 0, 7}, "[255   0   7]\nuint8 (3,)"},
      {CORNU_BOOL8, {1, {2}}, {1, 0}, "[ true false]\nbool (2,)"},                   /* Lua's words */
      {CORNU_FLOAT64, {1, {2}}, {1e10, 1}, "[1.0000e+10 1.0000e+00]\nfloat64 (2,)"}, /* all digits, as torch */
      {CORNU_FLOAT64, {1, {2}}, {1e-7, -1}, "[ 1.0000e-07 -1.0000e+00]\nfloat64 (2,)"},
      {CORNU_FLOAT64, {1, {2}}, {123456.789, 0.5}, "[1.2346e+05 5.0000e-01]\nfloat64 (2,)"},
      {CORNU_FLOAT64, {1, {2}}, {12345.5, 0.5}, "[12345.5     0.5]\nfloat64 (2,)"}, /* up to 5 digits apart */
      {CORNU_FLOAT32, {0, {0}}, {2.5}, "2.5\nfloat32 ()"},
      {CORNU_INT32, {0, {0}}, {-7}, "-7\nint32 ()"},
      {CORNU_FLOAT32, {1, {0}}, {0}, "[]\nfloat32 (0,)"},
      {CORNU_FLOAT32, {2, {2, 0}}, {0}, "[[]\n []]\nfloat32 (2, 0)"}, /* rows stay visible */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tensor *t = new_tensor(cases[i].d, cases[i].s);
    int64_t n = cornu_tensor_size(t);
    cn_convert(cornu_tensor_data(t), cases[i].d, cases[i].v, CORNU_FLOAT64, n);
    expect_text(t, NULL, cases[i].text);
  }
}

static void test_large_integers(void **state) {
  (void)state;
  cornu_tensor *u = new_tensor(CORNU_UINT64, (shape){1, {2}}), *i = new_tensor(CORNU_INT64, (shape){1, {2}});
  ((uint64_t *)cornu_tensor_data(u))[0] = UINT64_MAX;
  ((int64_t *)cornu_tensor_data(i))[0] = INT64_MIN;
  ((int64_t *)cornu_tensor_data(i))[1] = 9007199254740993;
  expect_text(u, NULL, "[18446744073709551615                    0]\nuint64 (2,)");
  expect_text(i, NULL, "[-9223372036854775808     9007199254740993]\nint64 (2,)");
}

static cornu_tensor *counting(cornu_dtype d, shape s) {
  cornu_tensor *t = new_tensor(d, s);
  size_t size = cornu_dtype_bytes(d);
  for (int64_t i = 0, n = cornu_tensor_size(t); i < n; i++)
    cn_convert((char *)cornu_tensor_data(t) + (size_t)i * size, d, &i, CORNU_INT64, 1);
  return t;
}

static void test_long_rows(void **state) {
  (void)state;
  expect_text(counting(CORNU_INT64, (shape){1, {40}}), NULL,
              "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25\n"
              " 26 27 28 29 30 31 32 33 34 35 36 37 38 39]\nint64 (40,)");
  expect_text(
      counting(CORNU_INT32, (shape){2, {2, 12}}), &(cornu_print_options){.line_width = 20},
      "[[ 0  1  2  3  4\n   5  6  7  8  9\n  10 11]\n [12 13 14 15 16\n  17 18 19 20 21\n  22 23]]\nint32 (2, 12)");
}

static void test_summaries(void **state) {
  (void)state;
  const cornu_print_options few = {.threshold = 10, .edge_items = 2}, all = {.threshold = 3000, .line_width = 100000};
  expect_text(counting(CORNU_INT64, (shape){1, {2000}}), NULL, "[   0    1    2 ... 1997 1998 1999]\nint64 (2000,)");
  expect_text(counting(CORNU_INT16, (shape){2, {6, 5}}), &few,
              "[[ 0  1 ...  3  4]\n [ 5  6 ...  8  9]\n ...\n [20 21 ... 23 24]\n [25 26 ... 28 29]]\nint16 (6, 5)");
  expect_text(
      counting(CORNU_FLOAT32, (shape){3, {5, 2, 4}}), &few,
      "[[[ 0.  1.  2.  3.]\n  [ 4.  5.  6.  7.]]\n\n [[ 8.  9. 10. 11.]\n  [12. 13. 14. 15.]]\n\n ...\n\n"
      " [[24. 25. 26. 27.]\n  [28. 29. 30. 31.]]\n\n [[32. 33. 34. 35.]\n  [36. 37. 38. 39.]]]\nfloat32 (5, 2, 4)");
  expect_text(counting(CORNU_INT32, (shape){1, {10}}), &few,
              "[0 1 2 3 4 5 6 7 8 9]\nint32 (10,)"); /* at the threshold */
  expect_text(counting(CORNU_INT32, (shape){1, {11}}), &few, "[ 0  1 ...  9 10]\nint32 (11,)");
  cornu_tensor *t = counting(CORNU_INT32, (shape){1, {2000}});
  char *text;
  assert_int_equal(cornu_tensor_format(t, &all, &text, NULL), CORNU_OK);
  assert_int_equal(strlen(text), 2000 * 5 + 1 + strlen("\nint32 (2000,)"));
  assert_null(strstr(text, "..."));
  cornu_free(text);
  cornu_tensor_release(t);
}

static void test_precision(void **state) {
  (void)state;
  static const struct {
    int precision;
    const char *text;
  } cases[] = {
      {0, "[3.1416 2.    ]\nfloat64 (2,)"},
      {1, "[3.1 2. ]\nfloat64 (2,)"},
      {8, "[3.14159265 2.        ]\nfloat64 (2,)"},
      {15, "[3.141592653589793 2.               ]\nfloat64 (2,)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tensor *t = new_tensor(CORNU_FLOAT64, (shape){1, {2}});
    ((double *)cornu_tensor_data(t))[0] = 3.141592653589793;
    ((double *)cornu_tensor_data(t))[1] = 2;
    expect_text(t, &(cornu_print_options){.precision = cases[i].precision}, cases[i].text);
  }
  cornu_tensor *t = new_tensor(CORNU_FLOAT64, (shape){1, {1}}); /* the longest item there is */
  ((double *)cornu_tensor_data(t))[0] = -1.7976931348623157e308;
  expect_text(t, &(cornu_print_options){.precision = 1000, .line_width = 1},
              "[-1.79769313486231571e+308]\nfloat64 (1,)");
}

/* Views print as what they show; a summary looks at the shown items alone. */
static void test_views(void **state) {
  (void)state;
  cornu_tensor *t = counting(CORNU_INT32, (shape){2, {2, 3}}), *turned, *part;
  assert_int_equal(cornu_tensor_transpose(t, NULL, &turned, NULL), CORNU_OK);
  assert_int_equal(cornu_tensor_slice(turned, 0, 2, -1, -2, &part, NULL), CORNU_OK);
  cornu_tensor_release(t);
  cornu_tensor_release(turned);
  expect_text(part, NULL, "[[2 5]\n [0 3]]\nint32 (2, 2)");
  t = new_tensor(CORNU_FLOAT32, (shape){1, {1001}});
  ((float *)cornu_tensor_data(t))[500] = 1e30f;
  expect_text(t, NULL, "[0. 0. 0. ... 0. 0. 0.]\nfloat32 (1001,)");
  t = cn_tensor_symbol(CORNU_FLOAT32, 2, (const int64_t[]){-1, 3}, NULL, 0);
  expect_text(t, NULL, "symbolic float32 (?, 3)");
}

#define CLEAN(test) cmocka_unit_test_teardown(test, nothing_lost)
int main(void) {
  const struct CMUnitTest tests[] = {CLEAN(test_values),    CLEAN(test_large_integers), CLEAN(test_long_rows),
                                     CLEAN(test_summaries), CLEAN(test_precision),      CLEAN(test_views)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
