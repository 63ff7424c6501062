/* Loops that do nothing but arithmetic, or nothing but reading. */
#ifndef TESTS_BENCH_PEAK_H
#define TESTS_BENCH_PEAK_H

#include "kernels/kernels.h"

typedef struct bench_peak {
  double flops;                         /* of a round of fma */
  float (*fma)(int64_t rounds);
  float (*sum)(const float *x, int64_t n);
} bench_peak;
extern const bench_peak bench_peak_table_sse2, bench_peak_table_avx2, bench_peak_table_avx512;

#endif
