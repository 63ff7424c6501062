/* Which kernels this CPU (and CORNU_ISA) allow. */
#ifndef CN_BASE_CPU_H
#define CN_BASE_CPU_H

#include "base/error.h"

typedef enum cn_isa { CN_ISA_SSE2, CN_ISA_AVX2, CN_ISA_AVX512 } cn_isa;
/* decided once: the best that the CPU and the system support, or what CORNU_ISA forces below it */
cn_isa cn_cpu_isa(void);
/* An error when CORNU_ISA names what does not exist or what this CPU cannot do (cn_cpu_isa passes over that). */
cn_status cn_cpu_check(cn_error *e);

#endif
