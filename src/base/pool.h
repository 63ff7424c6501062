/* The thread pool: fork and join over numbered tasks, split so that the result never depends on the thread count. */
#ifndef CN_BASE_POOL_H
#define CN_BASE_POOL_H

#include "base/memory.h"

/* Calls task(context, i) for i in 0 … tasks-1, on the calling thread and the workers, and returns when all are done.
 * A call from within a task, or while another thread holds the pool, runs on the calling thread alone.
 * No allocation. Work goes over outputs, never over a reduction. */
void cn_parallel(int tasks, void (*task)(void *context, int i), void *context);
/* Splits `items` into at most cn_threads() contiguous ranges of at least `grain` items. */
void cn_parallel_range(int64_t items, int64_t grain, void (*task)(void *context, int64_t begin, int64_t end),
                       void *context);
int cn_threads(void);

/* A counter that cornu_interrupt raises; a run compares it with the value at its start. */
unsigned cn_interrupts(void);

#endif
