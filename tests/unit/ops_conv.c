/* conv and depthwise_conv against plain loops in double precision. */
#include "op_run.h"

#include "ops/winograd.h"

/* One case: 1 to 3 spatial dimensions; unused entries are ignored. */
typedef struct conv_case {
  int spatial;
  int64_t batch, in[3], channels, kernel[3], filters; /* depthwise: filters is the multiplier */
  int64_t stride[3], dilation[3], pad_begin[3], pad_end[3], groups;
  bool bias;
  cn_act act;
} conv_case;

#define NO_ACT {CN_ACT_LINEAR, 0, 0, 0}
#define RELU {CN_ACT_RELU, 0, INFINITY, 0}
#define HARD_SILU {CN_ACT_HARD_SILU, 0, 0, 0}
#define ONES {1, 1, 1}
#define NONE {0, 0, 0}

static void lift(int64_t to[3], const int64_t *from, int n, int64_t fill) {
  for (int i = 0; i < 3; i++) to[i] = i < 3 - n ? fill : from[i - 3 + n];
}

/* Filter f meets channels c0 … c0 + count - 1 of the input; their weights are count values, `step` apart. */
static double expected_at(const conv_case *c, const float *x, const float *w, int64_t image, const int64_t o[3],
                          int64_t c0, int64_t count,
                          int64_t place_size, int64_t first, int64_t step, double *size) {
  int64_t in[3], k[3], stride[3], dilation[3], pad[3];
  lift(in, c->in, c->spatial, 1);
  lift(k, c->kernel, c->spatial, 1);
  lift(stride, c->stride, c->spatial, 1);
  lift(dilation, c->dilation, c->spatial, 1);
  lift(pad, c->pad_begin, c->spatial, 0);
  double sum = 0;
  for (int64_t p = 0; p < k[0] * k[1] * k[2]; p++) {
    int64_t z = o[0] * stride[0] - pad[0] + p / (k[1] * k[2]) * dilation[0];
    int64_t y = o[1] * stride[1] - pad[1] + p / k[2] % k[1] * dilation[1];
    int64_t xx = o[2] * stride[2] - pad[2] + p % k[2] * dilation[2];
    if (z < 0 || z >= in[0] || y < 0 || y >= in[1] || xx < 0 || xx >= in[2]) continue;
    const float *pixel = x + (((image * in[0] + z) * in[1] + y) * in[2] + xx) * c->channels + c0;
    for (int64_t i = 0; i < count; i++) {
      double v = (double)pixel[i] * w[p * place_size + first + i * step];
      sum += v;
      *size += fabs(v);
    }
  }
  return sum;
}

