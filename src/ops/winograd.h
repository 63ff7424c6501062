/* Winograd's convolution: fewer multiplications for 3 x 3 kernels with stride 1. */
#ifndef CN_OPS_WINOGRAD_H
#define CN_OPS_WINOGRAD_H

#include "ops/spatial.h"

/* The side of the output tiles with which this convolution costs least: 2 or 4; 0: by products of rows. */
int cn_winograd_side(const cn_spatial *g, int64_t filters);
/* The kernel of the step is a constant of float32s. */
cn_status cn_winograd_plan(struct cn_planner *p, cn_step *s, const cn_spatial *g, int tile, const cn_act *act,
                           cn_error *e);

#endif
