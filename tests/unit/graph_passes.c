/* What the rewrites of a graph leave, and that results stay: every graph is also computed node by node. */
#include "graph_net.h"

static cn_edge transpose(net *n, cn_edge x, int64_t a, int64_t b, int64_t c, int64_t d) {
  return NODE(n, &cn_op_transpose, &((cn_ints_attrs){{4, {a, b, c, d}}}), x);
}

/* Compiles, runs and compares the outputs; the plan must have so many steps. Frees all. */
static void finish(net *n, const cn_edge *outputs, int count, int steps) {
  cn_error e = {0};
  cn_plan *plan;
  char *text;
  const void *in[8];
  void *out[8];
  for (int i = 0; i < count; i++) assert_int_equal(cn_graph_add_output(n->g, outputs[i], &e), 0);
  for (int i = 0; i < n->g->n_inputs; i++) in[i] = n->values[n->g->inputs[i]].operand.data;
  for (int i = 0; i < count; i++) out[i] = calloc((size_t)n->values[outputs[i]].operand.size + 16, sizeof(float));
  if (cn_plan_compile(n->g, &plan, &e)) fail_msg("%s", e.message);
  assert_int_equal(cn_plan_text(plan, &text, &e), 0);
  if (atoi(text) != steps) fail_msg("expected %d steps, found\n%s", steps, text);
  for (int run = 0; run < 2; run++) assert_int_equal(cn_plan_run(plan, in, out, &e), 0);
  for (int i = 0; i < count; i++) {
    const float *expected = n->values[outputs[i]].operand.data, *found = out[i];
    for (int64_t k = 0; k < n->values[outputs[i]].operand.size; k++)
      assert_float_equal(found[k], expected[k], 2e-5f * (1 + fabsf(expected[k])));
    free(out[i]);
  }
  cn_free(text);
  cn_plan_free(plan);
  for (int i = 0; i < MOST; i++) free_value(&n->values[i]);
}

static void scale_bias_residual_and_activation_join_a_product(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 5, 7), y = NODE(&n, &cn_op_neg, NULL, INPUT(&n, 5, 19)); /* whose memory the result takes */
  cn_edge z = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 7, 19), CONSTANT(&n, 19));
  z = NODE(&n, &cn_op_mul, NULL, z, CONSTANT(&n, 19));
  z = batch_norm(&n, z, -1, 19);
  z = NODE(&n, &cn_op_sub, NULL, z, CONSTANT(&n, 1));
  z = relu(&n, NODE(&n, &cn_op_add, NULL, y, z));
  z = NODE(&n, &cn_op_neg, NULL, z);
  finish(&n, &z, 1, 3);
}

static void scale_and_bias_join_convolutions(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 2, 6, 7, 5);
  cn_edge y = relu(&n, batch_norm(&n, conv(&n, x, 3, 5, 20), -1, 20));
  cn_conv_attrs groups = {.spatial = 2, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 20};
  cn_edge z = NODE(&n, &cn_op_conv, &groups, y, CONSTANT(&n, 3, 3, 1, 40));
  z = relu(&n, batch_norm(&n, z, -1, 40));
  cn_edge outputs[] = {NODE(&n, &cn_op_add, NULL, z, conv(&n, y, 3, 20, 40))};
  finish(&n, outputs, 1, 3);
}

static void what_is_used_twice_stays(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 3, 4);
  cn_edge z = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 4, 5));
  cn_edge outputs[] = {batch_norm(&n, z, -1, 5), relu(&n, z)};
  finish(&n, outputs, 2, 3);
}

/* A scale that is not finite would spoil weights that are zero. */
static void an_infinite_scale_stays(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 3, 4), infinite = CONSTANT(&n, 1);
  *(float *)n.g->edges[infinite].constant->data = *(float *)n.values[infinite].operand.data = INFINITY;
  cn_edge z = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 4, 5));
  cn_edge scaled = NODE(&n, &cn_op_mul, NULL, z, infinite);
  cn_edge least = NODE(&n, &cn_op_minimum, NULL, scaled, CONSTANT(&n, 1));
  least = NODE(&n, &cn_op_maximum, NULL, least, CONSTANT(&n, 1));
  finish(&n, &least, 1, 4);
}

