/* matmul and dense against plain loops. */
#include "op_run.h"

static double get(const value *v, int64_t i) {
  return v->type.dtype == CORNU_FLOAT64 ? ((double *)v->operand.data)[i] : (double)((float *)v->operand.data)[i];
}

/* A value seen as (batch…, rows, columns) of rank 4. */
typedef struct view { int64_t batch[2], rows, columns, row, column; } view;

static view look(const value *v, bool right, bool transpose) {
  const int64_t *s = v->type.shape;
  int r = v->type.rank;
  if (r == 1) return right ? (view){{1, 1}, s[0], 1, 1, 1} : (view){{1, 1}, 1, s[0], 1, 1};
  view w = {{r > 3 ? s[r - 4] : 1, r > 2 ? s[r - 3] : 1}, s[r - 2], s[r - 1], s[r - 1], 1};
  if (transpose) w = (view){{w.batch[0], w.batch[1]}, w.columns, w.rows, 1, w.row};
  return w;
}

static int64_t start(const view *v, int64_t i, int64_t j) {
  return ((v->batch[0] == 1 ? 0 : i) * v->batch[1] + (v->batch[1] == 1 ? 0 : j)) * v->rows * v->columns;
}

static void check_matmul(cornu_dtype dtype, int ra, const int64_t *sa, int rb, const int64_t *sb, bool ta, bool tb) {
  cn_matmul_attrs attrs = {ta, tb};
  value a = make_value(dtype, ra, sa), b = make_value(dtype, rb, sb);
  fill_value(&a, 1);
  fill_value(&b, 2);
  value *in[] = {&a, &b};
  value y = op_result(&cn_op_matmul, &attrs, in, 2);
  view l = look(&a, false, ta), r = look(&b, true, tb);
  int64_t at = 0, b0 = l.batch[0] > r.batch[0] ? l.batch[0] : r.batch[0];
  int64_t b1 = l.batch[1] > r.batch[1] ? l.batch[1] : r.batch[1];
  assert_int_equal(y.operand.size, b0 * b1 * l.rows * r.columns);
  for (int64_t i = 0; i < b0; i++)
    for (int64_t j = 0; j < b1; j++)
      for (int64_t m = 0; m < l.rows; m++)
        for (int64_t n = 0; n < r.columns; n++, at++) {
          double sum = 0, size = 0;
          for (int64_t k = 0; k < l.columns; k++) {
            double v = get(&a, start(&l, i, j) + m * l.row + k * l.column) *
                       get(&b, start(&r, i, j) + k * r.row + n * r.column);
            sum += v;
            size += fabs(v);
          }
          if (!(fabs(sum - get(&y, at)) <= (dtype == CORNU_FLOAT64 ? 1e-14 : 1e-6) * size + 1e-15))
            fail_msg("%d-d times %d-d%s%s: value %lld is %g, expected %g", ra, rb, ta ? " ta" : "", tb ? " tb" : "",
                     (long long)at, get(&y, at), sum);
        }
  free_value(&a);
  free_value(&b);
  free_value(&y);
}

static void test_matmul(void **state) {
  (void)state;
  for (int t = 0; t < 4; t++) {
    const bool ta = t & 1, tb = t & 2;
    for (int d = 0; d < 2; d++) {
      const cornu_dtype dtype = d ? CORNU_FLOAT64 : CORNU_FLOAT32;
      const int64_t sizes[][3] = {{3, 4, 5}, {1, 7, 20}, {17, 33, 40}, {6, 5, 1}, {1, 1, 1}, {5, 1, 9}};
      for (int i = 0; i < CN_COUNT(sizes); i++) {
        const int64_t m = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
        const int64_t am = ta ? k : m, ak = ta ? m : k, bk = tb ? n : k, bn = tb ? k : n;
        check_matmul(dtype, 2, SHAPE(am, ak), 2, SHAPE(bk, bn), ta, tb);
        check_matmul(dtype, 3, SHAPE(3, am, ak), 2, SHAPE(bk, bn), ta, tb);        /* one matrix for all */
        check_matmul(dtype, 2, SHAPE(am, ak), 3, SHAPE(3, bk, bn), ta, tb);
        check_matmul(dtype, 4, SHAPE(2, 3, am, ak), 4, SHAPE(2, 3, bk, bn), ta, tb);
        check_matmul(dtype, 4, SHAPE(2, 1, am, ak), 4, SHAPE(1, 3, bk, bn), ta, tb); /* broadcast both ways */
        check_matmul(dtype, 1, SHAPE(k), 2, SHAPE(bk, bn), false, tb);
        check_matmul(dtype, 2, SHAPE(am, ak), 1, SHAPE(k), ta, false);
        check_matmul(dtype, 1, SHAPE(k), 1, SHAPE(k), false, false);
        check_matmul(dtype, 3, SHAPE(2, am, ak), 1, SHAPE(k), ta, false);
      }
      check_matmul(dtype, 3, SHAPE(0, 3, 4), 3, SHAPE(0, 4, 5), false, false);
    }
  }
  check_matmul(CORNU_FLOAT32, 3, SHAPE(8, 40, 64), 3, SHAPE(8, 64, 48), false, false); /* worth several threads */
  check_matmul(CORNU_FLOAT32, 2, SHAPE(2, 0), 2, SHAPE(0, 3), false, false);           /* sums of nothing are 0 */
}