/* fused: with a scale and a residual. */
static void check_case(const conv_case *c, bool depthwise, bool fused, int number) {
  const cn_op *op = depthwise ? &cn_op_depthwise_conv : &cn_op_conv;
  cn_conv_attrs a = {.spatial = c->spatial, .groups = c->groups, .act = c->act};
  for (int i = 0; i < 3; i++) {
    a.stride[i] = c->stride[i];
    a.dilation[i] = c->dilation[i];
    a.pad_begin[i] = c->pad_begin[i];
    a.pad_end[i] = c->pad_end[i];
  }
  const int n = c->spatial;
  int64_t xs[5] = {c->batch}, ks[5], groups = c->groups ? c->groups : 1, out[3], o_shape[3] = {0};
  memcpy(xs + 1, c->in, sizeof(int64_t) * (size_t)n);
  memcpy(ks, c->kernel, sizeof(int64_t) * (size_t)n);
  xs[n + 1] = c->channels;
  ks[n] = depthwise ? c->channels : c->channels / groups;
  ks[n + 1] = c->filters;
  const int64_t filters = depthwise ? c->channels * c->filters : c->filters;
  value x = make_value(CORNU_FLOAT32, n + 2, xs), w = make_value(CORNU_FLOAT32, n + 2, ks);
  value b = make_value(CORNU_FLOAT32, 1, &filters);
  fill_value(&x, 1);
  fill_value(&w, 2);
  fill_value(&b, 3);
  cn_type result_type;
  value *in[] = {&x, &w, c->bias ? &b : NULL, NULL, NULL};
  assert_int_equal(op_shape(op, &a, in, 3, &result_type, NULL), CORNU_OK);
  value residual = make_value(CORNU_FLOAT32, n + 2, result_type.shape);
  value scale = make_value(CORNU_FLOAT32, 1, &filters);
  fill_value(&residual, 4);
  fill_value(&scale, 5);
  scale.operand.constant = true;
  if (fused) in[3] = &residual, in[4] = &scale;
  const bool exact = getenv("CORNU_EXACT") != NULL; /* else weights that are constants may be used in other ways */
  value y = op_results(op, &a, in, fused ? 5 : 3, exact ? 2 : 0);
  value varying = op_varying(op, &a, in, fused ? 5 : 3);
  for (int i = 0; i < n; i++)
    o_shape[i] = (c->in[i] + c->pad_begin[i] + c->pad_end[i] - (c->kernel[i] - 1) * c->dilation[i] - 1) /
                 c->stride[i] + 1;
  lift(out, o_shape, n, 1);
  assert_int_equal(y.operand.size, c->batch * out[0] * out[1] * out[2] * filters);
  const float *result = y.operand.data, *other = varying.operand.data, *weights = w.operand.data;
  for (int64_t i = 0; i < y.operand.size; i++) {
    int64_t f = i % filters, r = i / filters, o[3], place = depthwise ? filters : c->channels / groups * filters;
    o[2] = r % out[2];
    o[1] = r / out[2] % out[1];
    o[0] = r / out[2] / out[1] % out[0];
    int64_t image = r / out[2] / out[1] / out[0], group_channels = c->channels / groups, g = f / (filters / groups);
    double size = 0, bias = c->bias ? ((float *)b.operand.data)[f] : 0;
    double sum = depthwise ? expected_at(c, x.operand.data, weights, image, o, f / c->filters, 1, place, f, 0, &size)
                           : expected_at(c, x.operand.data, weights, image, o, g * group_channels, group_channels,
                                         place, f, filters, &size);
    if (fused) {
      sum = sum * ((float *)scale.operand.data)[f] + ((float *)residual.operand.data)[i];
      size = size * fabs((double)((float *)scale.operand.data)[f]) + 1;
    }
    double e = cn_act_double(&c->act, sum + bias);
    if (!(fmax(fabs(e - result[i]), fabs(e - other[i])) <= 1e-6 * size + 3e-7))
      fail_msg("case %d: value %lld is %g or %g, expected %g", number, (long long)i, result[i], other[i], e);
  }
  free_value(&x);
  free_value(&w);
  free_value(&b);
  free_value(&y);
  free_value(&varying);
  free_value(&residual);
  free_value(&scale);
}

