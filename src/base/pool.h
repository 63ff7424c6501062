/* The thread pool: fork and join over numbered tasks. Results never depend on who runs a task, nor on how many there are. */
#ifndef CN_BASE_POOL_H
#define CN_BASE_POOL_H

#include "base/memory.h"

/* Calls task(context, i) for i in 0 … tasks-1, on the calling thread and the workers, and returns when all are done.
 * Each thread begins with tasks of its own, at the same place in every call: tasks should go over outputs in order.
 * A call from within a task runs on the calling thread alone; the workers help all threads that call at the same moment.
 * No allocation. Work goes over outputs, never over a reduction. */
void cn_parallel(int tasks, void (*task)(void *context, int i), void *context);
/* The same on at most `slots` threads. Tasks that run at the same time have different slots, less than `slots`. */
void cn_parallel_slots(int tasks, int slots, void (*task)(void *context, int i, int slot), void *context);
/* Splits `items` into contiguous ranges of at least `grain` items (some microseconds of work), up to four for each
 * thread. */
void cn_parallel_range(int64_t items, int64_t grain, void (*task)(void *context, int64_t begin, int64_t end),
                       void *context);
int cn_threads(void);

/* A counter that cornu_interrupt raises; a run compares it with the value at its start. */
unsigned cn_interrupts(void);

#endif
