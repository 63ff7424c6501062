/* Memory runs out at every allocation in turn, once or for good, while a model is loaded, looked at, cut, planned and
 * run: each time an error or the right result, nothing lost, and the next try works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "failing_hooks.h"
#include "small_models.h"

enum { MOST_BYTES = 8192 }; /* of a model's outputs */

/* ---- What a user does with a model; each part stops at its first error ---- */

typedef struct subject {
  const char *model; /* a path, or JSON text */
  const char *weights;
  int first_layers; /* so many at the model's beginning run alone, too; 0: none */
} subject;

typedef struct life {
  cornu_model *m, *part;
  cornu_plan *plan;
  cornu_runner *runner;
  cornu_tensor *x, *y[2], *out[2];
  char *text;
} life;

static cornu_status twice(void *user, cornu_layer *layer, cornu_tensor *const *in, int n_in, cornu_tensor **out,
                          int *n_out, cornu_error *e) {
  (void)user, (void)layer, (void)n_in;
  return cornu_apply("add", (cornu_tensor *const[]){in[0], in[0]}, 2, NULL, out, n_out, e);
}

static cornu_status load(const subject *s, life *l, cornu_error *e) {
  const cornu_custom custom = {.name = "Twice", .call = twice};
  const cornu_load_options options = {.struct_size = sizeof options, .custom = &custom, .n_custom = 1};
  cornu_port port;
  cornu_status status = cornu_model_load(s->model, s->weights, &options, &l->m, e);
  if (status) return status;
  assert_true(cornu_model_input(l->m, 0, &port));
  port.shape[0] = 2;
  if ((status = cornu_tensor_new(port.dtype, port.rank, port.shape, &l->x, e))) return status;
  int64_t n = cornu_tensor_size(l->x), flat = 0;
  float *x = cornu_tensor_data(l->x);
  for (; port.dtype == CORNU_FLOAT32 && flat < n; flat++) x[flat] = (float)(flat * 7 % 11) / 11;
  return cornu_model_predict(l->m, &l->x, 1, l->y, e);
}

static cornu_status copy_weights(cornu_layer *layer, cornu_error *e) {
  cornu_tensor *weights[32];
  int n = cornu_layer_weights(layer);
  assert_true(n <= 32);
  for (int i = 0; i < n; i++) weights[i] = cornu_layer_weight(layer, i);
  return cornu_layer_set_weights(layer, weights, n, e);
}

static cornu_status copy_states(cornu_layer *layer, cornu_error *e) {
  cornu_tensor *states[4];
  int n = cornu_layer_states(layer), got = 0;
  assert_true(n <= 4);
  while (got < n && (states[got] = cornu_layer_state(layer, got))) got++;
  cornu_status status = got == n && n ? cornu_layer_set_states(layer, states, n, e) : CORNU_OK;
  while (got > 0) cornu_tensor_release(states[--got]);
  return status;
}

static cornu_status look(const subject *s, life *l, cornu_error *e) {
  cornu_tensor *part_out[2] = {0};
  cornu_status status = cornu_model_summary(l->m, 0, &l->text, e);
  if (!status && s->first_layers) status = cornu_model_range(l->m, 0, s->first_layers - 1, &l->part, e);
  if (!status && l->part) status = cornu_model_predict(l->part, &l->x, 1, part_out, e);
  for (int i = 0; i < 2; i++) cornu_tensor_release(part_out[i]);
  for (int i = 0; i < cornu_model_layers(l->m) && !status; i++) {
    status = copy_weights(cornu_model_layer(l->m, i), e);
    if (!status) status = copy_states(cornu_model_layer(l->m, i), e);
  }
  return status;
}

static cornu_status run_plan(life *l, cornu_error *e) {
  char *text;
  const int64_t *shape = cornu_tensor_shape(l->x);
  cornu_status status = cornu_plan_new(l->m, &shape, &l->plan, e);
  for (int i = 0; i < cornu_model_outputs(l->m) && !status; i++) {
    cornu_port port;
    assert_true(cornu_plan_output(l->plan, i, &port));
    status = cornu_tensor_new(port.dtype, port.rank, port.shape, &l->out[i], e);
  }
  if (!status) status = cornu_plan_run(l->plan, &l->x, l->out, e);
  if (status || (status = cornu_plan_format(l->plan, &text, e))) return status;
  cornu_free(text);
  return CORNU_OK;
}

/* After the weights changed, to the same values; refresh: made ready before it runs. */
static cornu_status run_again(life *l, bool refresh, cornu_error *e) {
  cornu_status status = CORNU_OK;
  for (int i = 0; i < cornu_model_layers(l->m) && !status; i++) status = copy_weights(cornu_model_layer(l->m, i), e);
  if (!status && refresh) status = cornu_runner_refresh(l->runner, e);
  if (!status) status = cornu_runner_reset(l->runner, 0, -1, e);
  return status ? status : cornu_runner_run(l->runner, e);
}

