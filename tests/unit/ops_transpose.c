/* transpose against plain loops: matrices are turned in blocks, whatever lies around them. */
#include "op_run.h"

static void check(cornu_dtype dtype, int rank, const int64_t *shape, const int64_t *axes) {
  const size_t item = cornu_dtype_bytes(dtype);
  cn_ints_attrs attrs = {.v.n = rank};
  memcpy(attrs.v.v, axes, sizeof *axes * (size_t)rank);
  value x = make_value(dtype, rank, shape), y;
  for (int64_t i = 0; i < x.operand.size; i++) memcpy((char *)x.operand.data + (size_t)i * item, &i, item);
  for (int threads = 1; threads <= 3; threads += 2) {
    op_run(&cn_op_transpose, &attrs, (value *[]){&x}, 1, false, threads, &y);
    for (int64_t to = 0; to < y.operand.size; to++) {
      int64_t at[4] = {0}, from = 0, rest = to;
      for (int i = rank - 1; i >= 0; rest /= y.type.shape[i--]) at[axes[i]] = rest % y.type.shape[i];
      for (int i = 0; i < rank; i++) from = from * shape[i] + at[i];
      if (memcmp((char *)y.operand.data + (size_t)to * item, (char *)x.operand.data + (size_t)from * item, item) != 0)
        fail_msg("%d dimensions, items of %zu: element %lld is not element %lld", rank, item, (long long)to,
                 (long long)from);
    }
    free_value(&y);
  }
  free_value(&x);
}

static void test_transpose(void **state) {
  (void)state;
  const cornu_dtype dtypes[] = {CORNU_BOOL8, CORNU_FLOAT16, CORNU_FLOAT32, CORNU_FLOAT64};
  const int64_t orders[][4] = {{0, 1, 3, 2}, {3, 2, 1, 0}, {0, 3, 1, 2}, {0, 2, 1, 3}, {2, 3, 0, 1}, {1, 2, 3, 0}};
  for (int d = 0; d < CN_COUNT(dtypes); d++) {
    check(dtypes[d], 2, SHAPE(150, 83), SHAPE(1, 0));
    check(dtypes[d], 2, SHAPE(3, 5), SHAPE(1, 0));
    check(dtypes[d], 2, SHAPE(2100, 70), SHAPE(1, 0));
    for (int i = 0; i < CN_COUNT(orders); i++) {
      check(dtypes[d], 4, SHAPE(2, 5, 21, 35), orders[i]);
      check(dtypes[d], 4, SHAPE(7, 1, 70, 4), orders[i]);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_transpose)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
