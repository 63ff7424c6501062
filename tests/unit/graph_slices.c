/* Parts of plans that run for a few samples at a time: what becomes one, and that results stay. */
#include "graph_net.h"

#include "base/deadline.h"
#include "base/pool.h"

static cn_edge same(net *n, cn_edge x, int64_t in, int64_t out) {
  cn_conv_attrs a = {.spatial = 2, .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  return relu(n, NODE(n, &cn_op_conv, &a, x, CONSTANT(n, 3, 3, in, out), CONSTANT(n, out)));
}

typedef struct sliced { cn_plan *plan; const void *in[4]; void *out[4]; } sliced;

static void compile(net *n, const cn_edge *outputs, int count, sliced *s) {
  cn_error e = {0};
  for (int i = 0; i < count; i++) assert_int_equal(cn_graph_add_output(n->g, outputs[i], &e), 0);
  for (int i = 0; i < n->g->n_inputs; i++) s->in[i] = n->values[n->g->inputs[i]].operand.data;
  for (int i = 0; i < count; i++) s->out[i] = calloc((size_t)n->values[outputs[i]].operand.size + 16, sizeof(float));
  if (cn_plan_compile(n->g, &s->plan, &e)) fail_msg("%s", e.message);
}

static int steps_in_parts(const cn_plan *p) {
  int found = 0;
  for (int i = 0; i < cn_plan_steps(p); i++) found += cn_plan_step_times(p, i) > 1;
  return found;
}

/* Runs with one thread, and with several: the same bits, and near to what the nodes give by themselves. */
static void compare(net *n, const cn_edge *outputs, int count, const sliced *s) {
  cn_error e = {0};
  for (int threads = 1; threads <= 4; threads++) {
    cornu_set_threads(threads);
    void *again[4];
    for (int i = 0; i < count; i++) again[i] = calloc((size_t)n->values[outputs[i]].operand.size + 16, sizeof(float));
    if (cn_plan_run(s->plan, s->in, threads == 1 ? s->out : again, &e)) fail_msg("%s", e.message);
    for (int i = 0; i < count; i++) {
      const float *expected = n->values[outputs[i]].operand.data, *found = s->out[i];
      const int64_t size = n->values[outputs[i]].operand.size;
      if (threads > 1) assert_memory_equal(again[i], found, (size_t)size * sizeof *found);
      for (int64_t k = 0; k < size; k++) assert_float_equal(found[k], expected[k], 2e-5f * (1 + fabsf(expected[k])));
      free(again[i]);
    }
  }
  cornu_set_threads(1);
}

static void end(net *n, int count, sliced *s) {
  for (int i = 0; i < count; i++) free(s->out[i]);
  cn_plan_free(s->plan);
  for (int i = 0; i < MOST; i++) free_value(&n->values[i]);
}

/* A residual, a concatenation whose inputs lie in it, a view, an output in the middle; odd numbers of slices. */
static void branches(int64_t batch, int threads) {
  net n;
  sliced s;
  start(&n);
  cn_edge x = same(&n, INPUT(&n, batch, 63, 57, 3), 3, 16), y = same(&n, same(&n, x, 16, 16), 16, 16);
  y = NODE(&n, &cn_op_add, NULL, x, y);
  cn_edge wide = NODE(&n, &cn_op_concat, &((cn_axis_attrs){-1}), same(&n, y, 16, 4), same(&n, y, 16, 6));
  cn_edge mean = NODE(&n, &cn_op_mean, &((cn_reduce_attrs){.axes = {2, {1, 2}}}), same(&n, wide, 10, 16));
  cn_edge outputs[] = {mean, y, NODE(&n, &cn_op_mul, NULL, wide, NODE(&n, &cn_op_neg, NULL, wide))};
  cornu_set_threads(threads);
  compile(&n, outputs, 3, &s);
  assert_true(steps_in_parts(s.plan) >= 6);
  compare(&n, outputs, 3, &s);
  end(&n, 3, &s);
}

static void values_stay_the_same(void **unused) {
  (void)unused;
  branches(6, 1);
  branches(7, 2);
  branches(9, 3);
}

/* A sum of a batch of matrices and a batch of rows, whose batch lies along the matrices' rows: for one sample it would
 * be another sum. Sums over the batch, a larger batch, and normalisation over the batch. */
static void samples_that_meet_stay_together(void **unused) {
  (void)unused;
  net n;
  sliced s;
  start(&n);
  cn_edge x = NODE(&n, &cn_op_neg, NULL, INPUT(&n, 8, 8, 6000)), y = NODE(&n, &cn_op_exp, NULL, INPUT(&n, 8, 6000));
  cn_edge met = NODE(&n, &cn_op_exp, NULL, NODE(&n, &cn_op_add, NULL, x, y));
  cn_edge twice = NODE(&n, &cn_op_concat, &((cn_axis_attrs){0}), met, x);
  cn_edge sum = NODE(&n, &cn_op_sum, &((cn_reduce_attrs){.axes = {1, {0}}, .keepdims = true}), met);
  cn_edge even = NODE(&n, &cn_op_layer_norm, &((cn_layer_norm_attrs){{1, {-3}}, 1e-3, CN_NORM_STANDARD}), x);
  even = NODE(&n, &cn_op_softmax, &((cn_axis_attrs){0}), NODE(&n, &cn_op_exp, NULL, even));
  cn_edge outputs[] = {NODE(&n, &cn_op_neg, NULL, twice), NODE(&n, &cn_op_mul, NULL, met, sum), even};
  compile(&n, outputs, 3, &s);
  for (int i = 0; i < cn_plan_steps(s.plan); i++)
    if (strstr("add concat sum layer_norm softmax", cn_plan_step(s.plan, i)->op->name))
      assert_int_equal(cn_plan_step_times(s.plan, i), 1);
  compare(&n, outputs, 3, &s);
  end(&n, 3, &s);
}

static cn_edge chain(net *n, cn_edge x, int length) {
  for (int i = 0; i < length; i++) x = same(n, x, 6, 6);
  return x;
}

/* What profiles tell: every step once, with what all its runs take together, behind the step that feeds it. */
static void profiles_tell_the_steps_of_parts(void **unused) {
  (void)unused;
  net n;
  sliced s;
  cn_error e = {0};
  double seconds[8], flops = 0;
  char *text;
  start(&n);
  cn_edge y = chain(&n, INPUT(&n, 8, 96, 96, 6), 6);
  compile(&n, &y, 1, &s);
  assert_int_equal(cn_plan_steps(s.plan), 6);
  assert_int_equal(steps_in_parts(s.plan), 6);
  assert_int_equal(cn_plan_profile(s.plan, s.in, s.out, seconds, &e), 0);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(cn_plan_producer(s.plan, i, 0), i - 1);
    flops += cn_plan_step(s.plan, i)->flops * (double)cn_plan_step_times(s.plan, i);
    assert_true(seconds[i] > 0);
  }
  assert_float_equal(flops, cn_plan_total_flops(s.plan), 1);
  assert_int_equal(cn_plan_text(s.plan, &text, &e), 0);
  assert_true(atoi(strstr(text, "arena ") + 6) < 8 * 96 * 96 * 6 * 4);
  cn_free(text);
  end(&n, 1, &s);
}

