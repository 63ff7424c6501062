/* An allocator that fails from its first to its last failure, and counts what is out. Include after cmocka.h. */
#ifndef TESTS_FAILING_HOOKS_H
#define TESTS_FAILING_HOOKS_H

#include <stdlib.h>

#include "cornu.h"

static long calls, first_failure, last_failure, blocks; /* allocations from first to last fail; counted from 1 */

static void *failing_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  calls++;
  if (calls >= first_failure && calls <= last_failure) return NULL;
  if (posix_memalign(&p, align, size)) return NULL;
  blocks++;
  return p;
}

static void plain_free(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  blocks--;
  free(pointer);
}

static inline void use_failing_hooks(void) {
  static const cornu_allocator failing = {NULL, failing_alloc, plain_free};
  cornu_set_allocator(&failing);
  cornu_set_threads(1);
}

#endif
