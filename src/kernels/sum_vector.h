/* Sums of many floats, for the files in kernels/isa/: lanes add up a block of values, blocks add up in double
 * precision. */
#ifndef CN_KERNELS_SUM_VECTOR_H
#define CN_KERNELS_SUM_VECTOR_H

#include "kernels/simd.h"

enum { V_SUM_BLOCK = 64 /* vectors */ };

/* v, or the square of its distance from `center` when `square`, which is a constant. */
V_FN vf v_sum_term_(vf v, vf center, bool square) {
  if (!square) return v;
  const vf d = v - center;
  return d * d;
}

V_FN float v_sum_block_(const float *x, int64_t n, vf center, bool square) {
  vf sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  int64_t i = 0;
  for (; i + 4 * CN_LANES <= n; i += 4 * CN_LANES)
    V_UNROLL for (int k = 0; k < 4; k++) sum[k] = sum[k] + v_sum_term_(v_load(x + i + k * CN_LANES), center, square);
  for (; i + CN_LANES <= n; i += CN_LANES) sum[0] = sum[0] + v_sum_term_(v_load(x + i), center, square);
  if (i < n) {
    float last[CN_LANES];
    v_store(last, v_sum_term_(v_load_n(x + i, (int)(n - i)), center, square));
    for (int k = (int)(n - i); k < CN_LANES; k++) last[k] = 0;
    sum[1] = sum[1] + v_load(last);
  }
  return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

V_FN double v_sum_row(const float *x, int64_t n, float center, bool square) {
  const int64_t block = V_SUM_BLOCK * CN_LANES;
  double sum = 0;
  for (int64_t i = 0; i < n; i += block)
    sum += (double)v_sum_block_(x + i, n - i < block ? n - i : block, v_set(center), square);
  return sum;
}

#endif
