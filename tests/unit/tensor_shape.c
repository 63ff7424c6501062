/* Shapes: sizes that overflow or are unknown, strides, broadcasting with unknown dimensions; dtypes by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/text.h"
#include "tensor/tensor.h"

typedef struct shape {
  int rank;
  int64_t d[8];
} shape;

static void test_sizes(void **state) {
  (void)state;
  static const int64_t big = (int64_t)1 << 40;
  const struct {
    shape s;
    int64_t size;
  } cases[] = {
      {{0, {0}}, 1},
      {{1, {7}}, 7},
      {{3, {2, 3, 4}}, 24},
      {{3, {2, 0, 4}}, 0},
      {{2, {-1, 3}}, -1},
      {{2, {-1, 0}}, -1},
      {{2, {0, -1}}, -1},
      {{2, {big, big}}, -2},
      {{3, {big, big, 0}}, 0},
      {{3, {0, big, big}}, 0},
      {{3, {big, big, -1}}, -1},
      {{2, {(int64_t)1 << 31, (int64_t)1 << 31}}, (int64_t)1 << 62},
      {{2, {(int64_t)1 << 32, (int64_t)1 << 31}}, -2},
      {{8, {1, 1, 1, 1, 1, 1, 1, 5}}, 5},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (cn_shape_size(cases[i].s.rank, cases[i].s.d) != cases[i].size)
      fail_msg("%s: not %lld", CN_SHAPE(cases[i].s.rank, cases[i].s.d), (long long)cases[i].size);
}

static void test_equality(void **state) {
  (void)state;
  static const struct {
    shape a, b;
    bool equal;
  } cases[] = {{{0, {0}}, {0, {5}}, true},        {{2, {3, 4}}, {2, {3, 4}}, true}, {{2, {3, 4}}, {2, {4, 3}}, false},
               {{2, {3, 4}}, {1, {3}}, false},    {{1, {1}}, {0, {0}}, false},      {{2, {-1, 4}}, {2, {-1, 4}}, true},
               {{2, {-1, 4}}, {2, {3, 4}}, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(cn_shape_equal(cases[i].a.rank, cases[i].a.d, cases[i].b.rank, cases[i].b.d), cases[i].equal);
}

static void test_strides(void **state) {
  (void)state;
  static const struct {
    shape s;
    int64_t stride[8];
  } cases[] = {
      {{1, {5}}, {1}},
      {{3, {2, 3, 4}}, {12, 4, 1}},
      {{4, {5, 1, 6, 1}}, {6, 6, 1, 1}},
      {{3, {2, 0, 4}}, {4, 4, 1}}, /* empty and unknown dimensions count as 1 */
      {{3, {-1, 28, 3}}, {84, 3, 1}},
      {{8, {2, 2, 2, 2, 2, 2, 2, 2}}, {128, 64, 32, 16, 8, 4, 2, 1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t stride[8] = {0};
    cn_shape_strides(cases[i].s.rank, cases[i].s.d, stride);
    assert_memory_equal(stride, cases[i].stride, sizeof stride);
  }
  cn_shape_strides(0, NULL, NULL);
}