static void transposes_sink_and_cancel(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 2, 3, 6, 5); /* channels first */
  cn_edge y = transpose(&n, conv(&n, transpose(&n, x, 0, 2, 3, 1), 3, 3, 4), 0, 3, 1, 2);
  y = batch_norm(&n, y, 1, 4);
  y = relu(&n, y);
  y = NODE(&n, &cn_op_mul, NULL, y, CONSTANT(&n, 1, 1));
  y = NODE(&n, &cn_op_pad, &((cn_pad_attrs){.before = {4, {0, 0, 1, 1}}, .after = {4, {0, 0, 1, 1}}}), y);
  y = transpose(&n, conv(&n, transpose(&n, y, 0, 2, 3, 1), 3, 4, 2), 0, 3, 1, 2);
  cn_edge z = NODE(&n, &cn_op_concat, &((cn_axis_attrs){1}), y, NODE(&n, &cn_op_neg, NULL, y));
  z = NODE(&n, &cn_op_mean, &((cn_reduce_attrs){.axes = {2, {2, 3}}}), z);
  finish(&n, &z, 1, 6);
}

static void equal_calls_are_made_once(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 3, 4), y = INPUT(&n, 3, 4);
  cn_edge sum = NODE(&n, &cn_op_mul, NULL, relu(&n, x), relu(&n, x));
  cn_edge outputs[] = {NODE(&n, &cn_op_sub, NULL, sum, y), NODE(&n, &cn_op_sub, NULL, y, sum)};
  finish(&n, outputs, 2, 4);
}

static void padding_joins_windows(void **unused) {
  (void)unused;
  net n;
  start(&n);
  const cn_pad_attrs border = {.before = {4, {0, 1, 2, 0}}, .after = {4, {0, 2, 1, 0}}};
  const cn_pool_attrs pool = {.spatial = 2, .size = {3, 3}, .stride = {2, 2}};
  const cn_pool_attrs average = {.spatial = 2, .size = {3, 3}, .stride = {2, 2}, .average = true};
  cn_edge x = INPUT(&n, 1, 6, 7, 3);
  cn_edge y = relu(&n, conv(&n, NODE(&n, &cn_op_pad, &border, x), 3, 3, 5));
  cn_edge outputs[] = {NODE(&n, &cn_op_pool, &pool, NODE(&n, &cn_op_pad, &border, y)),
                       NODE(&n, &cn_op_pool, &average, NODE(&n, &cn_op_pad, &border, x)),
                       NODE(&n, &cn_op_pool, &pool, NODE(&n, &cn_op_pad, &border, x))};
  finish(&n, outputs, 3, 5); /* x has values below zero: its maximum needs the zeros */
}

/* Slices and padding before a window of one element go; what is left of the padding is smaller. */
static void samples_skip_what_they_leave_out(void **unused) {
  (void)unused;
  net n;
  start(&n);
  const cn_pad_attrs corner = {.before = {4, {0, 0, 3, 0}}, .after = {4, {0, 1, 0, 0}}};
  const cn_slice_attrs crop = {{2, {1, -2}}, {2, {1, 0}}, {2, {CN_NULL_INT, 9}}, {2, {1, 1}}};
  const cn_slice_attrs other = {{2, {1, 2}}, {2, {1, 2}}, {2, {7, CN_NULL_INT}}, {2, {1, CN_NULL_INT}}};
  const cn_slice_attrs every_second = {{1, {1}}, {1, {0}}, {1, {7}}, {1, {2}}};
  const cn_pool_attrs average = {.spatial = 2, .size = {1, 1}, .stride = {2, 2}, .average = true};
  const cn_pool_attrs most = {.spatial = 2, .size = {1, 1}, .stride = {2, 2}};
  cn_edge x = INPUT(&n, 2, 7, 7, 3), padded = NODE(&n, &cn_op_pad, &corner, x);
  cn_edge part = NODE(&n, &cn_op_slice, &other, x);
  cn_edge outputs[] = {NODE(&n, &cn_op_pool, &average, NODE(&n, &cn_op_slice, &crop, padded)),
                       NODE(&n, &cn_op_pool, &average, part),
                       NODE(&n, &cn_op_pool, &average, padded),
                       NODE(&n, &cn_op_pool, &average, NODE(&n, &cn_op_pad, &corner, part)),
                       NODE(&n, &cn_op_pool, &most, part),
                       NODE(&n, &cn_op_pool, &average, NODE(&n, &cn_op_slice, &every_second, x))};
  finish(&n, outputs, 6, 2 + 1 + 2 + 2 + 2 + 2); /* one slice is shared */
}