static const conv_case convs[] = {
  {2, 2, {5, 6}, 3, {3, 3}, 4, ONES, ONES, NONE, NONE, 1, true, NO_ACT},
  {2, 1, {7, 7}, 8, {3, 3}, 40, ONES, ONES, {1, 1}, {1, 1}, 1, true, RELU},           /* same */
  /* same with stride 2: more behind */
  {2, 1, {8, 9}, 3, {3, 3}, 16, {2, 2, 1}, ONES, {0, 0}, {1, 1}, 1, true, NO_ACT},
  {2, 1, {15, 17}, 3, {7, 7}, 20, {2, 2, 1}, ONES, {3, 3}, {3, 3}, 1, false, RELU},
  {2, 3, {4, 5}, 19, {1, 1}, 33, ONES, ONES, NONE, NONE, 1, true, {CN_ACT_SILU, 0, 0, 0}}, /* a plain product */
  {2, 2, {7, 6}, 8, {1, 1}, 9, {2, 3, 1}, ONES, NONE, NONE, 1, true, NO_ACT},
  {2, 2, {9, 10}, 4, {3, 2}, 5, ONES, {2, 3, 1}, {2, 0}, {1, 3}, 1, true, NO_ACT},    /* dilated, uneven padding */
  {2, 1, {9, 9}, 6, {3, 3}, 8, {2, 1, 1}, {1, 2, 1}, {1, 2}, {0, 2}, 2, true, RELU},  /* groups */
  {2, 2, {6, 6}, 12, {2, 2}, 36, ONES, ONES, NONE, NONE, 3, false, NO_ACT},
  /* one channel a group: depthwise */
  {2, 1, {6, 7}, 5, {3, 3}, 10, ONES, ONES, {1, 1}, {1, 1}, 5, true, RELU},
  {1, 2, {20}, 4, {3}, 6, ONES, ONES, NONE, NONE, 1, true, NO_ACT},
  {1, 2, {33}, 5, {2}, 32, ONES, {8, 1, 1}, {8}, NONE, 1, true, {CN_ACT_TANH, 0, 0, 0}}, /* causal, dilated */
  {1, 1, {11}, 1, {4}, 3, {3, 1, 1}, ONES, {2}, {1}, 1, true, NO_ACT},
  {3, 2, {4, 5, 6}, 3, {2, 3, 2}, 7, ONES, ONES, {1, 1, 0}, {0, 1, 1}, 1, true, RELU},
  {3, 1, {5, 5, 5}, 2, {3, 1, 2}, 4, {2, 1, 2}, {1, 1, 2}, {1, 0, 1}, {1, 0, 1}, 1, false, NO_ACT},
  {3, 1, {4, 4, 4}, 4, {2, 2, 2}, 6, ONES, {2, 1, 1}, {1, 1, 1}, {1, 1, 1}, 2, true, NO_ACT},
  {2, 0, {5, 6}, 3, {3, 3}, 4, ONES, ONES, {1, 1}, {1, 1}, 1, true, NO_ACT},          /* no image at all */
  {2, 1, {3, 3}, 2, {5, 5}, 3, ONES, ONES, {2, 2}, {2, 2}, 1, true, NO_ACT},          /* more kernel than image */
  {2, 1, {64, 40}, 16, {3, 3}, 24, ONES, ONES, {1, 1}, {1, 1}, 1, true, RELU},        /* worth several threads */
  /* copied in several bands */
  {2, 2, {151, 100}, 16, {3, 5}, 5, {2, 1, 1}, ONES, {1, 2}, {1, 2}, 1, true, RELU},
  {1, 1, {40000}, 4, {3}, 6, ONES, {2, 1, 1}, {4}, NONE, 1, true, NO_ACT},
  {3, 1, {20, 40, 50}, 4, {3, 2, 3}, 6, {2, 1, 1}, ONES, {1, 1, 1}, {1, 0, 1}, 2, true, NO_ACT},
  {3, 1, {2, 90, 60}, 12, {2, 3, 3}, 3, ONES, ONES, {0, 1, 1}, {0, 1, 1}, 1, false, NO_ACT},
};

static void test_conv(void **state) {
  (void)state;
  for (int i = 0; i < CN_COUNT(convs); i++) check_case(&convs[i], false, false, i);
}

/* Kernels of 3 x 3 with enough channels for Winograd's convolution, with 2 x 2 and 4 x 4 tiles and borders of all
 * kinds; its errors may be larger. */
static const conv_case winograds[] = {
  {2, 1, {16, 16}, 32, {3, 3}, 40, ONES, ONES, {1, 1}, {1, 1}, 1, true, RELU},
  {2, 2, {13, 19}, 37, {3, 3}, 65, ONES, ONES, {1, 1}, {1, 1}, 1, false, {CN_ACT_SILU, 0, 0, 0}},
  {2, 1, {14, 23}, 40, {3, 3}, 64, ONES, ONES, NONE, {0, 2}, 1, true, NO_ACT},
  {2, 3, {30, 11}, 33, {3, 3}, 33, ONES, ONES, {2, 0}, {1, 1}, 1, true, {CN_ACT_RELU, 0, 0.5f, 0}},
  {2, 1, {14, 14}, 128, {3, 3}, 130, ONES, ONES, {1, 1}, {1, 1}, 1, true, RELU},        /* few tiles, many filters */
  {2, 1, {6, 6}, 70, {3, 3}, 66, ONES, ONES, {1, 1}, {1, 1}, 1, true, RELU},
  {2, 1, {48, 50}, 64, {3, 3}, 32, ONES, ONES, {1, 1}, {1, 1}, 1, true, NO_ACT},      /* several blocks */
};

