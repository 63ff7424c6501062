/* Contents of tensors: copies that broadcast, convert and overlap; single elements; comparisons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/text.h"
#include "tensor/tensor.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
#define OK(call) assert_int_equal(call, CORNU_OK)

static int nothing_lost(void **state) {
  (void)state;
  return cornu_memory_used() != 0;
}

/* 0, 1, 2, … */
static cornu_tensor *counting(int rank, const int64_t *shape) {
  cornu_tensor *t;
  cn_error e;
  if (cornu_tensor_new(CORNU_INT32, rank, shape, &t, &e)) fail_msg("%s", e.message);
  for (int64_t i = 0; i < cornu_tensor_size(t); i++) ((int32_t *)cornu_tensor_data(t))[i] = (int32_t)i;
  return t;
}

/* The values in row-major order; releases t. */
static void expect(cornu_tensor *t, int rank, const int64_t *shape, const int *values) {
  cornu_tensor *flat;
  if (!cn_shape_equal(cornu_tensor_rank(t), cornu_tensor_shape(t), rank, shape))
    fail_msg("%s, expected %s", CN_SHAPE(t->rank, t->shape), CN_SHAPE(rank, shape));
  OK(cornu_tensor_contiguous(t, &flat, NULL));
  for (int64_t i = 0; i < cornu_tensor_size(t); i++)
    assert_int_equal(((int32_t *)cornu_tensor_data(flat))[i], values[i]);
  cornu_tensor_release(flat);
  cornu_tensor_release(t);
}

static void test_broadcasts(void **state) {
  (void)state;
  cornu_tensor *column = counting(2, DIMS(3, 1)), *v;
  OK(cornu_tensor_broadcast(column, 2, DIMS(3, 2), &v, NULL));
  assert_memory_equal(cornu_tensor_strides(v), DIMS(1, 0), 16);
  expect(v, 2, DIMS(3, 2), (const int[]){0, 0, 1, 1, 2, 2});
  OK(cornu_tensor_broadcast(column, 3, DIMS(2, 3, 1), &v, NULL));
  expect(v, 3, DIMS(2, 3, 1), (const int[]){0, 1, 2, 0, 1, 2});
  OK(cornu_tensor_broadcast(column, 2, DIMS(3, 0), &v, NULL));
  expect(v, 2, DIMS(3, 0), NULL);
  cn_error e;
  assert_int_equal(cornu_tensor_broadcast(column, 2, DIMS(2, 2), &v, &e), CORNU_ERR_SHAPE);
  assert_string_equal(e.message, "shape (3, 1) does not broadcast to (2, 2)");
  assert_int_equal(cornu_tensor_broadcast(column, 1, DIMS(3), &v, NULL), CORNU_ERR_SHAPE);
  assert_int_equal(cornu_tensor_broadcast(column, 2, DIMS(3, -1), &v, NULL), CORNU_ERR_SHAPE);
  assert_null(v);
  cornu_tensor_release(column);
}

static void test_copies(void **state) {
  (void)state;
  cornu_tensor *t = counting(2, DIMS(3, 4)), *same, *turned, *v, *f, *row = counting(1, DIMS(4));
  OK(cornu_tensor_contiguous(t, &same, NULL));
  assert_ptr_equal(same, t); /* itself, retained */
  cornu_tensor_release(same);
  OK(cornu_tensor_slice(t, 1, 3, -1, -1, &v, NULL));
  OK(cornu_tensor_copy(t, v, NULL)); /* onto its own memory */
  cornu_tensor_release(v);
  OK(cornu_tensor_cast(t, CORNU_FLOAT16, &f, NULL));
  OK(cornu_tensor_transpose(f, NULL, &turned, NULL));
  OK(cornu_tensor_cast(turned, CORNU_INT32, &v, NULL));
  expect(v, 2, DIMS(4, 3), (const int[]){3, 7, 11, 2, 6, 10, 1, 5, 9, 0, 4, 8});
  OK(cornu_tensor_copy(f, row, NULL)); /* broadcasts, converts */
  OK(cornu_tensor_cast(turned, CORNU_INT32, &v, NULL));
  expect(v, 2, DIMS(4, 3), (const int[]){0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3});
  cn_error e;
  assert_int_equal(cornu_tensor_copy(row, t, &e), CORNU_ERR_SHAPE);
  assert_string_equal(e.message, "shape (3, 4) does not broadcast to (4,)");
  assert_int_equal(cornu_tensor_copy(t, turned, &e), CORNU_ERR_SHAPE);
  cornu_tensor *const owned[] = {t, f, turned, row};
  for (size_t i = 0; i < 4; i++) cornu_tensor_release(owned[i]);
}

