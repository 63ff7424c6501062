/* The vector vocabulary of the files in kernels/isa/, which are compiled once per instruction set.
 *
 * vf holds CN_LANES floats, vi as many int32, vm a mask of as many lanes. All are GCC vectors or plain masks: + - * /
 * and unary - work on vf, + - & | ^ << >> on vi (>> keeps the sign). v_max(a, b) and v_min(a, b) give b when either is
 * NaN, so v_max(bound, x) lets NaN through. Comparisons with NaN are false. vmath.h builds on these. CN_REGISTERS is
 * how many vectors the machine holds. */
#ifndef CN_KERNELS_SIMD_H
#define CN_KERNELS_SIMD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(CN_ISA_neon)
#include <arm_neon.h>
#elif defined(CN_ISA_simd128)
#include <wasm_simd128.h>
#endif

#define CN_PASTE_(a, b) a##_##b
#define CN_PASTE(a, b) CN_PASTE_(a, b)
#define CN_ISA_NAME(name) CN_PASTE(name, CN_ISA) /* cn_gemm -> cn_gemm_avx2 */

#define V_FN static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(CN_ISA_avx512)
#define CN_LANES 16
#define CN_REGISTERS 32
typedef __m512 vf;
typedef __mmask16 vm;
#elif defined(CN_ISA_avx2)
#define CN_LANES 8
#define CN_REGISTERS 16
typedef __m256 vf;
typedef __m256 vm;
#elif defined(CN_ISA_sse2)
#define CN_LANES 4
#define CN_REGISTERS 16
typedef __m128 vf;
typedef __m128 vm;
#else
#define CN_LANES 4
#if defined(CN_ISA_neon)
#define CN_REGISTERS 32
#else
#define CN_REGISTERS 16
#endif
typedef float vf __attribute__((vector_size(16)));
#endif
typedef int32_t vi __attribute__((vector_size(4 * CN_LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * CN_LANES))); /* where arithmetic may wrap */
#if !defined(CN_ISA_avx512) && !defined(CN_ISA_avx2) && !defined(CN_ISA_sse2)
typedef vi vm;
#endif

#if defined(CN_ISA_avx512)

V_FN vf v_set(float x) { return _mm512_set1_ps(x); }
V_FN vf v_load(const float *p) { return _mm512_loadu_ps(p); }
V_FN void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
V_FN vm v_first(int n) { return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1); } /* the first n lanes */
V_FN vf v_load_m(const float *p, vm m) { return _mm512_maskz_loadu_ps(m, p); }
V_FN void v_store_m(float *p, vm m, vf a) { _mm512_mask_storeu_ps(p, m, a); }
V_FN vf v_load_n(const float *p, int n) { return v_load_m(p, v_first(n)); }
V_FN void v_store_n(float *p, vf a, int n) { v_store_m(p, v_first(n), a); }
V_FN vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
V_FN vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
V_FN vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
V_FN vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
V_FN vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
V_FN vf v_bits_and(vf a, vf b) { return _mm512_and_ps(a, b); }
V_FN vf v_bits_or(vf a, vf b) { return _mm512_or_ps(a, b); }
V_FN vf v_bits_xor(vf a, vf b) { return _mm512_xor_ps(a, b); }
V_FN vf v_bits_andnot(vf a, vf b) { return _mm512_andnot_ps(a, b); } /* ~a & b */
V_FN vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
V_FN vf v_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
V_FN vf v_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
V_FN vf v_trunc(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
V_FN vi v_to_int(vf a) { return (vi)_mm512_cvtps_epi32(a); } /* to nearest; out of range: INT32_MIN */
V_FN vf v_to_float(vi a) { return _mm512_cvtepi32_ps((__m512i)a); }
V_FN vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
V_FN vm v_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
V_FN vm v_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
V_FN vm v_isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
V_FN vm v_both(vm a, vm b) { return (vm)(a & b); }
V_FN vm v_either(vm a, vm b) { return (vm)(a | b); }
V_FN vm v_not(vm a) { return (vm)~a; }
V_FN bool v_any(vm a) { return a != 0; }
V_FN vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); } /* m ? a : b */

#elif defined(CN_ISA_avx2)

