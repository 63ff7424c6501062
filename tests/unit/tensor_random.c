/* Random numbers: the published sequences of xoshiro256++ and splitmix64, ranges, moments, every float dtype. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "tensor/tensor.h"

static cornu_tensor *new_tensor(cornu_dtype d, int64_t rows, int64_t columns) {
  cornu_tensor *t;
  cn_error e;
  if (cornu_tensor_new(d, 2, (const int64_t[]){rows, columns}, &t, &e)) fail_msg("%s", e.message);
  return t;
}

static int nothing_lost(void **state) {
  (void)state;
  return cornu_memory_used() != 0;
}

/* From the authors' C code with the state 1, 2, 3, 4; a uniform number is the upper 53 bits. */
static void test_sequence(void **state) {
  (void)state;
  static const uint64_t sequence[] = {
      41943041u, 58720359u, 3588806011781223u, 3591011842654386u, 9228616714210784205u, 9973669472204895162u};
  cornu_random r = {{1, 2, 3, 4}};
  cornu_tensor *t = new_tensor(CORNU_FLOAT64, 2, 3);
  assert_int_equal(cornu_random_uniform(&r, t, 0, 1, NULL), CORNU_OK);
  for (int i = 0; i < 6; i++)
    assert_true(((double *)cornu_tensor_data(t))[i] == ldexp((double)(sequence[i] >> 11), -53));
  cornu_tensor_release(t);
}

static void test_seeds(void **state) {
  (void)state;
  static const uint64_t of_zero[] = {0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC};
  static const uint64_t of_seven[] = {0x63CBE1E459320DD7, 0x044C3CD7F43C661C, 0xE6984080BAB12A02, 0x953AEB70673E29CB};
  cornu_random r;
  cornu_random_seed(&r, 0);
  assert_memory_equal(r.state, of_zero, sizeof of_zero);
  cornu_random_seed(&r, 7);
  assert_memory_equal(r.state, of_seven, sizeof of_seven);
}

/* Computed in Python from the formulas. */
static void test_values(void **state) {
  (void)state;
  static const double uniform[] = {0.05536043647833311, 0.17211585444811772, 0.7175761283586594, 0.42720981929150526};
  static const double normal[] = {1.674036445441065, 0.5378981681989655, 1.2079282540944534, 0.32834061497569145};
  cornu_random r;
  cornu_tensor *t = new_tensor(CORNU_FLOAT64, 1, 4), *f = new_tensor(CORNU_FLOAT32, 1, 4);
  double *v = cornu_tensor_data(t);
  cornu_random_seed(&r, 7);
  assert_int_equal(cornu_random_uniform(&r, t, 0, 1, NULL), CORNU_OK);
  for (int i = 0; i < 4; i++) assert_true(v[i] == uniform[i]);
  cornu_random_seed(&r, 7);
  assert_int_equal(cornu_random_uniform(&r, f, -3, 5, NULL), CORNU_OK);
  for (int i = 0; i < 4; i++) assert_true(((float *)cornu_tensor_data(f))[i] == (float)(-3 + 8 * uniform[i]));
  cornu_random_seed(&r, 7);
  assert_int_equal(cornu_random_normal(&r, t, 0, 1, NULL), CORNU_OK);
  for (int i = 0; i < 4; i++) assert_true(fabs(v[i] - normal[i]) <= 1e-15 * normal[i]);
  cornu_random_seed(&r, 7);
  assert_int_equal(cornu_random_normal(&r, t, 10, 0.5, NULL), CORNU_OK);
  for (int i = 0; i < 4; i++) assert_true(fabs(v[i] - (10 + 0.5 * normal[i])) <= 1e-14);
  cornu_tensor_release(t);
  cornu_tensor_release(f);
}