/* Expected: numpy.broadcast_shapes where all is known. rank -1: does not broadcast. */
static void test_broadcasting(void **state) {
  (void)state;
  static const struct {
    shape a, b, out;
  } cases[] = {
      {{0, {0}}, {0, {0}}, {0, {0}}},
      {{0, {0}}, {2, {3, 4}}, {2, {3, 4}}},
      {{1, {4}}, {2, {3, 4}}, {2, {3, 4}}},
      {{1, {3}}, {2, {3, 4}}, {-1, {0}}},
      {{2, {3, 1}}, {2, {1, 4}}, {2, {3, 4}}},
      {{3, {5, 1, 7}}, {2, {6, 1}}, {3, {5, 6, 7}}},
      {{4, {8, 1, 6, 1}}, {3, {7, 1, 5}}, {4, {8, 7, 6, 5}}},
      {{1, {1}}, {1, {0}}, {1, {0}}},
      {{1, {0}}, {1, {0}}, {1, {0}}},
      {{1, {2}}, {1, {0}}, {-1, {0}}},
      {{2, {2, 3}}, {2, {3, 2}}, {-1, {0}}},
      {{2, {-1, 3}}, {1, {3}}, {2, {-1, 3}}},
      {{2, {-1, 3}}, {2, {1, 3}}, {2, {-1, 3}}},
      {{2, {-1, 3}}, {2, {7, 3}}, {2, {7, 3}}},
      {{2, {-1, 3}}, {2, {-1, 1}}, {2, {-1, 3}}},
      {{2, {-1, 3}}, {2, {-1, 4}}, {-1, {0}}},
      {{1, {-1}}, {1, {0}}, {1, {0}}},
      {{8, {1, 1, 1, 1, 1, 1, 1, 2}}, {1, {1}}, {8, {1, 1, 1, 1, 1, 1, 1, 2}}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int swap = 0; swap < 2; swap++) { /* the order does not matter */
      const shape *a = swap ? &cases[i].b : &cases[i].a, *b = swap ? &cases[i].a : &cases[i].b, *want = &cases[i].out;
      int64_t out[8];
      int rank = 99;
      cn_error e;
      cn_status status = cn_shape_broadcast(a->rank, a->d, b->rank, b->d, &rank, out, &e);
      if (want->rank < 0) assert_int_equal(status, CORNU_ERR_SHAPE);
      else if (status || !cn_shape_equal(rank, out, want->rank, want->d))
        fail_msg("%s and %s: %s", CN_SHAPE(a->rank, a->d), CN_SHAPE(b->rank, b->d),
                 status ? e.message : CN_SHAPE(rank, out));
    }
  cn_error e;
  int rank;
  int64_t d[8] = {5, 3};
  assert_int_equal(cn_shape_broadcast(2, d, 1, (const int64_t[]){2}, &rank, d, &e), CORNU_ERR_SHAPE);
  assert_string_equal(e.message, "shapes (5, 3) and (2,) do not broadcast");
  assert_int_equal(cn_shape_broadcast(2, d, 2, (const int64_t[]){1, 3}, &rank, d, NULL),
                   CORNU_OK); /* out may be an input */
  assert_true(rank == 2 && d[0] == 5 && d[1] == 3);
}

static void test_dtypes(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t bytes;
    bool is_float, is_integer;
  } cases[CORNU_DTYPES] = {
      [CORNU_FLOAT32] = {"float32", 4, true, false}, [CORNU_FLOAT64] = {"float64", 8, true, false},
      [CORNU_FLOAT16] = {"float16", 2, true, false}, [CORNU_BFLOAT16] = {"bfloat16", 2, true, false},
      [CORNU_INT8] = {"int8", 1, false, true},       [CORNU_INT16] = {"int16", 2, false, true},
      [CORNU_INT32] = {"int32", 4, false, true},     [CORNU_INT64] = {"int64", 8, false, true},
      [CORNU_UINT8] = {"uint8", 1, false, true},     [CORNU_UINT16] = {"uint16", 2, false, true},
      [CORNU_UINT32] = {"uint32", 4, false, true},   [CORNU_UINT64] = {"uint64", 8, false, true},
      [CORNU_BOOL8] = {"bool", 1, false, false},     [CORNU_TEXT] = {"string", sizeof(cornu_text), false, false}};
  for (int d = 0; d < CORNU_DTYPES; d++) {
    cornu_dtype parsed = CORNU_DTYPES;
    assert_string_equal(cornu_dtype_name((cornu_dtype)d), cases[d].name);
    assert_int_equal(cornu_dtype_bytes((cornu_dtype)d), cases[d].bytes);
    assert_true(cornu_dtype_parse(cases[d].name, &parsed) && (int)parsed == d);
    assert_int_equal(cn_dtype_is_float((cornu_dtype)d), cases[d].is_float);
    assert_int_equal(cn_dtype_is_integer((cornu_dtype)d), cases[d].is_integer);
  }
  static const char *const wrong[] = {"", "float", "Float32", "float32 ", "complex64", "str", "int4"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(cornu_dtype_parse(wrong[i], &(cornu_dtype){0}));
  assert_string_equal(cornu_dtype_name(CORNU_DTYPES), "none");
  assert_int_equal(cornu_dtype_bytes(CORNU_DTYPES), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes),        cmocka_unit_test(test_equality), cmocka_unit_test(test_strides),
      cmocka_unit_test(test_broadcasting), cmocka_unit_test(test_dtypes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