/* Batches of one, and those that stay in a cache as they are, run as before. */
static void small_ones_stay_whole(void **unused) {
  (void)unused;
  for (int64_t batch = 1; batch <= 2; batch++) {
    net n;
    sliced s;
    start(&n);
    const int64_t side = batch == 1 ? 160 : 16;
    cn_edge y = chain(&n, INPUT(&n, batch, side, side, 6), 3);
    compile(&n, &y, 1, &s);
    assert_int_equal(steps_in_parts(s.plan), 0);
    end(&n, 1, &s);
  }
}

/* Threads that run the same step for other samples do not meet in what it keeps. */
static void steps_keep_nothing_of_a_run(void **unused) {
  (void)unused;
  net n;
  sliced s;
  start(&n);
  cn_edge x = INPUT(&n, 8, 64, 1, 24), y = NODE(&n, &cn_op_neg, NULL, INPUT(&n, 8, 64, 64, 24));
  for (int i = 0; i < 12; i++) y = NODE(&n, i % 2 ? &cn_op_sub : &cn_op_maximum, NULL, x, y);
  cornu_set_threads(4);
  compile(&n, &y, 1, &s);
  assert_int_equal(steps_in_parts(s.plan), 13);
  compare(&n, &y, 1, &s);
  cornu_set_threads(4);
  for (int run = 0; run < 10; run++) {
    cn_error e = {0};
    void *again = calloc(8 * 64 * 64 * 24, sizeof(float));
    assert_int_equal(cn_plan_run(s.plan, s.in, &again, &e), 0);
    assert_memory_equal(again, s.out[0], 8 * 64 * 64 * 24 * sizeof(float));
    free(again);
  }
  cornu_set_threads(1);
  end(&n, 1, &s);
}