static void test_elements(void **state) {
  (void)state;
  static const struct {
    cornu_dtype d;
    double set, get;
  } cases[] = {{CORNU_FLOAT32, 0.1, 0.1f},
               {CORNU_FLOAT64, 0.1, 0.1},
               {CORNU_FLOAT16, 0.1, 0.0999755859375},
               {CORNU_BFLOAT16, 0.1, 0.10009765625},
               {CORNU_INT8, -200.5, -128},
               {CORNU_INT32, -2.9, -2},
               {CORNU_UINT8, 300, 255},
               {CORNU_UINT16, -1, 0},
               {CORNU_BOOL8, 0.25, 1},
               {CORNU_UINT64, 1e19, 1e19},
               {CORNU_INT64, NAN, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tensor *t;
    const int64_t shape[] = {2, 3}, index[] = {1, 2};
    assert_int_equal(cornu_tensor_new(cases[i].d, 2, shape, &t, NULL), CORNU_OK);
    cornu_tensor_set(t, index, cases[i].set);
    assert_true(cornu_tensor_get(t, index) == cases[i].get);
    assert_true(cornu_tensor_get(t, (const int64_t[]){1, 1}) == 0);
    cornu_tensor_set_int(t, index, 1);
    assert_int_equal(cornu_tensor_get_int(t, index), 1);
    cornu_tensor_release(t);
  }
  cornu_tensor *t;
  assert_int_equal(cornu_tensor_new(CORNU_INT64, 0, NULL, &t, NULL), CORNU_OK);
  cornu_tensor_set_int(t, NULL, INT64_MAX - 1); /* beyond what a double holds */
  assert_true(cornu_tensor_get_int(t, NULL) == INT64_MAX - 1);
  cornu_tensor_release(t);
}

static void test_allclose(void **state) {
  (void)state;
  static const struct {
    double a, b, rtol, atol;
    bool close;
    double worst;
  } cases[] = {{1, 1, 0, 0, true, 0},
               {1, 1.5, 0, 0.5, true, 0.5},
               {1, 1.5, 0, 0.49, false, 0.5},
               {3, 4, 0.25, 0, true, 1},
               {4, 3, 0.25, 0, false, 1},
               {NAN, NAN, 0, 0, true, 0},
               {INFINITY, INFINITY, 0, 0, true, 0},
               {INFINITY, -INFINITY, 1, 1, false, INFINITY},
               {1, INFINITY, 1, 1, false, INFINITY},
               {NAN, 1, 1e9, 1e9, false, INFINITY}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tensor *a, *b, *scalar;
    OK(cornu_tensor_new(CORNU_FLOAT64, 1, DIMS(2), &a, NULL));
    OK(cornu_tensor_new(CORNU_FLOAT64, 1, DIMS(2), &b, NULL));
    OK(cornu_tensor_new(CORNU_FLOAT64, 0, NULL, &scalar, NULL));
    for (int64_t k = 0; k < 2; k++) cornu_tensor_set(a, &k, cases[i].a);
    cornu_tensor_set(b, DIMS(0), cases[i].a);
    cornu_tensor_set(b, DIMS(1), cases[i].b);
    cornu_tensor_set(scalar, NULL, cases[i].b);
    for (int k = 0; k < 2; k++) {
      bool close;
      double worst;
      OK(cornu_tensor_allclose(a, k ? scalar : b, cases[i].rtol, cases[i].atol, &close, &worst, NULL));
      assert_int_equal(close, cases[i].close);
      assert_true(worst == cases[i].worst);
    }
    assert_int_equal(cornu_tensor_allclose(scalar, a, 0, 0, &(bool){0}, &(double){0}, NULL), CORNU_ERR_SHAPE);
    cornu_tensor_release(a);
    cornu_tensor_release(b);
    cornu_tensor_release(scalar);
  }
}

#define CLEAN(test) cmocka_unit_test_teardown(test, nothing_lost)
int main(void) {
  const struct CMUnitTest tests[] = {CLEAN(test_broadcasts), CLEAN(test_copies), CLEAN(test_elements),
                                     CLEAN(test_allclose)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
