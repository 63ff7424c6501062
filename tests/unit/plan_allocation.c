/* A run of a plan allocates nothing: neither through the allocator's hooks nor by malloc. What a plan takes is given
 * back. */
#include <glob.h>
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

/* Makes a tensor for every port with `side` for what is not known; false: strings, whose bytes are the caller's. */
static bool make_tensors(int n, bool (*get)(const void *of, int i, cornu_port *out), const void *of, int64_t side,
                         cornu_tensor **list) {
  cornu_port port;
  bool numbers = true;
  for (int i = 0; i < n && get(of, i, &port); i++) {
    numbers &= port.dtype != CORNU_TEXT;
    for (int k = 0; k < port.rank; k++)
      if (port.shape[k] < 0) port.shape[k] = k ? side : 2;
    list[i] = small_model_tensor(&port);
  }
  return numbers;
}

static bool model_input(const void *m, int i, cornu_port *out) { return cornu_model_input(m, i, out); }
static bool plan_output(const void *p, int i, cornu_port *out) { return cornu_plan_output(p, i, out); }

enum { MOST_PORTS = 64 };

/* Whether the model could be run; fails the test if its runs allocate. */
static bool runs_without_allocation(const char *path, cornu_model *m) {
  cornu_error e;
  cornu_plan *p = NULL;
  cornu_tensor *x[MOST_PORTS] = {0}, *y[MOST_PORTS] = {0};
  const int64_t *shapes[MOST_PORTS] = {0};
  int n_in = cornu_model_inputs(m), n_out = cornu_model_outputs(m);
  bool runs = n_in <= MOST_PORTS && n_out <= MOST_PORTS && make_tensors(n_in, model_input, m, 8, x);
  for (int i = 0; i < n_in && runs; i++) shapes[i] = cornu_tensor_shape(x[i]);
  runs = runs && !cornu_plan_new(m, shapes, &p, &e) && make_tensors(n_out, plan_output, p, 8, y) &&
         !cornu_plan_run(p, x, y, &e);
  if (runs) {
    long before = hook_calls + malloc_calls;
    cornu_plan_run(p, x, y, &e);
    long more = hook_calls + malloc_calls - before;
    if (more) fail_msg("%s: a run allocates %ld times", path, more);
  }
  for (int i = 0; i < n_in && i < MOST_PORTS; i++) cornu_tensor_release(x[i]);
  for (int i = 0; i < n_out && i < MOST_PORTS; i++) cornu_tensor_release(y[i]);
  cornu_plan_free(p);
  return runs;
}

static void no_fixture_allocates(void **state) {
  (void)state;
  glob_t found;
  cornu_error e;
  cornu_model *m;
  int runs = 0;
  cornu_set_threads(2);
  assert_int_equal(glob("tests/models/*/*/model.keras", 0, NULL, &found), 0);
  assert_int_equal(glob("tests/models/*/*/model.h5", GLOB_APPEND, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    if (cornu_model_load(found.gl_pathv[i], NULL, NULL, &m, &e)) continue; /* weights or vocabularies of its own */
    runs += runs_without_allocation(found.gl_pathv[i], m);
    cornu_model_release(m);
  }
  if (runs < 70) fail_msg("%d of %zu fixtures run", runs, found.gl_pathc);
  globfree(&found);
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
      cmocka_unit_test(no_fixture_allocates),
      cmocka_unit_test(wrong_tensors_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