static void test_winograd(void **state) {
  (void)state;
  int used = 0;
  for (int i = 0; i < CN_COUNT(winograds); i++) {
    const conv_case *c = &winograds[i];
    cn_spatial g = {.batch = c->batch, .channels = c->channels, .kernel = {1, 3, 3}, .in = {1, c->in[0], c->in[1]},
                    .out = {1, c->in[0] + c->pad_begin[0] + c->pad_end[0] - 2,
                            c->in[1] + c->pad_begin[1] + c->pad_end[1] - 2},
                    .stride = ONES, .dilation = ONES};
    used |= cn_winograd_side(&g, c->filters, true);
    check_case(c, false, i % 2, i);
    unsetenv("CORNU_EXACT");
    check_case(c, false, i % 2, i);
    setenv("CORNU_EXACT", "1", 1);
  }
  assert_int_equal(used, 2 | 4);
}

static const conv_case depthwises[] = {
  {2, 2, {5, 6}, 3, {3, 3}, 1, ONES, ONES, NONE, NONE, 0, true, NO_ACT},
  {2, 1, {14, 19}, 37, {3, 3}, 1, ONES, ONES, {1, 1}, {1, 1}, 0, true, RELU},
  {2, 1, {15, 30}, 70, {5, 5}, 1, {2, 2, 1}, ONES, {1, 2}, {2, 2}, 0, false, {CN_ACT_RELU, 0, 0.5f, 0}},
  {2, 2, {9, 9}, 16, {3, 3}, 1, ONES, {2, 3, 1}, {2, 3}, {2, 3}, 0, true, {CN_ACT_SILU, 0, 0, 0}},
  {2, 1, {7, 7}, 20, {7, 7}, 1, ONES, ONES, {3, 3}, {3, 3}, 0, true, HARD_SILU},
  {2, 1, {9, 31}, 33, {7, 7}, 1, {2, 2, 1}, ONES, {3, 3}, {3, 3}, 0, true, RELU},
  {2, 2, {6, 16}, 16, {5, 5}, 1, ONES, ONES, {2, 2}, {2, 2}, 0, false, {CN_ACT_TANH, 0, 0, 0}},
  {2, 1, {4, 23}, 7, {3, 3}, 1, {2, 2, 1}, ONES, {0, 0}, {1, 1}, 0, true, HARD_SILU},
  {2, 2, {6, 7}, 5, {3, 2}, 3, {1, 2, 1}, ONES, {1, 0}, {1, 1}, 0, true, NO_ACT},     /* a multiplier */
  {2, 1, {6, 7}, 1, {3, 3}, 4, ONES, ONES, {1, 1}, {1, 1}, 0, true, RELU},
  {1, 2, {17}, 4, {3}, 1, {2, 1, 1}, ONES, {2}, {0}, 0, true, NO_ACT},
  {1, 2, {1301}, 35, {3}, 1, ONES, ONES, {1}, {1}, 0, true, RELU},                     /* in blocks of columns */
  {1, 1, {2100}, 9, {5}, 1, {2, 1, 1}, {3, 1, 1}, {4}, {2}, 0, false, HARD_SILU},
  {3, 1, {4, 5, 6}, 8, {3, 3, 3}, 1, ONES, ONES, {1, 1, 1}, {1, 1, 1}, 0, true, NO_ACT},
  {3, 1, {5, 4, 6}, 3, {2, 3, 2}, 2, {2, 1, 1}, {1, 1, 2}, {1, 0, 1}, {0, 2, 0}, 0, true, NO_ACT},
  {2, 0, {5, 6}, 3, {3, 3}, 2, ONES, ONES, NONE, NONE, 0, true, NO_ACT},
};

static void test_residual_and_scale(void **state) {
  (void)state;
  for (int i = 0; i < CN_COUNT(convs); i++) check_case(&convs[i], false, true, i);
  for (int i = 0; i < CN_COUNT(depthwises); i++) check_case(&depthwises[i], true, true, i);
}

