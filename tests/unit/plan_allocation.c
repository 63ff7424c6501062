/* A run of a plan allocates nothing: neither through the allocator's hooks nor by malloc. What a plan takes is given
 * back. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "small_models.h"

/* ---- Counting: the hooks, and malloc itself, which this program puts itself in front of ---- */

static long hook_calls, malloc_calls;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* clang's spelling of it */
#endif
#endif
#ifndef __SANITIZE_ADDRESS__
extern void *__libc_malloc(size_t size), *__libc_calloc(size_t count, size_t size), *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);
void *malloc(size_t size) { return malloc_calls++, __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return malloc_calls++, __libc_calloc(count, size); }
void *realloc(void *p, size_t size) { return malloc_calls++, __libc_realloc(p, size); }
void free(void *p) { malloc_calls += p != NULL, __libc_free(p); }
int posix_memalign(void **out, size_t align, size_t size) {
  malloc_calls++;
  *out = __libc_memalign(align, size);
  return *out ? 0 : 12;
}
void *memalign(size_t align, size_t size) { return malloc_calls++, __libc_memalign(align, size); }
void *aligned_alloc(size_t align, size_t size) { return malloc_calls++, __libc_memalign(align, size); }
static const bool counts_malloc = true;
#else
static const bool counts_malloc = false;
#endif

static void *count_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  hook_calls++;
  return posix_memalign(&p, align, size) ? NULL : p;
}

static void count_free(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  hook_calls++;
  free(pointer);
}

/* ---- The test ---- */

static cornu_model *load(const char *model) {
  char path[SMALL_MODEL_PATH];
  cornu_error e;
  cornu_model *m = NULL;
  if (model[0] == '{') small_model_write(model, path);
  cornu_status status = cornu_model_load(model[0] == '{' ? path : model, NULL, NULL, &m, &e);
  if (model[0] == '{') remove(path);
  if (status) fail_msg("%s", e.message);
  return m;
}

static void a_run_allocates_nothing(void **state) {
  cornu_error e;
  cornu_plan *p;
  cornu_port port;
  cornu_tensor *x, *y[2];
  cornu_model *m = load(*state);
  assert_true(cornu_model_input(m, 0, &port));
  port.shape[0] = 3;
  x = small_model_tensor(&port);
  assert_int_equal(cornu_plan_new(m, (const int64_t *const[]){port.shape}, &p, &e), CORNU_OK);
  for (int i = 0; i < cornu_model_outputs(m); i++) {
    assert_true(cornu_plan_output(p, i, &port));
    y[i] = small_model_tensor(&port);
  }
  assert_true(hook_calls > 0 && (malloc_calls > 0 || !counts_malloc)); /* the counters are in use */
  for (int threads = 1; threads <= 2; threads++) {
    cornu_set_threads(threads);
    assert_int_equal(cornu_plan_run(p, &x, y, &e), CORNU_OK); /* starts the workers */
    long hooks = hook_calls, mallocs = malloc_calls;
    for (int i = 0; i < 10; i++) cornu_plan_run(p, &x, y, &e);
    long more_hooks = hook_calls - hooks, more_mallocs = malloc_calls - mallocs;
    assert_int_equal(more_hooks, 0);
    assert_int_equal(more_mallocs, 0);
  }
  cornu_tensor_release(x);
  for (int i = 0; i < cornu_model_outputs(m); i++) cornu_tensor_release(y[i]);
  cornu_plan_free(p);
  cornu_model_release(m);
  assert_int_equal(cornu_memory_used(), 0);
}

static void wrong_tensors_are_refused(void **state) {
  (void)state;
  cornu_error e;
  cornu_plan *p;
  cornu_tensor *x;
  const int64_t shape[] = {1, 8, 8, 1}, wrong[] = {1, 9, 8, 1}, *const shapes[] = {wrong}, *const right[] = {shape};
  cornu_model *m = load("lua/examples/digits/digits.keras");
  assert_int_equal(cornu_plan_new(m, shapes, &p, &e), CORNU_ERR_SHAPE);
  assert_non_null(strstr(e.message, "(1, 9, 8, 1), expected (?, 8, 8, 1)"));
  assert_int_equal(cornu_plan_new(m, right, &p, &e), CORNU_OK);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 4, wrong, &x, &e), CORNU_OK);
  assert_int_equal(cornu_plan_run(p, &x, &x, &e), CORNU_ERR_SHAPE);
  cornu_tensor_release(x);
  cornu_plan_free(p);
  cornu_model_release(m);
}

#define NOTHING(model) cmocka_unit_test_prestate(a_run_allocates_nothing, (void *)(uintptr_t)(model))

int main(void) {
  const cornu_allocator counting = {NULL, count_alloc, count_free};
  cornu_set_allocator(&counting);
  const struct CMUnitTest tests[] = {
      NOTHING("lua/examples/digits/digits.keras"),
      NOTHING(convolutions),
      NOTHING(recurrent),
      NOTHING(embedded),
      NOTHING(branches),
      cmocka_unit_test(wrong_tensors_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
