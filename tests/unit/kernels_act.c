/* The vector functions and activations of every instruction set against libm in long double; activations on a grid. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"

static const cn_act_kernels *const *const tables = exact_tables;
static const char *const *const isa_names = exact_isas;

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static void check_values(const exact *f, int isa, const float *x, int n) {
  float y[1000];
  exact_run(f, isa, y, x, n);
  for (int i = 0; i < n; i++) {
    long double want = f->exact(x[i]);
    double error = exact_error(f, x[i], y[i], want);
    if (!(error <= f->max_ulp))
      fail_msg("%s %s(%.9g) is %.9g, expected %.9Lg: %.2f ulp", isa_names[isa], f->name, x[i], y[i], want, error);
  }
}

static void test_functions(void **state) {
  (void)state;
  enum { BLOCK = 1000 };
  float x[BLOCK];
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (size_t k = 0; k < sizeof exacts / sizeof *exacts; k++) {
      uint32_t bits = 0;
      for (int block = 0; block < 200; block++) { /* a sample of all floats, NaN and infinity among them */
        for (int i = 0; i < BLOCK; i++, bits += 21481) x[i] = from_bits(bits);
        check_values(&exacts[k], isa, x, BLOCK);
      }
    }
}

static void test_special_values(void **state) {
  (void)state;
  const float x[] = {0, -0.0f, INFINITY, -INFINITY, NAN, -1, 1, 88.7f, 88.8f, -87.3f, -104, 1e-40f, 1e-10f, -1e-10f, -2,
                     3.4e38f, -3.4e38f};
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (size_t k = 0; k < sizeof exacts / sizeof *exacts; k++) check_values(&exacts[k], isa, x, CN_COUNT(x));
}

static const cn_act acts[] = {
  {CN_ACT_LINEAR, 0, 0, 0}, {CN_ACT_RELU, 0, INFINITY, 0}, {CN_ACT_RELU, 0, 6, 0}, {CN_ACT_RELU, 0.2f, 5, 1},
  {CN_ACT_RELU, 0.3f, INFINITY, 0},
  {CN_ACT_THRESHOLDED, 1, 0, 0}, {CN_ACT_ELU, 1, 0, 0}, {CN_ACT_ELU, 0.5f, 0, 0}, {CN_ACT_SELU, 0, 0, 0},
  {CN_ACT_CELU, 2, 0, 0},
  {CN_ACT_SIGMOID, 0, 0, 0}, {CN_ACT_HARD_SIGMOID, 0.2f, 0.5f, 0}, {CN_ACT_LOG_SIGMOID, 0, 0, 0},
  {CN_ACT_TANH, 0, 0, 0},
  {CN_ACT_HARD_TANH, 0, 0, 0}, {CN_ACT_TANH_SHRINK, 0, 0, 0}, {CN_ACT_SOFTPLUS, 0, 0, 0}, {CN_ACT_SOFTSIGN, 0, 0, 0},
  {CN_ACT_EXPONENTIAL, 0, 0, 0}, {CN_ACT_SILU, 0, 0, 0}, {CN_ACT_HARD_SILU, 0, 0, 0}, {CN_ACT_GELU, 0, 0, 0},
  {CN_ACT_GELU_TANH, 0, 0, 0},
  {CN_ACT_MISH, 0, 0, 0}, {CN_ACT_SOFT_SHRINK, 0.5f, 0, 0}, {CN_ACT_HARD_SHRINK, 0.5f, 0, 0}, 
  {CN_ACT_THRESHOLD, 1, -2, 0},
  {CN_ACT_SQUAREPLUS, 4, 0, 0}, {CN_ACT_SPARSE_PLUS, 0, 0, 0}, {CN_ACT_SPARSE_SIGMOID, 0, 0, 0},
};

static void check_act(const cn_act *act, const char *isa, float x, float y) {
  double expected = cn_act_double(act, x);
  if (isnan(expected) || isinf(expected) || fabs(expected) > 3.4e38) {
    if (isnan(expected) ? !isnan(y) : (float)expected != y)
      fail_msg("%s act %d of %g is %g, expected %g", isa, act->kind, x, y, expected);
    return;
  }
  /* gated acts lose relative accuracy where the gate is nearly shut: an error of the gate counts times x there */
  double error = fabs(y - expected), bound = 4 * exact_ulp(expected) + 2e-7 * fmin(1, fabs(x));
  if (x < 0) bound += 1.2e-7 * fabs(x);
  if (!(error <= bound)) fail_msg("%s act %d of %.9g is %.9g, expected %.9g", isa, act->kind, x, y, expected);
}