static void test_matmul_shapes(void **state) {
  (void)state;
  cn_matmul_attrs attrs = {false, true};
  value a = {.type = {.dtype = CORNU_FLOAT32, .rank = 3, .shape = {-1, -1, 64}}};
  value b = {.type = {.dtype = CORNU_FLOAT32, .rank = 3, .shape = {-1, 10, -1}}};
  value *in[] = {&a, &b};
  cn_type out;
  assert_int_equal(op_shape(&cn_op_matmul, &attrs, in, 2, &out, NULL), CORNU_OK);
  const int64_t expected[] = {-1, -1, 10};
  assert_memory_equal(out.shape, expected, sizeof expected);
  b.type.shape[2] = 63;
  expect_failure(&cn_op_matmul, &attrs, in, 2, "64 columns meet 63 rows");
  b.type.dtype = CORNU_FLOAT64;
  expect_failure(&cn_op_matmul, &attrs, in, 2, "cast");
}

/* The same values under a larger pitch. */
static value spread(const value *v, int64_t pitch) {
  const size_t item = cornu_dtype_bytes(v->type.dtype);
  const int64_t row = v->operand.pitch, rows = row ? v->operand.size / row : 0;
  value wide = make_value(v->type.dtype, 2, SHAPE(rows, pitch));
  for (int64_t i = 0; i < rows; i++)
    memcpy((char *)wide.operand.data + (size_t)(i * pitch) * item, (char *)v->operand.data + (size_t)(i * row) * item,
           (size_t)row * item);
  void *data = wide.operand.data;
  wide = *v;
  wide.operand.data = data;
  wide.operand.pitch = pitch;
  return wide;
}

/* Input, residual and result lie among others: bit for bit what contiguous ones give, and nothing beside it changes. */
static void check_pitched(const void *attrs, value *const *in, int n_in, const value *expected) {
  const int64_t n = expected->operand.pitch, rows = expected->operand.size / (n ? n : 1), pitch = n + 5;
  value x = spread(in[0], in[0]->operand.pitch + 3), r = n_in > 3 ? spread(in[3], n + 2) : (value){0};
  value empty = make_value(expected->type.dtype, 2, SHAPE(rows, n)), y = spread(&empty, pitch);
  value wanted = spread(expected, pitch);
  cn_operand *operands[] = {&x.operand, &in[1]->operand, in[2] ? &in[2]->operand : NULL, &r.operand,
                            n_in > 4 ? &in[4]->operand : NULL};
  cn_operand *out = &y.operand;
  cn_step s = {.op = &cn_op_dense, .attrs = attrs, .n_in = n_in, .n_out = 1, .in = operands, .out = &out, .label = "test"};
  cn_error e = {0};
  if (cn_step_run_once(&s, &e)) fail_msg("%s", e.message);
  assert_memory_equal(y.operand.data, wanted.operand.data,
                      (size_t)(rows * pitch) * cornu_dtype_bytes(expected->type.dtype));
  free_value(&x);
  if (n_in > 3) free_value(&r);
  free_value(&empty);
  free_value(&y);
  free_value(&wanted);
}

