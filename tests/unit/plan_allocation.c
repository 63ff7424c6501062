/* A run of a plan calls the allocator not once; everything that a plan takes is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cornu.h"

static long calls;

static void *count_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  calls++;
  return posix_memalign(&p, align, size) ? NULL : p;
}

static void count_free(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  calls++;
  free(pointer);
}

static void a_run_allocates_nothing(void **state) {
  (void)state;
  cornu_error e;
  cornu_model *m;
  cornu_plan *p;
  cornu_tensor *x, *y;
  const int64_t shape[] = {3, 8, 8, 1}, out[] = {3, 10}, *const shapes[] = {shape};
  assert_int_equal(cornu_model_load("lua/examples/digits/digits.keras", NULL, NULL, &m, &e), CORNU_OK);
  assert_int_equal(cornu_plan_new(m, shapes, &p, &e), CORNU_OK);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 4, shape, &x, &e), CORNU_OK);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 2, out, &y, &e), CORNU_OK);
  assert_true(calls > 0); /* the hooks are in use */
  long before = calls;
  for (int i = 0; i < 10; i++) assert_int_equal(cornu_plan_run(p, &x, &y, &e), CORNU_OK);
  assert_int_equal(calls, before);
  cornu_tensor_release(x);
  cornu_tensor_release(y);
  cornu_plan_free(p);
  cornu_model_release(m);
  assert_int_equal(cornu_memory_used(), 0);
}

static void wrong_tensors_are_refused(void **state) {
  (void)state;
  cornu_error e;
  cornu_model *m;
  cornu_plan *p;
  cornu_tensor *x;
  const int64_t shape[] = {1, 8, 8, 1}, wrong[] = {1, 9, 8, 1}, *const shapes[] = {wrong}, *const right[] = {shape};
  assert_int_equal(cornu_model_load("lua/examples/digits/digits.keras", NULL, NULL, &m, &e), CORNU_OK);
  assert_int_equal(cornu_plan_new(m, shapes, &p, &e), CORNU_ERR_SHAPE);
  assert_non_null(strstr(e.message, "(1, 9, 8, 1), expected (?, 8, 8, 1)"));
  assert_int_equal(cornu_plan_new(m, right, &p, &e), CORNU_OK);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 4, wrong, &x, &e), CORNU_OK);
  assert_int_equal(cornu_plan_run(p, &x, &x, &e), CORNU_ERR_SHAPE);
  cornu_tensor_release(x);
  cornu_plan_free(p);
  cornu_model_release(m);
}

int main(void) {
  const cornu_allocator counting = {NULL, count_alloc, count_free};
  cornu_set_allocator(&counting);
  cornu_set_threads(1);
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_allocates_nothing), cmocka_unit_test(wrong_tensors_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
