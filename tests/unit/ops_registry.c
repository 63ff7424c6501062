/* Finding ops, and the helpers of shape rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/ops.h"

static void test_find(void **state) {
  (void)state;
  assert_ptr_equal(cn_op_find("conv"), &cn_op_conv);
  assert_ptr_equal(cn_op_find("matmul"), &cn_op_matmul);
  assert_null(cn_op_find("no such op"));
  for (int i = 0; i < cn_op_total; i++) {
    const bool hidden = cn_ops[i]->flags & CN_OP_HIDDEN;
    const cn_op *found = cn_op_find(cn_ops[i]->name);
    if (hidden ? found == cn_ops[i] : found != cn_ops[i]) fail_msg("%s", cn_ops[i]->name);
  }
}

static void test_public_view(void **state) {
  (void)state;
  cornu_type_info info;
  cornu_field_info field;
  int conv = -1;
  for (int i = 0; i < cornu_op_count(); i++) {
    assert_true(cornu_op_info(i, &info));
    if (!strcmp(info.name, "conv")) conv = i;
  }
  assert_true(conv >= 0 && cornu_op_info(conv, &info));
  assert_int_equal(info.min_inputs, 2);
  assert_int_equal(info.max_inputs, 5);
  assert_true(cornu_op_field(conv, 0, &field));
  assert_string_equal(field.name, "strides");
  assert_false(cornu_op_field(conv, info.n_fields, &field));
  assert_false(cornu_op_info(cornu_op_count(), &info));
  assert_false(cornu_op_info(-1, &info));
}

static void test_promotion(void **state) {
  (void)state;
  static const struct { cornu_dtype a, b, both; } cases[] = {
    {CORNU_FLOAT32, CORNU_FLOAT32, CORNU_FLOAT32}, {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT64},
    {CORNU_FLOAT16, CORNU_BFLOAT16, CORNU_FLOAT32},
    {CORNU_INT64, CORNU_FLOAT32, CORNU_FLOAT32},   {CORNU_INT8, CORNU_FLOAT64, CORNU_FLOAT64},
    {CORNU_BOOL8, CORNU_FLOAT16, CORNU_FLOAT16},
    {CORNU_BOOL8, CORNU_INT8, CORNU_INT8},         {CORNU_UINT8, CORNU_INT8, CORNU_INT16},
    {CORNU_UINT16, CORNU_INT8, CORNU_INT32},
    {CORNU_UINT8, CORNU_INT32, CORNU_INT32},       {CORNU_UINT32, CORNU_INT32, CORNU_INT64},
    {CORNU_UINT64, CORNU_INT8, CORNU_FLOAT64},
    {CORNU_UINT8, CORNU_UINT32, CORNU_UINT32},     {CORNU_INT16, CORNU_INT64, CORNU_INT64},
    {CORNU_BOOL8, CORNU_UINT64, CORNU_UINT64},
  };
  for (int i = 0; i < CN_COUNT(cases); i++) {
    assert_int_equal(cn_promote(cases[i].a, cases[i].b), cases[i].both);
    assert_int_equal(cn_promote(cases[i].b, cases[i].a), cases[i].both);
  }
}

static void test_helpers(void **state) {
  (void)state;
  cn_error e;
  int axis;
  assert_int_equal(cn_axis(-1, 3, &axis, &e), CORNU_OK);
  assert_int_equal(axis, 2);
  assert_int_not_equal(cn_axis(3, 3, &axis, &e), CORNU_OK);
  assert_string_equal(e.message, "axis 3 is out of range: 3 dimensions allow -3 to 2");
  assert_int_not_equal(cn_axis(-4, 3, &axis, &e), CORNU_OK);
  const cn_type t = {CORNU_INT32, 2, {-1, 5}};
  assert_int_equal(cn_want_rank(&t, "x", 1, 2, &e), CORNU_OK);
  assert_int_not_equal(cn_want_rank(&t, "x", 3, 3, &e), CORNU_OK);
  assert_string_equal(e.message, "x has 2 dimensions (?, 5), needs 3");
  assert_int_not_equal(cn_want_rank(&t, "x", 3, CN_MAX_RANK, &e), CORNU_OK);
  assert_string_equal(e.message, "x has 2 dimensions (?, 5), needs at least 3");
  assert_int_not_equal(cn_want_float(&t, "x", &e), CORNU_OK);
  assert_string_equal(e.message, "x is int32, needs a float type: cast it first");
  assert_true(cn_dims_agree(-1, 4) && cn_dims_agree(4, 4) && !cn_dims_agree(3, 4));
  assert_int_equal(cn_dim_mul(-1, 4), -1);
  assert_int_equal(cn_dim_mul(3, 4), 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_find), cmocka_unit_test(test_public_view), cmocka_unit_test(test_promotion),
    cmocka_unit_test(test_helpers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
