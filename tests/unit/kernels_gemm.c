/* The matrix product of every instruction set against sums in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

static const cn_gemm_kernels *const tables[] = CN_KERNELS_OF(cn_gemm);

static float *numbers(int64_t n, uint32_t seed) {
  float *x = malloc((size_t)(n + 16) * sizeof *x);
  uint32_t v = seed;
  for (int64_t i = 0; i < n; i++) {
    v = v * 1664525u + 1013904223u;
    x[i] = (float)((double)(v >> 8) / (1 << 23) - 1);
  }
  return x;
}

/* A product of m x (segments * kc) by n with pitches wider than the rows and rows that overlap, as in a convolution. */
static void check_product(const cn_gemm_kernels *t, int m, int n, int segments, int kc, bool bias, bool add,
                          const cn_act *act) {
  const int64_t k = (int64_t)segments * kc, lda = kc + 3, ldc = n + 5, pitch = n + 2, reach = 2 * lda + 1;
  int64_t offset[8];
  for (int s = 0; s < segments; s++) offset[s] = s * reach;
  float *a = numbers((m + 1) * lda + segments * reach + kc, 1), *b = numbers(k * n, 2), *start = numbers(n, 3), *more = numbers(m * pitch, 5);
  float *packed = malloc(cn_gemm_packed_bytes(t, k, n) + 64), *c = numbers(m * ldc, 4), *before = numbers(m * ldc, 4);
  t->pack(packed, b, n, 1, k, 0, k, n, 0, cn_gemm_panels(t, n), NULL);
  cn_gemm_call call = {.a = a, .lda = lda, .offset = offset, .segments = segments, .kc = kc, .b = packed, .c = c,
                       .ldc = ldc,
                       .m = m, .n = n, .epilogue = {.bias = bias ? start : NULL, .act = act,
                                                    .add = add ? more : NULL, .add_pitch = pitch}};
  int64_t tiles = cn_gemm_tiles(t, m), panels = cn_gemm_panels(t, n);
  for (int64_t i = 0; i < tiles; i++) /* in pieces: tiles and panels are independent */
    for (int64_t p = 0; p < panels; p++) t->run(&call, i, i + 1, p, p + 1);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < ldc; j++) {
      if (j >= n) {
        if (c[i * ldc + j] != before[i * ldc + j]) fail_msg("%d x %d: row %d is written behind its end", m, n, i);
        continue;
      }
      double sum = (bias ? start[j] : 0) + (add ? more[i * pitch + j] : 0), size = fabs(sum);
      for (int s = 0; s < segments; s++)
        for (int q = 0; q < kc; q++) {
          double x = (double)a[i * lda + offset[s] + q] * b[(s * kc + q) * n + j];
          sum += x;
          size += fabs(x);
        }
      if (act) sum = cn_act_double(act, sum);
      if (!(fabs(sum - c[i * ldc + j]) <= 1e-6 * size + 3e-7))
        fail_msg("mr %d, %d x %d x (%d * %d): c[%d][%d] is %g, expected %g", t->mr, m, n, segments, kc, i, j,
                 c[i * ldc + j], sum);
    }
  free(a);
  free(b);
  free(start);
  free(more);
  free(packed);
  free(c);
  free(before);
}

static void test_products(void **state) {
  (void)state;
  const int columns[] = {1, 3, 4, 8, 9, 15, 16, 17, 31, 32, 33, 64, 70};
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (int m = 1; m <= 30; m++)
      for (size_t j = 0; j < sizeof columns / sizeof *columns; j++)
        check_product(tables[isa], m, columns[j], 1 + m % 3, 1 + (m * 7) % 11, m % 2, j % 2, NULL);
}

static void test_epilogue(void **state) {
  (void)state;
  const cn_act acts[] = {{CN_ACT_RELU, 0, INFINITY, 0}, {CN_ACT_RELU, 0, 0.5f, 0}, {CN_ACT_RELU, 0.1f, INFINITY, 0},
                         {CN_ACT_TANH, 0, 0, 0},
                         {CN_ACT_SILU, 0, 0, 0}, {CN_ACT_HARD_SILU, 0, 0, 0}, {CN_ACT_LINEAR, 0, 0, 0}};
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
      check_product(tables[isa], 15, 37, 2, 19, true, i % 2, &acts[i]);
      check_product(tables[isa], 1, 21, 1, 64, false, i % 2 == 0, &acts[i]);
    }
}

static void test_no_terms(void **state) {
  (void)state;
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    const float bias[3] = {1, 2, 3};
    float c[6] = {9, 9, 9, 9, 9, 9};
    cn_gemm_call call = {.c = c, .ldc = 3, .m = 2, .n = 3, .epilogue = {.bias = bias}};
    tables[isa]->run(&call, 0, cn_gemm_tiles(tables[isa], 2), 0, 1);
    for (int i = 0; i < 6; i++) assert_true(c[i] == (float)(1 + i % 3));
  }
}

static void test_long_sums(void **state) {
  (void)state;
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    check_product(tables[isa], 1, 40, 1, 5000, true, false, NULL);
    check_product(tables[isa], 7, 33, 3, 700, true, true, NULL);
  }
}