V_FN vf v_set(float x) { return _mm256_set1_ps(x); }
V_FN vf v_load(const float *p) { return _mm256_loadu_ps(p); }
V_FN void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
V_FN vm v_first(int n) {
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
}
V_FN vf v_load_m(const float *p, vm m) { return _mm256_maskload_ps(p, _mm256_castps_si256(m)); }
V_FN void v_store_m(float *p, vm m, vf a) { _mm256_maskstore_ps(p, _mm256_castps_si256(m), a); }
V_FN vf v_load_n(const float *p, int n) { return v_load_m(p, v_first(n)); }
V_FN void v_store_n(float *p, vf a, int n) { v_store_m(p, v_first(n), a); }
V_FN vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
V_FN vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
V_FN vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
V_FN vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
V_FN vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
V_FN vf v_bits_and(vf a, vf b) { return _mm256_and_ps(a, b); }
V_FN vf v_bits_or(vf a, vf b) { return _mm256_or_ps(a, b); }
V_FN vf v_bits_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }
V_FN vf v_bits_andnot(vf a, vf b) { return _mm256_andnot_ps(a, b); }
V_FN vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
V_FN vf v_floor(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
V_FN vf v_ceil(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
V_FN vf v_trunc(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
V_FN vi v_to_int(vf a) { return (vi)_mm256_cvtps_epi32(a); }
V_FN vf v_to_float(vi a) { return _mm256_cvtepi32_ps((__m256i)a); }
V_FN vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
V_FN vm v_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
V_FN vm v_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
V_FN vm v_isnan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
V_FN vm v_both(vm a, vm b) { return _mm256_and_ps(a, b); }
V_FN vm v_either(vm a, vm b) { return _mm256_or_ps(a, b); }
V_FN vm v_not(vm a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
V_FN bool v_any(vm a) { return _mm256_movemask_ps(a) != 0; }
V_FN vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }

#elif defined(CN_ISA_sse2)

V_FN vf v_set(float x) { return _mm_set1_ps(x); }
V_FN vf v_load(const float *p) { return _mm_loadu_ps(p); }
V_FN void v_store(float *p, vf a) { _mm_storeu_ps(p, a); }
V_FN vm v_first(int n) { return _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_set1_epi32(n), _mm_setr_epi32(0, 1, 2, 3))); }
V_FN int v_count_(vm m) { return __builtin_popcount((unsigned)_mm_movemask_ps(m)); } /* of the lanes that are set */
V_FN vf v_fma(vf a, vf b, vf c) { return a * b + c; }
V_FN vf v_fnma(vf a, vf b, vf c) { return c - a * b; }
V_FN vf v_max(vf a, vf b) { return _mm_max_ps(a, b); }
V_FN vf v_min(vf a, vf b) { return _mm_min_ps(a, b); }
V_FN vf v_sqrt(vf a) { return _mm_sqrt_ps(a); }
V_FN vf v_bits_and(vf a, vf b) { return _mm_and_ps(a, b); }
V_FN vf v_bits_or(vf a, vf b) { return _mm_or_ps(a, b); }
V_FN vf v_bits_xor(vf a, vf b) { return _mm_xor_ps(a, b); }
V_FN vf v_bits_andnot(vf a, vf b) { return _mm_andnot_ps(a, b); }
V_FN vi v_to_int(vf a) { return (vi)_mm_cvtps_epi32(a); }
V_FN vf v_to_float(vi a) { return _mm_cvtepi32_ps((__m128i)a); }
V_FN vm v_lt(vf a, vf b) { return _mm_cmplt_ps(a, b); }
V_FN vm v_le(vf a, vf b) { return _mm_cmple_ps(a, b); }
V_FN vm v_eq(vf a, vf b) { return _mm_cmpeq_ps(a, b); }
V_FN vm v_isnan(vf a) { return _mm_cmpunord_ps(a, a); }
V_FN vm v_both(vm a, vm b) { return _mm_and_ps(a, b); }
V_FN vm v_either(vm a, vm b) { return _mm_or_ps(a, b); }
V_FN vm v_not(vm a) { return _mm_xor_ps(a, _mm_castsi128_ps(_mm_set1_epi32(-1))); }
V_FN bool v_any(vm a) { return _mm_movemask_ps(a) != 0; }
V_FN vf v_select(vm m, vf a, vf b) { return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b)); }
V_FN vi v_truncate_(vf a) { return (vi)_mm_cvttps_epi32(a); }
#define CN_ROUND_BY_INTEGERS

#else /* the compiler's vectors of four */

