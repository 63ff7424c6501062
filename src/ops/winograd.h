/* Winograd's convolution: fewer multiplications for 3 x 3 kernels with stride 1. */
#ifndef CN_OPS_WINOGRAD_H
#define CN_OPS_WINOGRAD_H

#include "ops/spatial.h"

/* The side of the output tiles with which this convolution of float32s costs least: 2 or 4; 0: by products of rows.
 * constant: so is the kernel; else it is transformed in each run. */
int cn_winograd_side(const cn_spatial *g, int64_t filters, bool constant);
/* turned: the kernel is (3, 3, filters, channels), its places in the opposite order, as that of conv_transpose is. */
cn_status cn_winograd_plan(struct cn_planner *p, cn_step *s, const cn_spatial *g, int tile, const cn_act *act,
                           bool turned, cn_error *e);

#endif