static void check_dense(cornu_dtype dtype, int64_t rows, int64_t k, int64_t n, bool bias, bool fused, cn_act act) {
  cn_dense_attrs attrs = {.act = act};
  value x = make_value(dtype, 3, SHAPE(rows, 2, k)), w = make_value(dtype, 2, SHAPE(k, n));
  value b = make_value(dtype, 1, SHAPE(n)), r = make_value(dtype, 3, SHAPE(rows, 2, n));
  value scale = make_value(dtype, 1, SHAPE(n));
  fill_value(&x, 1);
  fill_value(&w, 2);
  fill_value(&b, 3);
  fill_value(&r, 4);
  fill_value(&scale, 5);
  value *in[] = {&x, &w, bias ? &b : NULL, &r, &scale};
  value y = op_result(&cn_op_dense, &attrs, in, fused ? 5 : bias ? 3 : 2);
  check_pitched(&attrs, in, fused ? 5 : bias ? 3 : 2, &y);
  expect_shape(&y, 3, SHAPE(rows, 2, n));
  for (int64_t i = 0; i < y.operand.size; i++) {
    double sum = (bias ? get(&b, i % n) : 0) + (fused ? get(&r, i) : 0), size = fabs(sum);
    for (int64_t j = 0; j < k; j++) {
      double v = get(&x, i / n * k + j) * get(&w, j * n + i % n) * (fused ? get(&scale, i % n) : 1);
      sum += v;
      size += fabs(v);
    }
    double e = cn_act_double(&act, sum);
    if (!(fabs(e - get(&y, i)) <= (dtype == CORNU_FLOAT64 ? 1e-14 : 1e-6) * size + 3e-7))
      fail_msg("value %lld is %g, expected %g", (long long)i, get(&y, i), e);
  }
  free_value(&x);
  free_value(&w);
  free_value(&b);
  free_value(&r);
  free_value(&scale);
  free_value(&y);
}

static void test_dense(void **state) {
  (void)state;
  const cn_act linear = {CN_ACT_LINEAR, 0, 0, 0}, relu = {CN_ACT_RELU, 0, INFINITY, 0}, gelu = {CN_ACT_GELU, 0, 0, 0};
  for (int d = 0; d < 2; d++) {
    const cornu_dtype dtype = d ? CORNU_FLOAT64 : CORNU_FLOAT32;
    check_dense(dtype, 1, 5, 3, true, false, linear);
    check_dense(dtype, 3, 40, 50, true, false, relu);
    check_dense(dtype, 3, 40, 50, true, true, relu);
    check_dense(dtype, 9, 11, 1, false, true, gelu);
    check_dense(dtype, 8, 17, 1, true, false, gelu);
    check_dense(dtype, 4, 1, 33, false, true, gelu);
    check_dense(dtype, 0, 4, 5, true, true, relu);
    check_dense(dtype, 20, 128, 130, true, true, relu);
  }
}

static void test_dense_messages(void **state) {
  (void)state;
  cn_dense_attrs attrs = {0};
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 2, .shape = {-1, 20}}};
  value w = {.type = {.dtype = CORNU_FLOAT32, .rank = 2, .shape = {30, 4}}};
  value b = {.type = {.dtype = CORNU_FLOAT32, .rank = 1, .shape = {5}}};
  value *in[] = {&x, &w, &b};
  expect_failure(&cn_op_dense, &attrs, in, 2, "dense: input (?, 20) ends in 20 values, the kernel (30, 4) needs 30");
  w.type.shape[0] = 20;
  expect_failure(&cn_op_dense, &attrs, in, 3, "needs float32 (4)");
  b.type.shape[0] = 4;
  value r = {.type = {.dtype = CORNU_FLOAT32, .rank = 2, .shape = {1, 5}}}, scale = b;
  value *fused[] = {&x, &w, &b, &r, &scale};
  expect_failure(&cn_op_dense, &attrs, fused, 5, "the residual is float32 (1, 5), needs float32 (?, 4)");
  r.type.shape[1] = 4;
  scale.type.shape[0] = 3;
  expect_failure(&cn_op_dense, &attrs, fused, 5, "the scale is float32 (3,), needs float32 (4,)");
  x.type.dtype = CORNU_INT32;
  expect_failure(&cn_op_dense, &attrs, in, 2, "cast it first");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_matmul), cmocka_unit_test(test_matmul_shapes), cmocka_unit_test(test_dense),
    cmocka_unit_test(test_dense_messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