V_FN vf v_set(float x) { return (vf){x, x, x, x}; }
V_FN vf v_load(const float *p) {
  vf a;
  memcpy(&a, p, sizeof a);
  return a;
}
V_FN void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
V_FN vm v_first(int n) { return (vi){0, 1, 2, 3} < (vi){n, n, n, n}; }
V_FN int v_count_(vm m) { return -(m[0] + m[1] + m[2] + m[3]); }
V_FN vf v_bits_and(vf a, vf b) { return (vf)((vi)a & (vi)b); }
V_FN vf v_bits_or(vf a, vf b) { return (vf)((vi)a | (vi)b); }
V_FN vf v_bits_xor(vf a, vf b) { return (vf)((vi)a ^ (vi)b); }
V_FN vf v_bits_andnot(vf a, vf b) { return (vf)(~(vi)a & (vi)b); }
V_FN vm v_lt(vf a, vf b) { return (vm)(a < b); }
V_FN vm v_le(vf a, vf b) { return (vm)(a <= b); }
V_FN vm v_eq(vf a, vf b) { return (vm)(a == b); }
V_FN vm v_isnan(vf a) { return (vm)(a != a); }
V_FN vm v_both(vm a, vm b) { return a & b; }
V_FN vm v_either(vm a, vm b) { return a | b; }
V_FN vm v_not(vm a) { return ~a; }
V_FN vf v_to_float(vi a) { return __builtin_convertvector(a, vf); }

