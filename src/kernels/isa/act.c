/* Activations on arrays. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

/* As V_FOR, but the statements are there once: they are long. */
#define EACH(n, ...)                                                           \
  for (int64_t i = 0; i < (n); i += CN_LANES) {                                \
    const int left = (n) - i < CN_LANES ? (int)((n) - i) : CN_LANES;           \
    __VA_ARGS__;                                                               \
  }

static void rows(const cn_act *act, float *y, const float *x, int64_t pitch, int64_t count, int64_t n) {
  const vact p = v_act_parameters(act);
#define EACH_ROW for (int64_t r = 0; r < count; r++, y += pitch, x += pitch)
  if (cn_act_is_clamp(act)) {
    const vf zero = v_zero();
    EACH_ROW V_FOR(n, V_PUT(y, v_min(p.b, v_max(zero, V_AT(x)))));
    return;
  }
  if (act->kind == CN_ACT_SILU) {
    v_silu_rows(y, x, pitch, count, n);
    return;
  }
  V_ACT_SWITCH(act->kind, EACH_ROW EACH(n, V_PUT(y, v_act_one((cn_act_kind)V_KIND, V_AT(x), &p))));
}

/* Vectors as rows, since SiLU takes several rows at a time. */
static void apply(const cn_act *act, float *y, const float *x, int64_t n) {
  const int64_t whole = act->kind == CN_ACT_SILU ? n / CN_LANES * CN_LANES : 0;
  if (whole) rows(act, y, x, CN_LANES, whole / CN_LANES, CN_LANES);
  if (whole < n) rows(act, y + whole, x + whole, 0, 1, n - whole);
}

#define MAP(name, f) \
  static void name(float *y, const float *x, int64_t n) { EACH(n, V_PUT(y, f(V_AT(x)))); }
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
    if (with_tanh) {
      EACH(n, V_PUT(y, tanh_times_sigmoid(V_AT(x), V_AT(x + n))))
    } else EACH(n, V_PUT(y, V_AT(x) * v_sigmoid(V_AT(x + n))));
  }
}

const cn_act_kernels CN_ISA_NAME(cn_act_math_table) = {
  .apply = apply, .rows = rows, .exp = map_exp, .expm1 = map_expm1, .log = map_log, .log1p = map_log1p, .tanh = map_tanh,
  .sigmoid = map_sigmoid, .erf = map_erf, .gate = gate,
};
