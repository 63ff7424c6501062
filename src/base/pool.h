/* The thread pool: fork and join over numbered tasks. Results never depend on who runs a task, nor on how many there are. */
#ifndef CN_BASE_POOL_H
#define CN_BASE_POOL_H

#include <stdatomic.h>

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

/* A run that is done in slices of time. While the calling thread has one, the tasks of its calls and the steps between its
 * looks go on until the deadline; then, with no task under way, it waits until it is given more time. */
typedef struct cn_slice {
  _Atomic double deadline;          /* by cornu_clock */
  void (*wait)(struct cn_slice *s); /* returns with another deadline, or canceled; NULL: there is no other thread, and the
                                       run comes back to be called again */
  int next;                         /* without wait: the step to go on with */
  bool stopped;                     /* so it did: the run has not ended */
  bool canceled;                    /* tasks are left out from now on: nobody looks at what they make */
  bool begun;                       /* something was done since the last wait */
  double last;                      /* when it looked last */
  double *stretch;                  /* how long work like that under way takes between two looks; NULL: not known */
} cn_slice;
void cn_slice_set(cn_slice *s); /* of the calling thread; NULL: none */
cn_slice *cn_slice_here(void);
/* Whether the calling thread has one and is not within a task. Work is then cut into tasks of about CN_SLICED_WORK
 * multiply-adds - some tens of microseconds - with one thread, too. */
bool cn_sliced(void);
#define CN_SLICED_WORK 1000000.0
bool cn_sliced_next(void); /* looks between such pieces of work; true where there is no slice */
/* Before other work, of which *stretch tells: waits if there is no time left for it; false: it is canceled. */
bool cn_slice_look(cn_slice *s, double *stretch);

/* A counter that cornu_interrupt raises; a run compares it with the value at its start. */
unsigned cn_interrupts(void);

#endif