#if defined(CN_ISA_neon)
V_FN bool v_any(vm a) { return vmaxvq_u32((uint32x4_t)a) != 0; }
V_FN vf v_select(vm m, vf a, vf b) { return (vf)vbslq_f32((uint32x4_t)m, (float32x4_t)a, (float32x4_t)b); }
V_FN vf v_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
V_FN vf v_fnma(vf a, vf b, vf c) { return (vf)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
V_FN vf v_max(vf a, vf b) { return v_select(v_lt(b, a), a, b); } /* vmaxq_f32 makes NaN of a NaN in a */
V_FN vf v_min(vf a, vf b) { return v_select(v_lt(a, b), a, b); }
V_FN vf v_sqrt(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
V_FN vf v_round(vf a) { return (vf)vrndnq_f32((float32x4_t)a); }
V_FN vf v_floor(vf a) { return (vf)vrndmq_f32((float32x4_t)a); }
V_FN vf v_ceil(vf a) { return (vf)vrndpq_f32((float32x4_t)a); }
V_FN vf v_trunc(vf a) { return (vf)vrndq_f32((float32x4_t)a); }
V_FN vi v_to_int(vf a) { return (vi)vcvtnq_s32_f32((float32x4_t)a); } /* out of range: the nearest; of NaN: 0 */
#elif defined(CN_ISA_simd128)
V_FN bool v_any(vm a) { return wasm_v128_any_true((v128_t)a); }
V_FN vf v_select(vm m, vf a, vf b) { return (vf)wasm_v128_bitselect((v128_t)a, (v128_t)b, (v128_t)m); }
V_FN vf v_fma(vf a, vf b, vf c) { return a * b + c; }
V_FN vf v_fnma(vf a, vf b, vf c) { return c - a * b; }
V_FN vf v_max(vf a, vf b) { return (vf)wasm_f32x4_pmax((v128_t)b, (v128_t)a); } /* b < a ? a : b */
V_FN vf v_min(vf a, vf b) { return (vf)wasm_f32x4_pmin((v128_t)b, (v128_t)a); }
V_FN vf v_sqrt(vf a) { return (vf)wasm_f32x4_sqrt((v128_t)a); }
V_FN vf v_round(vf a) { return (vf)wasm_f32x4_nearest((v128_t)a); }
V_FN vf v_floor(vf a) { return (vf)wasm_f32x4_floor((v128_t)a); }
V_FN vf v_ceil(vf a) { return (vf)wasm_f32x4_ceil((v128_t)a); }
V_FN vf v_trunc(vf a) { return (vf)wasm_f32x4_trunc((v128_t)a); }
V_FN vi v_to_int(vf a) { return (vi)wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest((v128_t)a)); }
#else
V_FN bool v_any(vm a) { return (a[0] | a[1] | a[2] | a[3]) != 0; }
V_FN vf v_select(vm m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }
V_FN vf v_fma(vf a, vf b, vf c) { return a * b + c; }
V_FN vf v_fnma(vf a, vf b, vf c) { return c - a * b; }
V_FN vf v_max(vf a, vf b) { return v_select(v_lt(b, a), a, b); }
V_FN vf v_min(vf a, vf b) { return v_select(v_lt(a, b), a, b); }
V_FN vf v_sqrt(vf a) {
  for (int i = 0; i < 4; i++) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
V_FN vi v_truncate_(vf a) { /* C leaves open what others than these become */
  vm inside = v_both(v_lt(v_set(-2147483648.0f), a), v_lt(a, v_set(2147483648.0f)));
  return (__builtin_convertvector(v_select(inside, a, v_set(0)), vi) & inside) | (INT32_MIN & ~inside);
}
V_FN vi v_to_int(vf a) {
  vf half = v_bits_or(v_bits_and(a, v_set(-0.0f)), v_set(8388608.0f)); /* from where on there are no fractions */
  vm small = v_lt(v_bits_andnot(v_set(-0.0f), a), v_set(8388608.0f));
  return v_truncate_(v_select(small, (a + half) - half, a));
}
#define CN_ROUND_BY_INTEGERS
#endif
#endif

#if CN_LANES == 4
V_FN vf v_load_n(const float *p, int n) {
  if (n >= 4) return v_load(p);
  float t[4] = {0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return v_load(t);
}
V_FN void v_store_n(float *p, vf a, int n) {
  if (n >= 4) {
    v_store(p, a);
    return;
  }
  float t[4];
  v_store(t, a);
  for (int i = 0; i < n; i++) p[i] = t[i];
}
V_FN vf v_load_m(const float *p, vm m) { return v_load_n(p, v_count_(m)); }
V_FN void v_store_m(float *p, vm m, vf a) { v_store_n(p, a, v_count_(m)); }
#endif

#if defined(CN_ROUND_BY_INTEGERS)
V_FN vf v_keep_large_(vf a, vf r) { /* from 2^23 on a float is whole already; also keeps NaN and the sign of zero */
  vf sign = v_bits_and(a, v_set(-0.0f));
  return v_select(v_lt(v_bits_andnot(v_set(-0.0f), a), v_set(8388608.0f)), v_bits_or(r, sign), a);
}
V_FN vf v_round(vf a) { return v_keep_large_(a, v_to_float(v_to_int(a))); }
V_FN vf v_trunc(vf a) { return v_keep_large_(a, v_to_float(v_truncate_(a))); }
V_FN vf v_floor(vf a) {
  vf r = v_to_float(v_truncate_(a));
  return v_keep_large_(a, r - v_select(v_lt(a, r), v_set(1), v_set(0)));
}
V_FN vf v_ceil(vf a) {
  vf r = v_to_float(v_truncate_(a));
  return v_keep_large_(a, r + v_select(v_lt(r, a), v_set(1), v_set(0)));
}
#endif

V_FN vf v_zero(void) { return v_set(0); }
V_FN vm v_gt(vf a, vf b) { return v_lt(b, a); }
V_FN vm v_ge(vf a, vf b) { return v_le(b, a); }
V_FN vf v_abs(vf a) { return v_bits_andnot(v_set(-0.0f), a); }
V_FN vf v_copysign(vf size, vf sign) {
  return v_bits_or(v_abs(size), v_bits_and(sign, v_set(-0.0f)));
}
/* NaN when either is NaN. */
V_FN vf v_max_nan(vf a, vf b) { return v_select(v_isnan(a), a, v_max(a, b)); }
V_FN vf v_min_nan(vf a, vf b) { return v_select(v_isnan(a), a, v_min(a, b)); }
V_FN vi v_bits(vf a) { return (vi)a; }
V_FN vf v_from_bits(vi a) { return (vf)a; }
V_FN vi v_set_int(int32_t x) {
#if defined(CN_ISA_avx512)
  return (vi)_mm512_set1_epi32(x);
#elif defined(CN_ISA_avx2)
  return (vi)_mm256_set1_epi32(x);
#else
  return (vi){x, x, x, x};
#endif
}

/* ---- Between lanes ---- */

#if CN_LANES > 4
V_FN __m128 v_pairs_(__m128 a, __m128 b, bool max) { return max ? _mm_max_ps(a, b) : _mm_add_ps(a, b); }
V_FN float v_fold_(vf a, bool max) {
#if defined(CN_ISA_avx512)
  __m256 low = _mm512_castps512_ps256(a), high = _mm512_extractf32x8_ps(a, 1);
  __m256 half = max ? _mm256_max_ps(low, high) : _mm256_add_ps(low, high);
#elif defined(CN_ISA_avx2)
  __m256 half = a;
#endif
  __m128 four = v_pairs_(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1), max);
  four = v_pairs_(four, _mm_movehl_ps(four, four), max);
  return _mm_cvtss_f32(v_pairs_(four, _mm_shuffle_ps(four, four, 1), max));
}

#else
V_FN vf v_pairs_(vf a, vf b, bool max) {
  if (max) return v_max(a, b);
  return a + b;
}
V_FN float v_fold_(vf a, bool max) {
  a = v_pairs_(a, __builtin_shufflevector(a, a, 2, 3, 2, 3), max);
  return v_pairs_(a, __builtin_shufflevector(a, a, 1, 1, 1, 1), max)[0];
}
#endif

/* Over the lanes, always in the same order (pairs half a vector apart). */
V_FN float v_sum(vf a) { return v_fold_(a, false); }
V_FN float v_largest(vf a) { return v_fold_(a, true); } /* of a without NaN */
V_FN float v_max_lane(vf a) { return v_any(v_isnan(a)) ? __builtin_nanf("") : v_largest(a); } /* NaN when a lane is */
V_FN float v_min_lane(vf a) { return -v_max_lane(-a); }

/* Four floats from each of CN_LANES / 4 places, `pitch` elements apart. */
V_FN vf v_load_fours(const float *p, int64_t pitch) {
#if defined(CN_ISA_avx512)
  __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(p)), _mm_loadu_ps(p + pitch), 1);
  a = _mm512_insertf32x4(a, _mm_loadu_ps(p + 2 * pitch), 2);
  return _mm512_insertf32x4(a, _mm_loadu_ps(p + 3 * pitch), 3);
#elif defined(CN_ISA_avx2)
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + pitch), 1);
#else
  (void)pitch;
  return v_load(p);
