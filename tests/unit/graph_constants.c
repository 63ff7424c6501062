/* Weights that stay in a mapped file, at any alignment: plans give the same bits as with weights in memory, and what
 * asks for the weights gets them, changed ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/file.h"
#include "base/pool.h"
#include "graph/plan.h"
#include "ops/ops.h"

typedef struct problem {
  const cn_op *op;
  cn_conv_attrs attrs; /* begins like those of dense */
  cn_type x, kernel, y;
} problem;

static const problem dense = {.op = &cn_op_dense, .x = {CORNU_FLOAT32, 2, {3, 301}}, .kernel = {CORNU_FLOAT32, 2, {301, 1500}},
                              .y = {CORNU_FLOAT32, 2, {3, 1500}}};
static const problem column = {.op = &cn_op_dense, .x = {CORNU_FLOAT32, 2, {2, 20000}},
                               .kernel = {CORNU_FLOAT32, 2, {20000, 1}}, .y = {CORNU_FLOAT32, 2, {2, 1}}};
static const problem grouped = {.op = &cn_op_conv,
                                .attrs = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .groups = 2},
                                .x = {CORNU_FLOAT32, 4, {1, 5, 4, 130}}, .kernel = {CORNU_FLOAT32, 4, {3, 3, 65, 602}},
                                .y = {CORNU_FLOAT32, 4, {1, 3, 2, 602}}};
static const problem depthwise = {.op = &cn_op_conv,
                                  .attrs = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .groups = 3000},
                                  .x = {CORNU_FLOAT32, 4, {1, 5, 4, 3000}}, .kernel = {CORNU_FLOAT32, 4, {3, 3, 1, 3000}},
                                  .y = {CORNU_FLOAT32, 4, {1, 3, 2, 3000}}};

static const problem rows = {.op = &cn_op_gather, .x = {CORNU_FLOAT32, 2, {2, 50}},
                             .kernel = {CORNU_FLOAT32, 2, {301, 700}}, .y = {CORNU_FLOAT32, 3, {2, 50, 700}}};

static int64_t size_of(const cn_type *t) { return cn_shape_size(t->rank, t->shape); }

