/* Elementary functions on vectors, for the files in kernels/isa/. Polynomials are interpolations at Chebyshev nodes.
 * Errors are at most, in ulp: exp 1.5, log 2, expm1 and log1p 2.5, tanh, sigmoid and erf 3, softplus 4; of the activations
 * made of them silu 4, mish 6, gelu 4 of the argument's (tests/unit/exact.h; make accuracy measures them on all floats).
 * NaN gives NaN, and ±infinity, overflow and underflow behave as in C (results below the smallest normal number may be
 * flushed to zero). */
#ifndef CN_KERNELS_VMATH_H
#define CN_KERNELS_VMATH_H

#include "kernels/simd.h"

V_FN vf v_power2_(vi n) { return (vf)((vu)(n + 127) << 23); } /* 2^n for n in -126 … 127 */

/* x * 2^n for whole n in -252 … 252. */
V_FN vf v_scale2(vf x, vf n) {
#if defined(CN_ISA_avx512)
  return _mm512_scalef_ps(x, n);
#else
  vi k = v_to_int(n), half = k >> 1; /* two factors, since 2^128 and 2^-150 are no floats */
  return x * v_power2_(half) * v_power2_(k - half);
#endif
}

/* x /= d for d from 1 to infinity, in n vectors; within 1 ulp more than the quotient. */
V_FN void v_over(int n, vf *x, const vf *d) {
#if defined(CN_ISA_avx512)
  vf y[8], left[8];
#define EACH V_UNROLL for (int i = 0; i < n; i++)
  EACH y[i] = _mm512_rcp14_ps(d[i]);
  EACH left[i] = v_max(v_fnma(d[i], y[i], v_set(1)), v_set(-1)); /* -1 where d is infinite, and 0 times it NaN */
  EACH x[i] = x[i] * v_fma(y[i], left[i], y[i]);
#undef EACH
#else
  V_UNROLL for (int i = 0; i < n; i++) x[i] = x[i] / d[i];
#endif
}

/* x = n ln 2 + r, |r| <= ln 2 / 2, in two parts of ln 2. */
V_FN vf v_exp_reduce_(vf x, vf *n) {
  *n = v_round(x * v_set(1.44269504088896341f));
  vf r = v_fnma(*n, v_set(0.693359375f), x);
  return v_fnma(*n, v_set(-2.12194440e-4f), r);
}
V_FN vf v_exp_poly_(vf r) { /* (exp(r) - 1 - r) / r² */
  vf p = v_fma(v_set(1.98909809e-4f), r, v_set(1.3933641e-3f));
  p = v_fma(p, r, v_set(8.33331093e-3f));
  p = v_fma(p, r, v_set(4.1666465e-2f));
  p = v_fma(p, r, v_set(0.166666667f));
  return v_fma(p, r, v_set(0.5f));
}

V_FN vf v_exp(vf x) {
  x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x)); /* beyond: infinity and 0 */
  vf n, r = v_exp_reduce_(x, &n);
  vf y = v_fma(v_exp_poly_(r) * r, r, r) + v_set(1);
  return v_scale2(y, n);
}

/* 2^x for x <= 0; below -126 the smallest normal number. */
V_FN vf v_exp2_below(vf x) {
  const vf round = v_set(12583039.0f); /* 1.5 * 2^23 + 127: rounds what is added, with n + 127 in the low bits */
  x = v_max(v_set(-126), x);
  vf n = x + round, f = x - (n - round);
  vf p = v_fma(v_set(1.54531629e-4f), f, v_set(1.33908634e-3f));
  p = v_fma(p, f, v_set(9.61808256e-3f));
  p = v_fma(p, f, v_set(5.55035711e-2f));
  p = v_fma(p, f, v_set(0.240226508f));
  p = v_fma(p, f, v_set(0.693147188f));
  return v_fma(p, f, v_set(1)) * v_from_bits(v_bits(n) << 23);
}

