/* The time by which a thread is to be back. */
#ifndef CN_BASE_DEADLINE_H
#define CN_BASE_DEADLINE_H

#include <stdbool.h>

/* Runs and operations of the calling thread end with CORNU_ERR_INTERRUPTED at about that time of cornu_clock, in the midst
 * of large ones, too; 0: when they are done. Returns the time before. For the binding, which knows it by name alone. */
double cornu_set_deadline(double time);
bool cn_past_deadline(void);

#endif
