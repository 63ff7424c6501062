/* Ops that take or make values with a pitch: the same bits as without, and nothing written between the rows. */
#include "op_run.h"

enum { GAP = 5 };
static const float guard = 12345.5f;

/* A copy whose rows are GAP elements further apart; the gaps hold the guard. */
static value spread(const value *v) {
  value wide = *v;
  const int64_t row = v->operand.shape[v->operand.rank - 1], rows = row ? v->operand.size / row : 0;
  wide.operand.pitch = row + GAP;
  float *to = wide.operand.data = malloc((size_t)(rows * wide.operand.pitch) * sizeof(float) + 64);
  for (int64_t i = 0; i < rows * wide.operand.pitch; i++) to[i] = guard;
  for (int64_t r = 0; r < rows; r++)
    memcpy(to + r * wide.operand.pitch, (float *)v->operand.data + r * row, (size_t)row * sizeof(float));
  return wide;
}

static void expect_rows(const char *name, const value *plain, const value *wide) {
  const int64_t row = plain->operand.shape[plain->operand.rank - 1], pitch = wide->operand.pitch;
  const float *x = plain->operand.data, *y = wide->operand.data;
  for (int64_t r = 0; r < plain->operand.size / row; r++) {
    if (memcmp(x + r * row, y + r * pitch, (size_t)row * sizeof(float))) fail_msg("%s: row %d differs", name, (int)r);
    for (int64_t i = row; i < pitch; i++)
      if (y[r * pitch + i] != guard) fail_msg("%s: row %d was written past its end", name, (int)r);
  }
}

/* Every input that may have a pitch by itself, then all together with the output. */
static void check(const cn_op *op, const void *attrs, value *const *in, int n_in) {
  value plain = op_results(op, attrs, in, n_in, 0);
  const bool out_too = op->flags & CN_OP_PITCHED_OUT;
  for (unsigned set = 1; set < 1u << (n_in + 1); set++) {
    const bool pitched_out = set >> n_in & 1;
    value wide[8], out = plain;
    cn_operand *operands[8] = {0}, *result;
    if ((set & ~op->pitched_in & ((1u << n_in) - 1)) || (pitched_out && !out_too)) continue;
    for (int i = 0; i < n_in; i++) {
      if (in[i]) operands[i] = &in[i]->operand;
      if (!in[i] || !(set >> i & 1)) continue;
      wide[i] = spread(in[i]);
      operands[i] = &wide[i].operand;
    }
    out.operand.data = calloc((size_t)plain.operand.size * sizeof(float) + 64, 1);
    value made = pitched_out ? spread(&out) : out;
    result = &made.operand;
    cn_error e = {0};
    cn_step s = {.op = op, .attrs = attrs, .n_in = n_in, .n_out = 1, .in = operands, .out = &result, .label = "test"};
    cornu_set_threads(2);
    if (cn_step_run_once(&s, &e)) fail_msg("%s: %s", op->name, e.message);
    expect_rows(op->name, &plain, &made);
    for (int i = 0; i < n_in; i++)
      if (in[i] && set >> i & 1) free_value(&wide[i]);
    if (pitched_out) free_value(&made);
    free_value(&out);
  }
  free_value(&plain);
}

#define RUN(op, attrs, ...)                                                     \
  do {                                                                          \
    value *in_[] = {__VA_ARGS__};                                               \
    check(op, attrs, in_, CN_COUNT(in_));                                       \
  } while (0)

static void test_elementwise(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 3, 7, 19), c = FLOATS(1, 19), v = FLOATS(1, 19), rows = FLOATS(1, 3);
  fill_value(&x, 1);
  fill_value(&c, 2);
  for (int i = 0; i < 19; i++) ((float *)v.operand.data)[i] = (float)i + 1;
  for (int i = 0; i < 3; i++) ((float *)rows.operand.data)[i] = (float)i + 1;
  const cn_act_attrs silu = {.act = {CN_ACT_SILU, 0, 0, 0}};
  RUN(&cn_op_activation, &silu, &x);
  RUN(cn_op_find("square"), NULL, &x);
  RUN(cn_op_find("sin"), NULL, &x);
  const cn_batch_norm_attrs last = {.axis = -1, .epsilon = 1e-3, .act = {CN_ACT_RELU, 0, INFINITY, 0}};
  RUN(&cn_op_batch_norm, &last, &x, &c, &v, &c, NULL);
  const cn_batch_norm_attrs second = {.axis = 1, .epsilon = 1e-3};
  RUN(&cn_op_batch_norm, &second, &x, &rows, &rows);
  value y = FLOATS(4, 2, 3, 7, 19), narrow = FLOATS(4, 2, 1, 7, 1);
  fill_value(&y, 9);
  fill_value(&narrow, 10);
  const cn_act_attrs acts[] = {{.act = {0}}, {.act = {CN_ACT_RELU, 0, 0.5, 0}}, silu};
  for (int i = 0; i < 3; i++) {
    RUN(&cn_op_add, &acts[i], &x, &y);
    RUN(&cn_op_mul, &acts[i], &x, &c);
    RUN(&cn_op_sub, &acts[i], &c, &x);
    RUN(&cn_op_div, &acts[i], &x, &narrow);
    RUN(&cn_op_add, &acts[i], &narrow, &narrow);
    RUN(&cn_op_hypot, &acts[i], &narrow, &y);
  }
  free_value(&x), free_value(&c), free_value(&v), free_value(&rows), free_value(&y), free_value(&narrow);
}

