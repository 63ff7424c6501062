/* Instruction sets: asked once. */
#include "base/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NAME(isa, ...) #isa,
#define LISTED(isa, ...) " " #isa
static const char *const names[] = {CN_EACH_ISA(NAME, )};
static const char all_names[] = CN_EACH_ISA(LISTED, );

static cn_isa best(void) {
#if (defined(__x86_64__) || defined(__i386__)) && !defined(CORNU_SSE2)
  __builtin_cpu_init(); /* looks at XCR0, too: what the system saves */
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return CN_IS_avx512;
  if (avx2) return CN_IS_avx2;
#endif
  return (cn_isa)0;
}

static int forced_isa(void) { /* -1: none; CN_COUNT(names): unknown */
  const char *forced = getenv("CORNU_ISA");
  if (!forced || !*forced) return -1;
  int i = 0;
  while (i < CN_COUNT(names) && strcmp(forced, names[i]) != 0) i++;
  return i;
}

cn_isa cn_cpu_isa(void) {
  static atomic_int decided = -1; /* every thread would decide the same */
  int isa = atomic_load_explicit(&decided, memory_order_relaxed);
  if (isa >= 0) return (cn_isa)isa;
  int forced = forced_isa();
  isa = (int)best();
  if (forced >= 0 && forced < isa) isa = forced;
  atomic_store_explicit(&decided, isa, memory_order_relaxed);
  return (cn_isa)isa;
}

cn_status cn_cpu_check(cn_error *e) {
  static atomic_bool fine;
  if (atomic_load_explicit(&fine, memory_order_relaxed)) return CORNU_OK;
  int forced = forced_isa();
  if (forced == CN_COUNT(names))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "CORNU_ISA=%s: no such instruction set here: it is one of%s",
                   getenv("CORNU_ISA"), all_names);
  if (forced > (int)best())
    return cn_fail(e, CORNU_ERR_ARGUMENT, "CORNU_ISA=%s: this CPU can do %s at most", names[forced], names[best()]);
  atomic_store_explicit(&fine, true, memory_order_relaxed);
  return CORNU_OK;
}

const char *cornu_isa(void) { return names[cn_cpu_isa()]; }
