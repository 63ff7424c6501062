/* Runs one op by hand: shape rule, plan, one run; with variable or constant operands and several thread counts. */
#ifndef OP_RUN_H
#define OP_RUN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/planner.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

/* An operand with its own data; dtype CORNU_DTYPES: absent. */
typedef struct value {
  cn_type type;
  cn_operand operand;
} value;

static inline value make_value(cornu_dtype dtype, int rank, const int64_t *shape) {
  value v = {.type = {.dtype = dtype, .rank = rank}};
  v.operand = (cn_operand){.dtype = dtype, .rank = rank, .size = 1};
  for (int i = 0; i < rank; i++) {
    v.type.shape[i] = v.operand.shape[i] = shape[i];
    v.operand.size *= shape[i];
  }
  v.operand.pitch = rank ? shape[rank - 1] : 1;
  size_t bytes = (size_t)v.operand.size * (dtype < CORNU_DTYPES ? cornu_dtype_bytes(dtype) : 0);
  v.operand.data = calloc(bytes + 64, 1);
  return v;
}
#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})
#define FLOATS(rank, ...) make_value(CORNU_FLOAT32, rank, SHAPE(__VA_ARGS__))

static inline void free_value(value *v) { free(v->operand.data); }

/* Numbers in -1 … 1 that differ from value to value; `seed` differs from operand to operand. */
static inline void fill_value(value *v, uint32_t seed) {
  uint32_t x = seed * 2654435761u + 12345;
  for (int64_t i = 0; i < v->operand.size; i++) {
    x = x * 1664525u + 1013904223u;
    double y = (double)(x >> 8) / (1 << 23) - 1;
    if (v->type.dtype == CORNU_FLOAT64) ((double *)v->operand.data)[i] = y;
    else ((float *)v->operand.data)[i] = (float)y;
  }
}

static inline cn_status op_shape(const cn_op *op, const void *attrs, value *const *in, int n_in, cn_type *out,
                                 cn_error *e) {
  cn_type types[8] = {0};
  for (int i = 0; i < n_in; i++) types[i] = in[i] ? in[i]->type : (cn_type){.dtype = CORNU_DTYPES};
  cn_typing t = {.attrs = attrs, .n_in = n_in, .n_out = 1, .in = types, .out = out};
  return op->shape(&t, e);
}

/* One run; the caller frees *out. `constant`: the second operand is constant. */
static inline void op_run(const cn_op *op, const void *attrs, value *const *in, int n_in, bool constant, int threads,
                          value *out) {
  cn_error e = {0};
  cn_type type;
  if (op_shape(op, attrs, in, n_in, &type, &e))
    fail_msg("%s: %s", op->name, e.message);
  *out = make_value(type.dtype, type.rank, type.shape);
  cn_operand *operands[8] = {0}, *result = &out->operand;
  for (int i = 0; i < n_in; i++) operands[i] = in[i] ? &in[i]->operand : NULL;
  if (operands[1]) operands[1]->constant = constant;
  cornu_set_threads(threads);
  cn_step s = {.op = op, .attrs = attrs, .n_in = n_in, .n_out = 1, .in = operands, .out = &result, .label = "test"};
  if (cn_step_run_once(&s, &e)) fail_msg("%s: %s", op->name, e.message);
}

/* Runs on several numbers of threads, the second operand constant or, `variable` of 3 times, not: all bits must be the
 * same. */
static inline value op_results(const cn_op *op, const void *attrs, value *const *in, int n_in, int variable) {
  value first;
  op_run(op, attrs, in, n_in, true, 1, &first);
  for (int i = 0; i < 3; i++) {
    value other;
    op_run(op, attrs, in, n_in, i >= variable, i == 0 ? 1 : i == 1 ? 3 : 2, &other);
    assert_memory_equal(first.operand.data, other.operand.data,
                        (size_t)first.operand.size * cornu_dtype_bytes(first.type.dtype));
    free_value(&other);
  }
  return first;
}

/* The same with a second operand that is never constant. */
static inline value op_varying(const cn_op *op, const void *attrs, value *const *in, int n_in) {
  value first;
  op_run(op, attrs, in, n_in, false, 1, &first);
  for (int threads = 2; threads <= 3; threads++) {
    value other;
    op_run(op, attrs, in, n_in, false, threads, &other);
    assert_memory_equal(first.operand.data, other.operand.data,
                        (size_t)first.operand.size * cornu_dtype_bytes(first.type.dtype));
    free_value(&other);
  }
  return first;
}

static inline value op_result(const cn_op *op, const void *attrs, value *const *in, int n_in) {
  return op_results(op, attrs, in, n_in, 2);
}

static inline void expect_shape(const value *v, int rank, const int64_t *shape) {
  assert_int_equal(v->type.rank, rank);
  for (int i = 0; i < rank; i++) assert_int_equal(v->type.shape[i], shape[i]);
}

/* The error message of a shape rule that must fail. */
static inline void expect_failure(const cn_op *op, const void *attrs, value *const *in, int n_in, const char *part) {
  cn_error e = {0};
  cn_type type;
  assert_int_not_equal(op_shape(op, attrs, in, n_in, &type, &e), CORNU_OK);
  if (!strstr(e.message, part)) fail_msg("\"%s\" does not say \"%s\"", e.message, part);
}

#endif
