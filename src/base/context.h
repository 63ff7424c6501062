/* Contexts: what a host sets for the threads that work in one. */
#ifndef CN_BASE_CONTEXT_H
#define CN_BASE_CONTEXT_H

#include <stdatomic.h>

#include "base/error.h"

struct cornu_context {
  _Alignas(16) cornu_allocator hooks; /* alloc NULL: malloc */
  size_t max_memory;           /* 0: no limit */
  cornu_limits limits;
  atomic_int threads;          /* 0: not asked yet */
  cornu_jobs jobs;             /* run NULL: Cornu's own threads */
  cornu_log log;
  void *log_user;
  atomic_size_t used;          /* bytes of its blocks */
  atomic_size_t holds;         /* those bytes, and one for each reference: at 0 it is freed */
};

cornu_context *cn_context(void); /* that the calling thread works in */
extern cornu_context cn_standard_context;

/* Room for a block: false beyond the limit. */
bool cn_context_take(cornu_context *c, size_t bytes);
void cn_context_give_back(cornu_context *c, size_t bytes);

/* Tells the host's log, if there is one. */
void cn_log(cornu_log_level level, const char *format, ...) CN_PRINTF(2, 3);

#endif