static cn_edge gated_part(net *n, cn_edge x, cn_act_kind act, int64_t dilation) {
  cn_conv_attrs a = {.spatial = 1, .stride = {1}, .dilation = {dilation}, .pad_begin = {3}, .act = {.kind = act}};
  return NODE(n, &cn_op_conv, &a, x, CONSTANT(n, 2, 5, 19), CONSTANT(n, 19));
}

static void gated_convolutions_become_one(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 2, 9, 5);
  cn_edge twice = gated_part(&n, x, CN_ACT_TANH, 3);
  cn_edge outputs[] = {
    NODE(&n, &cn_op_mul, NULL, gated_part(&n, x, CN_ACT_TANH, 3), gated_part(&n, x, CN_ACT_SIGMOID, 3)),
    NODE(&n, &cn_op_mul, NULL, gated_part(&n, x, CN_ACT_SIGMOID, 2), gated_part(&n, x, CN_ACT_LINEAR, 2)),
    NODE(&n, &cn_op_mul, NULL, twice, gated_part(&n, x, CN_ACT_SIGMOID, 3)), twice,
    NODE(&n, &cn_op_mul, NULL, gated_part(&n, x, CN_ACT_RELU, 3), gated_part(&n, x, CN_ACT_SIGMOID, 3))};
  finish(&n, outputs, 5, 2 + 2 + 3 + 3);
}

/* Concatenations of concatenations, as DenseNet has them: no step copies. */
static void concatenated_values_are_written_in_place(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 3, 9), parts[4];
  const cn_axis_attrs last = {-1};
  for (int i = 0; i < 3; i++)
    parts[i] = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 9, 5 + 12 * i));
  cn_edge inner = NODE(&n, &cn_op_concat, &last, parts[0], parts[1]);
  parts[3] = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), relu(&n, batch_norm(&n, inner, -1, 22)), CONSTANT(&n, 22, 3));
  cn_edge whole = NODE(&n, &cn_op_concat, &last, inner, parts[2], parts[3]);
  cn_edge outputs[] = {whole, NODE(&n, &cn_op_neg, NULL, whole)};
  finish(&n, outputs, 2, 6);
}

/* The same value twice, a value of the graph's inputs, and a value in two wholes are copied. */
static void what_has_no_one_place_is_copied(void **unused) {
  (void)unused;
  net n;
  start(&n);
  cn_edge x = INPUT(&n, 3, 9);
  const cn_axis_attrs last = {-1};
  cn_edge a = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 9, 5));
  cn_edge b = NODE(&n, &cn_op_dense, &((cn_dense_attrs){0}), x, CONSTANT(&n, 9, 6));
  cn_edge inner = NODE(&n, &cn_op_concat, &last, a, b);
  cn_edge outputs[] = {NODE(&n, &cn_op_concat, &last, inner, b, x), NODE(&n, &cn_op_concat, &last, a, a)};
  finish(&n, outputs, 2, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(scale_bias_residual_and_activation_join_a_product),
    cmocka_unit_test(scale_and_bias_join_convolutions),
    cmocka_unit_test(what_is_used_twice_stays),
    cmocka_unit_test(an_infinite_scale_stays),
    cmocka_unit_test(transposes_sink_and_cancel),
    cmocka_unit_test(equal_calls_are_made_once),
    cmocka_unit_test(padding_joins_windows), cmocka_unit_test(samples_skip_what_they_leave_out),
    cmocka_unit_test(gated_convolutions_become_one),
    cmocka_unit_test(concatenated_values_are_written_in_place),
    cmocka_unit_test(what_has_no_one_place_is_copied),
  };
  return cmocka_run_group_tests_name("graph passes", tests, NULL, NULL);
}