static int raised;

static void raise_run(const cn_step *s) {
  memcpy(s->out[0]->data, s->in[0]->data, (size_t)s->out[0]->size * sizeof(float));
  if (++raised == 2) cornu_interrupt();
}

static cn_status raise_shape(cn_typing *t, cn_error *e) { return (void)e, t->out[0] = t->in[0], CORNU_OK; }

static cn_status raise_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return (void)p, (void)e, s->run = raise_run, CORNU_OK;
}

static const cn_op raising = {.name = "raise", .flags = CN_OP_SAMPLES, .min_in = 1, .max_in = 1, .n_out = 1,
                              .shape = raise_shape, .plan = raise_plan};

static void an_interrupt_ends_a_part(void **unused) {
  (void)unused;
  net n;
  sliced s;
  cn_error e = {0};
  start(&n);
  cn_edge y = chain(&n, NODE(&n, &raising, NULL, chain(&n, INPUT(&n, 8, 96, 96, 6), 2)), 2);
  compile(&n, &y, 1, &s);
  assert_int_equal(steps_in_parts(s.plan), 5);
  raised = 0;
  assert_int_equal(cn_plan_run(s.plan, s.in, s.out, &e), CORNU_ERR_INTERRUPTED);
  assert_int_equal(raised, 2);
  assert_int_equal(cn_plan_run(s.plan, s.in, s.out, &e), CORNU_OK);
  end(&n, 1, &s);
}

static void count_task(void *count, int i) { (void)i, (void)atomic_fetch_add((atomic_int *)count, 1); }

static void a_deadline_ends_runs(void **unused) {
  (void)unused;
  net n;
  sliced s;
  cn_error e = {0};
  atomic_int done = 0;
  cornu_tensor *x, *y = NULL;
  int n_y = 1;
  start(&n);
  cn_edge end_of_chain = chain(&n, INPUT(&n, 8, 96, 96, 6), 2);
  compile(&n, &end_of_chain, 1, &s);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, (int64_t[]){4}, &x, &e), CORNU_OK);
  assert_true(cornu_set_deadline(cornu_clock() - 1) == 0);
  cn_parallel(100, count_task, &done);
  assert_int_equal(done, 0);
  assert_int_equal(cn_plan_run(s.plan, s.in, s.out, &e), CORNU_ERR_INTERRUPTED);
  assert_int_equal(cornu_apply("relu", &x, 1, NULL, &y, &n_y, &e), CORNU_ERR_INTERRUPTED);
  assert_true(cornu_set_deadline(0) > 0);
  cn_parallel(100, count_task, &done);
  assert_int_equal(done, 100);
  assert_int_equal(cn_plan_run(s.plan, s.in, s.out, &e), CORNU_OK);
  n_y = 1;
  assert_int_equal(cornu_apply("relu", &x, 1, NULL, &y, &n_y, &e), CORNU_OK);
  cornu_tensor_release(x);
  cornu_tensor_release(y);
  end(&n, 1, &s);
}

int main(void) {
  setenv("CORNU_EXACT", "1", 1); /* another number of samples may else take another way */
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_stay_the_same),
    cmocka_unit_test(samples_that_meet_stay_together),
    cmocka_unit_test(steps_keep_nothing_of_a_run),
    cmocka_unit_test(profiles_tell_the_steps_of_parts),
    cmocka_unit_test(small_ones_stay_whole),
    cmocka_unit_test(an_interrupt_ends_a_part),
    cmocka_unit_test(a_deadline_ends_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
