/* malloc of the whole process goes through here, and on to the C library's own (glibc). */
#define _GNU_SOURCE
#include "counts.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_long mallocs, hooks;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static void count(void) { atomic_fetch_add_explicit(&mallocs, 1, memory_order_relaxed); }

void *malloc(size_t size) { return count(), __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return count(), __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return count(), __libc_realloc(p, size); }
void *aligned_alloc(size_t align, size_t size) { return count(), __libc_memalign(align, size); }
int posix_memalign(void **out, size_t align, size_t size) {
  void *p = (count(), __libc_memalign(align, size));
  if (p) *out = p;
  return p ? 0 : ENOMEM;
}

long counts_malloc(void) { return atomic_load_explicit(&mallocs, memory_order_relaxed); }
long counts_hooks(void) { return atomic_load_explicit(&hooks, memory_order_relaxed); }

static void *take(void *user, size_t size, size_t align) {
  (void)user;
  atomic_fetch_add_explicit(&hooks, 1, memory_order_relaxed);
  return aligned_alloc(align, (size + align - 1) / align * align);
}

static void give(void *user, void *p, size_t size) {
  (void)user, (void)size;
  free(p);
}

const cornu_allocator counts_allocator = {NULL, take, give};
