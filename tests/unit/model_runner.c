/* Runners: the same bits whole, in slices, in the background and by the host's jobs; states of many agents. */
#include <glob.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "small_models.h"

#define OK(call) do { if (call) fail_msg("line %d: %s", __LINE__, e.message); } while (0)

static cornu_error e;

static cornu_model *load(const char *text) {
  cornu_model *m;
  OK(cornu_model_load(text, NULL, &(cornu_load_options){sizeof(cornu_load_options), .seed = 3}, &m, &e));
  return m;
}

static cornu_runner *make(cornu_model *m, int64_t batch) {
  cornu_runner *r;
  OK(cornu_runner_new(m, &(cornu_runner_options){sizeof(cornu_runner_options), .batch = batch}, &r, &e));
  return r;
}

static float *numbers(cornu_runner *r, cornu_runner_part part, int i) { return cornu_runner_data(r, part, i); }

static size_t bytes_of(const cornu_tensor *t) {
  return (size_t)cornu_tensor_size(t) * cornu_dtype_bytes(cornu_tensor_dtype(t));
}

/* Numbers that the other runs get, too. */
static void fill(cornu_runner *r, uint64_t seed) {
  cornu_random random;
  cornu_random_seed(&random, seed);
  for (int i = 0; i < cornu_runner_count(r, CORNU_RUNNER_INPUT); i++) {
    cornu_tensor *t = cornu_runner_tensor(r, CORNU_RUNNER_INPUT, i);
    if (cornu_tensor_dtype(t) == CORNU_FLOAT32) OK(cornu_random_uniform(&random, t, 0, 1, &e));
  }
}

/* Fails unless all outputs are those of `want`, which is run as a whole. */
static void same_outputs(cornu_runner *r, cornu_runner *want, const char *what) {
  for (int i = 0; i < cornu_runner_count(r, CORNU_RUNNER_OUTPUT); i++) {
    cornu_tensor *a = cornu_runner_tensor(r, CORNU_RUNNER_OUTPUT, i);
    cornu_tensor *b = cornu_runner_tensor(want, CORNU_RUNNER_OUTPUT, i);
    if (memcmp(cornu_tensor_data(a), cornu_tensor_data(b), bytes_of(a))) fail_msg("%s: output %d differs", what, i);
  }
}

/* ---- Slices ---- */

/* How many slices of so many microseconds a run takes. */
static int run_in_slices(cornu_runner *r, double microseconds) {
  int slices = 0;
  for (bool done = false; !done; slices++) OK(cornu_runner_run_for(r, microseconds, &done, &e));
  return slices;
}

static void slices_give_the_same_bits(void **state) {
  cornu_model *m = load(*state);
  for (int threads = 1; threads <= 4; threads++) {
    cornu_set_threads(1);
    cornu_runner *whole = make(m, 5);
    cornu_set_threads(threads);
    cornu_runner *sliced = make(m, 5);
    for (int run = 0; run < 3; run++) { /* states go on from run to run */
      fill(whole, (uint64_t)run), fill(sliced, (uint64_t)run);
      cornu_set_threads(1);
      OK(cornu_runner_run(whole, &e));
      cornu_set_threads(threads);
      assert_true(run_in_slices(sliced, 0) > 1);
      same_outputs(sliced, whole, "in slices");
    }
    cornu_runner_free(sliced);
    cornu_runner_free(whole);
  }
  cornu_model_release(m);
}

/* Steps that one thread does in one piece, unless it has slices: how many that takes at least. */
typedef struct large { const char *text; int64_t batch; int slices; } large;

