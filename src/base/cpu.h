/* Which kernels this CPU (and CORNU_ISA) allow. */
#ifndef CN_BASE_CPU_H
#define CN_BASE_CPU_H

typedef enum cn_isa { CN_ISA_SSE2, CN_ISA_AVX2, CN_ISA_AVX512 } cn_isa;
/* decided once: the best that the CPU and the system support, or what CORNU_ISA forces below it */
cn_isa cn_cpu_isa(void);

#endif
