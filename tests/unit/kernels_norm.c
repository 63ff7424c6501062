/* Sums, extremes and normalisations against plain loops in double precision, on every instruction set of this CPU. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "kernels/kernels.h"

static const cn_reduce_kernels *const reduce[] = CN_KERNELS_OF(cn_reduce);
static const cn_norm_kernels *const norm[] = CN_KERNELS_OF(cn_norm);
#define EACH_ISA(i) for (int i = 0; i <= (int)cn_cpu_isa(); i++)

enum { ROOM = 40000 };
static float x[ROOM], y[ROOM], gamma_[300], beta[300];

static void fill(float *to, int n, uint32_t seed, double scale, double shift) {
  for (int i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    to[i] = (float)(((double)(seed >> 8) / (1 << 23) - 1) * scale + shift);
  }
}

static void near(const char *what, double got, double expected, double tolerance) {
  if (isnan(expected) ? !isnan(got) : got != expected && !(fabs(got - expected) <= tolerance))
    fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

static const int sizes[] = {1, 3, 15, 16, 17, 40, 64, 70, 100, 257};

static void test_columns(void **state) {
  (void)state;
  static const int counts[] = {1, 2, 9, 49, 64, 140};
  double sum[300];
  float most[300], center[300];
  fill(x, ROOM, 1, 1, 3);
  EACH_ISA(isa)
  for (int i = 0; i < CN_COUNT(sizes) * CN_COUNT(counts); i++) {
    const int n = sizes[i % CN_COUNT(sizes)], rows = counts[i / CN_COUNT(sizes)], pitch = n + i % 2 * 7;
    for (int square = 0; square < 2; square++) {
      for (int c = 0; c < n; c++) center[c] = 3;
      reduce[isa]->sum_columns(x, pitch, rows, n, square ? center : NULL, sum);
      for (int c = 0; c < n; c++) {
        double e = 0;
        for (int r = 0; r < rows; r++) {
          const double v = x[r * pitch + c];
          e += square ? (v - 3) * (v - 3) : v;
        }
        near("the sum of a column", sum[c], e, 1e-6 * rows * 3);
      }
    }
    for (int largest = 0; largest < 2; largest++) {
      const float before = x[n / 2];
      if (i % 3 == 0) x[n / 2] = NAN;
      reduce[isa]->extreme_columns(largest, x, pitch, rows, n, most);
      for (int c = 0; c < n; c++) {
        float e = x[c];
        for (int r = 1; r < rows; r++) e = (largest ? x[r * pitch + c] > e : x[r * pitch + c] < e) ? x[r * pitch + c] : e;
        near("the extreme of a column", most[c], e, 0);
      }
      x[n / 2] = before;
    }
  }
}

static void test_rows(void **state) {
  (void)state;
  fill(x, ROOM, 2, 1, 3);
  EACH_ISA(isa)
  for (int i = 0; i <= CN_COUNT(sizes); i++) {
    const int n = i < CN_COUNT(sizes) ? sizes[i] : ROOM;
    double sum = 0, squares = 0, high = x[0], low = x[0];
    for (int k = 0; k < n; k++) {
      sum += x[k], squares += ((double)x[k] - 2.5) * ((double)x[k] - 2.5);
      high = fmax(high, x[k]), low = fmin(low, x[k]);
    }
    near("the sum of a row", reduce[isa]->sum_row(x, n), sum, 4e-7 * sum);
    near("the sum of squares of a row", reduce[isa]->sum_squares(x, n, 2.5f), squares, 4e-7 * squares);
    near("the largest of a row", reduce[isa]->extreme_row(true, x, n), high, 0);
    near("the smallest of a row", reduce[isa]->extreme_row(false, x, n), low, 0);
    for (int at = 0; at < n; at += n / 3 + 1) {
      const float before = x[at];
      x[at] = NAN;
      near("an extreme with NaN", reduce[isa]->extreme_row(at % 2, x, n), NAN, 0);
      x[at] = before;
    }
  }
}

static void check_layer(int isa, const cn_layer_rows *l, int rows) {
  norm[isa]->layer(l, x, y, rows);
  for (int r = 0; r < rows; r++) {
    const float *v = x + r * l->n;
    double mean = 0, variance = 0;
    for (int i = 0; i < l->n; i++) mean += v[i] / (double)l->n;
    if (l->squares) mean = 0;
    for (int i = 0; i < l->n; i++) variance += (v[i] - mean) * (v[i] - mean) / (double)l->n;
    for (int i = 0; i < l->n; i++) {
      const double e = (v[i] - (l->center ? mean : 0)) / sqrt(variance + l->epsilon);
      near("a normalised value", y[r * l->n + i], e * (l->gamma ? l->gamma[i] : 1) + (l->beta ? l->beta[i] : 0), 3e-5);
    }
  }
}

static void test_layer(void **state) {
  (void)state;
  fill(x, ROOM, 3, 2, 5);
  fill(gamma_, 300, 4, 1, 1);
  fill(beta, 300, 5, 1, 0);
  EACH_ISA(isa)
  for (int i = 0; i < CN_COUNT(sizes) * 4; i++) {
    const int n = sizes[i / 4];
    const float *g = i & 1 ? gamma_ : NULL, *b = i & 2 ? beta : NULL;
    check_layer(isa, &(cn_layer_rows){n, g, b, 1e-3, true, false}, 5);
    check_layer(isa, &(cn_layer_rows){n, g, b, 1e-3, false, false}, 5);
    check_layer(isa, &(cn_layer_rows){n, g, b, 1e-3, false, true}, 5);
  }
}

static double softmax_of(bool logarithm, const float *v, int n, int step, int at) {
  double most = -INFINITY, sum = 0;
  for (int i = 0; i < n; i++) most = isnan(v[i * step]) ? NAN : v[i * step] > most ? v[i * step] : most;
  for (int i = 0; i < n; i++) sum += exp(v[i * step] - most);
  return logarithm ? v[at * step] - most - log(sum) : exp(v[at * step] - most) / sum;
}

static void test_softmax(void **state) {
  (void)state;
  EACH_ISA(isa)
  for (int i = 0; i < CN_COUNT(sizes) * 5; i++) {
    const int n = sizes[i / 5], step = sizes[(i + 3) % CN_COUNT(sizes)] % 80;
    fill(x, ROOM, (uint32_t)i, 20, 0);
    if (i % 5 == 1) x[n - 1] = NAN;
    if (i % 5 == 2) x[0] = INFINITY;
    if (i % 5 == 3) x[0] = -INFINITY;
    for (int log_too = 0; log_too < 2; log_too++) {
      if (log_too) norm[isa]->log_softmax(x, y, 3, n);
      else norm[isa]->softmax(x, y, 3, n);
      for (int k = 0; k < 3 * n; k++)
        near("softmax", y[k], softmax_of(log_too, x + k / n * n, n, 1, k % n), log_too ? 1e-5 : 1e-6);
      norm[isa]->softmax_columns(log_too, x, y, n, step, step);
      for (int k = 0; k < n * step; k++)
        near("softmax of columns", y[k], softmax_of(log_too, x + k % step, n, step, k / step), log_too ? 1e-5 : 1e-6);
    }
  }
}

static void test_scaled(void **state) {
  (void)state;
  static const cn_act acts[] = {{0}, {CN_ACT_RELU, 0, 2, 0}, {CN_ACT_TANH, 0, 0, 0}};
  fill(x, ROOM, 6, 3, 0);
  EACH_ISA(isa)
  for (int i = 0; i < CN_COUNT(sizes) * 3; i++) {
    const int n = sizes[i / 3];
    const cn_scaled_rows s = {n, n + 2, n + 1, gamma_, beta, i % 3 || i % 2 ? &acts[i % 3] : NULL};
    for (int k = 0; k < 4 * (n + 1); k++) y[k] = 77;
    norm[isa]->scale_rows(&s, x, y, 4);
    for (int k = 0; k < 4 * (n + 1); k++) {
      const int c = k % (n + 1);
      double e = c == n ? 77 : (double)x[k / (n + 1) * (n + 2) + c] * (double)gamma_[c] + (double)beta[c];
      if (c < n && s.act) e = cn_act_double(s.act, e);
      near("a scaled value", y[k], e, 2e-6);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns), cmocka_unit_test(test_rows),
                                     cmocka_unit_test(test_layer), cmocka_unit_test(test_softmax),
                                     cmocka_unit_test(test_scaled)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
