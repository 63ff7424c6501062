/* Which instruction set's tables are in use on the way back. */
#include "kernels/kernels.h"

CN_KERNELS_DEFINE(cn_slope_kernels, cn_slope)
CN_KERNELS_DEFINE(cn_pool_back_kernels, cn_pool_backward)
CN_KERNELS_DEFINE(cn_rnn_back_kernels, cn_rnn_back)