/* exp(x) - 1, accurate near 0. */
V_FN vf v_expm1(vf x0) {
  vf x = v_min(v_set(89.0f), v_max(v_set(-25.0f), x0));
  vf n, r = v_exp_reduce_(x, &n);
  vf em = v_fma(v_exp_poly_(r) * r, r, r);
  /* half of the result: 2^(n-1) em + (2^(n-1) - 1/2); n <= 128 */
  vf h = v_power2_(v_to_int(n - v_set(1)));
  vf y = v_fma(h, em, h - v_set(0.5f));
  y = y + y;
  return v_select(v_lt(v_abs(x0), v_set(1e-5f)), v_fma(x0 * v_set(0.5f), x0, x0), y); /* keeps -0 and tiny x */
}

V_FN vf v_tanh(vf x) {
  /* tanh |x| = t / (t + 2) with t = exp(2 |x|) - 1, or 1 - 2 / (t + 2), which becomes 1; from 9.1 on it rounds to 1 */
  const vf round = v_set(12583039.0f); /* as in v_exp2_below */
  vf half = v_min(v_set(9.1f), v_abs(x)), a = half + half;
  vf m = v_fma(a, v_set(1.44269504088896341f), round), n = m - round;
  vf r = v_fnma(n, v_set(0.693359375f), a);
  r = v_fnma(n, v_set(-2.12194440e-4f), r);
  vf power = v_from_bits(v_bits(m) << 23);
  vf t = v_fma(power, v_fma(v_exp_poly_(r) * r, r, r), power - v_set(1));
  vf d = t + v_set(2), inverse = v_set(1);
  v_over(1, &inverse, &d);
  t = v_select(v_lt(half, v_set(0.5f)), t * inverse, v_fnma(v_set(2), inverse, v_set(1)));
  return v_copysign(t, x);
}

/* d = 1 + exp(-x), infinity from where that is above 2^127, for n vectors step by step: each is one long chain of
 * operations, and they fill each other's gaps. */
V_FN void v_one_plus_exp_minus_(int n, const vf *from, vf *d) {
  const vf round = v_set(12583039.0f); /* as in v_exp2_below */
  vf x[8], m[8], r[8];
#define EACH V_UNROLL for (int i = 0; i < n; i++)
  EACH x[i] = v_min(v_set(87.3f), v_max(v_set(-89), from[i]));
  EACH m[i] = v_fnma(x[i], v_set(1.44269504088896341f), round);
  EACH d[i] = m[i] - round;
  EACH r[i] = v_fma(d[i], v_set(0.693359375f), x[i]); /* of -x, with the sign turned */
  EACH r[i] = v_fma(d[i], v_set(-2.12194440e-4f), r[i]);
  EACH d[i] = v_fnma(v_set(1.39262131e-3f), r[i], v_set(8.36320315e-3f));
  EACH d[i] = v_fnma(d[i], r[i], v_set(4.16665561e-2f));
  EACH d[i] = v_fnma(d[i], r[i], v_set(0.166665763f));
  EACH d[i] = v_fnma(d[i], r[i], v_set(0.5f));
  EACH d[i] = v_fnma(d[i], r[i], v_set(1));
  EACH d[i] = v_fnma(d[i], r[i], v_set(1));
  EACH d[i] = v_fma(d[i], v_from_bits(v_bits(m[i]) << 23), v_set(1));
#undef EACH
}
V_FN vf v_sigmoid(vf x) {
  vf d, one = v_set(1);
  v_one_plus_exp_minus_(1, &x, &d);
  v_over(1, &one, &d);
  return one;
}
V_FN void v_silu(int n, vf *x) {
  vf d[8];
  v_one_plus_exp_minus_(n, x, d);
  v_over(n, x, d);
}

/* log of m 2^e with m in [sqrt(1/2), sqrt 2), m - 1 = f: log(1 + f) = f - f² / 2 + f³ Q(f). */
V_FN vf v_log_parts_(vf f, vf e) {
  vf q = v_fma(v_set(6.97161147e-2f), f, v_set(-0.114797338f));
  q = v_fma(q, f, v_set(0.116854199f));
  q = v_fma(q, f, v_set(-0.124256873f));
  q = v_fma(q, f, v_set(0.142490576f));
  q = v_fma(q, f, v_set(-0.166678023f));
  q = v_fma(q, f, v_set(0.200007157f));
  q = v_fma(q, f, v_set(-0.24999997f));
  q = v_fma(q, f, v_set(0.333333312f));
  vf z = f * f;
  vf y = q * f * z;
  y = v_fma(e, v_set(-2.12194440e-4f), y);
  y = v_fnma(v_set(0.5f), z, y);
  y = f + y;
  return v_fma(e, v_set(0.693359375f), y);
}