/* low is included, high is not, whatever the dtype rounds to. */
static void test_range(void **state) {
  (void)state;
  static const struct {
    cornu_dtype d;
    double low, high;
  } cases[] = {{CORNU_FLOAT16, 0, 1},  {CORNU_BFLOAT16, 0, 1}, {CORNU_FLOAT32, 0, 1},     {CORNU_FLOAT64, 0, 1},
               {CORNU_FLOAT16, -2, 2}, {CORNU_FLOAT32, 1, 3},  {CORNU_BFLOAT16, -1, -0.5}};
  enum { N = 40000 };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    cornu_random r;
    cornu_tensor *t = new_tensor(cases[c].d, 2, N / 2);
    double width = cases[c].high - cases[c].low, sum = 0, squares = 0;
    cornu_random_seed(&r, c + 1);
    assert_int_equal(cornu_random_uniform(&r, t, cases[c].low, cases[c].high, NULL), CORNU_OK);
    for (int i = 0; i < N; i++) {
      double v = cornu_tensor_get(t, (const int64_t[]){i / (N / 2), i % (N / 2)}), u = (v - cases[c].low) / width;
      if (!(u >= 0 && u < 1)) fail_msg("%s: %.17g", cornu_dtype_name(cases[c].d), v);
      sum += u;
      squares += u * u;
    }
    /* five standard errors, and what rounding to 8 bits may shift */
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N) + 0.002);
    assert_true(fabs(squares / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N) + 0.002);
    cornu_tensor_release(t);
  }
}

/* Ranges that have no or few values still come back. */
static void test_narrow_ranges(void **state) {
  (void)state;
  static const struct {
    cornu_dtype d;
    double low, high;
  } cases[] = {
      {CORNU_FLOAT64, 2, 2}, {CORNU_FLOAT16, 1 - 1e-9, 1}, {CORNU_FLOAT32, 1, 1 + 1e-12}, {CORNU_FLOAT64, 1, 0}};
  cornu_random r = {{1, 2, 3, 4}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    cornu_tensor *t = new_tensor(cases[c].d, 1, 10);
    assert_int_equal(cornu_random_uniform(&r, t, cases[c].low, cases[c].high, NULL), CORNU_OK);
    for (int i = 0; i < 10; i++) {
      double v = cornu_tensor_get(t, (const int64_t[]){0, i});
      assert_true(fabs(v - cases[c].low) <= fabs(cases[c].high - cases[c].low));
    }
    cornu_tensor_release(t);
  }
}

static void test_normal_moments(void **state) {
  (void)state;
  enum { N = 40000 };
  cornu_random r;
  cornu_tensor *t = new_tensor(CORNU_FLOAT32, 1, N);
  const float *v = cornu_tensor_data(t);
  double moments[5] = {0};
  int beyond_two = 0;
  cornu_random_seed(&r, 1);
  assert_int_equal(cornu_random_normal(&r, t, 0, 1, NULL), CORNU_OK);
  for (int i = 0; i < N; i++) {
    for (int k = 1; k <= 4; k++) moments[k] += pow(v[i], k) / N;
    beyond_two += fabsf(v[i]) > 2;
  }
  /* five standard errors: the variances of x, x^2, x^3 and x^4 are 1, 2, 15 and 96 */
  assert_true(fabs(moments[1]) < 5 * sqrt(1.0 / N));
  assert_true(fabs(moments[2] - 1) < 5 * sqrt(2.0 / N));
  assert_true(fabs(moments[3]) < 5 * sqrt(15.0 / N));
  assert_true(fabs(moments[4] - 3) < 5 * sqrt(96.0 / N));
  assert_true(fabs((double)beyond_two / N - 0.0455) < 5 * sqrt(0.0455 / N));
  cornu_tensor_release(t);
}

/* A view gets its own elements filled, in order, and no others. */
static void test_views(void **state) {
  (void)state;
  cornu_random r = {{1, 2, 3, 4}}, same = r;
  cornu_tensor *t = new_tensor(CORNU_FLOAT32, 4, 6), *every_second, *plain = new_tensor(CORNU_FLOAT32, 4, 3);
  assert_int_equal(cornu_tensor_slice(t, 1, 1, 6, 2, &every_second, NULL), CORNU_OK);
  assert_int_equal(cornu_random_uniform(&r, every_second, 1, 2, NULL), CORNU_OK);
  assert_int_equal(cornu_random_uniform(&same, plain, 1, 2, NULL), CORNU_OK);
  for (int64_t i = 0; i < 4; i++)
    for (int64_t j = 0; j < 6; j++) {
      double want = j % 2 ? cornu_tensor_get(plain, (const int64_t[]){i, j / 2}) : 0;
      assert_true(cornu_tensor_get(t, (const int64_t[]){i, j}) == want);
    }
  cornu_tensor_release(every_second);
  cornu_tensor_release(plain);
  cornu_tensor_release(t);
}

