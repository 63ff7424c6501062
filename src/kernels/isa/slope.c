/* Slopes of activations, times what comes back. At corners they are those that TensorFlow takes. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

V_FN vf inside(vf v, float low, float high, vf slope) { /* slope where low < v < high, else 0 */
  return v_select(v_both(v_gt(v, v_set(low)), v_lt(v, v_set(high))), slope, v_zero());
}
V_FN vf relu_slope(vf v, const vact *p) {
  vf y = v_select(v_gt(v, p->c), v_set(1), p->a);
  return v_select(v_lt(v, p->b), y, v_zero());
}
V_FN vf silu_slope(vf x) {
  vf s = v_sigmoid(x);
  return s * v_fma(x, v_set(1) - s, v_set(1));
}
V_FN vf gelu_slope(vf x) { /* P(X <= x) + x * density */
  return v_fma(x * v_set(0.3989422804f), v_exp(v_set(-0.5f) * x * x), v_normal(x));
}
V_FN vf gelu_tanh_slope(vf x) {
  const vf k = v_set(0.7978845608f), one = v_set(1), half = v_set(0.5f);
  vf t = v_tanh(k * v_fma(v_set(0.044715f) * x * x, x, x));
  vf inner = k * v_fma(v_set(3 * 0.044715f) * x, x, one);
  return half * (one + t) + half * x * (one - t * t) * inner;
}
V_FN vf mish_slope(vf x) {
  vf t = v_tanh(v_softplus(x));
  return v_fma(x * v_sigmoid(x), v_set(1) - t * t, t);
}

V_FN vf slope(cn_act_kind kind, vf v, const vact *p) {
  const vf zero = v_zero(), one = v_set(1);
  switch (kind) {
    case CN_ACT_RELU: return relu_slope(v, p);
    case CN_ACT_THRESHOLDED:
    case CN_ACT_THRESHOLD: return v_select(v_gt(v, p->a), one, zero);
    case CN_ACT_ELU: return v_select(v_gt(v, zero), one, v + p->a);
    case CN_ACT_SELU: {
      const vf scale = v_set(1.05070098735548049342f);
      return v_select(v_gt(v, zero), scale, v + scale * v_set(1.67326324235437728482f));
    }
    case CN_ACT_CELU: return v_select(v_gt(v, zero), one, v_exp(v_min(zero, v) / p->a));
    case CN_ACT_SIGMOID: return v * (one - v);
    case CN_ACT_HARD_SIGMOID: return inside(v, 0, 1, p->a);
    case CN_ACT_LOG_SIGMOID: return one - v_exp(v);
    case CN_ACT_TANH: return one - v * v;
    case CN_ACT_HARD_TANH: return inside(v, -1, 1, one);
    case CN_ACT_TANH_SHRINK: {
      vf t = v_tanh(v);
      return t * t;
    }
    case CN_ACT_SOFTPLUS: return -v_expm1(-v);
    case CN_ACT_SOFTSIGN: {
      vf r = one - v_abs(v);
      return r * r;
    }
    case CN_ACT_EXPONENTIAL: return v;
    case CN_ACT_SILU: return silu_slope(v);
    case CN_ACT_HARD_SILU: {
      vf y = v_select(v_lt(v, v_set(3)), v_fma(v, v_set(1.0f / 3), v_set(0.5f)), one);
      return v_select(v_gt(v, v_set(-3)), y, zero);
    }
    case CN_ACT_GELU: return gelu_slope(v);
    case CN_ACT_GELU_TANH: return gelu_tanh_slope(v);
    case CN_ACT_MISH: return mish_slope(v);
    case CN_ACT_SOFT_SHRINK:
    case CN_ACT_HARD_SHRINK: return v_select(v_gt(v_abs(v), p->a), one, zero);
    case CN_ACT_SQUAREPLUS: return v_set(0.5f) * (one + v / v_sqrt(v_fma(v, v, p->a)));
    case CN_ACT_SPARSE_PLUS: return v_min(one, v_max(zero, (v + one) * v_set(0.5f)));
    case CN_ACT_SPARSE_SIGMOID: return inside(v, 0, 1, v_set(0.5f));
    default: return one;
  }
}

static void backward(const cn_act *act, float *dx, const float *dy, const float *v, int64_t n) {
  const vact p = v_act_parameters(act);
  V_ACT_SWITCH(act->kind, V_FOR(n, V_PUT(dx, V_AT(dy) * slope((cn_act_kind)V_KIND, V_AT(v), &p))));
}

const cn_slope_kernels CN_ISA_NAME(cn_slope_table) = {.backward = backward};