static const large larges[] = {
    {SEQUENTIAL(LAYER("Dense", INPUT("1100") "\"units\": 1500")), 1, 10},
    {SEQUENTIAL(LAYER("Dense", INPUT("70") "\"units\": 90")), 1501, 10},
    {SEQUENTIAL(LAYER("Conv2D", INPUT("21, 21, 64") "\"filters\": 80, \"kernel_size\": 3")), 3, 20},
    {SEQUENTIAL(LAYER("Conv2D", INPUT("90, 60, 40") "\"filters\": 9, \"kernel_size\": 5, \"strides\": 2, "
                      "\"padding\": \"same\"")), 2, 10},
    {SEQUENTIAL(LAYER("MaxPooling1D", INPUT("5000, 48") "\"pool_size\": 3, \"strides\": 1")), 1, 10},
    {SEQUENTIAL(LAYER("Permute", INPUT("20000, 31") "\"dims\": [2, 1]")), 1, 10},
    {SEQUENTIAL(LAYER("UpSampling2D", INPUT("16, 32, 64") "\"size\": 4, \"interpolation\": \"bilinear\"")), 1, 30},
    {SEQUENTIAL(LAYER("LSTM", INPUT("70, 30") "\"units\": 20, \"return_sequences\": true")), 6, 71},
    {"{\"class_name\": \"Model\", \"config\": {\"name\": \"m\", \"layers\": ["
     "{\"class_name\": \"InputLayer\", \"name\": \"x\", \"config\": {\"batch_input_shape\": [null, 150, 64], "
     "\"name\": \"x\"}, \"inbound_nodes\": []}, "
     "{\"class_name\": \"Attention\", \"name\": \"a\", \"config\": {\"name\": \"a\"}, \"inbound_nodes\": "
     "[[[\"x\", 0, 0, {}], [\"x\", 0, 0, {}]]]}], "
     "\"input_layers\": [[\"x\", 0, 0]], \"output_layers\": [[\"a\", 0, 0]]}}", 3, 8}};

static void large_steps_are_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof larges / sizeof *larges; i++)
    for (int threads = 1; threads <= 3; threads += 2) {
      cornu_set_threads(threads);
      cornu_model *m = load(larges[i].text);
      cornu_runner *whole = make(m, larges[i].batch), *sliced = make(m, larges[i].batch);
      fill(whole, 5), fill(sliced, 5);
      OK(cornu_runner_run(whole, &e));
      const int slices = run_in_slices(sliced, 0);
      if (threads == 1 && slices < larges[i].slices) fail_msg("large step %zu: %d slices", i, slices);
      same_outputs(sliced, whole, "a large step");
      cornu_runner_free(sliced);
      cornu_runner_free(whole);
      cornu_model_release(m);
    }
}

