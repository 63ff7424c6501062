/* Kernels of normalisation by the statistics of a batch: contiguous rows of n channels. */
#ifndef CN_KERNELS_BATCH_NORM_H
#define CN_KERNELS_BATCH_NORM_H

#include "kernels/kernels.h"

typedef struct cn_blend_rows { /* dx = from_dy * dy + from_x * (x - center) + shift, all of n channels */
  int64_t n;
  const float *from_dy, *from_x, *center, *shift;
} cn_blend_rows;

typedef struct cn_batch_norm_kernels {
  /* to[j] = sum of dy[r][j], products[j] = sum of dy[r][j] * (x[r][j] - center[j]) */
  void (*sums)(const float *dy, const float *x, int64_t rows, int64_t n, const float *center, double *to,
               double *products);
  void (*blend)(const cn_blend_rows *b, const float *dy, const float *x, float *dx, int64_t rows);
} cn_batch_norm_kernels;
CN_KERNELS_DECLARE(cn_batch_norm_kernels, cn_batch_norm_math);

#endif
