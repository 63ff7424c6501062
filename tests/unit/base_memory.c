/* Memory: alignment, sizes that would overflow, arenas, growing arrays, the host's hooks and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/memory.h"

/* ---- hooks that count what is out and can refuse ---- */

static struct {
  long blocks;
  size_t bytes;
  bool refuse;
  char *end; /* of the last block */
} seen;

static void *hook_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  assert_ptr_equal(user, &seen);
  if (seen.refuse || size > (size_t)1 << 30 || posix_memalign(&p, align, size)) return NULL;
  memset(p, 0xA5, size); /* what is not cleared shows */
  seen.blocks++;
  seen.bytes += size;
  seen.end = (char *)p + size;
  return p;
}

static void hook_free(void *user, void *pointer, size_t size) {
  assert_ptr_equal(user, &seen);
  seen.blocks--;
  seen.bytes -= size;
  free(pointer);
}

static bool is_zero(const void *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((const unsigned char *)p)[i]) return false;
  return true;
}

static int nothing_lost(void **state) {
  (void)state;
  return seen.blocks != 0 || seen.bytes != 0 || cornu_memory_used() != 0;
}

/* ---- tests ---- */

static void test_blocks(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 1000, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t n = sizes[i];
    char *small = cn_alloc(n), *zero = cn_calloc(n, 3), *data = cn_alloc_data(n);
    assert_true(small && data && zero);
    assert_true(data + n + 64 <= seen.end); /* so much behind the data may be read */
    assert_int_equal((uintptr_t)small % 16, 0);
    assert_int_equal((uintptr_t)zero % 16, 0);
    assert_int_equal((uintptr_t)data % 64, 0);
    memset(small, 1, n);
    memset(data, 2, n);
    assert_true(is_zero(zero, 3 * n));
    assert_int_equal(cornu_memory_used(), seen.bytes);
    assert_true(seen.bytes >= 5 * n);
    cn_free(small);
    cn_free(data);
    cn_free(zero);
  }
  cn_free(NULL);
}

static void test_resizing(void **state) {
  (void)state;
  unsigned char *p = cn_realloc(NULL, 5);
  for (int i = 0; i < 5; i++) p[i] = (unsigned char)i;
  p = cn_realloc(p, 5000);
  for (int i = 0; i < 5; i++) assert_int_equal(p[i], i);
  p = cn_realloc(p, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(p[i], i);
  seen.refuse = true;
  assert_null(cn_realloc(p, 100)); /* the old block stays */
  assert_null(cn_alloc(1));
  assert_null(cn_calloc(1, 1));
  assert_null(cn_alloc_data(1));
  seen.refuse = false;
  assert_int_equal(p[2], 2);
  cn_free(p);
}

static void test_sizes(void **state) {
  (void)state;
  const size_t max = SIZE_MAX;
  size_t n = 7;
  int64_t i;
  assert_true(cn_mul_size(max / 3, 3, &n) && n == max / 3 * 3);
  assert_true(cn_mul_size(0, max, &n) && n == 0);
  assert_false(cn_mul_size(max / 3 + 1, 3, &n));
  assert_true(cn_add_size(max - 1, 1, &n) && n == max);
  assert_false(cn_add_size(max, 1, &n));
  assert_true(cn_mul_i64(INT64_MIN, 1, &i) && i == INT64_MIN);
  assert_false(cn_mul_i64(INT64_MIN, -1, &i));
  assert_false(cn_mul_i64((int64_t)1 << 32, (int64_t)1 << 31, &i));
  assert_null(cn_alloc(max));
  assert_null(cn_alloc(max - 15));
  assert_null(cn_alloc_data(max - 100));
  assert_null(cn_calloc(max / 2, 3));
}

/* Every piece is aligned, zero, apart from the others, and lives until the arena ends, or the one that took it. */
static void test_arena(void **state) {
  (void)state;
  enum { PIECES = 400 };
  cn_arena a = {0}, other = {0}, all = {0};
  unsigned char *pieces[PIECES];
  size_t sizes[PIECES];
  for (int i = 0; i < PIECES; i++) {
    sizes[i] = i % 50 == 7 ? 70000 : (size_t)(i * 37 % 300);
    pieces[i] = cn_arena_alloc(i < 30 ? &other : &a, sizes[i]);
    assert_non_null(pieces[i]);
    assert_int_equal((uintptr_t)pieces[i] % 16, 0);
    assert_true(is_zero(pieces[i], sizes[i]));
    memset(pieces[i], i % 255 + 1, sizes[i]);
  }
  cn_arena_take(&all, &a);
  cn_arena_take(&all, &other);
  assert_null(a.blocks);
  assert_null(other.blocks);
  memset(cn_arena_alloc(&all, 1000), 0, 1000);
  for (int i = 0; i < PIECES; i++)
    for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], i % 255 + 1);
  assert_true(seen.blocks < 40); /* blocks double; large pieces have their own */
  assert_true(all.used >= 8 * 70000 && all.used < 2000000);
  cn_arena_free(&all);
  assert_null(all.blocks);
  assert_int_equal(seen.blocks, 0);
}

