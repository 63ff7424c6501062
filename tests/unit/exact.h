/* The vector functions of kernels/vmath.h and the activations made of them, with what they must give: for
 * unit/kernels_act.c, which takes a sample of all floats, and accuracy/vmath.c, which takes all that matter. */
#ifndef TESTS_UNIT_EXACT_H
#define TESTS_UNIT_EXACT_H

#include <float.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <tgmath.h>

#include "kernels/kernels.h"

static const cn_act_kernels *const exact_tables[] = CN_KERNELS_OF(cn_act_math);
#define EXACT_ISA(isa, ...) #isa,
static const char *const exact_isas[] = {CN_EACH_ISA(EXACT_ISA, )};

/* In double to find the worst values, and in long double to measure them: both by the functions of <tgmath.h>. */
#define FORMULA(name, ...)                                    \
  static double near_##name(double x) { return __VA_ARGS__; } \
  static long double exact_##name(long double x) { return __VA_ARGS__; }
#define AS_X(constant) ((__typeof__(x))(constant))
FORMULA(exp, exp(x))
FORMULA(expm1, expm1(x))
FORMULA(log, log(x))
FORMULA(log1p, log1p(x))
FORMULA(tanh, tanh(x))
FORMULA(sigmoid, 1 / (1 + exp(-x)))
FORMULA(erf, erf(x))
FORMULA(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
FORMULA(silu, x < -12000 ? AS_X(-0.0) : x / (1 + exp(-x)))
FORMULA(gelu, x < -100 ? AS_X(-0.0) : x * erfc(-x * AS_X(0.707106781186547524400844362104849039L)) / 2)
FORMULA(gelu_tanh, x < -100 ? AS_X(-0.0) : x > 100 ? x :
                   x / (1 + exp(AS_X(-1.59576912160573071175978423973752747L) * (x + AS_X(0.044715L) * x * x * x))))
FORMULA(mish, x < -12000 ? AS_X(-0.0) : x * tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))))

/* by_x: the function is a small difference of large terms somewhere, so errors count in ulp of x where that is larger.
 * low … high: the magnitudes between which it is more than its limit; elsewhere a sample will do. */
typedef struct exact {
  const char *name;
  size_t offset;               /* in cn_act_kernels; of apply: an activation */
  cn_act act;
  double (*near)(double);
  long double (*exact)(long double);
  double max_ulp;              /* as vmath.h states it */
  bool by_x;
  float low, high;
} exact;

#define MATH(name, max_ulp, low, high) \
  {#name, offsetof(cn_act_kernels, name), {0}, near_##name, exact_##name, max_ulp, false, low, high}
#define ACT(name, kind, max_ulp, by_x, low, high) \
  {#name, offsetof(cn_act_kernels, apply), {kind, 0, 0, 0}, near_##name, exact_##name, max_ulp, by_x, low, high}
static const exact exacts[] = {
  MATH(exp, 1.5, 1e-8f, 105), MATH(expm1, 2.5, 1e-8f, 90), MATH(log, 2, 1e-10f, 1e10f), MATH(log1p, 2.5, 1e-8f, 1e10f),
  MATH(tanh, 3, 1e-4f, 10), MATH(sigmoid, 3, 1e-8f, 105), MATH(erf, 3, 1e-5f, 5),
  ACT(softplus, CN_ACT_SOFTPLUS, 4, false, 1e-8f, 105), ACT(silu, CN_ACT_SILU, 4, false, 1e-8f, 105),
  ACT(gelu, CN_ACT_GELU, 4, true, 1e-8f, 15), ACT(gelu_tanh, CN_ACT_GELU_TANH, 4, true, 1e-8f, 15),
  ACT(mish, CN_ACT_MISH, 6, false, 1e-8f, 105),
};

static inline void exact_run(const exact *f, int isa, float *y, const float *x, int64_t n) {
  void (*run)(float *, const float *, int64_t);
  if (f->offset == offsetof(cn_act_kernels, apply)) {
    exact_tables[isa]->apply(&f->act, y, x, n);
    return;
  }
  memcpy(&run, (const char *)exact_tables[isa] + f->offset, sizeof run);
  run(y, x, n);
}

/* The distance of two floats next to a. */
static inline double exact_ulp(double a) {
  float x = (float)fabs(a);
  return x < FLT_MIN ? 0x1p-149 : (double)nextafterf(x, INFINITY) - (double)x;
}

/* The error of y = f(x) in ulp, given f(x) to more digits; infinity where y is of another kind (NaN, infinite). */
static inline double exact_error(const exact *f, float x, float y, long double want) {
  bool act = f->offset == offsetof(cn_act_kernels, apply);
  if (act && isinf(x)) return 0; /* a matter of convention: kernels_act.c has its test */
  if (act && y == 0 && fabs(want) < 100 * FLT_MIN) return 0; /* the gate may be flushed */
  if (isnan(want) || isnan(y)) return isnan(want) && isnan(y) ? 0 : INFINITY;
  if (fabs(want) < FLT_MIN && fabsf(y) <= FLT_MIN) return 0; /* may be flushed */
  if (fabs(want) > (long double)FLT_MAX || isinf(y)) return (float)want == y ? 0 : INFINITY;
  double size = fmax(fabs((double)want), f->by_x ? fabs((double)x) : act ? 100 * (double)FLT_MIN : 0);
  return (double)(fabs((long double)y - want) / exact_ulp(size));
}

#endif
