/* Slopes of activations, times what comes back. */
#include "kernels/kernels.h"
#include "kernels/slope_vector.h"

static void backward(const cn_act *act, float *dx, const float *dy, const float *v, int64_t n) {
  const vact p = v_act_parameters(act);
  V_ACT_SWITCH(act->kind, V_FOR(n, V_PUT(dx, V_AT(dy) * v_slope((cn_act_kind)V_KIND, V_AT(v), &p))));
}

const cn_slope_kernels CN_ISA_NAME(cn_slope_table) = {.backward = backward};
