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
  if (act->kind == CN_ACT_SILU) {
    const int64_t whole = n / CN_LANES * CN_LANES;
    v_silu_rows(y, x, CN_LANES, n / CN_LANES, CN_LANES);
    v_silu_rows(y + whole, x + whole, 0, 1, n - whole);
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

/* One division for both: v_tanh(a) * v_sigmoid(b). */
V_FN vf tanh_times_sigmoid(vf a, vf b) {
  vf t = v_expm1(v_set(2) * v_min(v_set(9.1f), v_abs(a)));
  return v_copysign(t / ((t + v_set(2)) * (v_set(1) + v_exp(-b))), a);
}

static void gate(bool with_tanh, float *y, const float *x, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; r++, y += n, x += 2 * n) {
    if (with_tanh) V_FOR(n, V_PUT(y, tanh_times_sigmoid(V_AT(x), V_AT(x + n))));
    else V_FOR(n, V_PUT(y, V_AT(x) * v_sigmoid(V_AT(x + n))));
  }
}

const cn_act_kernels CN_ISA_NAME(cn_act_math_table) = {
  .apply = apply, .exp = map_exp, .expm1 = map_expm1, .log = map_log, .log1p = map_log1p, .tanh = map_tanh,
  .sigmoid = map_sigmoid, .erf = map_erf, .gate = gate,
};
