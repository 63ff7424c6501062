/* Packed weights in slabs: apart, aligned, shared by plans, and given back whichever plan goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "graph/planner.h"

enum { SIZES = 9, ROUNDS = 12 };
static const size_t sizes[SIZES] = {1, 64, 100, 5000, 70000, 900000, 2120000, 3 << 20, 5 << 20};
static float sources[ROUNDS];

static unsigned char mark(int round, int size) { return (unsigned char)(1 + round * SIZES + size); }

static void add_all(cn_packs *all, int round, bool expect_fresh) {
  for (int i = 0; i < SIZES; i++) {
    bool fresh;
    cn_operand source = {.data = &sources[round]};
    unsigned char *data = cn_packs_add(all, &source, "test", sizes[i], &fresh);
    assert_non_null(data);
    assert_int_equal((uintptr_t)data % 64, 0);
    assert_int_equal(fresh, expect_fresh);
    if (fresh) memset(data, mark(round, i), sizes[i]);
    assert_int_equal(data[0], mark(round, i));
    assert_int_equal(data[sizes[i] - 1], mark(round, i));
  }
}

static void packs_lie_apart(void **state) {
  (void)state;
  size_t before = cornu_memory_used();
  cn_packs all = {0}, again = {0};
  for (int round = 0; round < ROUNDS; round++) add_all(&all, round, true);
  for (int round = 0; round < ROUNDS; round++) add_all(&again, round, false);
  assert_int_equal(all.bytes, again.bytes);
  assert_int_equal(again.held, 0);
  cn_packs_free(&all);
  assert_true(cornu_memory_used() > before + sizes[SIZES - 1]);
  cn_packs third = {0};
  for (int round = 0; round < ROUNDS; round++) add_all(&third, round, false);
  cn_packs_free(&third);
  cn_packs_free(&again);
  assert_int_equal(cornu_memory_used(), before);
}

/* A host that has no more than the packs need. */
static void *scarce(void *user, size_t size, size_t align) {
  void *p;
  (void)user;
  return size > (size_t)3500000 || posix_memalign(&p, align, size) ? NULL : p;
}

static void release(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  free(pointer);
}

static void slabs_shrink_to_what_the_host_has(void **state) {
  (void)state;
  const cornu_allocator hooks = {NULL, scarce, release};
  cn_packs all = {0};
  bool fresh;
  cornu_set_allocator(&hooks);
  for (int i = 0; i < 6; i++)
    assert_non_null(cn_packs_add(&all, &(cn_operand){.data = &sources[i]}, "a", 3 << 20, &fresh));
  assert_null(cn_packs_add(&all, &(cn_operand){.data = sources}, "b", 4 << 20, &fresh));
  cn_packs_free(&all);
  cornu_set_allocator(NULL);
  assert_int_equal(cornu_memory_used(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(packs_lie_apart),
                                     cmocka_unit_test(slabs_shrink_to_what_the_host_has)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
