/* What a core can do, for kernels.c: compiled once for each instruction set. */
#include "bench/peak.h"
#include "kernels/simd.h"

enum { CHAINS = 12 };

static float fma_chains(int64_t rounds) {
  static const volatile float factor = 0.999f, term = 1e-3f;
  vf a[CHAINS], f = v_set(factor), t = v_set(term);
  for (int i = 0; i < CHAINS; i++) a[i] = v_set((float)i);
  for (int64_t k = 0; k < rounds; k++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) a[i] = v_fma(a[i], f, t);
  for (int i = 1; i < CHAINS; i++) a[0] = a[0] + a[i];
  return v_sum(a[0]);
}

static float sum(const float *x, int64_t n) {
  vf a[8];
  for (int i = 0; i < 8; i++) a[i] = v_zero();
  for (; n >= 8 * CN_LANES; n -= 8 * CN_LANES, x += 8 * CN_LANES)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) a[i] = a[i] + v_load(x + i * CN_LANES);
  for (int i = 1; i < 8; i++) a[0] = a[0] + a[i];
  return v_sum(a[0]);
}

const bench_peak CN_ISA_NAME(bench_peak_table) = {
  .flops = 2.0 * CHAINS * CN_LANES, .fma = fma_chains, .sum = sum,
};
