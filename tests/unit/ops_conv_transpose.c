/* conv_transpose against its definition: every input value times the kernel, added into the uncropped output. */
#include "op_run.h"

typedef struct transpose_case {
  int spatial;
  int64_t batch, in[3], channels, kernel[3], filters, stride[3], dilation[3], crop_begin[3], crop_end[3];
  bool bias;
  cn_act act;
} transpose_case;

#define NO_ACT {CN_ACT_LINEAR, 0, 0, 0}
#define ONES {1, 1, 1}
#define NONE {0, 0, 0}

static void lift(int64_t to[3], const int64_t *from, int n, int64_t fill) {
  for (int i = 0; i < 3; i++) to[i] = i < 3 - n ? fill : from[i - 3 + n];
}

/* Scatters one image into out[o0][o1][o2][filters]. */
static void scatter(const transpose_case *c, const float *x, const float *w, double *out, const int64_t o[3]) {
  int64_t in[3], k[3], stride[3], dilation[3], crop[3];
  lift(in, c->in, c->spatial, 1);
  lift(k, c->kernel, c->spatial, 1);
  lift(stride, c->stride, c->spatial, 1);
  lift(dilation, c->dilation, c->spatial, 1);
  lift(crop, c->crop_begin, c->spatial, 0);
  for (int64_t i = 0; i < in[0] * in[1] * in[2]; i++)
    for (int64_t p = 0; p < k[0] * k[1] * k[2]; p++) {
      const int64_t at[3] = {i / (in[1] * in[2]), i / in[2] % in[1], i % in[2]};
      const int64_t place[3] = {p / (k[1] * k[2]), p / k[2] % k[1], p % k[2]};
      int64_t to[3];
      bool inside = true;
      for (int d = 0; d < 3; d++) {
        to[d] = at[d] * stride[d] + place[d] * dilation[d] - crop[d];
        inside &= to[d] >= 0 && to[d] < o[d];
      }
      if (!inside) continue;
      double *y = out + ((to[0] * o[1] + to[1]) * o[2] + to[2]) * c->filters;
      for (int64_t f = 0; f < c->filters; f++)
        for (int64_t q = 0; q < c->channels; q++)
          y[f] += (double)x[i * c->channels + q] * w[(p * c->filters + f) * c->channels + q];
    }
}

static void check_case(const transpose_case *c, int number) {
  cn_conv_transpose_attrs a = {.spatial = c->spatial, .act = c->act};
  const int n = c->spatial;
  int64_t xs[5] = {c->batch}, ks[5], size[3] = {0}, o[3], count = 1;
  for (int i = 0; i < n; i++) {
    a.stride[i] = c->stride[i];
    a.dilation[i] = c->dilation[i];
    a.crop_begin[i] = c->crop_begin[i];
    a.crop_end[i] = c->crop_end[i];
    xs[i + 1] = c->in[i];
    ks[i] = c->kernel[i];
    size[i] = (c->in[i] - 1) * c->stride[i] + (c->kernel[i] - 1) * c->dilation[i] +
        1 - c->crop_begin[i] - c->crop_end[i];
    count *= size[i];
  }
  xs[n + 1] = ks[n + 1] = c->channels;
  ks[n] = c->filters;
  lift(o, size, n, 1);
  value x = make_value(CORNU_FLOAT32, n + 2, xs), w = make_value(CORNU_FLOAT32, n + 2, ks);
  value b = make_value(CORNU_FLOAT32, 1, &c->filters);
  fill_value(&x, 1);
  fill_value(&w, 2);
  fill_value(&b, 3);
  value *in[] = {&x, &w, c->bias ? &b : NULL};
  const bool large = c->filters * c->channels >= 1024; /* where it varies, by Winograd's method */
  const double tolerance = large ? 1e-6 * 0.25 * 9 * (double)c->channels : 4e-6; /* 0.25: a product, as a rule */
  value y = large ? op_varying(&cn_op_conv_transpose, &a, in, 3) : op_result(&cn_op_conv_transpose, &a, in, 3);
  assert_int_equal(y.operand.size, c->batch * count * c->filters);
  const int64_t image = count * c->filters, source = x.operand.size / (c->batch ? c->batch : 1);
  double *expected = malloc((size_t)image * sizeof *expected);
  for (int64_t k = 0; k < c->batch; k++) {
    for (int64_t i = 0; i < image; i++) expected[i] = c->bias ? ((float *)b.operand.data)[i % c->filters] : 0;
    scatter(c, (float *)x.operand.data + k * source, w.operand.data, expected, o);
    for (int64_t i = 0; i < image; i++) {
      double e = cn_act_double(&c->act, expected[i]), got = ((float *)y.operand.data)[k * image + i];
      if (!(fabs(e - got) <= tolerance)) fail_msg("case %d: value %lld is %g, expected %g", number, (long long)i, got, e);
    }
  }
  free(expected);
  free_value(&x);
  free_value(&w);
  free_value(&b);
  free_value(&y);
}

