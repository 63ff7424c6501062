/* The time by which a thread is to be back (cornu_set_deadline), for work that is long without being cut into tasks. */
#ifndef CN_BASE_DEADLINE_H
#define CN_BASE_DEADLINE_H

#include "base/error.h"

/* Within tasks, too. Once it is true it stays so, and what has been made may be made in part: whoever keeps something
 * asks afterwards. */
bool cn_past_deadline(void);
cn_status cn_check_time(cn_error *e);
/* For loops over elements, which ask now and then: at place i. */
static inline bool cn_late_at(int64_t i) { return (i & 0xffff) == 0 && cn_past_deadline(); }

#endif
