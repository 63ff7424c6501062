/* The activations of act.h on one vector, for the files in kernels/isa/. Where `kind` is a constant the switch
 * disappears, so loops are written once per kind and chosen outside (V_ACT_SWITCH). */
#ifndef CN_KERNELS_ACT_VECTOR_H
#define CN_KERNELS_ACT_VECTOR_H

#include "kernels/act.h"
#include "kernels/vmath.h"

/* Where little room counts for more than speed (the small library, on machines of long ago): no loop for each kind. */
#if defined(CORNU_LITE) && defined(CN_ISA_sse2)
#define V_SMALL
#define V_ACT_FN static __attribute__((noinline, unused))
#else
#define V_ACT_FN V_FN
#endif

typedef struct vact { vf a, b, c; } vact; /* the parameters, one value in all lanes */

V_FN vact v_act_parameters(const cn_act *act) { return (vact){v_set((float)act->a), v_set((float)act->b), v_set((float)act->c)}; }

V_FN vf v_clip(vf x, float low, float high) { return v_min(v_set(high), v_max(v_set(low), x)); }

V_FN vf v_act_relu_(vf x, const vact *p) {
  vf slope = v_select(v_eq(p->a, v_zero()), v_zero(), p->a * (x - p->c)); /* 0, not 0 * -infinity */
  vf y = v_select(v_le(x, p->c), slope, x);
  return v_select(v_ge(x, p->b), p->b, y);
}
V_FN vf v_act_elu_(vf x, vf scale, vf a) { /* scale * (x > 0 ? x : a * (exp(x) - 1)) */
  return v_select(v_gt(x, v_zero()), scale * x, a * scale * v_expm1(v_min(v_zero(), x)));
}
V_FN vf v_act_gelu_tanh_(vf x) {
  vf inner = v_set(0.7978845608f) * v_fma(v_set(0.044715f) * x * x, x, x);
  return x * (v_set(0.5f) * (v_set(1) + v_tanh(inner)));
}
V_FN vf v_act_squareplus_(vf x, vf b) {
  vf a = v_abs(x);
  vf root = v_select(v_lt(a, v_set(1e9f)), v_sqrt(v_fma(x, x, b)), a); /* x² would overflow */
  vf low = v_set(0.5f) * b / (root + a) + (x - x); /* no cancellation; NaN for -infinity */
  return v_select(v_lt(x, v_zero()), low, v_set(0.5f) * (x + root));
}

V_ACT_FN vf v_act_one(cn_act_kind kind, vf x, const vact *p) {
  const vf zero = v_zero(), one = v_set(1);
  switch (kind) {
    case CN_ACT_RELU: return v_act_relu_(x, p);
    case CN_ACT_THRESHOLDED: return x * v_select(v_gt(x, p->a), one, zero);
    case CN_ACT_ELU: return v_act_elu_(x, one, p->a);
    case CN_ACT_SELU: return v_act_elu_(x, v_set(1.05070098735548049342f), v_set(1.67326324235437728482f));
    case CN_ACT_CELU: return v_max(zero, x) + p->a * v_expm1(v_min(zero, x) / p->a);
    case CN_ACT_SIGMOID: return v_sigmoid(x);
    case CN_ACT_HARD_SIGMOID: return v_clip(v_fma(p->a, x, p->b), 0, 1);
    case CN_ACT_LOG_SIGMOID: return -v_softplus(-x);
    case CN_ACT_TANH: return v_tanh(x);
    case CN_ACT_HARD_TANH: return v_clip(x, -1, 1);
    case CN_ACT_TANH_SHRINK: return x - v_tanh(x);
    case CN_ACT_SOFTPLUS: return v_softplus(x);
    case CN_ACT_SOFTSIGN: return x / (one + v_abs(x));
    case CN_ACT_EXPONENTIAL: return v_exp(x);
    case CN_ACT_SILU: v_silu(1, &x); return x;
    case CN_ACT_HARD_SILU: return x * v_clip(v_fma(x, v_set(1.0f / 6), v_set(0.5f)), 0, 1);
    case CN_ACT_GELU: return x * v_normal(x);
    case CN_ACT_GELU_TANH: return v_act_gelu_tanh_(x);
    case CN_ACT_MISH: return x * v_tanh(v_softplus(x));
    case CN_ACT_SOFT_SHRINK: return v_select(v_gt(v_abs(x), p->a), x - v_min(p->a, v_max(-p->a, x)), zero);
    case CN_ACT_HARD_SHRINK: return v_select(v_gt(v_abs(x), p->a), x, zero);
    case CN_ACT_THRESHOLD: return v_select(v_gt(x, p->a), x, p->b);
    case CN_ACT_SQUAREPLUS: return v_act_squareplus_(x, p->a);
    case CN_ACT_SPARSE_PLUS: {
      vf h = (x + one) * v_set(0.5f);
      vf y = v_select(v_lt(x, one), h * h, x);
      return v_select(v_le(x, v_set(-1)), zero, y);
    }
    case CN_ACT_SPARSE_SIGMOID: return v_clip((x + one) * v_set(0.5f), 0, 1);
    default: return x;
  }
}

