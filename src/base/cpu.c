/* Instruction sets: asked once. */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "cornu.h"

static const char *const names[] = {"sse2", "avx2", "avx512"};

static cn_isa best(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init(); /* looks at XCR0, too: what the system saves */
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return CN_ISA_AVX512;
  if (avx2) return CN_ISA_AVX2;
#endif
  return CN_ISA_SSE2;
}

cn_isa cn_cpu_isa(void) {
  static int decided = -1; /* every thread would decide the same */
  if (decided >= 0) return (cn_isa)decided;
  cn_isa isa = best();
  const char *forced = getenv("CORNU_ISA");
  for (int i = 0; forced && i < (int)isa; i++)
    if (strcmp(forced, names[i]) == 0) isa = (cn_isa)i;
  decided = (int)isa;
  return isa;
}

const char *cornu_isa(void) { return names[cn_cpu_isa()]; }