static void fixtures_run_in_slices(void **state) {
  (void)state;
  glob_t found;
  int runs = 0;
  cornu_set_threads(2);
  assert_int_equal(glob("tests/models/*/*/model.keras", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    cornu_model *m;
    cornu_runner *whole, *sliced;
    if (cornu_model_load(found.gl_pathv[i], NULL, NULL, &m, &e)) continue;
    if (!cornu_runner_new(m, NULL, &whole, &e)) {
      sliced = make(m, 0);
      fill(whole, 7), fill(sliced, 7);
      const bool texts = cornu_tensor_dtype(cornu_runner_tensor(whole, CORNU_RUNNER_OUTPUT, 0)) == CORNU_TEXT;
      if (!texts && !cornu_runner_run(whole, &e)) {
        run_in_slices(sliced, 0);
        same_outputs(sliced, whole, found.gl_pathv[i]);
        runs++;
      }
      cornu_runner_free(sliced);
      cornu_runner_free(whole);
    }
    cornu_model_release(m);
  }
  if (runs < 30) fail_msg("%d of %zu fixtures run", runs, found.gl_pathc);
  globfree(&found);
}

static void a_long_slice_is_a_whole_run(void **state) {
  (void)state;
  cornu_model *m = load(convolutions);
  cornu_runner *r = make(m, 2);
  run_in_slices(r, 0);
  assert_int_equal(run_in_slices(r, 60e6), 1);
  assert_int_equal(run_in_slices(r, 60e6), 1); /* on this thread, since it is known to be short */
  cornu_runner_free(r);
  cornu_model_release(m);
}

static void a_canceled_run_leaves_the_states(void **state) {
  (void)state;
  bool done;
  cornu_set_threads(2);
  cornu_model *m = load(recurrent);
  cornu_runner *r = make(m, 3), *other = make(m, 3);
  fill(r, 1), fill(other, 1);
  OK(cornu_runner_run(r, &e));
  OK(cornu_runner_run(other, &e));
  OK(cornu_runner_run_for(r, 0, &done, &e));
  assert_false(done);
  assert_int_equal(cornu_runner_run(r, &e), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_runner_reset(r, 0, -1, &e), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_runner_start(r, NULL, NULL, &e), CORNU_ERR_ARGUMENT);
  cornu_runner_cancel(r);
  OK(cornu_runner_run(r, &e));
  OK(cornu_runner_run(other, &e));
  same_outputs(r, other, "after a canceled run");
  OK(cornu_runner_run_for(r, 0, &done, &e));
  cornu_runner_free(r); /* in the middle of a run */
  cornu_runner_free(other);
  cornu_model_release(m);
}

/* ---- In the background ---- */

static atomic_int finished_runs;
static void count_finished(void *user, cornu_status status) {
  if (user == &finished_runs && !status) atomic_fetch_add(&finished_runs, 1);
}

static void runs_in_the_background(void **state) {
  bool done = false;
  cornu_model *m = load(*state);
  cornu_runner *r = make(m, 4), *whole = make(m, 4);
  fill(r, 2), fill(whole, 2);
  OK(cornu_runner_run(whole, &e));
  assert_int_equal(cornu_runner_wait(r, &e), CORNU_ERR_ARGUMENT);
  atomic_store(&finished_runs, 0);
  OK(cornu_runner_start(r, count_finished, &finished_runs, &e));
  assert_int_equal(cornu_runner_run_for(r, 10, &done, &e), CORNU_ERR_ARGUMENT);
  while (!done) OK(cornu_runner_poll(r, &done, &e));
  assert_int_equal(atomic_load(&finished_runs), 1);
  same_outputs(r, whole, "in the background");
  fill(r, 2);
  OK(cornu_runner_start(r, NULL, NULL, &e));
  OK(cornu_runner_wait(r, &e));
  OK(cornu_runner_start(r, NULL, NULL, &e));
  cornu_runner_cancel(r);
  OK(cornu_runner_run(r, &e));
  cornu_runner_free(r);
  cornu_runner_free(whole);
  cornu_model_release(m);
}

/* ---- Agents ---- */

/* A stateful model that was saved for one agent serves five, each with states of its own. */
static void a_batch_of_agents_is_like_each_alone(void **state) {
  (void)state;
  enum { AGENTS = 5 };
  cornu_model *m = load(SEQUENTIAL(
      LAYER("GRU", "\"batch_input_shape\": [1, 2, 3], \"units\": 4, \"stateful\": true") ", "
      LAYER("Dense", "\"units\": 2")));
  cornu_runner *all = make(m, AGENTS), *one[AGENTS];
  for (int a = 0; a < AGENTS; a++) one[a] = make(m, 0);
  assert_int_equal(cornu_runner_count(all, CORNU_RUNNER_STATE), 1);
  for (int run = 0; run < 4; run++) {
    fill(all, (uint64_t)run);
    if (run == 2) {
      OK(cornu_runner_reset(all, 1, 2, &e));
      OK(cornu_runner_reset(one[1], 0, -1, &e));
      OK(cornu_runner_reset(one[2], 0, 1, &e));
    }
    OK(cornu_runner_run(all, &e));
    for (int a = 0; a < AGENTS; a++) {
      memcpy(numbers(one[a], CORNU_RUNNER_INPUT, 0), numbers(all, CORNU_RUNNER_INPUT, 0) + 6 * a, 24);
      OK(cornu_runner_run(one[a], &e));
      const float *y = numbers(one[a], CORNU_RUNNER_OUTPUT, 0), *ys = numbers(all, CORNU_RUNNER_OUTPUT, 0) + 2 * a;
      const float *h = numbers(one[a], CORNU_RUNNER_STATE, 0), *hs = numbers(all, CORNU_RUNNER_STATE, 0) + 4 * a;
      for (int k = 0; k < 2; k++) assert_float_equal(y[k], ys[k], 1e-6);
      for (int k = 0; k < 4; k++) assert_float_equal(h[k], hs[k], 1e-6);
    }
  }
  assert_int_equal(cornu_runner_reset(all, 3, 3, &e), CORNU_ERR_ARGUMENT);
  for (int a = 0; a < AGENTS; a++) cornu_runner_free(one[a]);
  cornu_runner_free(all);
  cornu_model_release(m);
}

#define NODE(class_name, name, config, inbound) "{\"class_name\": \"" class_name "\", \"name\": \"" name "\", " \
  "\"config\": {\"name\": \"" name "\"" config "}, \"inbound_nodes\": " inbound "}"

static void outputs_are_carried_to_inputs(void **state) {
  (void)state;
  cornu_model *m = load(
      "{\"class_name\": \"Model\", \"config\": {\"name\": \"m\", \"layers\": ["
      NODE("InputLayer", "x", ", \"batch_input_shape\": [null, 3]", "[]") ", "
      NODE("InputLayer", "h", ", \"batch_input_shape\": [null, 3]", "[]") ", "
      NODE("Add", "sum", "", "[[[\"x\", 0, 0, {}], [\"h\", 0, 0, {}]]]") ", "
      NODE("Dense", "d", ", \"units\": 2", CALL("sum")) "], "
      "\"input_layers\": [[\"x\", 0, 0], [\"h\", 0, 0]], \"output_layers\": [[\"d\", 0, 0], [\"sum\", 0, 0]]}}");
  cornu_runner *r = make(m, 2);
  const int x = cornu_runner_find(r, CORNU_RUNNER_INPUT, "x"), h = cornu_runner_find(r, CORNU_RUNNER_INPUT, "h");
  assert_int_equal(cornu_runner_carry(r, 0, h, &e), CORNU_ERR_SHAPE);
  assert_int_equal(cornu_runner_carry(r, 2, h, &e), CORNU_ERR_ARGUMENT);
  OK(cornu_runner_carry(r, 1, h, &e));
  for (int i = 0; i < 6; i++) numbers(r, CORNU_RUNNER_INPUT, x)[i] = (float)i;
  for (int run = 1; run <= 3; run++) {
    OK(cornu_runner_run(r, &e));
    for (int i = 0; i < 6; i++) assert_float_equal(numbers(r, CORNU_RUNNER_OUTPUT, 1)[i], run * i, 0);
  }
  OK(cornu_runner_reset(r, 1, 1, &e));
  OK(cornu_runner_run(r, &e));
  for (int i = 0; i < 6; i++) assert_float_equal(numbers(r, CORNU_RUNNER_OUTPUT, 1)[i], i < 3 ? 4 * i : i, 0);
  cornu_runner_free(r);
  cornu_model_release(m);
}

static void only_rows_that_are_there_are_reset(void **state) {
  (void)state;
  cornu_model *m = load(
      "{\"class_name\": \"Model\", \"config\": {\"name\": \"m\", \"layers\": ["
      NODE("InputLayer", "x", ", \"batch_input_shape\": [null, 3]", "[]") ", "
      NODE("InputLayer", "h", ", \"batch_input_shape\": [null, 3]", "[]") ", "
      NODE("ReLU", "a", "", CALL("x")) ", " NODE("ReLU", "b", "", CALL("h")) "], "
      "\"input_layers\": [[\"x\", 0, 0], [\"h\", 0, 0]], \"output_layers\": [[\"a\", 0, 0], [\"b\", 0, 0]]}}");
  const int64_t x[] = {900, 3}, h[] = {1, 3}, *const shapes[] = {x, h};
  cornu_runner *r;
  OK(cornu_runner_new(m, &(cornu_runner_options){sizeof(cornu_runner_options), .shapes = shapes}, &r, &e));
  OK(cornu_runner_carry(r, 1, 1, &e));
  for (int i = 0; i < 3; i++) numbers(r, CORNU_RUNNER_INPUT, 1)[i] = 7;
  OK(cornu_runner_reset(r, 1, -1, &e));
  for (int i = 0; i < 3; i++) assert_float_equal(numbers(r, CORNU_RUNNER_INPUT, 1)[i], 7, 0);
  OK(cornu_runner_reset(r, 0, -1, &e)); /* the sanitizer would see rows beyond the one */
  for (int i = 0; i < 3; i++) assert_float_equal(numbers(r, CORNU_RUNNER_INPUT, 1)[i], 0, 0);
  cornu_runner_free(r);
  cornu_model_release(m);
}

static void outputs_are_chosen_by_name(void **state) {
  (void)state;
  const char *const names[] = {"c", "n"}, *const wrong[] = {"zzz"};
  cornu_runner_options o = {sizeof o, .batch = 1, .outputs = names, .n_outputs = 2};
  cornu_port port;
  cornu_runner *r;
  cornu_model *m = load(branches);
  OK(cornu_runner_new(m, &o, &r, &e));
  assert_int_equal(cornu_runner_count(r, CORNU_RUNNER_OUTPUT), 2);
  assert_true(cornu_runner_port(r, CORNU_RUNNER_OUTPUT, 0, &port));
  assert_int_equal(port.shape[1], 12);
  OK(cornu_runner_run(r, &e));
  cornu_runner_free(r);
  o.outputs = wrong;
  o.n_outputs = 1;
  assert_int_equal(cornu_runner_new(m, &o, &r, &e), CORNU_ERR_NOT_FOUND);
  assert_null(r);
  cornu_model_release(m);
}

/* ---- The host's jobs ---- */

static atomic_int job_calls;
typedef struct job_thread { void (*job)(void *context, int i); void *context; int i; } job_thread;

static void *run_job(void *context) {
  job_thread *t = context;
  t->job(t->context, t->i);
  return NULL;
}

static void run_jobs(void *user, int n, void (*job)(void *context, int i), void *context) {
  pthread_t threads[3];
  job_thread jobs[3];
  assert_true(n >= 1 && n <= *(int *)user);
  atomic_fetch_add(&job_calls, 1);
  for (int i = 0; i < n; i++) {
    jobs[i] = (job_thread){job, context, i};
    assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
  }
  for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

static void the_hosts_jobs_do_the_work(void **state) {
  (void)state;
  int threads = 3;
  cornu_context *c;
  cornu_set_threads(1);
  cornu_model *m = load(branches);
  cornu_runner *alone = make(m, 40);
  cornu_context_options o = {.struct_size = sizeof o, .jobs = {&threads, 3, run_jobs}};
  OK(cornu_context_new(&o, &c, &e));
  cornu_context_use(c);
  assert_int_equal(cornu_get_threads(), 3);
  cornu_runner *r = make(m, 40);
  cornu_context_use(NULL);
  fill(alone, 4), fill(r, 4);
  OK(cornu_runner_run(alone, &e));
  atomic_store(&job_calls, 0);
  OK(cornu_runner_run(r, &e));
  assert_true(atomic_load(&job_calls) > 0);
  same_outputs(r, alone, "by the host's jobs");
  fill(r, 4);
  assert_true(run_in_slices(r, 0) > 1);
  same_outputs(r, alone, "by the host's jobs, in slices");
  cornu_runner_free(r);
  cornu_context_release(c);
  cornu_runner_free(alone);
  cornu_model_release(m);
}

static int nothing_left(void **state) {
  (void)state;
  return cornu_memory_used() != 0;
}

#define WITH(test, model) {#test " " #model, test, NULL, NULL, (void *)(uintptr_t)(model)}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH(slices_give_the_same_bits, convolutions), WITH(slices_give_the_same_bits, recurrent),
      WITH(slices_give_the_same_bits, embedded), WITH(slices_give_the_same_bits, branches),
      cmocka_unit_test(large_steps_are_cut), cmocka_unit_test(fixtures_run_in_slices),
      cmocka_unit_test(a_long_slice_is_a_whole_run),
      cmocka_unit_test(a_canceled_run_leaves_the_states), WITH(runs_in_the_background, branches),
      WITH(runs_in_the_background, recurrent), cmocka_unit_test(a_batch_of_agents_is_like_each_alone),
      cmocka_unit_test(outputs_are_carried_to_inputs), cmocka_unit_test(only_rows_that_are_there_are_reset),
      cmocka_unit_test(outputs_are_chosen_by_name),
      cmocka_unit_test(the_hosts_jobs_do_the_work)};
  return cmocka_run_group_tests(tests, NULL, nothing_left);
}