V_FN vf v_log(vf x) {
  vm tiny = v_lt(x, v_set(1.17549435e-38f)); /* denormal, zero or negative */
  vf s = v_select(tiny, x * v_set(8388608.0f), x);
  vi bits = (vi)((vu)s - (vu)v_set(0.70710678f)); /* exponent relative to sqrt(1/2) */
  vf e = v_to_float(bits >> 23);
  vf m = v_from_bits((bits & 0x007fffff) + v_bits(v_set(0.70710678f)));
  e = v_select(tiny, e - v_set(23), e);
  vf y = v_log_parts_(m - v_set(1), e);
  y = v_select(v_eq(x, v_set(__builtin_inff())), x, y);
  y = v_select(v_eq(x, v_zero()), v_set(-__builtin_inff()), y);
  return v_select(v_either(v_lt(x, v_zero()), v_isnan(x)), v_set(__builtin_nanf("")), y);
}

/* log(1 + x), accurate near 0: log u + (x - (u - 1)) / u with u = 1 + x rounded. */
V_FN vf v_log1p(vf x) {
  vf u = v_set(1) + x;
  vf y = v_log(u) + (x - (u - v_set(1))) / u;
  y = v_select(v_eq(u, v_set(1)), x, y);
  return v_select(v_either(v_eq(u, v_zero()), v_eq(x, v_set(__builtin_inff()))), v_log(u), y);
}

/* log(1 + exp(x)) */
V_FN vf v_softplus(vf x) { return v_max(v_zero(), x) + v_log1p(v_exp(-v_abs(x))); }

/* Below 1 an odd polynomial; from there 1 - exp(-R(x)), R fitted to -log(erfc x) up to 4. */
V_FN vf v_erf(vf x) {
  vf a = v_min(v_set(4.0f), v_abs(x));
  vf z = a * a;
  vf p = v_fma(v_set(7.87587506e-05f), z, v_set(-8.01686429e-4f));
  p = v_fma(p, z, v_set(5.18908742e-3f));
  p = v_fma(p, z, v_set(-2.6854212e-2f));
  p = v_fma(p, z, v_set(0.112835947f));
  p = v_fma(p, z, v_set(-0.376126267f));
  p = v_fma(p, z, v_set(1.12837917f));
  vf q = v_fma(v_set(-1.63715141e-6f), a, v_set(4.60580427e-5f));
  q = v_fma(q, a, v_set(-5.96805626e-4f));
  q = v_fma(q, a, v_set(4.75959629e-3f));
  q = v_fma(q, a, v_set(-2.6421136e-2f));
  q = v_fma(q, a, v_set(0.110080083f));
  q = v_fma(q, a, v_set(0.631826052f));
  q = v_fma(q, a, v_set(1.13023343f));
  q = v_fma(q, a, v_set(-3.2013805e-4f));
  vf big = v_set(1) - v_exp(-q);
  return v_copysign(v_select(v_lt(a, v_set(1)), p * a, big), x);
}

/* The normal distribution's share below x, (1 + erf(x / sqrt 2)) / 2, within 1.5e-7: 2^-T(|x|) is that of a tail, with
 * T fitted up to 6; from there on it only has to grow. */
V_FN vf v_normal(vf x) {
  vf a = v_min(v_set(14), v_abs(x));
  vf t = v_fma(v_set(-1.89046828e-6f), a, v_set(2.85593021e-5f));
  t = v_fma(t, a, v_set(-1.37625302e-4f));
  t = v_fma(t, a, v_set(-2.45946612e-4f));
  t = v_fma(t, a, v_set(7.19290568e-3f));
  t = v_fma(t, a, v_set(-5.25751401e-2f));
  t = v_fma(t, a, v_set(-0.459186355f));
  t = v_fma(t, a, v_set(-1.15110715f));
  t = v_fma(t, a, v_set(-1));
  vf tail = v_select(v_lt(t, v_set(-126)), v_zero(), v_exp2_below(t));
  return v_select(v_lt(x, v_zero()), tail, v_set(1) - tail);
}

#endif