static void test_acts(void **state) {
  (void)state;
  enum { N = 4001 };
  static float x[N], y[N];
  for (int i = 0; i < N; i++) x[i] = (float)(i - 2000) * 0.0125f;
  const float odd[] = {INFINITY, -INFINITY, NAN, 1e20f, -1e20f, 100, -100, 1e-8f, -1e-8f};
  memcpy(x, odd, sizeof odd);
  assert_int_equal(CN_ACT_KINDS, 26); /* a new kind belongs into the table */
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (size_t k = 0; k < sizeof acts / sizeof *acts; k++) {
      tables[isa]->apply(&acts[k], y, x, N);
      for (int i = 0; i < N; i++) check_act(&acts[k], isa_names[isa], x[i], y[i]);
    }
}

/* What TensorFlow gives for -infinity, infinity and NaN. */
static void test_infinities(void **state) {
  (void)state;
  const float none = NAN, inf = INFINITY;
  const struct { cn_act_kind kind; float y[3]; } expected[] = {
    {CN_ACT_THRESHOLDED, {none, inf, none}}, {CN_ACT_SIGMOID, {0, 1, none}}, {CN_ACT_CELU, {-0.5f, inf, none}},
    {CN_ACT_SOFTSIGN, {none, none, none}}, {CN_ACT_SILU, {none, inf, none}}, {CN_ACT_HARD_SILU, {none, inf, none}},
    {CN_ACT_GELU, {none, inf, none}}, {CN_ACT_GELU_TANH, {none, inf, none}}, {CN_ACT_MISH, {none, inf, none}},
    {CN_ACT_SOFT_SHRINK, {-inf, inf, 0}}, {CN_ACT_HARD_SHRINK, {-inf, inf, 0}}, {CN_ACT_THRESHOLD, {-1, inf, -1}},
    {CN_ACT_SQUAREPLUS, {none, inf, none}}, {CN_ACT_HARD_TANH, {-1, 1, none}},
  };
  const float x[] = {-INFINITY, INFINITY, NAN};
  for (int isa = -1; isa <= (int)cn_cpu_isa(); isa++) /* -1: without vectors */
    for (int k = 0; k < (int)(sizeof expected / sizeof *expected); k++) {
      const cn_act act = {expected[k].kind, 0.5, -1, 0};
      float y[3];
      for (int i = 0; i < 3; i++) y[i] = (float)cn_act_double(&act, x[i]);
      if (isa >= 0) tables[isa]->apply(&act, y, x, 3);
      for (int i = 0; i < 3; i++)
        if (isnan(expected[k].y[i]) ? !isnan(y[i]) : y[i] != expected[k].y[i])
          fail_msg("%s act %d of %g is %g, expected %g", isa < 0 ? "plain" : isa_names[isa], act.kind, x[i], y[i],
                   expected[k].y[i]);
    }
}

/* Every length, in place, without touching what lies behind. */
static void test_tails(void **state) {
  (void)state;
  const cn_act relu = {CN_ACT_RELU, 0, INFINITY, 0}, tanh_act = {CN_ACT_TANH, 0, 0, 0};
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (int n = 0; n < 40; n++) {
      float x[41], y[41];
      for (int i = 0; i < 41; i++) x[i] = y[i] = (float)(i % 5 - 2);
      tables[isa]->apply(n % 2 ? &relu : &tanh_act, y, y, n);
      for (int i = 0; i < 41; i++) {
        double expected = i >= n ? x[i] : n % 2 ? fmax(x[i], 0) : tanh(x[i]);
        assert_true(fabs(y[i] - expected) <= 2e-7);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_functions), cmocka_unit_test(test_special_values), cmocka_unit_test(test_acts),
    cmocka_unit_test(test_infinities), cmocka_unit_test(test_tails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
