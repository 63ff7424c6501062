/* Tensors: making and wrapping, counts of tensors and buffers, views of views against index arithmetic. */
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

static void test_new(void **state) {
  (void)state;
  cornu_tensor *t;
  for (int d = 0; d < CORNU_DTYPES; d++) {
    OK(cornu_tensor_new((cornu_dtype)d, 2, DIMS(3, 5), &t, NULL));
    assert_true(cornu_tensor_dtype(t) == (cornu_dtype)d && cornu_tensor_size(t) == 15 && cornu_tensor_is_contiguous(t));
    assert_memory_equal(cornu_tensor_strides(t), DIMS(5, 1), 16);
    assert_int_equal((uintptr_t)cornu_tensor_data(t) % 64, 0);
    for (size_t i = 0; i < 15 * cornu_dtype_bytes((cornu_dtype)d); i++)
      assert_int_equal(((char *)cornu_tensor_data(t))[i], 0);
    cornu_tensor_release(t);
  }
  OK(cornu_tensor_new(CORNU_FLOAT32, 0, NULL, &t, NULL));
  assert_int_equal(cornu_tensor_size(t), 1);
  cornu_tensor_release(t);
  static const struct {
    int d, rank;
    int64_t shape[9];
    cn_status status;
    const char *says;
  } wrong[] = {{CORNU_DTYPES, 1, {1}, CORNU_ERR_DTYPE, "no such dtype: 14"},
               {-1, 1, {1}, CORNU_ERR_DTYPE, "no such dtype: -1"},
               {CORNU_INT8, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, CORNU_ERR_SHAPE, "9 dimensions, expected at most 8"},
               {CORNU_INT8, -1, {1}, CORNU_ERR_SHAPE, "-1 dimensions"},
               {CORNU_INT8, 2, {3, -1}, CORNU_ERR_SHAPE, "shape (3, ?) has a negative dimension"},
               {CORNU_INT8, 2, {INT64_MAX, 2}, CORNU_ERR_LIMIT, "is larger than the limit of "},
               {CORNU_FLOAT64,
                1,
                {((int64_t)2 << 30) + 1},
                CORNU_ERR_LIMIT,
                "a float64 tensor of shape (2147483649,) is larger"},
               {CORNU_FLOAT64, 1, {INT64_MAX / 4}, CORNU_ERR_LIMIT, "is larger than"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    cn_error e = {0};
    t = (cornu_tensor *)&e;
    assert_int_equal(cornu_tensor_new((cornu_dtype)wrong[i].d, wrong[i].rank, wrong[i].shape, &t, &e), wrong[i].status);
    assert_null(t);
    if (!strstr(e.message, wrong[i].says)) fail_msg("%s", e.message);
  }
}

static void count_release(void *user, void *data) { *(int *)user += *(int32_t *)data; }

static void test_counts(void **state) {
  (void)state;
  int32_t memory[6] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  cornu_tensor *t, *row, *item;
  OK(cornu_tensor_wrap(CORNU_INT32, 2, DIMS(2, 3), memory, count_release, &released, &t, NULL));
  assert_ptr_equal(cornu_tensor_data(t), memory);
  assert_ptr_equal(cornu_tensor_retain(t), t);
  OK(cornu_tensor_select(t, 0, 1, &row, NULL));
  cornu_tensor_release(t);
  cornu_tensor_release(t);
  OK(cornu_tensor_select(row, 0, 2, &item, NULL)); /* a view outlives its parent */
  cornu_tensor_release(row);
  assert_int_equal(released, 0);
  assert_true(cornu_tensor_rank(item) == 0 && cornu_tensor_get(item, NULL) == 6);
  cornu_tensor_set(item, NULL, 60); /* and writes through */
  cornu_tensor_release(item);
  assert_int_equal(released, 1);
  assert_int_equal(memory[5], 60);
  cn_error e;
  assert_int_equal(cornu_tensor_wrap(CORNU_INT8, 1, DIMS(1), NULL, NULL, NULL, &t, &e), CORNU_ERR_ARGUMENT);
  OK(cornu_tensor_wrap(CORNU_INT8, 1, DIMS(0), NULL, NULL, NULL, &t, &e));
  assert_non_null(cornu_tensor_data(t));
  cornu_tensor_release(t);
  assert_null(cornu_tensor_retain(NULL));
  cornu_tensor_release(NULL);
}

/* Of 0 … 11 as (3, 4); count -1: refused. */
static void test_slices(void **state) {
  (void)state;
  static const struct {
    int axis;
    int64_t start, stop, step;
    int count, values[12];
  } cases[] = {{0, 0, 3, 1, 12, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
               {0, 1, 2, 1, 4, {4, 5, 6, 7}},
               {0, 0, 3, 2, 8, {0, 1, 2, 3, 8, 9, 10, 11}},
               {1, 1, 4, 2, 6, {1, 3, 5, 7, 9, 11}},
               {1, 3, -1, -1, 12, {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8}},
               {1, 3, 0, -2, 6, {3, 1, 7, 5, 11, 9}},
               {1, 2, 2, 1, 0, {0}},
               {1, 4, 4, 1, 0, {0}},
               {1, -1, -1, -1, 0, {0}},
               {1, 1, 4, INT64_MAX, 3, {1, 5, 9}},
               {1, 3, -1, -INT64_MAX, 3, {3, 7, 11}},
               {1, 0, 5, 1, -1, {0}},
               {1, -1, 2, 1, -1, {0}},
               {1, 3, 1, 1, -1, {0}},
               {1, 1, 3, -1, -1, {0}},
               {1, 4, 0, -1, -1, {0}},
               {1, 3, -2, -1, -1, {0}},
               {1, INT64_MAX, INT64_MIN, -1, -1, {0}},
               {1, INT64_MIN, INT64_MAX, 1, -1, {0}},
               {1, 0, 4, 0, -1, {0}},
               {1, 3, 0, INT64_MIN, -1, {0}},
               {2, 0, 1, 1, -1, {0}},
               {-1, 0, 1, 1, -1, {0}}};
  cornu_tensor *t = counting(2, DIMS(3, 4)), *v;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cn_status status = cornu_tensor_slice(t, cases[i].axis, cases[i].start, cases[i].stop, cases[i].step, &v, NULL);
    assert_int_equal(status, cases[i].count < 0 ? CORNU_ERR_ARGUMENT : CORNU_OK);
    if (status) assert_null(v);
    else expect(v, 2, cases[i].axis ? DIMS(3, cases[i].count / 3) : DIMS(cases[i].count / 4, 4), cases[i].values);
  }
  cn_error e;
  assert_int_equal(cornu_tensor_select(t, 1, 4, &v, &e), CORNU_ERR_ARGUMENT);
  assert_string_equal(e.message, "index 4 of a dimension of 4");
  assert_int_equal(cornu_tensor_select(t, 1, -1, &v, NULL), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(t);
}

/* A view of a view of a view: every element where index arithmetic says. */
static void test_views_of_views(void **state) {
  (void)state;
  cornu_tensor *t = counting(3, DIMS(4, 5, 6)), *turned, *part, *back, *all;
  OK(cornu_tensor_transpose(t, (const int[]){2, 0, 1}, &turned, NULL)); /* [c][a][b] */
  OK(cornu_tensor_slice(turned, 2, 4, -1, -2, &part, NULL));            /* b = 4, 2, 0 */
  OK(cornu_tensor_slice(part, 0, 1, 6, 3, &back, NULL));                /* c = 1, 4 */
  OK(cornu_tensor_broadcast(back, 4, DIMS(2, 2, 4, 3), &all, NULL));
  assert_memory_equal(cornu_tensor_strides(all), DIMS(0, 3, 30, -12), 32);
  assert_false(cornu_tensor_is_contiguous(all));
  cornu_tensor *reshaped;
  OK(cornu_tensor_reshape(all, 1, DIMS(-1), &reshaped, NULL)); /* a copy */
  assert_true(cornu_tensor_is_contiguous(reshaped) && cornu_tensor_size(reshaped) == 48);
  int64_t at = 0;
  for (int64_t n = 0; n < 2; n++)
    for (int64_t c = 0; c < 2; c++)
      for (int64_t a = 0; a < 4; a++)
        for (int64_t b = 0; b < 3; b++, at++) {
          int64_t want = a * 30 + (4 - 2 * b) * 6 + 1 + 3 * c;
          assert_int_equal(cornu_tensor_get_int(all, DIMS(n, c, a, b)), want);
          assert_int_equal(((int32_t *)cornu_tensor_data(reshaped))[at], want);
        }
  cornu_tensor *const owned[] = {t, turned, part, back, all, reshaped};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) cornu_tensor_release(owned[i]);
}

static void test_transposes(void **state) {
  (void)state;
  cornu_tensor *t = counting(2, DIMS(2, 3)), *v;
  OK(cornu_tensor_transpose(t, NULL, &v, NULL));
  expect(v, 2, DIMS(3, 2), (const int[]){0, 3, 1, 4, 2, 5});
  cn_error e;
  assert_int_equal(cornu_tensor_transpose(t, (const int[]){1, 1}, &v, &e), CORNU_ERR_ARGUMENT);
  assert_string_equal(e.message, "a transpose names axis 1 twice");
  assert_int_equal(cornu_tensor_transpose(t, (const int[]){0, 2}, &v, &e), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(t);
}

/* Of 12 or 0 elements; rank -1: refused. */
static void test_reshapes(void **state) {
  (void)state;
  static const struct {
    int64_t from[2];
    int wanted_rank;
    int64_t wanted[4];
    int rank;
    int64_t got[4];
  } cases[] = {
      {{3, 4}, 1, {12}, 1, {12}}, {{3, 4}, 3, {2, -1, 3}, 3, {2, 2, 3}},
      {{3, 4}, 4, {1, 12, 1, -1}, 4, {1, 12, 1, 1}}, {{3, 4}, 2, {5, -1}, -1, {0}}, {{3, 4}, 2, {-1, -1}, -1, {0}},
      {{3, 4}, 1, {11}, -1, {0}}, {{3, 4}, 2, {-2, -6}, -1, {0}}, {{3, 4}, 2, {-2, 6}, -1, {0}},
      {{3, 4}, 2, {0, -1}, -1, {0}}, {{3, 4}, 0, {0}, -1, {0}}, {{0, 4}, 2, {-1, 7}, 2, {0, 7}},
      {{0, 4}, 3, {2, 0, 9}, 3, {2, 0, 9}}, {{0, 4}, 2, {0, -1}, -1, {0}}, {{1, 1}, 0, {0}, 0, {0}},
      {{3, 4}, 2, {INT64_MAX, 4}, -1, {0}}, {{3, 4}, 3, {INT64_MAX, 4, -1}, -1, {0}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_tensor *t = counting(2, cases[i].from), *v;
    cn_error e;
    cn_status status = cornu_tensor_reshape(t, cases[i].wanted_rank, cases[i].wanted, &v, &e);
    assert_int_equal(status, cases[i].rank < 0 ? CORNU_ERR_SHAPE : CORNU_OK);
    if (status) assert_null(v);
    else assert_ptr_equal(cornu_tensor_data(v), cornu_tensor_data(t));
    if (!status) expect(v, cases[i].rank, cases[i].got, (const int[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    cornu_tensor_release(t);
  }
}

static void test_symbols(void **state) {
  (void)state;
  cornu_tensor *s = cn_tensor_symbol(CORNU_FLOAT32, 2, DIMS(-1, 3), NULL, 4), *t = counting(1, DIMS(3)), *v;
  assert_true(cornu_tensor_is_symbolic(s) && !cornu_tensor_is_symbolic(t));
  assert_true(cornu_tensor_size(s) == -1 && cornu_tensor_data(s) == NULL);
  assert_int_equal(cornu_tensor_slice(s, 0, 0, 1, 1, &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_select(s, 1, 0, &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_transpose(s, NULL, &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_reshape(s, 1, DIMS(-1), &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_broadcast(s, 2, DIMS(2, 3), &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_contiguous(s, &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_cast(s, CORNU_INT8, &v, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_copy(t, s, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_tensor_copy(s, t, NULL), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(s);
  cornu_tensor_release(t);
}

#define CLEAN(test) cmocka_unit_test_teardown(test, nothing_lost)
int main(void) {
  const struct CMUnitTest tests[] = {
      CLEAN(test_new),        CLEAN(test_counts),     CLEAN(test_slices),   CLEAN(test_views_of_views),
      CLEAN(test_transposes), CLEAN(test_reshapes), CLEAN(test_symbols)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
