/* Activations on arrays. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

static void apply(const cn_act *act, float *y, const float *x, int64_t n) {
  vact p = v_act_parameters(act);
  if (cn_act_is_clamp(act)) {
    const vf zero = v_zero();
    V_FOR(n, V_PUT(y, v_min(p.b, v_max(zero, V_AT(x)))));
    return;
  }
  V_ACT_SWITCH(act->kind, V_FOR(n, V_PUT(y, v_act_one((cn_act_kind)V_KIND, V_AT(x), &p))));
}

#define MAP(name, f) \
  static void name(float *y, const float *x, int64_t n) { V_FOR(n, V_PUT(y, f(V_AT(x)))); }
MAP(map_exp, v_exp)
MAP(map_expm1, v_expm1)
MAP(map_log, v_log)
MAP(map_log1p, v_log1p)
MAP(map_tanh, v_tanh)
MAP(map_sigmoid, v_sigmoid)
MAP(map_erf, v_erf)

const cn_act_kernels CN_ISA_NAME(cn_act_math_table) = {
  .apply = apply, .exp = map_exp, .expm1 = map_expm1, .log = map_log, .log1p = map_log1p, .tanh = map_tanh,
  .sigmoid = map_sigmoid, .erf = map_erf,
};
