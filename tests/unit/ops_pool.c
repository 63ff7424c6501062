/* pool against plain loops. */
#include <float.h>

#include "op_run.h"

typedef struct pool_case {
  int spatial;
  int64_t batch, in[3], channels, size[3], stride[3], pad_begin[3], pad_end[3];
} pool_case;

static void lift(int64_t to[3], const int64_t *from, int n, int64_t fill) {
  for (int i = 0; i < 3; i++) to[i] = i < 3 - n ? fill : from[i - 3 + n];
}

static double expected_at(const pool_case *c, const float *x, int64_t image, const int64_t o[3], int64_t channel,
                          bool average, bool count_padding) {
  int64_t in[3], k[3], stride[3], pad[3];
  lift(in, c->in, c->spatial, 1);
  lift(k, c->size, c->spatial, 1);
  lift(stride, c->stride, c->spatial, 1);
  lift(pad, c->pad_begin, c->spatial, 0);
  double sum = 0, most = -INFINITY;
  int inside = 0;
  for (int64_t p = 0; p < k[0] * k[1] * k[2]; p++) {
    int64_t z = o[0] * stride[0] - pad[0] + p / (k[1] * k[2]), y = o[1] * stride[1] - pad[1] + p / k[2] % k[1];
    int64_t at = o[2] * stride[2] - pad[2] + p % k[2];
    if (z < 0 || z >= in[0] || y < 0 || y >= in[1] || at < 0 || at >= in[2]) continue;
    double v = x[(((image * in[0] + z) * in[1] + y) * in[2] + at) * c->channels + channel];
    sum += v;
    most = fmax(most, v);
    inside++;
  }
  return !average ? most : sum / (count_padding ? (double)(k[0] * k[1] * k[2]) : inside);
}

static void check_case(const pool_case *c, bool average, bool count_padding, int number) {
  cn_pool_attrs a = {.spatial = c->spatial, .average = average, .count_padding = count_padding};
  int64_t xs[5] = {c->batch}, size[3] = {0}, out[3];
  for (int i = 0; i < c->spatial; i++) {
    a.size[i] = c->size[i];
    a.stride[i] = c->stride[i];
    a.pad_begin[i] = c->pad_begin[i];
    a.pad_end[i] = c->pad_end[i];
    xs[i + 1] = c->in[i];
    size[i] = (c->in[i] + c->pad_begin[i] + c->pad_end[i] - c->size[i]) / c->stride[i] + 1;
  }
  xs[c->spatial + 1] = c->channels;
  lift(out, size, c->spatial, 1);
  value x = make_value(CORNU_FLOAT32, c->spatial + 2, xs);
  fill_value(&x, (uint32_t)number);
  value *in[] = {&x, NULL};
  value y = op_result(&cn_op_pool, &a, in, 1);
  assert_int_equal(y.operand.size, c->batch * out[0] * out[1] * out[2] * c->channels);
  for (int64_t i = 0; i < y.operand.size; i++) {
    int64_t r = i / c->channels, o[3] = {r / out[2] / out[1] % out[0], r / out[2] % out[1], r % out[2]};
    double e = expected_at(c, x.operand.data, r / out[2] / out[1] / out[0], o, i % c->channels, average, count_padding);
    float got = ((float *)y.operand.data)[i];
    if (average ? !(fabs(e - got) <= 5e-7) : (float)e != got)
      fail_msg("case %d: value %lld is %g, expected %g", number, (long long)i, got, e);
  }
  free_value(&x);
  free_value(&y);
}

static const pool_case cases[] = {
  {2, 2, {6, 8}, 3, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
  {2, 1, {7, 7}, 40, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
  {2, 1, {5, 19}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  {2, 2, {4, 15}, 37, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  {2, 1, {5, 7}, 5, {2, 3}, {2, 2}, {0, 0}, {1, 1}},
  {2, 2, {7, 7}, 70, {7, 7}, {1, 1}, {0, 0}, {0, 0}}, /* the whole image */
  {1, 2, {11}, 4, {3}, {2}, {1}, {1}},
  {1, 1, {64}, 1, {5}, {1}, {2}, {2}},
  {1, 2, {1900}, 36, {3}, {1}, {1}, {1}}, /* in blocks of columns */
  {1, 1, {1500}, 70, {4}, {3}, {2}, {1}},
  {3, 1, {4, 5, 6}, 9, {2, 3, 2}, {2, 1, 2}, {1, 1, 0}, {0, 1, 1}},
  {3, 1, {3, 4, 6}, 21, {2, 2, 3}, {1, 1, 1}, {1, 0, 1}, {0, 1, 1}},
  {2, 0, {6, 8}, 3, {2, 2}, {2, 2}, {0, 0}, {0, 0}},
};

static void test_cases(void **state) {
  (void)state;
  for (int i = 0; i < CN_COUNT(cases); i++)
    for (int mode = 0; mode < 3; mode++) check_case(&cases[i], mode > 0, mode == 2, i);
}

/* As TensorFlow has it, with and without vectors. */
static void test_nan_never_wins(void **state) {
  (void)state;
  const double v[] = {NAN, 1, 2, -INFINITY, NAN, -INFINITY, 1, INFINITY, NAN}, expected[] = {2, 0, INFINITY};
  for (int type = 0; type < 2; type++) {
    const cornu_dtype dtype = type ? CORNU_FLOAT64 : CORNU_FLOAT32;
    cn_pool_attrs a = {.spatial = 1, .size = {3}, .stride = {3}};
    value x = make_value(dtype, 3, (int64_t[]){1, 9, 1});
    cn_convert(x.operand.data, dtype, v, CORNU_FLOAT64, CN_COUNT(v));
    value *in[] = {&x, NULL};
    value y = op_result(&cn_op_pool, &a, in, 1);
    double got[3];
    cn_convert(got, CORNU_FLOAT64, y.operand.data, dtype, 3);
    for (int i = 0; i < 3; i++) assert_true(got[i] == (i == 1 ? type ? -DBL_MAX : -(double)FLT_MAX : expected[i]));
    free_value(&x);
    free_value(&y);
  }
}

static void test_shapes(void **state) {
  (void)state;
  cn_pool_attrs a = {.spatial = 2, .size = {2, 3}, .stride = {2, 1}};
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {-1, 7, -1, 16}}};
  value *in[] = {&x};
  cn_type out;
  assert_int_equal(op_shape(&cn_op_pool, &a, in, 1, &out, NULL), CORNU_OK);
  const int64_t expected[] = {-1, 3, -1, 16};
  assert_memory_equal(out.shape, expected, sizeof expected);
  x.type.shape[1] = 1;
  expect_failure(&cn_op_pool, &a, in, 1, "along spatial dimension 1 the window covers 2 positions, the input has 1");
  cn_pool_attrs named = {.named = {.size = {2, {3, 4}}, .stride = {.n = -1}}};
  assert_int_equal(cn_op_pool.check(&named, NULL), CORNU_OK);
  assert_true(named.size[0] == 3 && named.stride[0] == 3 && named.size[1] == 4 && named.stride[1] == 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_nan_never_wins),
                                     cmocka_unit_test(test_shapes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
