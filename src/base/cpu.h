/* Which kernels this CPU (and CORNU_ISA) allow. */
#ifndef CN_BASE_CPU_H
#define CN_BASE_CPU_H

#include "base/error.h"

/* The instruction sets of this kind of machine, from the least to the best: X(isa, arguments). The Makefile's ISAS are
 * the same; CORNU_SSE2 leaves out those that the library in one file cannot have everywhere. CN_TARGET_isa lets the compiler use one in a function of a plain file. */
#if (defined(__x86_64__) || defined(__i386__)) && defined(CORNU_SSE2)
#define CN_EACH_ISA(X, ...) X(sse2, __VA_ARGS__)
#elif defined(__x86_64__) || defined(__i386__)
#define CN_EACH_ISA(X, ...) X(sse2, __VA_ARGS__) X(avx2, __VA_ARGS__) X(avx512, __VA_ARGS__)
#elif defined(__aarch64__)
#define CN_EACH_ISA(X, ...) X(neon, __VA_ARGS__)
#elif defined(__wasm_simd128__)
#define CN_EACH_ISA(X, ...) X(simd128, __VA_ARGS__)
#else
#define CN_EACH_ISA(X, ...) X(generic, __VA_ARGS__)
#endif
#define CN_TARGET_sse2
#define CN_TARGET_avx2 __attribute__((target("avx2,fma")))
#define CN_TARGET_avx512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))
#define CN_TARGET_neon
#define CN_TARGET_simd128
#define CN_TARGET_generic

#define CN_ISA_MEMBER_(isa, ...) CN_IS_##isa,
typedef enum cn_isa { CN_EACH_ISA(CN_ISA_MEMBER_, ) CN_ISAS } cn_isa;
/* decided once: the best that the CPU and the system support, or what CORNU_ISA forces below it */
cn_isa cn_cpu_isa(void);
/* An error when CORNU_ISA names what does not exist or what this CPU cannot do (cn_cpu_isa passes over that). */
cn_status cn_cpu_check(cn_error *e);

#endif
