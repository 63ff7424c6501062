/* The attention kernels in double precision, and which ones serve a type. */
#include <math.h>

#include "kernels/kernels.h"

static void adjust(void *row, int64_t n, double scale, const void *bias, int64_t bias_step, const uint8_t *seen,
                   int64_t seen_step, double masked, bool lower) {
  double *s = row;
  for (int64_t i = 0; i < n; i++) {
    s[i] = s[i] * scale + (bias ? ((const double *)bias)[i * bias_step] : 0);
    if (seen && !seen[i * seen_step]) s[i] = lower ? s[i] + masked : masked;
  }
}

static void weigh(void *rows, int64_t pitch, int64_t count, int64_t n, double scale, double *sums) {
  double *s = rows;
  for (int64_t r = 0; r < count; r++, s += pitch) {
    double high = -INFINITY;
    for (int64_t i = 0; i < n; i++) high = s[i] > high ? s[i] : high;
    sums[r] = 0;
    for (int64_t i = 0; i < n; i++) sums[r] += s[i] = exp((s[i] - high) * scale);
  }
}

static void clear(void *row, int64_t n, const uint8_t *seen, int64_t seen_step) {
  double *s = row;
  for (int64_t i = 0; i < n; i++) s[i] = seen[i * seen_step] ? s[i] : 0;
}

static void divide(void *row, int64_t n, double by) {
  double *y = row;
  for (int64_t i = 0; i < n; i++) y[i] /= by;
}

const cn_attention_kernels *cn_attention_of(size_t item) {
  static const cn_attention_kernels doubles = {adjust, weigh, clear, divide};
  return item == sizeof(double) ? &doubles : cn_attention();
}
