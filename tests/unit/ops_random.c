/* random against Philox 4x32-10, one counter after the other. */
#include "op_run.h"

static void philox(uint64_t quad, uint64_t run, uint64_t key, uint32_t x[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  x[0] = (uint32_t)quad, x[1] = (uint32_t)(quad >> 32), x[2] = (uint32_t)run, x[3] = (uint32_t)(run >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)0xD2511F53u * x[0], b = (uint64_t)0xCD9E8D57u * x[2];
    const uint32_t next[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k1,
                              (uint32_t)a};
    memcpy(x, next, sizeof next);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

static double number(const cn_random_attrs *a, const uint32_t x[4], int i) {
  if (a->kind == CN_RANDOM_UNIFORM) return a->low + (a->high - a->low) * ((x[i] >> 8) * 0x1p-24);
  if (a->kind == CN_RANDOM_KEPT) return (x[i] >> 8) * 0x1p-24 < a->low ? a->high : 0;
  const int k = i & ~1;
  const double radius = a->high * sqrt(-2 * log((x[k] + 0.5) * 0x1p-32));
  const double angle = 2 * M_PI * ((x[k + 1] + 0.5) * 0x1p-32);
  return a->low + radius * (i & 1 ? sin(angle) : cos(angle));
}

static void check(cn_random_attrs a, int64_t size, int64_t run) {
  value counter = make_value(CORNU_INT64, 0, NULL), *in[] = {&counter};
  *(int64_t *)counter.operand.data = run;
  a.shape = (cn_ints){.n = 1, .v = {size}};
  value out = op_result(&cn_op_random, &a, in, 1);
  const uint64_t key = (uint64_t)a.seed * 0x9E3779B97F4A7C15u + (uint64_t)a.stream;
  for (int64_t i = 0; i < size; i++) {
    uint32_t x[4];
    philox((uint64_t)i / 4, (uint64_t)run, key, x);
    const double want = number(&a, x, (int)(i % 4));
    if (a.dtype == CORNU_FLOAT32) assert_true(((float *)out.operand.data)[i] == (float)want);
    else assert_true(((double *)out.operand.data)[i] == want);
  }
  free_value(&counter), free_value(&out);
}

static void test_numbers(void **unused) {
  (void)unused;
  const int64_t sizes[] = {1, 4, 127, 128, 300, 4099};
  for (int i = 0; i < CN_COUNT(sizes); i++) {
    const cornu_dtype dtype = i % 2 ? CORNU_FLOAT64 : CORNU_FLOAT32;
    const cn_random_attrs uniform = {.dtype = dtype, .kind = CN_RANDOM_UNIFORM, .low = -1, .high = 2, .seed = i, .stream = 3},
                          kept = {.dtype = dtype, .kind = CN_RANDOM_KEPT, .low = 0.7, .high = 1 / 0.7, .seed = -1},
                          normal = {.dtype = dtype, .kind = CN_RANDOM_NORMAL, .low = 1, .high = 0.5, .stream = i};
    check(uniform, sizes[i], 5);
    check(kept, sizes[i], 1LL << 40);
    check(normal, sizes[i], 0);
  }
}

/* Logarithms of gamma numbers: mean digamma(a), variance trigamma(a). */
static void check_log_gamma(cornu_dtype dtype, double a, double mean, double variance) {
  enum { N = 20000 };
  value counter = make_value(CORNU_INT64, 0, NULL), *in[] = {&counter};
  *(int64_t *)counter.operand.data = 7;
  const cn_random_attrs attrs = {.dtype = dtype, .kind = CN_RANDOM_LOG_GAMMA, .low = a, .high = a, .shape = {1, {N}}};
  value out = op_result(&cn_op_random, &attrs, in, 1);
  double sum = 0, squares = 0;
  for (int i = 0; i < N; i++) {
    const double v = dtype == CORNU_FLOAT32 ? ((float *)out.operand.data)[i] : ((double *)out.operand.data)[i];
    assert_true(isfinite(v));
    sum += v, squares += (v - mean) * (v - mean);
  }
  assert_true(fabs(sum / N - mean) < 4 * sqrt(variance / N));
  assert_true(fabs(squares / N / variance - 1) < 0.1);
  free_value(&counter), free_value(&out);
}

static void test_log_gamma(void **unused) {
  (void)unused;
  check_log_gamma(CORNU_FLOAT32, 0.2, -5.289039896592188, 26.26737755034);
  check_log_gamma(CORNU_FLOAT64, 1, -0.5772156649015329, 1.6449340668482264);
  check_log_gamma(CORNU_FLOAT32, 5, 1.5061176684318, 0.2213229557371);
  check_log_gamma(CORNU_FLOAT64, 1e-6, -1e6, 1e12);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_log_gamma)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
