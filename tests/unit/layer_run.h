/* Runs one layer on small arrays: made from JSON, built with unknown batch and time, given weights, compiled, run. */
#ifndef LAYER_RUN_H
#define LAYER_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "graph/plan.h"
#include "layers/layer.h"

enum { RUN_ROOM = 64, RUN_ARRAYS = 16 };

/* rank 0 with used = false ends a list */
typedef struct run_array {
  bool used;
  int rank;
  int64_t shape[4];
  float data[RUN_ROOM];
} run_array;
#define A1(n, ...) {true, 1, {n}, {__VA_ARGS__}}
#define A2(m, n, ...) {true, 2, {m, n}, {__VA_ARGS__}}
#define A3(l, m, n, ...) {true, 3, {l, m, n}, {__VA_ARGS__}}
#define A4(k, l, m, n, ...) {true, 4, {k, l, m, n}, {__VA_ARGS__}}

typedef struct layer_run {
  const char *json;                /* {class_name, config} */
  cn_origin origin;
  run_array in[4], mask[4];        /* masks: 1 kept, 0 masked; unused: none */
  run_array weights[RUN_ARRAYS];   /* as in a file, children's after each other */
  /* results */
  int n_out;
  run_array out[8], out_mask[8];
  cn_status status;
  cn_error error;
} layer_run;

#define KERAS1 {.keras = 1, .minor = 2, .patch = 2, .h5 = true}
#define KERAS2 {.keras = 2, .minor = 2, .patch = 4, .h5 = true}
#define TFKERAS {.keras = 2, .minor = 13, .patch = 0, .tf = true}
#define KERAS3 {.keras = 3, .minor = 15, .patch = 0}

static int64_t run_size(const run_array *a) {
  int64_t size = 1;
  for (int i = 0; i < a->rank; i++) size *= a->shape[i];
  return size;
}

static int run_count(const run_array *a, int most) {
  int n = 0;
  while (n < most && a[n].used) n++;
  return n;
}

static cn_tensor *run_tensor(const run_array *a) {
  cn_tensor *t = NULL;
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, a->rank, a->shape, &t, NULL), CORNU_OK);
  memcpy(t->data, a->data, (size_t)run_size(a) * sizeof(float));
  return t;
}

typedef struct run_weights {
  const run_array *arrays;
  int n, next;
  cn_layer *last;
  cn_tensor *held[RUN_ARRAYS];
  int held_n, held_next;
} run_weights;

static cn_status run_release(run_weights *w, cn_status status) {
  for (int i = 0; i < w->held_n; i++) cornu_tensor_release(w->held[i]);
  w->held_n = w->held_next = 0;
  return status;
}

static cn_status run_set(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  run_weights *w = user;
  (void)path;
  if (owner != w->last) { /* this layer's arrays, through its import */
    w->last = owner;
    int own = owner->n_weights;
    if (owner->origin.keras == 1 && owner->type->keras1_arrays) own = owner->type->keras1_arrays(owner);
    while (w->held_n < own && w->next < w->n) w->held[w->held_n++] = run_tensor(&w->arrays[w->next++]);
    cn_status status = owner->type->import ? owner->type->import(owner, w->held, &w->held_n, e) : CORNU_OK;
    if (status) return run_release(w, status);
  }
  assert_true(index < w->held_n);
  cn_status status = cn_layer_set_weight(owner, index, w->held[index], e);
  return status || ++w->held_next == w->held_n ? run_release(w, status) : CORNU_OK;
}

/* A trace of the layer's call; `open`: first two dimensions unknown. */
static cn_status run_trace(layer_run *r, cn_layer *l, bool open, cn_graph **out) {
  *out = NULL;
  cn_status status = cn_graph_new(out, &r->error);
  if (status) return status;
  cn_trace t;
  cn_sym in[4];
  int n = run_count(r->in, 4);
  cn_trace_begin(&t, *out, &r->error);
  for (int i = 0; i < n; i++) {
    cn_type type = {.dtype = CORNU_FLOAT32, .rank = r->in[i].rank};
    memcpy(type.shape, r->in[i].shape, sizeof r->in[i].shape);
    for (int d = 0; open && d < 2 && d < type.rank - 1; d++) type.shape[d] = -1;
    assert_int_equal(cn_graph_add_input(*out, &type, &in[i].data, &r->error), CORNU_OK);
  }
  for (int i = 0; i < n; i++) {
    in[i].mask = CN_NO_EDGE;
    if (!r->mask[i].used) continue;
    cn_type type = {.dtype = CORNU_BOOL8, .rank = r->mask[i].rank};
    memcpy(type.shape, r->mask[i].shape, sizeof r->mask[i].shape);
    for (int d = 0; open && d < 2; d++) type.shape[d] = -1;
    assert_int_equal(cn_graph_add_input(*out, &type, &in[i].mask, &r->error), CORNU_OK);
  }
  cn_call call = {.in = in, .n_in = n, .n_positional = n};
  cn_layer_call(l, &t, &call);
  r->n_out = call.n_out;
  for (int i = 0; i < call.n_out && !t.status; i++) {
    cn_graph_add_output(*out, call.out[i].data, &r->error);
    r->out_mask[i].used = call.out[i].mask != CN_NO_EDGE;
  }
  for (int i = 0; i < call.n_out && !t.status; i++)
    if (call.out[i].mask != CN_NO_EDGE) cn_graph_add_output(*out, call.out[i].mask, &r->error);
  status = cn_trace_end(&t);
  if (status) {
    cn_graph_free(*out);
    *out = NULL;
  }
  return status;
}

