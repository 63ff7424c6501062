/* How often memory was asked for: malloc by anyone in the process, and the allocator of Cornu's context. */
#ifndef CORNU_HOSTS_COUNTS_H
#define CORNU_HOSTS_COUNTS_H

#include "cornu.h"

long counts_malloc(void); /* so far: malloc, calloc, realloc and the like, of all libraries and threads */
long counts_hooks(void);  /* so far: of the allocator below */
extern const cornu_allocator counts_allocator;

#endif
