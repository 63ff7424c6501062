/* Memory runs out at every allocation in turn while models are cut, copied, composed and changed: each time an error or
 * the right result, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "failing_hooks.h"

typedef struct work {
  cornu_symbol *in[2], *head[2], *input, *made[2];
  cornu_model *m, *slice, *copy, *composed, *rewired, *chain;
  cornu_layer *dense, *as_layer;
} work;

static cornu_status cut(work *w, cornu_error *e) {
  int n = 2, k = 2;
  cornu_status status = cornu_model_values(w->m, "encoder[2]/conv2", 0, false, w->in, &n, e);
  if (!status) status = cornu_model_values(w->m, "head/fc", -1, true, w->head, &k, e);
  if (!status) status = cornu_model_between(w->m, w->in, n, w->head, NULL, k, &w->slice, e);
  return status;
}

static cornu_status compose(work *w, cornu_error *e) {
  int n = 1;
  const int64_t shape[] = {-1, 6};
  cornu_symbol *fc = w->head[0];
  cornu_status status = cornu_layer_new("Dense", NULL, &w->dense, e); /* units are missing */
  if (status != CORNU_ERR_MEMORY) assert_int_equal(status, CORNU_ERR_ARGUMENT);
  if (status == CORNU_ERR_MEMORY) return status;
  status = cornu_layer_new("Softmax", NULL, &w->dense, e);
  if (!status) status = cornu_layer_apply(w->dense, &fc, 1, 1, w->made, &n, e);
  cornu_symbol *ends[2] = {NULL, NULL};
  if (!status) status = cornu_model_end(w->m, false, 0, &ends[0], e);
  if (!status) status = cornu_model_end(w->m, false, 1, &ends[1], e);
  if (!status) status = cornu_model_new("made", ends, NULL, 2, w->made, NULL, 1, &w->composed, e);
  cornu_symbol_release(ends[0]);
  cornu_symbol_release(ends[1]);
  if (!status) status = cornu_input_new("six", CORNU_FLOAT32, 2, shape, &w->input, e);
  if (!status) status = cornu_model_sequential("chain", &w->dense, 1, w->input, 1, &w->chain, e);
  if (!status) status = cornu_model_as_layer(w->chain, &w->as_layer, e);
  return status;
}

static cornu_status change(work *w, cornu_error *e) {
  cornu_status status = cornu_model_clone(w->m, "copy", &w->copy, e);
  if (!status) status = cornu_layer_rename(cornu_model_layer(w->copy, 2), w->copy, "eyes", e);
  if (!status) status = cornu_model_set_trainable(w->copy, false, e);
  cornu_symbol *end = NULL, *new = NULL;
  int n = 1;
  if (!status) status = cornu_model_values(w->copy, "join", -1, true, &end, &n, e);
  if (!status) status = cornu_layer_apply(w->dense, &end, 1, 1, &new, &n, e);
  if (!status) status = cornu_model_rewire(w->copy, &end, &new, 1, NULL, &w->rewired, e);
  cornu_symbol_release(end);
  cornu_symbol_release(new);
  return status;
}

static void finish(work *w) {
  for (int i = 0; i < 2; i++)
    cornu_symbol_release(w->in[i]), cornu_symbol_release(w->head[i]), cornu_symbol_release(w->made[i]);
  cornu_symbol_release(w->input);
  cornu_layer_release(w->dense);
  cornu_layer_release(w->as_layer);
  cornu_model *const models[] = {w->m, w->slice, w->copy, w->composed, w->rewired, w->chain};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) cornu_model_release(models[i]);
}

/* Fails from the `failure`-th allocation after loading; all that was made is gone afterwards. */
static cornu_status attempt(long failure) {
  cornu_error e;
  work w = {0};
  long before = blocks;
  first_failure = last_failure = 0;
  if (cornu_model_load("tests/models/keras3/siamese/model.keras", NULL, NULL, &w.m, &e)) fail_msg("%s", e.message);
  first_failure = last_failure = calls + failure;
  cornu_status status = cut(&w, &e);
  if (!status) status = compose(&w, &e);
  if (!status) status = change(&w, &e);
  first_failure = last_failure = 0;
  if (status && status != CORNU_ERR_MEMORY) fail_msg("allocation %ld: %s", failure, e.message);
  if (!status) assert_int_equal(cornu_model_layers(w.rewired), 8);
  finish(&w);
  assert_int_equal(blocks, before);
  return status;
}

static void test_memory_runs_out(void **state) {
  (void)state;
  long failure = 1;
  attempt(1L << 30); /* what the process makes once */
  while (attempt(failure) == CORNU_ERR_MEMORY) failure++;
  assert_true(failure > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_runs_out)};
  use_failing_hooks();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