static void test_depthwise(void **state) {
  (void)state;
  for (int i = 0; i < CN_COUNT(depthwises); i++) check_case(&depthwises[i], true, false, i);
}

static void test_shapes_with_unknowns(void **state) {
  (void)state;
  cn_conv_attrs a = {.spatial = 2, .stride = {2, 1}, .dilation = ONES, .pad_begin = {1, 0}, .pad_end = {1, 0}};
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {-1, -1, 28, -1}}};
  value w = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {3, 3, 16, 8}}};
  value *in[] = {&x, &w};
  cn_type out;
  assert_int_equal(op_shape(&cn_op_conv, &a, in, 2, &out, NULL), CORNU_OK);
  const int64_t expected[] = {-1, -1, 26, 8};
  assert_memory_equal(out.shape, expected, sizeof expected);
  w.type.shape[3] = 2;
  assert_int_equal(op_shape(&cn_op_depthwise_conv, &a, in, 2, &out, NULL), CORNU_OK);
  assert_int_equal(out.shape[3], 32);
}

static void test_messages(void **state) {
  (void)state;
  cn_conv_attrs a = {.spatial = 2, .stride = ONES, .dilation = ONES};
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {-1, 5, 5, 32}}};
  value w = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {3, 3, 64, 128}}};
  value *in[] = {&x, &w, NULL};
  expect_failure(&cn_op_conv, &a, in, 2, "conv: input has 32 channels, the kernel (3, 3, 64, 128) needs 64");
  expect_failure(&cn_op_depthwise_conv, &a, in, 2,
                 "depthwise_conv: input has 32 channels, the kernel (3, 3, 64, 128) needs 64");
  w.type.shape[2] = 32;
  w.type.shape[0] = 6;
  expect_failure(&cn_op_conv, &a, in, 2, "the window covers 6 positions, the input has 5 with 0 of padding");
  w.type.shape[0] = 3;
  a.groups = 3;
  expect_failure(&cn_op_conv, &a, in, 2, "with 3 groups needs 96");
  a.groups = 1;
  x.type.dtype = CORNU_FLOAT64;
  expect_failure(&cn_op_conv, &a, in, 2, "the kernel is float32, the input float64: cast one of them");
  x.type.dtype = CORNU_FLOAT32;
  value b = {.type = {.dtype = CORNU_FLOAT32, .rank = 1, .shape = {7}}};
  in[2] = &b;
  expect_failure(&cn_op_conv, &a, in, 3, "needs (128)");
  a.spatial = 1;
  expect_failure(&cn_op_conv, &a, in, 2, "4 dimensions, needs (batch, 1 spatial one, channels)");
}

static void test_options_by_name(void **state) {
  (void)state;
  cn_conv_attrs a = {.named = {.stride = {1, {2}}, .dilation = {2, {1, 3}}, .pad_begin = {-1, {0}},
                               .pad_end = {1, {1}}}};
  cn_error e;
  assert_int_equal(cn_op_conv.check(&a, &e), CORNU_OK);
  assert_true(a.stride[0] == 2 && a.stride[2] == 2 && a.dilation[0] == 1 && a.dilation[1] == 3 && a.pad_begin[0] == 0 &&
              a.pad_end[1] == 1);
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 3, .shape = {1, 9, 2}}};
  value w = {.type = {.dtype = CORNU_FLOAT32, .rank = 3, .shape = {3, 2, 4}}};
  value *in[] = {&x, &w};
  expect_failure(&cn_op_conv, &a, in, 2, "an option has 2 values");
  a.named.stride.v[0] = 0;
  assert_int_not_equal(cn_op_conv.check(&a, &e), CORNU_OK);
  assert_string_equal(e.message, "strides is 0, must be at least 1");
}

int main(void) {
  setenv("CORNU_EXACT", "1", 1);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_conv), cmocka_unit_test(test_winograd), cmocka_unit_test(test_residual_and_scale), cmocka_unit_test(test_depthwise),
    cmocka_unit_test(test_shapes_with_unknowns), cmocka_unit_test(test_messages),
    cmocka_unit_test(test_options_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
