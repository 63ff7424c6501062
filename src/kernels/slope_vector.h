/* Slopes of activations on vectors: see cn_slope_kernels. At corners they are those that TensorFlow takes. */
#ifndef CN_KERNELS_SLOPE_VECTOR_H
#define CN_KERNELS_SLOPE_VECTOR_H

#include "kernels/act_vector.h"

V_FN vf v_inside(vf v, float low, float high, vf slope) { /* slope where low < v < high, else 0 */
  return v_select(v_both(v_gt(v, v_set(low)), v_lt(v, v_set(high))), slope, v_zero());
}
V_FN vf v_relu_slope(vf v, const vact *p) {
  vf y = v_select(v_gt(v, p->c), v_set(1), p->a);
  return v_select(v_lt(v, p->b), y, v_zero());
}
V_FN vf v_silu_slope(vf x) {
  vf s = v_sigmoid(x);
  return s * v_fma(x, v_set(1) - s, v_set(1));
}
V_FN vf v_gelu_slope(vf x) { /* P(X <= x) + x * density */
  return v_fma(x * v_set(0.3989422804f), v_exp(v_set(-0.5f) * x * x), v_normal(x));
}
V_FN vf v_gelu_tanh_slope(vf x) {
  const vf k = v_set(0.7978845608f), one = v_set(1), half = v_set(0.5f);
  vf t = v_tanh(k * v_fma(v_set(0.044715f) * x * x, x, x));
  vf inner = k * v_fma(v_set(3 * 0.044715f) * x, x, one);
  return half * (one + t) + half * x * (one - t * t) * inner;
}
V_FN vf v_mish_slope(vf x) {
  vf t = v_tanh(v_softplus(x));
  return v_fma(x * v_sigmoid(x), v_set(1) - t * t, t);
}

V_FN vf v_slope(cn_act_kind kind, vf v, const vact *p) {
  const vf zero = v_zero(), one = v_set(1);
  switch (kind) {
    case CN_ACT_RELU: return v_relu_slope(v, p);
    case CN_ACT_THRESHOLDED:
    case CN_ACT_THRESHOLD: return v_select(v_gt(v, p->a), one, zero);
    case CN_ACT_ELU: return v_select(v_gt(v, zero), one, v + p->a);
    case CN_ACT_SELU: {
      const vf scale = v_set(1.05070098735548049342f);
      return v_select(v_gt(v, zero), scale, v + scale * v_set(1.67326324235437728482f));
    }
    case CN_ACT_CELU: return v_select(v_gt(v, zero), one, v_exp(v_min(zero, v) / p->a));
    case CN_ACT_SIGMOID: return v * (one - v);
    case CN_ACT_HARD_SIGMOID: return v_inside(v, 0, 1, p->a);
    case CN_ACT_LOG_SIGMOID: return one - v_exp(v);
    case CN_ACT_TANH: return one - v * v;
    case CN_ACT_HARD_TANH: return v_inside(v, -1, 1, one);
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
    case CN_ACT_SILU: return v_silu_slope(v);
    case CN_ACT_HARD_SILU: {
      vf y = v_select(v_lt(v, v_set(3)), v_fma(v, v_set(1.0f / 3), v_set(0.5f)), one);
      return v_select(v_gt(v, v_set(-3)), y, zero);
    }
    case CN_ACT_GELU: return v_gelu_slope(v);
    case CN_ACT_GELU_TANH: return v_gelu_tanh_slope(v);
    case CN_ACT_MISH: return v_mish_slope(v);
    case CN_ACT_SOFT_SHRINK:
    case CN_ACT_HARD_SHRINK: return v_select(v_gt(v_abs(v), p->a), one, zero);
    case CN_ACT_SQUAREPLUS: return v_set(0.5f) * (one + v / v_sqrt(v_fma(v, v, p->a)));
    case CN_ACT_SPARSE_PLUS: return v_min(one, v_max(zero, (v + one) * v_set(0.5f)));
    case CN_ACT_SPARSE_SIGMOID: return v_inside(v, 0, 1, v_set(0.5f));
    default: return one;
  }
}

#endif