static void test_refused(void **state) {
  (void)state;
  cn_error e;
  cornu_random r = {{1, 2, 3, 4}};
  for (int d = CORNU_INT8; d < CORNU_DTYPES; d++) {
    cornu_tensor *t = new_tensor((cornu_dtype)d, 1, 1);
    assert_int_equal(cornu_random_uniform(&r, t, 0, 1, &e), CORNU_ERR_DTYPE);
    assert_int_equal(cornu_random_normal(&r, t, 0, 1, &e), CORNU_ERR_DTYPE);
    assert_non_null(strstr(e.message, cornu_dtype_name((cornu_dtype)d)));
    cornu_tensor_release(t);
  }
  cornu_tensor *symbol = cn_tensor_symbol(CORNU_FLOAT32, 1, (const int64_t[]){-1}, NULL, 0);
  assert_int_equal(cornu_random_uniform(&r, symbol, 0, 1, &e), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(symbol);
  cornu_tensor *empty = new_tensor(CORNU_FLOAT32, 0, 3);
  assert_int_equal(cornu_random_normal(&r, empty, 0, 1, &e), CORNU_OK);
  cornu_tensor_release(empty);
  assert_true(r.state[0] == 1 && r.state[3] == 4); /* nothing was drawn */
}

#define CLEAN(test) cmocka_unit_test_teardown(test, nothing_lost)
/* Every number once; blocks stay together, and where they are when they shall. */
static void test_order(void **state) {
  (void)state;
  enum { FIRST = 7, N = 103, BLOCK = 10 };
  for (int in_order = 0; in_order < 2; in_order++) {
    cornu_random r;
    cornu_tensor *t;
    bool seen[N] = {false}, moved = false;
    int changes = 0;
    cornu_random_seed(&r, 1);
    assert_int_equal(cornu_tensor_new(CORNU_INT64, 1, (const int64_t[]){N}, &t, NULL), CORNU_OK);
    assert_int_equal(cornu_random_order(&r, t, FIRST, BLOCK, in_order, NULL), CORNU_OK);
    const int64_t *v = cornu_tensor_data(t);
    for (int i = 0; i < N; i++) {
      assert_true(v[i] >= FIRST && v[i] < FIRST + N && !seen[v[i] - FIRST]);
      seen[v[i] - FIRST] = true;
      changes += i && v[i] / BLOCK != v[i - 1] / BLOCK;
      moved |= v[i] / BLOCK != (FIRST + i) / BLOCK;
    }
    assert_int_equal(changes, (FIRST + N - 1) / BLOCK);
    assert_int_equal(moved, !in_order);
    cornu_tensor_release(t);
  }
}

/* Computed in Python from the formulas. */
static void test_order_values(void **state) {
  (void)state;
  static const int64_t want[] = {3, 8, 9, 4, 6, 7, 2, 5, 1, 0};
  cornu_random r;
  cornu_tensor *t;
  cornu_random_seed(&r, 7);
  assert_int_equal(cornu_tensor_new(CORNU_INT64, 1, (const int64_t[]){10}, &t, NULL), CORNU_OK);
  assert_int_equal(cornu_random_order(&r, t, 0, 0, false, NULL), CORNU_OK);
  assert_memory_equal(cornu_tensor_data(t), want, sizeof want);
  cornu_tensor_release(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {CLEAN(test_sequence), CLEAN(test_seeds),         CLEAN(test_values),
                                     CLEAN(test_range),    CLEAN(test_narrow_ranges), CLEAN(test_normal_moments),
                                     CLEAN(test_views),    CLEAN(test_refused),       CLEAN(test_order),
                                     CLEAN(test_order_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