static const transpose_case cases[] = {
  {2, 1, {4, 5}, 3, {3, 3}, 4, ONES, ONES, NONE, NONE, true, NO_ACT},
  {2, 2, {4, 5}, 3, {3, 3}, 20, {2, 2, 1}, ONES, NONE, NONE, true, {CN_ACT_RELU, 0, INFINITY, 0}},
  {2, 1, {5, 4}, 7, {4, 4}, 6, {2, 2, 1}, ONES, {1, 1}, {1, 1}, false, NO_ACT},       /* same */
  {2, 1, {5, 4}, 2, {3, 5}, 6, {2, 3, 1}, ONES, {0, 2}, {1, 0}, true, NO_ACT},
  {2, 1, {3, 3}, 2, {2, 2}, 3, {3, 4, 1}, ONES, NONE, NONE, true, NO_ACT},            /* outputs that meet nothing */
  {2, 1, {3, 4}, 2, {2, 2}, 3, {3, 3, 1}, ONES, {-1, -2}, {-2, -4}, true, NO_ACT},    /* zeros added */
  {2, 1, {4, 4}, 3, {3, 3}, 4, {1, 2, 1}, {2, 1, 1}, {1, 0}, {0, 1}, true, NO_ACT},
  {2, 1, {4, 4}, 3, {3, 2}, 4, {2, 3, 1}, {3, 2, 1}, NONE, NONE, true, NO_ACT},       /* stride and dilation */
  {2, 1, {6, 6}, 3, {3, 3}, 4, {2, 2, 1}, ONES, {5, 4}, {3, 6}, true, NO_ACT},        /* whole inputs cut off */
  {1, 3, {9}, 4, {5}, 5, {2, 1, 1}, ONES, {1}, {2}, true, {CN_ACT_TANH, 0, 0, 0}},
  {3, 1, {2, 3, 3}, 3, {3, 2, 3}, 4, {2, 2, 1}, ONES, {1, 0, 1}, {0, 0, 1}, true, NO_ACT},
  {2, 0, {4, 5}, 3, {3, 3}, 4, {2, 2, 1}, ONES, NONE, NONE, true, NO_ACT},
  {2, 1, {20, 24}, 16, {4, 4}, 16, {2, 2, 1}, ONES, {1, 1}, {1, 1}, true, NO_ACT},    /* worth several threads */
  {2, 2, {14, 15}, 37, {3, 3}, 65, ONES, ONES, {1, 1}, {1, 1}, true, {CN_ACT_RELU, 0, INFINITY, 0}},
  {2, 1, {20, 13}, 64, {3, 3}, 32, ONES, ONES, NONE, {2, 0}, false, NO_ACT},
  {2, 3, {12, 30}, 33, {3, 3}, 40, ONES, ONES, {3, 2}, {0, 1}, false, NO_ACT},
  {2, 4, {9, 9}, 128, {3, 3}, 130, ONES, ONES, {-1, 0}, {1, 1}, true, NO_ACT},
};

static void test_cases(void **state) {
  (void)state;
  for (int i = 0; i < CN_COUNT(cases); i++) check_case(&cases[i], i);
}

static void test_shapes(void **state) {
  (void)state;
  cn_conv_transpose_attrs a = {.spatial = 2, .stride = {2, 2}, .dilation = ONES, .crop_begin = {0, 1},
                               .crop_end = {1, 0}};
  value x = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {-1, 7, -1, 16}}};
  value w = {.type = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {3, 3, 8, 16}}};
  value *in[] = {&x, &w};
  cn_type out;
  assert_int_equal(op_shape(&cn_op_conv_transpose, &a, in, 2, &out, NULL), CORNU_OK);
  const int64_t expected[] = {-1, 14, -1, 8};
  assert_memory_equal(out.shape, expected, sizeof expected);
  x.type.shape[3] = 8;
  expect_failure(&cn_op_conv_transpose, &a, in, 2, "input has 8 channels, the kernel (3, 3, 8, 16) needs 16");
  x.type.shape[3] = 16;
  a.crop_end[0] = 15;
  expect_failure(&cn_op_conv_transpose, &a, in, 2, "cropping 0 and 15 leaves nothing of 15 positions");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_shapes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