V_FN void v_silu_block_(int rows, bool masked, float *y, const float *x, int64_t pitch, int left) {
  vf v[8];
  V_UNROLL for (int i = 0; i < rows; i++) v[i] = masked ? v_load_n(x + i * pitch, left) : v_load(x + i * pitch);
  v_silu(rows, v);
  V_UNROLL for (int i = 0; i < rows; i++)
    if (masked) v_store_n(y + i * pitch, v[i], left);
    else v_store(y + i * pitch, v[i]);
}
V_FN void v_silu_columns_(bool masked, float *y, const float *x, int64_t pitch, int64_t rows, int left) {
  int64_t m = 0;
  for (; m + 8 <= rows; m += 8) v_silu_block_(8, masked, y + m * pitch, x + m * pitch, pitch, left);
  for (; m + 4 <= rows; m += 4) v_silu_block_(4, masked, y + m * pitch, x + m * pitch, pitch, left);
  for (; m < rows; m++) v_silu_block_(1, masked, y + m * pitch, x + m * pitch, pitch, left);
}
/* SiLU on rows of n values, several rows at a time. y may be x. */
V_FN void v_silu_rows(float *y, const float *x, int64_t pitch, int64_t rows, int64_t n) {
  int64_t i = 0;
  for (; i + CN_LANES <= n; i += CN_LANES) v_silu_columns_(false, y + i, x + i, pitch, rows, CN_LANES);
  if (i < n) v_silu_columns_(true, y + i, x + i, pitch, rows, (int)(n - i));
}

/* V_ACT_SWITCH(kind, statement): the statement once per kind, with V_KIND the constant kind. */
#define V_ACT_CASE_(k, ...) \
  case k: {                 \
    enum { V_KIND = k };    \
    __VA_ARGS__;            \
  } break;
#if defined(V_SMALL)
#define V_ACT_SWITCH(kind, ...)         \
  {                                     \
    const cn_act_kind V_KIND = (kind);  \
    __VA_ARGS__;                        \
  }
#else
#define V_ACT_SWITCH(kind, ...)                                                                        \
  switch (kind) {                                                                                      \
    V_ACT_CASE_(CN_ACT_RELU, __VA_ARGS__) V_ACT_CASE_(CN_ACT_THRESHOLDED, __VA_ARGS__)                 \
    V_ACT_CASE_(CN_ACT_ELU, __VA_ARGS__) V_ACT_CASE_(CN_ACT_SELU, __VA_ARGS__)                         \
    V_ACT_CASE_(CN_ACT_CELU, __VA_ARGS__) V_ACT_CASE_(CN_ACT_SIGMOID, __VA_ARGS__)                     \
    V_ACT_CASE_(CN_ACT_HARD_SIGMOID, __VA_ARGS__) V_ACT_CASE_(CN_ACT_LOG_SIGMOID, __VA_ARGS__)         \
    V_ACT_CASE_(CN_ACT_TANH, __VA_ARGS__) V_ACT_CASE_(CN_ACT_HARD_TANH, __VA_ARGS__)                   \
    V_ACT_CASE_(CN_ACT_TANH_SHRINK, __VA_ARGS__) V_ACT_CASE_(CN_ACT_SOFTPLUS, __VA_ARGS__)             \
    V_ACT_CASE_(CN_ACT_SOFTSIGN, __VA_ARGS__) V_ACT_CASE_(CN_ACT_EXPONENTIAL, __VA_ARGS__)             \
    V_ACT_CASE_(CN_ACT_SILU, __VA_ARGS__) V_ACT_CASE_(CN_ACT_HARD_SILU, __VA_ARGS__)                   \
    V_ACT_CASE_(CN_ACT_GELU, __VA_ARGS__) V_ACT_CASE_(CN_ACT_GELU_TANH, __VA_ARGS__)                   \
    V_ACT_CASE_(CN_ACT_MISH, __VA_ARGS__) V_ACT_CASE_(CN_ACT_SOFT_SHRINK, __VA_ARGS__)                 \
    V_ACT_CASE_(CN_ACT_HARD_SHRINK, __VA_ARGS__) V_ACT_CASE_(CN_ACT_THRESHOLD, __VA_ARGS__)            \
    V_ACT_CASE_(CN_ACT_SQUAREPLUS, __VA_ARGS__) V_ACT_CASE_(CN_ACT_SPARSE_PLUS, __VA_ARGS__)           \
    V_ACT_CASE_(CN_ACT_SPARSE_SIGMOID, __VA_ARGS__)                                                    \
    default: {                                                                                         \
      enum { V_KIND = CN_ACT_LINEAR };                                                                 \
      __VA_ARGS__;                                                                                     \
    } break;                                                                                           \
  }
#endif

#endif
