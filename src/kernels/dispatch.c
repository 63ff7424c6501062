/* Which instruction set's tables are in use, and what needs no vectors. */
#include "kernels/batch_norm.h"
#include "kernels/kernels.h"

CN_KERNELS_DEFINE(cn_act_kernels, cn_act_math)
CN_KERNELS_DEFINE(cn_binary_kernels, cn_binary)
CN_KERNELS_DEFINE(cn_reduce_kernels, cn_reduce)
CN_KERNELS_DEFINE(cn_norm_kernels, cn_norm)
CN_KERNELS_DEFINE(cn_batch_norm_kernels, cn_batch_norm_math)
CN_KERNELS_DEFINE(cn_gemm_kernels, cn_gemm)
CN_KERNELS_DEFINE(cn_gemm_kernels, cn_gemm_double)
CN_KERNELS_DEFINE(cn_window_kernels, cn_window)
CN_KERNELS_DEFINE(cn_attention_kernels, cn_attention)
CN_KERNELS_DEFINE(cn_rnn_kernels, cn_rnn_math)
CN_KERNELS_DEFINE(cn_transpose_kernels, cn_transpose)
CN_KERNELS_DEFINE(cn_winograd_kernels, cn_winograd_2)
CN_KERNELS_DEFINE(cn_winograd_kernels, cn_winograd_4)

void cn_act_apply(const cn_act *act, float *y, const float *x, int64_t n) { cn_act_math()->apply(act, y, x, n); }

const cn_gemm_kernels *cn_gemm_of(size_t item) { return item == sizeof(double) ? cn_gemm_double() : cn_gemm(); }

int64_t cn_gemm_tiles(const cn_gemm_kernels *k, int64_t m) { return m <= k->mr ? 1 : (m + k->mr - 1) / k->mr; }

int64_t cn_gemm_panels(const cn_gemm_kernels *k, int64_t n) { return (n + k->nr - 1) >> __builtin_ctz((unsigned)k->nr); }

size_t cn_gemm_packed_bytes(const cn_gemm_kernels *k, int64_t rows, int64_t n) {
  int64_t columns = (n + k->lanes - 1) / k->lanes * k->lanes;
  return (size_t)rows * (size_t)columns * k->item;
}
