/* Memory runs out at every allocation in turn, once or for good, while a model is loaded, looked at, cut, planned and run:
 * each time an error or a result, nothing lost, and the next try works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "cornu.h"

static long calls, first_failure, last_failure; /* allocations from first to last fail; counted from 1 */

static void *failing_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  calls++;
  if (calls >= first_failure && calls <= last_failure) return NULL;
  return posix_memalign(&p, align, size) ? NULL : p;
}

static void plain_free(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  free(pointer);
}

/* What a user does with a model; stops at the first error. */
static cornu_status use_model(cornu_model *m, cornu_error *e) {
  const int64_t shape[] = {2, 8, 8, 1}, rows[] = {2, 10}, *const shapes[] = {shape};
  cornu_tensor *x = NULL, *y = NULL, *out = NULL;
  cornu_model *part = NULL;
  cornu_plan *plan = NULL;
  char *text = NULL;
  cornu_status status = cornu_tensor_new(CORNU_FLOAT32, 4, shape, &x, e);
  if (!status) status = cornu_model_predict(m, &x, 1, &y, e);
  if (!status) status = cornu_model_summary(m, 0, &text, e);
  if (!status) status = cornu_model_range(m, 0, 2, &part, e);
  cornu_tensor_release(y);
  y = NULL;
  if (!status) status = cornu_model_predict(part, &x, 1, &y, e);
  if (!status) status = cornu_plan_new(m, shapes, &plan, e);
  if (!status) status = cornu_tensor_new(CORNU_FLOAT32, 2, rows, &out, e);
  if (!status) status = cornu_plan_run(plan, &x, &out, e);
  cornu_free(text);
  cornu_plan_free(plan);
  cornu_model_release(part);
  cornu_tensor_release(x);
  cornu_tensor_release(y);
  cornu_tensor_release(out);
  return status;
}

static cornu_status whole_life(const char *path, const char *weights, cornu_error *e) {
  cornu_model *m;
  calls = 0;
  cornu_status status = cornu_model_load(path, weights, NULL, &m, e);
  if (!status) status = use_model(m, e);
  if (!status || m) cornu_model_release(m);
  return status;
}

typedef struct files { const char *model, *weights; } files;

/* step: after how many allocations memory runs out next. */
static void run_out(const files *f, bool for_good, int step) {
  long failures = 0;
  for (long n = 1;; n += step) {
    cornu_error e = {0};
    first_failure = n;
    last_failure = for_good ? INT32_MAX : n;
    cornu_status status = whole_life(f->model, f->weights, &e);
    if (status && (status != CORNU_ERR_MEMORY || !*e.message))
      fail_msg("allocation %ld of %s: status %d, \"%s\"", n, f->model, status, e.message);
    if (cornu_memory_used() != 0) fail_msg("allocation %ld of %s: %zu bytes lost", n, f->model, cornu_memory_used());
    if (calls < n) break; /* there was no such allocation */
    failures += status != CORNU_OK;
  }
  assert_true(failures > 100 / step);
  first_failure = last_failure = 0;
  cornu_error e;
  assert_int_equal(whole_life(f->model, f->weights, &e), CORNU_OK);
}

static void test_once(void **state) { run_out(*state, false, 1); }
static void test_for_good(void **state) { run_out(*state, true, 5); }

static files keras = {"lua/examples/digits/digits.keras", NULL}, h5 = {"lua/examples/digits/digits.h5", NULL};

int main(void) {
  const cornu_allocator failing = {NULL, failing_alloc, plain_free};
  cornu_set_allocator(&failing);
  cornu_set_threads(1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(test_once, &keras),
      cmocka_unit_test_prestate(test_once, &h5),
      cmocka_unit_test_prestate(test_for_good, &keras),
      cmocka_unit_test_prestate(test_for_good, &h5),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