static void test_reductions(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 3, 7, 19);
  fill_value(&x, 3);
  for (int i = 0; i < 4; i++) {
    const cn_reduce_attrs spatial = {.axes = {2, {1, 2}}, .keepdims = i % 2}, inner = {.axes = {2, {1, 3}}};
    static const char *const names[] = {"mean", "max", "var", "logsumexp"};
    RUN(cn_op_find(names[i]), &spatial, &x);
    RUN(cn_op_find(names[i]), &inner, &x);
  }
  free_value(&x);
}

static void test_windows(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 6, 11, 19), k = FLOATS(4, 3, 3, 19, 1), two = FLOATS(4, 3, 3, 19, 2), b = FLOATS(1, 19);
  value sum = FLOATS(4, 2, 6, 11, 19);
  fill_value(&sum, 11);
  fill_value(&x, 4), fill_value(&k, 5), fill_value(&two, 6), fill_value(&b, 7);
  for (int i = 0; i < 3; i++) {
    const cn_pool_attrs pool = {.spatial = 2, .average = i > 0, .count_padding = i > 1, .size = {3, 3},
                                .stride = {1 + i % 2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
    RUN(&cn_op_pool, &pool, &x);
    const cn_conv_attrs depthwise = {.spatial = 2, .stride = {1, 1 + i}, .dilation = {1, 1}, .pad_begin = {1, 1},
                                     .pad_end = {1, 1}, .act = {i ? CN_ACT_SILU : CN_ACT_RELU, 0, 1, 0}};
    RUN(&cn_op_depthwise_conv, &depthwise, &x, &k, &b);
    RUN(&cn_op_depthwise_conv, &depthwise, &x, &two, NULL);
    if (i == 0) RUN(&cn_op_depthwise_conv, &depthwise, &x, &k, &b, &sum);
  }
  free_value(&x), free_value(&k), free_value(&two), free_value(&b), free_value(&sum);
}

static void test_resize(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 3, 5, 19);
  fill_value(&x, 8);
  const cn_resize_method methods[] = {CN_RESIZE_NEAREST, CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC};
  for (int i = 0; i < 3; i++) {
    const cn_resize_attrs a = {.size = {7, 9}, .method = methods[i], .grid = CN_GRID_HALF_PIXEL};
    RUN(&cn_op_resize, &a, &x);
  }
  free_value(&x);
}

static void test_convolutions(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 9, 12, 4), k[3] = {FLOATS(4, 3, 3, 4, 6), FLOATS(4, 1, 1, 4, 6), FLOATS(4, 3, 2, 2, 6)};
  value b = FLOATS(1, 6);
  fill_value(&x, 9), fill_value(&b, 10);
  for (int i = 0; i < 12; i++) {
    value *kernel = &k[i % 3];
    fill_value(kernel, 11);
    const cn_conv_attrs conv = {.spatial = 2, .stride = {1, 1 + i / 6}, .dilation = {1, 1 + i / 3 % 2},
                                .pad_begin = {i / 3 % 2, 0}, .groups = i % 3 == 2 ? 2 : 1,
                                .act = {i % 2 ? CN_ACT_SILU : CN_ACT_RELU, 0, 1, 0}};
    cn_type type;
    value *in[] = {&x, kernel, &b};
    assert_int_equal(op_shape(&cn_op_conv, &conv, in, 3, &type, NULL), CORNU_OK);
    value residual = make_value(type.dtype, type.rank, type.shape);
    fill_value(&residual, 12);
    RUN(&cn_op_conv, &conv, &x, kernel, &b, &residual);
    free_value(&residual);
  }
  for (int i = 0; i < 3; i++) free_value(&k[i]);
  free_value(&x), free_value(&b);
}

static void test_winograd(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 9, 12, 40), k = FLOATS(4, 3, 3, 40, 37), b = FLOATS(1, 37), residual = FLOATS(4, 2, 9, 12, 37);
  fill_value(&x, 16), fill_value(&k, 17), fill_value(&b, 18), fill_value(&residual, 19);
  const cn_conv_attrs conv = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .pad_begin = {1, 1},
                              .pad_end = {1, 1}, .act = {CN_ACT_SILU, 0, 0, 0}};
  RUN(&cn_op_conv, &conv, &x, &k, &b, &residual);
  free_value(&x), free_value(&k), free_value(&b), free_value(&residual);
}

static void test_transposed_convolutions(void **state) {
  (void)state;
  value x = FLOATS(4, 2, 5, 6, 4), k = FLOATS(4, 3, 2, 7, 4), residual[2];
  fill_value(&x, 13), fill_value(&k, 14);
  for (int i = 0; i < 2; i++) {
    const cn_conv_transpose_attrs a = {.spatial = 2, .stride = {1 + i, 2}, .dilation = {1, 1}, .crop_begin = {i, 0}};
    cn_type type;
    value *in[] = {&x, &k};
    assert_int_equal(op_shape(&cn_op_conv_transpose, &a, in, 2, &type, NULL), CORNU_OK);
    residual[i] = make_value(type.dtype, type.rank, type.shape);
    fill_value(&residual[i], 15);
    RUN(&cn_op_conv_transpose, &a, &x, &k, NULL, &residual[i]);
    free_value(&residual[i]);
  }
  free_value(&x), free_value(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_elementwise), cmocka_unit_test(test_reductions),
                                     cmocka_unit_test(test_windows), cmocka_unit_test(test_resize),
                                     cmocka_unit_test(test_convolutions), cmocka_unit_test(test_winograd),
                                     cmocka_unit_test(test_transposed_convolutions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
