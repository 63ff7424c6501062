/* Element-wise activations, as an epilogue of other kernels and alone. */
#ifndef CN_KERNELS_ACT_H
#define CN_KERNELS_ACT_H

typedef enum cn_act_kind {
  CN_ACT_LINEAR,
  CN_ACT_RELU,          /* x >= b: b; c < x < b: x; else a * (x - c)       a slope 0, b maximum inf, c threshold 0 */
  CN_ACT_THRESHOLDED,   /* x > a ? x : 0 (ThresholdedReLU) */
  CN_ACT_ELU,           /* x > 0 ? x : a * (exp(x) - 1) */
  CN_ACT_SELU,
  CN_ACT_CELU,          /* max(x, 0) + min(0, a * (exp(x / a) - 1)) */
  CN_ACT_SIGMOID,
  CN_ACT_HARD_SIGMOID,  /* clip(a * x + b, 0, 1)      Keras 1, 2: 0.2, 0.5; Keras 3: 1/6, 0.5 */
  CN_ACT_LOG_SIGMOID,
  CN_ACT_TANH,
  CN_ACT_HARD_TANH,     /* clip(x, -1, 1) */
  CN_ACT_TANH_SHRINK,   /* x - tanh(x) */
  CN_ACT_SOFTPLUS,
  CN_ACT_SOFTSIGN,
  CN_ACT_EXPONENTIAL,
  CN_ACT_SILU,
  CN_ACT_HARD_SILU,     /* x * clip(x / 6 + 0.5, 0, 1) */
  CN_ACT_GELU,          /* by erf */
  CN_ACT_GELU_TANH,     /* the tanh approximation */
  CN_ACT_MISH,
  CN_ACT_SOFT_SHRINK,   /* a = lambda */
  CN_ACT_HARD_SHRINK,   /* a = lambda */
  CN_ACT_THRESHOLD,     /* x > a ? x : b */
  CN_ACT_SQUAREPLUS,    /* (x + sqrt(x² + a)) / 2, a = 4 */
  CN_ACT_SPARSE_PLUS,   /* x <= -1: 0; x >= 1: x; else (x + 1)² / 4 */
  CN_ACT_SPARSE_SIGMOID,/* clip((x + 1) / 2, 0, 1) */
  CN_ACT_KINDS
} cn_act_kind;

typedef struct cn_act { cn_act_kind kind; double a, b, c; } cn_act;

#endif