static float *numbers(int64_t n, uint32_t seed) {
  float *v = malloc((size_t)n * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) v[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
  return v;
}

static void let_go(void *mapping, void *data) {
  (void)data;
  cn_mapping_drop(mapping);
}

/* The values in a file behind so many other bytes. */
static cn_tensor *in_file(const float *values, const cn_type *t, int offset) {
  char path[] = "/tmp/cornu-constants-XXXXXX";
  FILE *f = fdopen(mkstemp(path), "wb");
  cn_mapping *m;
  cn_tensor *out;
  assert_non_null(f);
  fwrite("????", 1, (size_t)offset, f);
  fwrite(values, sizeof *values, (size_t)size_of(t), f);
  fclose(f);
  assert_int_equal(cn_file_map(path, &m, NULL), CORNU_OK);
  remove(path);
  assert_int_equal(cn_tensor_of_file(t->dtype, t->rank, t->shape, m->data + offset, let_go, m, &out, NULL), CORNU_OK);
  return out;
}

static cn_tensor *in_memory(const float *values, const cn_type *t) {
  cn_tensor *out;
  assert_int_equal(cornu_tensor_new(t->dtype, t->rank, t->shape, &out, NULL), CORNU_OK);
  memcpy(out->data, values, (size_t)size_of(t) * sizeof *values);
  return out;
}

/* The results of one run, to be freed; the second one is the kernel itself, when it is wanted. */
static float *run(const problem *p, cn_tensor *kernel, const float *x, float *copy) {
  cn_graph *g;
  cn_plan *plan;
  cn_edge in, weight, out;
  int n;
  assert_int_equal(cn_graph_new(&g, NULL), CORNU_OK);
  assert_int_equal(cn_graph_add_input(g, &p->x, &in, NULL), CORNU_OK);
  assert_int_equal(cn_graph_add_constant(g, &p->kernel, kernel, &weight, NULL), CORNU_OK);
  cn_edge pair[] = {p->op == &cn_op_gather ? weight : in, p->op == &cn_op_gather ? in : weight};
  assert_int_equal(cn_graph_add(g, p->op, &p->attrs, pair, 2, "", &out, &n, NULL), CORNU_OK);
  assert_int_equal(cn_graph_add_output(g, out, NULL), CORNU_OK);
  if (copy) assert_int_equal(cn_graph_add_output(g, weight, NULL), CORNU_OK);
  assert_int_equal(cn_plan_compile(g, &plan, NULL), CORNU_OK);
  float *y = malloc((size_t)size_of(&p->y) * sizeof *y);
  assert_int_equal(cn_plan_run(plan, (const void *[]){x}, (void *[]){y, copy}, NULL), CORNU_OK);
  cn_plan_free(plan);
  return y;
}

static void check(const problem *p, int offset) {
  size_t bytes = (size_t)size_of(&p->kernel) * sizeof(float);
  float *x = numbers(size_of(&p->x), 1), *values = numbers(size_of(&p->kernel), 2), *copy = malloc(bytes);
  for (int64_t i = 0; i < size_of(&p->x) && p->op == &cn_op_gather; i++) x[i] = (1 + x[i]) * 150; /* indices */
  cn_tensor *plain = in_memory(values, &p->kernel), *stored = in_file(values, &p->kernel, offset);
  float *want = run(p, plain, x, NULL), *got = run(p, stored, x, NULL);
  assert_memory_equal(got, want, (size_t)size_of(&p->y) * sizeof *want);
  free(got);
  got = run(p, stored, x, copy);
  assert_memory_equal(got, want, (size_t)size_of(&p->y) * sizeof *want);
  assert_memory_equal(copy, values, bytes);
  cn_tensor_fetch(stored);
  assert_memory_equal(stored->data, values, bytes);
  memset(stored->data, 0, bytes);
  free(got);
  got = run(p, stored, x, NULL); /* reads what was changed, and leaves it */
  for (int64_t i = 0; i < size_of(&p->y); i++) assert_true(got[i] == 0);
  for (int64_t i = 0; i < size_of(&p->kernel); i++) assert_true(((float *)(void *)stored->data)[i] == 0);
  cornu_tensor_release(plain);
  cornu_tensor_release(stored);
  free(x), free(values), free(copy), free(want), free(got);
}

static void kernels_in_files(void **state) {
  (void)state;
  const problem *const all[] = {&dense, &column, &grouped, &depthwise, &rows};
  for (int threads = 1; threads <= 2; threads++)
    for (int i = 0; i < 5; i++)
      for (int offset = 0; offset < 4; offset += 3) {
        cornu_set_threads(threads);
        check(all[i], offset);
      }
}

/* What looks at a tensor's values gets them, whichever way it looks. */
static void looks(void **state) {
  (void)state;
  const cn_type type = {CORNU_FLOAT32, 2, {4, 5}};
  float *values = numbers(20, 3);
  for (int way = 0; way < 6; way++) {
    cn_tensor *t = in_file(values, &type, 1), *out = NULL;
    switch (way) {
      case 0: assert_memory_equal(cornu_tensor_data(t), values, 80); break;
      case 1: assert_true(cornu_tensor_get(t, (const int64_t[]){1, 2}) == (double)values[7]); break;
      case 2: cornu_tensor_cast(t, CORNU_FLOAT32, &out, NULL); break;
      case 3: cornu_tensor_slice(t, 0, 0, 4, 1, &out, NULL); break;
      case 4: cornu_tensor_broadcast(t, 2, type.shape, &out, NULL); break;
      default: cornu_tensor_transpose(t, (const int[]){0, 1}, &out, NULL); break;
    }
    if (out) assert_memory_equal(out->data, values, 80);
    cornu_tensor_release(out);
    cornu_tensor_release(t);
  }
  free(values);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_in_files), cmocka_unit_test(looks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
