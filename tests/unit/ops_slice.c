/* slice: steps of every size against Python's rules for slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cornu.h"

/* [0, 1, 2, 3, 4][::step] as the decimal number of its digits with a 9 in front. */
static long sliced(int64_t step) {
  cornu_error e;
  int64_t shape[] = {5}, index[] = {0};
  cornu_tensor *x = NULL, *y = NULL;
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, shape, &x, &e), CORNU_OK);
  for (; index[0] < 5; index[0]++) cornu_tensor_set(x, index, (double)index[0]);
  cornu_tree *tree = cornu_tree_new();
  cornu_value *options = cornu_value_dict(tree), *axes = cornu_value_list(tree), *steps = cornu_value_list(tree);
  cornu_value_append(tree, axes, cornu_value_int(tree, 0));
  cornu_value_append(tree, steps, cornu_value_int(tree, step));
  cornu_value_set(tree, options, "axes", axes);
  cornu_value_set(tree, options, "step", steps);
  int made = 1;
  assert_int_equal(cornu_apply("slice", &x, 1, options, &y, &made, &e), CORNU_OK);
  long result = 9;
  for (index[0] = 0; index[0] < cornu_tensor_size(y); index[0]++)
    result = result * 10 + (long)cornu_tensor_get(y, index);
  cornu_tensor_release(x);
  cornu_tensor_release(y);
  cornu_tree_free(tree);
  return result;
}

static void test_steps(void **state) {
  (void)state;
  assert_int_equal(sliced(1), 901234);
  assert_int_equal(sliced(2), 9024);
  assert_int_equal(sliced(3), 903);
  assert_int_equal(sliced(4), 904);
  assert_int_equal(sliced(5), 90);
  assert_int_equal(sliced(INT64_MAX), 90);
  assert_int_equal(sliced(-1), 943210);
  assert_int_equal(sliced(-3), 941);
  assert_int_equal(sliced(-4), 940);
  assert_int_equal(sliced(-5), 94);
  assert_int_equal(sliced(-INT64_MAX), 94);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