static void test_packing_transposed_slices(void **state) {
  (void)state;
  enum { K = 10, N = 37 };
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    const cn_gemm_kernels *t = tables[isa];
    float *b = numbers(K * N, 5), *turned = malloc(K * N * sizeof *b);
    for (int i = 0; i < K; i++)
      for (int j = 0; j < N; j++) turned[j * K + i] = b[i * N + j];
    size_t bytes = cn_gemm_packed_bytes(t, K, N);
    float *whole = malloc(bytes), *pieces = malloc(bytes);
    int64_t panels = cn_gemm_panels(t, N);
    t->pack(whole, b, N, 1, K, 0, K, N, 0, panels, NULL);
    t->pack(pieces, turned + 4, 1, K, K, 4, K - 4, N, 0, panels, NULL);
    t->pack(pieces, turned, 1, K, K, 0, 4, N, 0, 1, NULL);
    t->pack(pieces, turned, 1, K, K, 0, 4, N, 1, panels, NULL);
    assert_memory_equal(whole, pieces, bytes);
    float *scale = numbers(N, 8), *scaled = malloc(bytes);
    t->pack(pieces, b, N, 1, K, 0, K, N, 0, panels, scale);
    for (int i = 0; i < K * N; i++) b[i] *= scale[i % N];
    t->pack(whole, b, N, 1, K, 0, K, N, 0, panels, NULL);
    t->pack(scaled, turned, 1, K, K, 0, K, N, 0, panels, scale);
    assert_memory_equal(whole, scaled, bytes);
    assert_memory_equal(whole, pieces, bytes);
    free(scale);
    free(scaled);
    free(b);
    free(turned);
    free(whole);
    free(pieces);
  }
}

static void test_columns(void **state) {
  (void)state;
  const cn_act relu = {CN_ACT_RELU, 0, INFINITY, 0};
  const float bias = 0.25f;
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (int k = 0; k < 150; k += k < 20 ? 1 : 13)
      for (int ldc = 1; ldc <= 3; ldc += 2) {
        enum { M = 5 };
        float *a = numbers(M * (k + 2), 6), *b = numbers(k, 7), c[M * 3];
        const float add[M * 2] = {0.5f, 9, -0.5f, 9, 1, 9, 2, 9, -1, 9};
        const cn_epilogue epilogue = {.bias = k % 2 ? &bias : NULL, .act = &relu, .add = k % 3 ? add : NULL,
                                      .add_pitch = 2};
        tables[isa]->column(a, k + 2, b, c, ldc, M, k, &epilogue);
        for (int i = 0; i < M; i++) {
          double sum = (k % 2 ? bias : 0) + (k % 3 ? add[2 * i] : 0);
          for (int j = 0; j < k; j++) sum += (double)a[i * (k + 2) + j] * b[j];
          assert_true(fabs(fmax(sum, 0) - c[i * ldc]) <= 1e-6 * (k + 1));
        }
        free(a);
        free(b);
      }
}

/* Doubles: more rows and columns than a tile and a panel, two segments, bias and activation; and a transposition. */
static void test_double(void **state) {
  (void)state;
  enum { M = 6, N = 11, K = 3 };
  const cn_gemm_kernels *t = cn_gemm_of(sizeof(double));
  const cn_act act = {.kind = CN_ACT_TANH};
  const int64_t offset[] = {0, 4};
  double a[M * 8], b[2 * K * N], bias[N], c[M * N], *packed = malloc(cn_gemm_packed_bytes(t, 2 * K, N) + 64);
  for (int i = 0; i < M * 8; i++) a[i] = 1.0 / (3 + i);
  for (int i = 0; i < 2 * K * N; i++) b[i] = 1.0 / (7 + i) - 0.05;
  for (int i = 0; i < N; i++) bias[i] = i / 7.0;
  for (int s = 0; s < 2; s++)
    t->pack(packed, b + s * K * N, N, 1, 2 * K, s * K, K, N, 0, cn_gemm_panels(t, N), NULL);
  const cn_gemm_call call = {.a = a, .lda = 8, .offset = offset, .segments = 2, .kc = K, .b = packed, .c = c, .ldc = N,
                             .m = M, .n = N, .epilogue = {.bias = bias, .act = &act, .add = a, .add_pitch = 7}};
  t->run(&call, 0, cn_gemm_tiles(t, M), 0, cn_gemm_panels(t, N));
  for (int m = 0; m < M; m++)
    for (int n = 0; n < N; n++) {
      double sum = bias[n] + a[m * 7 + n];
      for (int k = 0; k < 2 * K; k++) sum += a[m * 8 + offset[k / K] + k % K] * b[k * N + n];
      assert_true(fabs(tanh(sum) - c[m * N + n]) <= 1e-15);
    }
  free(packed);
  float turned[6], from[] = {1, 2, 9, 3, 4, 9, 5, 6, 9};
  cn_transpose_items(sizeof(float), turned, 3, from, 3, 3, 2);
  const float expected[] = {1, 3, 5, 2, 4, 6};
  assert_memory_equal(turned, expected, sizeof turned);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_products), cmocka_unit_test(test_epilogue), cmocka_unit_test(test_no_terms),
    cmocka_unit_test(test_long_sums),
    cmocka_unit_test(test_packing_transposed_slices), cmocka_unit_test(test_columns), cmocka_unit_test(test_double),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