#endif
}

#if defined(CN_ISA_avx512)
#define V_UNPACK_(half, type, a, b) _mm512_unpack##half##_##type(a, b)
#define V_DOUBLES_(a) _mm512_castps_pd(a)
#define V_FLOATS_(a) _mm512_castpd_ps(a)
#elif defined(CN_ISA_avx2)
#define V_UNPACK_(half, type, a, b) _mm256_unpack##half##_##type(a, b)
#define V_DOUBLES_(a) _mm256_castps_pd(a)
#define V_FLOATS_(a) _mm256_castpd_ps(a)
#elif defined(CN_ISA_sse2)
#define V_UNPACK_(half, type, a, b) _mm_unpack##half##_##type(a, b)
#define V_DOUBLES_(a) _mm_castps_pd(a)
#define V_FLOATS_(a) _mm_castpd_ps(a)
#else
#define V_DOUBLES_(a) (a)
#define V_FLOATS_(a) (a)
#define V_UNPACK_(half, type, a, b) V_UNPACK_##half##_##type##_(a, b)
#define V_UNPACK_lo_ps_(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define V_UNPACK_hi_ps_(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define V_UNPACK_lo_pd_(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define V_UNPACK_hi_pd_(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#endif
#define V_PAIRS_(half, a, b) V_FLOATS_(V_UNPACK_(half, pd, V_DOUBLES_(a), V_DOUBLES_(b)))

/* Each four lanes of r[0] … r[3] are a matrix of 4 by 4, which is transposed. */
V_FN void v_transpose_fours(vf *r) {
  vf a = V_UNPACK_(lo, ps, r[0], r[1]), b = V_UNPACK_(hi, ps, r[0], r[1]);
  vf c = V_UNPACK_(lo, ps, r[2], r[3]), d = V_UNPACK_(hi, ps, r[2], r[3]);
  r[0] = V_PAIRS_(lo, a, c);
  r[1] = V_PAIRS_(hi, a, c);
  r[2] = V_PAIRS_(lo, b, d);
  r[3] = V_PAIRS_(hi, b, d);
}

/* V_FOR(n, statements) runs the statements on each vector of n floats: i is the first index, left the number of lanes
 * in use (CN_LANES but at the end). V_AT loads, V_PUT stores; both choose the plain or the masked form:
 * V_FOR(n, V_PUT(y, V_AT(a) + V_AT(b))); */
#define V_AT(p) (left == CN_LANES ? v_load((p) + i) : v_load_n((p) + i, left))
#define V_PUT(p, v)                                         \
  do {                                                      \
    if (left == CN_LANES) v_store((p) + i, (v));            \
    else v_store_n((p) + i, (v), left);                     \
  } while (0)
#define V_FOR(n, ...)                                                   \
  do {                                                                  \
    int64_t i = 0;                                                      \
    for (; i + CN_LANES <= (n); i += CN_LANES) {                        \
      enum { left = CN_LANES };                                         \
      __VA_ARGS__;                                                      \
    }                                                                   \
    if (i < (n)) {                                                      \
      const int left = (int)((n) - i);                                  \
      __VA_ARGS__;                                                      \
    }                                                                   \
  } while (0)

#endif