static void run_plan(layer_run *r, cn_plan *p) {
  static uint8_t masks[16][RUN_ROOM];
  const void *inputs[8];
  void *outputs[16];
  int n = run_count(r->in, 4), feed = n, bools = 0;
  for (int i = 0; i < n; i++) inputs[i] = r->in[i].data;
  for (int i = 0; i < n; i++) {
    if (!r->mask[i].used) continue;
    for (int k = 0; k < RUN_ROOM; k++) masks[bools][k] = r->mask[i].data[k] != 0;
    inputs[feed++] = masks[bools++];
  }
  assert_int_equal(feed, cn_plan_inputs(p));
  int first_mask = bools, take = r->n_out;
  for (int i = 0; i < cn_plan_outputs(p); i++) outputs[i] = i < r->n_out ? (void *)r->out[i].data : masks[bools++];
  for (int i = 0; i < cn_plan_outputs(p); i++) {
    const cn_type *type = cn_plan_output_type(p, i);
    assert_true(cn_shape_size(type->rank, type->shape) <= RUN_ROOM && type->rank <= 4);
    if (i < r->n_out) {
      r->out[i].used = true;
      r->out[i].rank = type->rank;
      memcpy(r->out[i].shape, type->shape, sizeof r->out[i].shape);
    }
  }
  assert_int_equal(cn_plan_run(p, inputs, outputs, &r->error), CORNU_OK);
  for (int i = 0; i < r->n_out; i++) {
    if (!r->out_mask[i].used) continue;
    const cn_type *type = cn_plan_output_type(p, take);
    r->out_mask[i].rank = type->rank;
    memcpy(r->out_mask[i].shape, type->shape, sizeof r->out_mask[i].shape);
    for (int k = 0; k < RUN_ROOM; k++) r->out_mask[i].data[k] = masks[first_mask + take - r->n_out][k];
    take++;
  }
}

static cn_status run_steps(layer_run *r, cn_layer *l) {
  cn_graph *g;
  cn_status status = run_trace(r, l, true, &g);
  if (status) return status;
  cn_graph_free(g);
  run_weights w = {.arrays = r->weights, .n = run_count(r->weights, RUN_ARRAYS)};
  if ((status = cn_layer_each_weight(l, run_set, &w, &r->error))) return status;
  assert_int_equal(w.next, w.n);
  if ((status = run_trace(r, l, false, &g))) return status;
  cn_plan *p;
  if ((status = cn_plan_compile(g, &p, &r->error))) return status;
  run_plan(r, p);
  cn_plan_free(p);
  return CORNU_OK;
}

static void run_layer(layer_run *r) {
  cornu_tree *tree = cornu_tree_new();
  cornu_value *v = NULL;
  cn_layer *l = NULL;
  r->error.message[0] = 0;
  if (cornu_json_read(tree, r->json, strlen(r->json), &v, &r->error)) fail_msg("%s", r->error.message);
  r->status = cn_layer_new(v, &r->origin, NULL, &l, &r->error);
  if (!r->status) r->status = run_steps(r, l);
  cn_layer_drop(l);
  cornu_tree_free(tree);
}

static void check_array(const run_array *got, const run_array *want, double tolerance) {
  char text[2][CN_MAX_RANK * 24] = {"", ""};
  for (int i = 0; i < got->rank; i++) sprintf(text[0] + strlen(text[0]), "%d ", (int)got->shape[i]);
  for (int i = 0; i < want->rank; i++) sprintf(text[1] + strlen(text[1]), "%d ", (int)want->shape[i]);
  assert_string_equal(text[0], text[1]);
  for (int64_t i = 0; i < run_size(want); i++) {
    double d = (double)got->data[i] - (double)want->data[i];
    if (!(d <= tolerance && d >= -tolerance))
      fail_msg("element %d is %.9g, expected %.9g", (int)i, (double)got->data[i], (double)want->data[i]);
  }
}

/* Runs and compares the outputs (as many as `want` holds, and no more). */
static void expect(layer_run *r, const run_array *want, int n, double tolerance) {
  run_layer(r);
  if (r->status) fail_msg("%s", r->error.message);
  assert_int_equal(r->n_out, n);
  for (int i = 0; i < n; i++) check_array(&r->out[i], &want[i], tolerance);
}
#define EXPECT(r, ...) expect(r, (const run_array[]){__VA_ARGS__}, \
    (int)(sizeof((run_array[]){__VA_ARGS__}) / sizeof(run_array)), 1e-6)

static void expect_mask(const layer_run *r, int output, const run_array *want) {
  assert_true(r->out_mask[output].used == (want != NULL));
  if (want) check_array(&r->out_mask[output], want, 0);
}
#define EXPECT_MASK(r, output, ...) expect_mask(r, output, &(const run_array)__VA_ARGS__)

/* Runs and wants a failure whose message holds every one of the words. */
static void expect_failure(layer_run *r, cn_status status, const char *word, const char *other) {
  run_layer(r);
  if (r->status != status || !strstr(r->error.message, word) || !strstr(r->error.message, other))
    fail_msg("status %d \"%s\", expected %d with \"%s\" and \"%s\"", r->status, r->error.message, status, word, other);
}

#endif