/* In one piece, in slices by a thread of its own, and with other weights. */
static cornu_status run_runner(life *l, cornu_error *e) {
  const cornu_runner_options options = {.struct_size = sizeof options, .batch = 2};
  bool done = false;
  cornu_status status = cornu_runner_new(l->m, &options, &l->runner, e);
  if (status) return status;
  const size_t bytes = (size_t)cornu_tensor_size(l->x) * cornu_dtype_bytes(cornu_tensor_dtype(l->x));
  memcpy(cornu_runner_data(l->runner, CORNU_RUNNER_INPUT, 0), cornu_tensor_data(l->x), bytes);
  status = cornu_runner_run(l->runner, e);
  if (!status) status = cornu_runner_reset(l->runner, 0, -1, e);
  while (!status && !done) status = cornu_runner_run_for(l->runner, 0, &done, e);
  if (!status) status = run_again(l, false, e);
  return status ? status : run_again(l, true, e);
}

/* Outputs are those of the plan and the runner, and those of the run before, when everything had its memory. */
static void check_outputs(const life *l, unsigned char *expected, bool first) {
  size_t at = 0;
  for (int i = 0; i < cornu_model_outputs(l->m); i++) {
    size_t bytes = (size_t)cornu_tensor_size(l->y[i]) * cornu_dtype_bytes(cornu_tensor_dtype(l->y[i]));
    assert_true(at + bytes <= MOST_BYTES);
    if (first) memcpy(expected + at, cornu_tensor_data(l->y[i]), bytes);
    assert_memory_equal(cornu_tensor_data(l->y[i]), expected + at, bytes);
    assert_memory_equal(cornu_tensor_data(l->out[i]), expected + at, bytes);
    assert_memory_equal(cornu_runner_data(l->runner, CORNU_RUNNER_OUTPUT, i), expected + at, bytes);
    at += bytes;
  }
}

static cornu_status whole_life(const subject *s, unsigned char *expected, bool first, cornu_error *e) {
  life l = {0};
  calls = 0;
  cornu_status status = load(s, &l, e);
  if (!status) status = look(s, &l, e);
  if (!status) status = run_plan(&l, e);
  if (!status) status = run_runner(&l, e);
  if (!status) check_outputs(&l, expected, first);
  cornu_free(l.text);
  cornu_plan_free(l.plan);
  cornu_runner_free(l.runner);
  cornu_model_release(l.part);
  cornu_model_release(l.m);
  cornu_tensor_release(l.x);
  for (int i = 0; i < 2; i++) cornu_tensor_release(l.y[i]), cornu_tensor_release(l.out[i]);
  return status;
}

/* ---- The tests ---- */

static void run_out(const subject *s, bool for_good, int step) {
  static unsigned char expected[MOST_BYTES];
  cornu_error e = {0};
  first_failure = last_failure = 0;
  if (whole_life(s, expected, true, &e)) fail_msg("%s: %s", s->model, e.message);
  long failures = 0, total = calls;
  assert_true(total > 100);
  for (long n = 1; n <= total + step; n += step) {
    e = (cornu_error){0};
    first_failure = n;
    last_failure = for_good ? INT32_MAX : n;
    cornu_status status = whole_life(s, expected, false, &e);
    if (status && (status != CORNU_ERR_MEMORY || e.status != status || !*e.message))
      fail_msg("allocation %ld of %s: status %d, \"%s\"", n, s->model, status, e.message);
    if (status == CORNU_OK && for_good && n <= total) fail_msg("allocation %ld of %s: not noticed", n, s->model);
    if (blocks != 0 || cornu_memory_used() != 0) fail_msg("allocation %ld of %s: %ld blocks lost", n, s->model, blocks);
    failures += status != CORNU_OK;
  }
  assert_true(failures > 100 / step);
  first_failure = last_failure = 0;
  if (whole_life(s, expected, false, &e)) fail_msg("%s: %s", s->model, e.message);
}

static void test_running_out(void **state) {
  subject s = *(const subject *)*state;
  char path[SMALL_MODEL_PATH];
  bool is_text = s.model[0] == '{';
  if (is_text) small_model_write(s.model, path), s.model = path;
  run_out(&s, false, 1);
  run_out(&s, true, is_text ? 1 : 3);
  if (is_text) remove(path);
}

static const char custom[] =
    SEQUENTIAL(LAYER("Dense", INPUT("4") "\"units\": 3") ", " LAYER("Twice", "\"name\": \"t\""));
static subject subjects[] = {{"lua/examples/digits/digits.keras", NULL, 3},
                             {"lua/examples/digits/digits.h5", NULL, 3},
                             {convolutions, NULL, 2},
                             {recurrent, NULL, 2},
                             {embedded, NULL, 1},
                             {branches, NULL, 0},
                             {custom, NULL, 2}};
#define WITH(i) cmocka_unit_test_prestate(test_running_out, &subjects[i])

int main(void) {
  use_failing_hooks();
  const struct CMUnitTest tests[] = {WITH(0), WITH(1), WITH(2), WITH(3), WITH(4), WITH(5), WITH(6)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