static void test_arena_limits(void **state) {
  (void)state;
  cn_arena a = {0};
  assert_null(cn_arena_alloc(&a, SIZE_MAX));
  assert_null(cn_arena_alloc(&a, SIZE_MAX / 2));
  assert_null(cn_arena_array(&a, SIZE_MAX / 4, 8));
  assert_null(cn_arena_copy(&a, "", SIZE_MAX));
  assert_non_null(cn_arena_array(&a, 3, 8));
  seen.refuse = true;
  assert_non_null(cn_arena_alloc(&a, 100)); /* there is room in the block */
  assert_null(cn_arena_alloc(&a, 10000));
  seen.refuse = false;
  assert_non_null(cn_arena_alloc(&a, 10000));
  cn_arena_free(&a);
}

static void test_arena_text(void **state) {
  (void)state;
  cn_arena a = {0};
  assert_string_equal(cn_arena_string(&a, ""), "");
  assert_string_equal(cn_arena_string(&a, "conv2d_1"), "conv2d_1");
  assert_memory_equal(cn_arena_copy(&a, "a\0bcd", 3), "a\0b", 4);
  assert_string_equal(cn_arena_printf(&a, "%s/%d:%05.1f", "layer", -12, 2.25), "layer/-12:002.2");
  char *wide = cn_arena_printf(&a, "%9000d|", 5);
  assert_int_equal(strlen(wide), 9001);
  assert_string_equal(wide + 8999, "5|");
  cn_arena_free(&a);
}

static void test_grow(void **state) {
  (void)state;
  int capacity = 0, *items = NULL;
  cn_arena a = {0};
  int64_t *in_arena = NULL;
  int arena_capacity = 0;
  for (int i = 0; i < 1000; i++) {
    assert_true(cn_grow(&items, &capacity, i, sizeof *items));
    assert_true(cn_arena_grow(&a, &in_arena, &arena_capacity, i, sizeof *in_arena));
    items[i] = i;
    in_arena[i] = -i;
  }
  assert_int_equal(capacity, 1024);
  assert_int_equal(arena_capacity, 1024);
  for (int i = 0; i < 1000; i++) assert_true(items[i] == i && in_arena[i] == -i);
  seen.refuse = true;
  const int *before = items;
  assert_true(cn_grow(&items, &capacity, 1023, sizeof *items));
  assert_false(cn_grow(&items, &capacity, 1024, sizeof *items));
  assert_true(items == before && capacity == 1024);
  seen.refuse = false;
  capacity = INT32_MAX / 2 + 1; /* twice that is no int */
  assert_false(cn_grow(&items, &capacity, capacity, 1));
  cn_free(items);
  cn_arena_free(&a);
}

/* A caller's older, shorter struct sets and gets what it has; zero leaves a limit. */
static void test_limits(void **state) {
  (void)state;
  cornu_limits before = {.struct_size = sizeof before}, now = before;
  cornu_get_limits(&before);
  const uint64_t most = (uint64_t)16 << 30, quarter = SIZE_MAX / 4; /* of small address spaces */
  assert_true(before.max_tensor_bytes == (most < quarter ? most : quarter) && before.max_text_bytes == (size_t)256 << 20);
  assert_true(before.max_layers == 100000 && before.max_depth == 200);
  cornu_set_limits(&(cornu_limits){.struct_size = sizeof now, .max_layers = 5});
  cornu_set_limits(&(cornu_limits){offsetof(cornu_limits, max_text_bytes), 1000, 1000, 1000, 1000});
  cornu_get_limits(&now);
  assert_true(now.max_tensor_bytes == 1000 && now.max_text_bytes == before.max_text_bytes);
  assert_true(now.max_layers == 5 && now.max_depth == 200);
  cornu_limits part = {offsetof(cornu_limits, max_layers), 0, 0, 77, 78};
  cornu_get_limits(&part);
  assert_true(part.max_tensor_bytes == 1000 && part.max_layers == 77 && part.max_depth == 78);
  cornu_set_limits(&before);
}

int main(void) {
  const cornu_allocator hooks = {&seen, hook_alloc, hook_free};
  cornu_set_allocator(&hooks);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_blocks, nothing_lost),
      cmocka_unit_test_teardown(test_resizing, nothing_lost),
      cmocka_unit_test_teardown(test_sizes, nothing_lost),
      cmocka_unit_test_teardown(test_arena, nothing_lost),
      cmocka_unit_test_teardown(test_arena_limits, nothing_lost),
      cmocka_unit_test_teardown(test_arena_text, nothing_lost),
      cmocka_unit_test_teardown(test_grow, nothing_lost),
      cmocka_unit_test(test_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
