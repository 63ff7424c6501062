/* Gradients of ops against differences of their results, in float64; and of functions made of several. */
#include "op_run.h"

#include <stdio.h>

#include "graph/gradient.h"
#include "graph/plan.h"

enum { MOST_IN = 8 };
#define STEP 1e-5

/* low … high: what float inputs hold. Inputs of integers hold 0 … 3. */
typedef struct op_case {
  const cn_op *op;
  const void *attrs;
  double low, high;
  int n_in;
  cn_type in[MOST_IN];
} op_case;

typedef struct function {
  cn_plan *plan;                    /* outputs: the loss, then the gradients of the float inputs */
  int n_in, n_grads;
  int grad_of[MOST_IN];             /* inputs */
  value in[MOST_IN], grads[MOST_IN];
} function;

static bool is_there(const cn_type *t) { return t->dtype != CORNU_DTYPES; }

static void put(cornu_dtype dtype, void *data, int64_t i, double v) {
  if (dtype == CORNU_FLOAT64) ((double *)data)[i] = v;
  else ((float *)data)[i] = (float)v;
}

/* A sum of the results, each with a weight of its own: the gradients that come back differ. */
static cn_edge loss_of(cn_trace *t, cn_edge first, int n) {
  cn_edge sum = CN_NO_EDGE;
  const cn_reduce_attrs all = {.axes = {.n = -1}};
  for (int i = 0; i < n; i++) {
    const cn_type type = *cn_edge_type(t, first + i);
    if (!cn_dtype_is_float(type.dtype)) continue;
    cn_tensor *w;
    assert_int_equal(cornu_tensor_new(type.dtype, type.rank, type.shape, &w, t->error), 0);
    for (int64_t k = 0; k < cornu_tensor_size(w); k++) put(type.dtype, w->data, k, sin(1.7 * (double)(k + 3 * i) + 1));
    cn_edge part = cn_emit1(t, &cn_op_sum, &all, cn_emit2(t, &cn_op_mul, NULL, first + i, cn_emit_constant(t, w)));
    cornu_tensor_release(w);
    sum = sum == CN_NO_EDGE ? part : cn_emit2(t, &cn_op_add, NULL, sum, part);
  }
  return sum;
}

typedef struct options {
  cornu_dtype floats;   /* of inputs that are float64 in the case */
  int results;          /* so many outputs count */
  bool definite;        /* the op sees x x' + 1 of its first input */
} options;

static cn_edge definite(cn_trace *t, cn_edge x) {
  const cn_type type = *cn_edge_type(t, x);
  const int64_t n = type.shape[type.rank - 1];
  double one[64] = {0};
  for (int64_t i = 0; i < n; i++) one[i * (n + 1)] = 1;
  const cn_reshape_attrs square = {.shape = {.n = 2, .v = {n, n}}};
  const cn_edge identity = cn_emit1(t, &cn_op_reshape, &square, cn_emit_vector(t, type.dtype, one, n * n));
  return cn_emit2(t, &cn_op_add, NULL, identity, cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){false, true}, x, x));
}

static void build(const op_case *c, options o, function *f) {
  cn_error e = {0};
  cn_graph *g;
  cn_trace t;
  cn_edge in[MOST_IN], first, to[MOST_IN], grads[MOST_IN];
  assert_int_equal(cn_graph_new(&g, &e), 0);
  cn_trace_begin(&t, g, &e);
  t.differentiable = true;
  t.label = c->op->name;
  f->n_in = f->n_grads = 0;
  for (int i = 0; i < c->n_in; i++) {
    in[i] = CN_NO_EDGE;
    if (!is_there(&c->in[i])) continue;
    cn_type type = c->in[i];
    if (cn_dtype_is_float(type.dtype)) type.dtype = o.floats;
    assert_int_equal(cn_graph_add_input(g, &type, &in[i], &e), 0);
    if (cn_dtype_is_float(type.dtype)) to[f->n_grads] = in[i], f->grad_of[f->n_grads++] = f->n_in;
    f->in[f->n_in++] = make_value(type.dtype, type.rank, type.shape);
  }
  const cn_edge first_in = in[0];
  if (o.definite) in[0] = definite(&t, first_in);
  int n = cn_emit_many(&t, c->op, c->attrs, in, c->n_in, &first);
  cn_edge loss = loss_of(&t, first, n < o.results ? n : o.results);
  cn_trace_gradients(&t, loss, to, f->n_grads, grads);
  if (!t.status) cn_graph_add_output(g, loss, &e);
  for (int i = 0; i < f->n_grads && !t.status; i++) cn_graph_add_output(g, grads[i], &e);
  if (cn_trace_end(&t)) fail_msg("%s: %s", c->op->name, e.message);
  if (cn_plan_compile(g, &f->plan, &e)) fail_msg("%s: %s", c->op->name, e.message);
  for (int i = 0; i < f->n_grads; i++) {
    const value *x = &f->in[f->grad_of[i]];
    f->grads[i] = make_value(x->type.dtype, x->type.rank, x->type.shape);
  }
}

static double evaluate(function *f) {
  cn_error e = {0};
  double loss = 0;
  const void *in[MOST_IN];
  void *out[MOST_IN + 1] = {&loss};
  for (int i = 0; i < f->n_in; i++) in[i] = f->in[i].operand.data;
  for (int i = 0; i < f->n_grads; i++) out[i + 1] = f->grads[i].operand.data;
  if (cn_plan_run(f->plan, in, out, &e)) fail_msg("%s", e.message);
  return loss;
}

static void fill(const op_case *c, function *f) {
  for (int i = 0; i < f->n_in; i++) {
    value *v = &f->in[i];
    if (cn_dtype_is_float(v->type.dtype)) fill_value(v, (uint32_t)i + 1);
    for (int64_t k = 0; k < v->operand.size; k++)
      if (cn_dtype_is_float(v->type.dtype)) {
        const double x = v->type.dtype == CORNU_FLOAT64 ? ((double *)v->operand.data)[k]
                                                        : (double)((float *)v->operand.data)[k];
        put(v->type.dtype, v->operand.data, k, (double)(float)(c->low + (c->high - c->low) * (x + 1) / 2));
      } else if (v->type.dtype == CORNU_BOOL8) ((uint8_t *)v->operand.data)[k] = (uint8_t)(k * 7 % 3 == 1);
      else ((int32_t *)v->operand.data)[k] = (int32_t)(k * 7 % 4);
  }
}

static void free_function(function *f) {
  for (int i = 0; i < f->n_in; i++) free_value(&f->in[i]);
  for (int i = 0; i < f->n_grads; i++) free_value(&f->grads[i]);
  cn_plan_free(f->plan);
}

static void check_as(const op_case *c, options o) {
  function f;
  build(c, o, &f);
  fill(c, &f);
  for (int i = 0; i < f.n_grads; i++) {
    value *x = &f.in[f.grad_of[i]];
    evaluate(&f);
    double *data = x->operand.data, *found = malloc((size_t)x->operand.size * sizeof *found);
    memcpy(found, f.grads[i].operand.data, (size_t)x->operand.size * sizeof *found);
    for (int64_t k = 0; k < x->operand.size; k++) {
      const double at = data[k];
      data[k] = at + STEP;
      const double above = evaluate(&f);
      data[k] = at - STEP;
      const double below = evaluate(&f), slope = (above - below) / (2 * STEP);
      data[k] = at;
      if (!(fabs(found[k] - slope) <= 2e-7 * (1 + fabs(slope))))
        fail_msg("%s, input %d, element %d at %g: %.10g, expected %.10g", c->op->name, f.grad_of[i] + 1, (int)k, at,
                 found[k], slope);
    }
    free(found);
  }
  free_function(&f);
}

static void check_results(const op_case *c, int results) { check_as(c, (options){CORNU_FLOAT64, results, false}); }
static void check(const op_case *c) { check_results(c, CN_MAX_OUT); }

/* Ops of float32 alone, against differences over `step`: with nothing but rounding where the op is linear. */
static void check_coarsely(const op_case *c, float step, double tolerance) {
  function f;
  build(c, (options){CORNU_FLOAT32, CN_MAX_OUT, false}, &f);
  fill(c, &f);
  for (int i = 0; i < f.n_grads; i++) {
    value *x = &f.in[f.grad_of[i]];
    float loss[2];
    for (int64_t k = 0; k < x->operand.size; k++) {
      float *at = (float *)x->operand.data + k, was = *at;
      evaluate(&f);
      const double found = ((float *)f.grads[i].operand.data)[k];
      for (int side = 0; side < 2; side++) {
        *at = was + (side ? step : -step);
        const double raw = evaluate(&f);
        memcpy(&loss[side], &raw, sizeof *loss);
      }
      *at = was;
      const double slope = ((double)loss[1] - loss[0]) / (2 * step);
      if (!(fabs(found - slope) <= tolerance * (1 + fabs(slope))))
        fail_msg("%s, input %d, element %d: %.8g, expected %.8g", c->op->name, f.grad_of[i] + 1, (int)k, found, slope);
    }
  }
  free_function(&f);
}

/* In float32 on several numbers of threads: the same bits, and close to those in float64. */
static void check_floats(const op_case *c, int results) {
  function f, exact;
  build(c, (options){CORNU_FLOAT32, results, false}, &f);
  build(c, (options){CORNU_FLOAT64, results, false}, &exact);
  fill(c, &f);
  fill(c, &exact);
  evaluate(&exact);
  for (int threads = 1; threads <= 3; threads++) {
    cornu_set_threads(threads);
    float *before[MOST_IN];
    for (int i = 0; i < f.n_grads; i++) before[i] = f.grads[i].operand.data, f.grads[i].operand.data = NULL;
    for (int i = 0; i < f.n_grads; i++)
      f.grads[i].operand.data = calloc((size_t)f.grads[i].operand.size, sizeof(float));
    evaluate(&f);
    for (int i = 0; i < f.n_grads; i++) {
      const float *found = f.grads[i].operand.data;
      const double *want = exact.grads[i].operand.data;
      double most = 0;
      for (int64_t k = 0; k < f.grads[i].operand.size; k++) most = fmax(most, fabs(want[k]));
      for (int64_t k = 0; k < f.grads[i].operand.size; k++)
        if (!(fabs(found[k] - want[k]) <= 2e-5 * most + 1e-30))
          fail_msg("%s, gradient %d, element %d: %.8g, expected %.8g of at most %g", c->op->name, i + 1, (int)k,
                   found[k], want[k], most);
      if (threads > 1) assert_memory_equal(before[i], found, (size_t)f.grads[i].operand.size * sizeof(float));
      free(before[i]);
    }
  }
  cornu_set_threads(1);
  free_function(&f);
  free_function(&exact);
}

#define D(rank, ...) {CORNU_FLOAT64, rank, {__VA_ARGS__}}
#define I(rank, ...) {CORNU_INT32, rank, {__VA_ARGS__}}
#define B(rank, ...) {CORNU_BOOL8, rank, {__VA_ARGS__}}
#define ABSENT {CORNU_DTYPES, 0, {0}}
#define CHECK(...)                                                        \
  do {                                                                    \
    static const op_case cases[] = {__VA_ARGS__};                         \
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]); \
  } while (0)

#define CHECK_EACH(...)                                                    \
  do {                                                                    \
    const op_case cases[] = {__VA_ARGS__};                                \
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) check(&cases[k]); \
  } while (0)

static void test_unary(void **state) {
  (void)state;
#define U(id, low, high) {&cn_op_##id, NULL, low, high, 1, {D(2, 2, 3)}}
  CHECK(U(neg, -1, 1), U(abs, -1, 1), U(sign, -1, 1), U(square, -1, 1), U(sqrt, 0.2, 2), U(rsqrt, 0.2, 2),
        U(reciprocal, 0.2, 2), U(exp, -1, 1), U(exp2, -1, 1), U(expm1, -1, 1), U(log, 0.2, 2), U(log2, 0.2, 2),
        U(log10, 0.2, 2), U(log1p, -0.5, 2), U(sin, -3, 3), U(cos, -3, 3), U(tan, -1, 1), U(asin, -0.9, 0.9),
        U(acos, -0.9, 0.9), U(atan, -2, 2), U(sinh, -2, 2), U(cosh, -2, 2), U(asinh, -2, 2), U(acosh, 1.2, 3),
        U(atanh, -0.9, 0.9), U(erf, -2, 2), U(erfc, -2, 2), U(erfinv, -0.9, 0.9), U(cbrt, 0.2, 2), U(sinc, -2, 2),
        U(i0, -2, 2), U(i1, -2, 2),
        U(floor, -2, 2), U(ceil, -2, 2), U(round, -2, 2), U(trunc, -2, 2));
}

static void test_binary(void **state) {
  (void)state;
#define P(id, low, high) \
  {&cn_op_##id, NULL, low, high, 2, {D(2, 3, 4), D(2, 3, 4)}}, \
  {&cn_op_##id, NULL, low, high, 2, {D(2, 1, 4), D(3, 2, 3, 1)}}
  CHECK(P(add, -1, 1), P(sub, -1, 1), P(mul, -1, 1), P(div, 0.3, 2), P(floordiv, 0.3, 2), P(mod, 0.3, 2),
        P(fmod, 0.3, 2),
        P(pow, 0.3, 2), P(maximum, -1, 1), P(minimum, -1, 1), P(fmax, -1, 1), P(fmin, -1, 1),
        P(squared_difference, -1, 1), P(atan2, 0.2, 2), P(hypot, 0.2, 2), P(logaddexp, -2, 2), P(logaddexp2, -2, 2));
  CHECK({&cn_op_where, NULL, -1, 1, 3, {B(2, 3, 1), D(2, 3, 4), D(1, 4)}});
}

static void test_acts(void **state) {
  (void)state;
  static const cn_act acts[] = {
      {CN_ACT_LINEAR, 0, 0, 0}, {CN_ACT_RELU, 0, INFINITY, 0}, {CN_ACT_RELU, 0.3, 1.5, 0}, {CN_ACT_RELU, 0.2, 2, 0.5},
      {CN_ACT_THRESHOLDED, 0.4, 0, 0}, {CN_ACT_ELU, 1.3, 0, 0}, {CN_ACT_SELU, 0, 0, 0}, {CN_ACT_CELU, 0.7, 0, 0},
      {CN_ACT_SIGMOID, 0, 0, 0}, {CN_ACT_HARD_SIGMOID, 0.2, 0.5, 0}, {CN_ACT_LOG_SIGMOID, 0, 0, 0},
      {CN_ACT_TANH, 0, 0, 0},
      {CN_ACT_HARD_TANH, 0, 0, 0}, {CN_ACT_TANH_SHRINK, 0, 0, 0}, {CN_ACT_SOFTPLUS, 0, 0, 0},
      {CN_ACT_SOFTSIGN, 0, 0, 0},
      {CN_ACT_EXPONENTIAL, 0, 0, 0}, {CN_ACT_SILU, 0, 0, 0}, {CN_ACT_HARD_SILU, 0, 0, 0}, {CN_ACT_GELU, 0, 0, 0},
      {CN_ACT_GELU_TANH, 0, 0, 0}, {CN_ACT_MISH, 0, 0, 0}, {CN_ACT_SOFT_SHRINK, 0.5, 0, 0},
      {CN_ACT_HARD_SHRINK, 0.5, 0, 0},
      {CN_ACT_THRESHOLD, 0.3, 0.1, 0}, {CN_ACT_SQUAREPLUS, 4, 0, 0}, {CN_ACT_SPARSE_PLUS, 0, 0, 0},
      {CN_ACT_SPARSE_SIGMOID, 0, 0, 0}};
  bool seen[CN_ACT_KINDS] = {false};
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
    const cn_act_attrs a = {.act = acts[i]};
    const op_case c = {&cn_op_activation, &a, -4, 4, 1, {D(1, 40)}};
    check(&c);
    seen[acts[i].kind] = true;
    float x[40], dx[40], dy[40], v[40]; /* the vectors as the doubles */
    for (int k = 0; k < 40; k++) {
      x[k] = (float)k / 5 - 4 + 0.013f;
      dy[k] = 1 + (float)k / 40;
    }
    cn_act_apply(&acts[i], v, x, 40);
    const float *at = cn_act_by_result(&acts[i]) ? v : x;
    cn_slope()->backward(&acts[i], dx, dy, at, 40);
    for (int k = 0; k < 40; k++) {
      const double want = dy[k] * cn_slope_double(&acts[i], at[k]);
      if (fabs(dx[k] - want) > 3e-6 * (1 + fabs(want)))
        fail_msg("act %d at %g: %g, expected %g", acts[i].kind, at[k], dx[k], want);
    }
  }
  for (int i = 0; i < CN_ACT_KINDS; i++)
    if (!seen[i]) fail_msg("act %d has no case", i);
}

static void test_reductions(void **state) {
  (void)state;
  static const cn_reduce_attrs all = {.axes = {.n = -1}}, one = {.axes = {.n = 1, .v = {1}}},
                               two = {.axes = {.n = 2, .v = {0, -1}}, .keepdims = true};
#define R(id) \
  {&cn_op_##id, &all, 0.2, 2, 1, {D(3, 2, 3, 2)}}, {&cn_op_##id, &one, 0.2, 2, 1, {D(3, 2, 3, 2)}}, \
  {&cn_op_##id, &two, 0.2, 2, 1, {D(3, 2, 3, 2)}}
  CHECK(R(sum), R(mean), R(max), R(min), R(var), R(std), R(logsumexp), R(prod));
  static const cn_cumulate_attrs plain = {.axis = 1}, other = {.axis = 0, .exclusive = true, .reverse = true};
  CHECK({&cn_op_cumsum, &plain, -1, 1, 1, {D(2, 3, 4)}}, {&cn_op_cumsum, &other, -1, 1, 1, {D(2, 3, 4)}},
        {&cn_op_cumprod, &plain, 0.3, 1, 1, {D(2, 3, 4)}}, {&cn_op_cumprod, &other, 0.3, 1, 1, {D(2, 3, 4)}});
  static const cn_axis_attrs last = {-1}, first = {0};
  CHECK({&cn_op_softmax, &last, -2, 2, 1, {D(2, 3, 4)}}, {&cn_op_softmax, &first, -2, 2, 1, {D(2, 3, 4)}},
        {&cn_op_log_softmax, &last, -2, 2, 1, {D(2, 3, 4)}}, {&cn_op_sparsemax, &last, -1, 1, 1, {D(2, 3, 4)}},
        {&cn_op_sparsemax, &first, -1, 1, 1, {D(2, 3, 4)}});
}

static void test_shapes(void **state) {
  (void)state;
  static const cn_reshape_attrs reshape = {.shape = {.n = 2, .v = {4, -1}}};
  static const cn_axis_attrs axis1 = {1}, axis_last = {-1};
  static const cn_reduce_attrs squeeze = {.axes = {.n = 1, .v = {1}}};
  static const cn_ints_attrs turn = {.v = {.n = 3, .v = {2, 0, 1}}}, reversed = {.v = {.n = -1}},
                             wide = {.v = {.n = 3, .v = {2, 3, 4}}}, tiles = {.v = {.n = 2, .v = {2, 3}}},
                             axes = {.v = {.n = 2, .v = {0, -1}}};
  static const cn_repeat_attrs repeat = {.axis = 1, .count = 3};
  static const cn_split_attrs split = {.axis = 1, .count = 2};
  CHECK({&cn_op_reshape, &reshape, -1, 1, 1, {D(3, 2, 3, 2)}}, {&cn_op_expand_dims, &axis1, -1, 1, 1, {D(2, 2, 3)}},
        {&cn_op_squeeze, &squeeze, -1, 1, 1, {D(3, 2, 1, 3)}}, {&cn_op_fold, NULL, -1, 1, 1, {D(3, 2, 3, 2)}},
        {&cn_op_transpose, &turn, -1, 1, 1, {D(3, 2, 3, 4)}}, {&cn_op_transpose, &reversed, -1, 1, 1, {D(3, 2, 3, 4)}},
        {&cn_op_broadcast_to, &wide, -1, 1, 1, {D(2, 3, 1)}}, {&cn_op_tile, &tiles, -1, 1, 1, {D(2, 2, 3)}},
        {&cn_op_repeat, &repeat, -1, 1, 1, {D(3, 2, 3, 2)}}, {&cn_op_reverse, &axes, -1, 1, 1, {D(3, 2, 3, 2)}},
        {&cn_op_split, &split, -1, 1, 1, {D(2, 3, 4)}},
        {&cn_op_concat, &axis1, -1, 1, 3, {D(2, 2, 3), D(2, 2, 1), D(2, 2, 2)}},
        {&cn_op_stack, &axis_last, -1, 1, 2, {D(2, 2, 3), D(2, 2, 3)}});
  static const cn_slice_attrs slice = {.axes = {.n = 2, .v = {0, -1}}, .begin = {.n = 2, .v = {1, 5}},
                                       .end = {.n = 2, .v = {CN_NULL_INT, CN_NULL_INT}},
                                       .step = {.n = 2, .v = {1, -2}}},
                              steps = {.axes = {.n = 1, .v = {1}}, .begin = {.n = 1, .v = {1}},
                                       .end = {.n = 1, .v = {6}}, .step = {.n = 1, .v = {3}}};
  CHECK({&cn_op_slice, &slice, -1, 1, 1, {D(2, 3, 7)}}, {&cn_op_slice, &steps, -1, 1, 1, {D(3, 2, 7, 2)}});
  static const cn_pad_attrs pads[] = {
      {.before = {.n = 2, .v = {1, 2}}, .after = {.n = 2, .v = {0, 1}}, .value = 2},
      {.before = {.n = 2, .v = {1, 2}}, .after = {.n = 2, .v = {1, 1}}, .mode = CN_PAD_REFLECT},
      {.before = {.n = 2, .v = {1, 2}}, .after = {.n = 2, .v = {2, 1}}, .mode = CN_PAD_SYMMETRIC},
      {.before = {.n = 2, .v = {1, 2}}, .after = {.n = 2, .v = {0, 3}}, .mode = CN_PAD_EDGE}};
  for (size_t i = 0; i < sizeof pads / sizeof *pads; i++)
    check(&(op_case){&cn_op_pad, &pads[i], -1, 1, 1, {D(2, 3, 4)}});
  static const cn_clip_attrs clip = {-0.5, 0.4};
  static const cn_axis_attrs axis0 = {0};
  CHECK({&cn_op_clip, &clip, -1, 1, 1, {D(2, 3, 4)}}, {&cn_op_gather, &axis0, -1, 1, 2, {D(2, 5, 3), I(2, 2, 4)}},
        {&cn_op_gather, &axis1, -1, 1, 2, {D(3, 2, 4, 3), I(1, 5)}});
}

static void test_products(void **state) {
  (void)state;
  static const cn_matmul_attrs nn = {false, false}, nt = {false, true}, tn = {true, false}, tt = {true, true};
  CHECK({&cn_op_matmul, &nn, -1, 1, 2, {D(2, 3, 4), D(2, 4, 2)}},
        {&cn_op_matmul, &nt, -1, 1, 2, {D(2, 3, 4), D(2, 2, 4)}},
        {&cn_op_matmul, &tn, -1, 1, 2, {D(2, 4, 3), D(2, 4, 2)}},
        {&cn_op_matmul, &tt, -1, 1, 2, {D(2, 4, 3), D(2, 2, 4)}},
        {&cn_op_matmul, &nn, -1, 1, 2, {D(4, 2, 1, 3, 4), D(3, 2, 4, 2)}},
        {&cn_op_matmul, &nt, -1, 1, 2, {D(3, 2, 3, 4), D(2, 2, 4)}},
        {&cn_op_matmul, &nn, -1, 1, 2, {D(1, 4), D(2, 4, 2)}}, {&cn_op_matmul, &nn, -1, 1, 2, {D(3, 2, 3, 4), D(1, 4)}},
        {&cn_op_matmul, &nn, -1, 1, 2, {D(1, 4), D(1, 4)}});
  static const cn_dense_attrs plain = {.act = {CN_ACT_LINEAR, 0, 0, 0}}, tanh = {.act = {CN_ACT_TANH, 0, 0, 0}},
                              silu = {.act = {CN_ACT_SILU, 0, 0, 0}};
  CHECK({&cn_op_dense, &plain, -1, 1, 3, {D(3, 2, 3, 4), D(2, 4, 5), D(1, 5)}},
        {&cn_op_dense, &tanh, -1, 1, 2, {D(2, 3, 4), D(2, 4, 5)}},
        {&cn_op_dense, &silu, -1, 1, 3, {D(2, 3, 4), D(2, 4, 1), D(1, 1)}});
}

static void test_convolutions(void **state) {
  (void)state;
#define CONV(...) {.act = {CN_ACT_LINEAR, 0, 0, 0}, .spatial = __VA_ARGS__}
  static const cn_conv_attrs
      plain = CONV(2, .stride = {1, 1}, .dilation = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}),
      strided = CONV(2, .stride = {2, 3}, .dilation = {1, 1}, .pad_begin = {0, 1}, .pad_end = {1, 0}),
      spread = CONV(2, .stride = {2, 1}, .dilation = {1, 2}, .pad_begin = {1, 3}, .pad_end = {0, 2}),
      both = CONV(1, .stride = {2}, .dilation = {3}, .pad_begin = {4}, .pad_end = {1}),
      grouped = CONV(2, .stride = {1, 2}, .dilation = {1, 1}, .pad_begin = {1, 0}, .pad_end = {0, 0}, .groups = 3),
      single = CONV(2, .stride = {1, 2}, .dilation = {1, 1}, .pad_begin = {1, 0}, .pad_end = {0, 0}, .groups = 4),
      solid = CONV(3, .stride = {1, 2, 1}, .dilation = {1, 1, 2}, .pad_begin = {1, 0, 0}, .pad_end = {1, 1, 2});
  CHECK({&cn_op_conv, &plain, -1, 1, 3, {D(4, 2, 4, 5, 3), D(4, 3, 3, 3, 2), D(1, 2)}},
        {&cn_op_conv, &strided, -1, 1, 2, {D(4, 2, 6, 8, 2), D(4, 3, 2, 2, 5)}},
        {&cn_op_conv, &spread, -1, 1, 2, {D(4, 1, 6, 5, 2), D(4, 2, 3, 2, 3)}},
        {&cn_op_conv, &both, -1, 1, 2, {D(3, 2, 9, 2), D(3, 3, 2, 3)}},
        {&cn_op_conv, &grouped, -1, 1, 3, {D(4, 2, 3, 5, 6), D(4, 2, 3, 2, 9), D(1, 9)}},
        {&cn_op_conv, &single, -1, 1, 3, {D(4, 2, 3, 5, 4), D(4, 2, 3, 1, 8), D(1, 8)}},
        {&cn_op_conv, &solid, -1, 1, 2, {D(5, 1, 3, 4, 5, 2), D(5, 2, 2, 3, 2, 2)}});
  CHECK({&cn_op_depthwise_conv, &plain, -1, 1, 3, {D(4, 2, 4, 5, 3), D(4, 3, 3, 3, 1), D(1, 3)}},
        {&cn_op_depthwise_conv, &strided, -1, 1, 2, {D(4, 2, 6, 8, 2), D(4, 3, 2, 2, 2)}},
        {&cn_op_depthwise_conv, &spread, -1, 1, 2, {D(4, 1, 6, 5, 2), D(4, 2, 3, 2, 3)}},
        {&cn_op_depthwise_conv, &both, -1, 1, 2, {D(3, 2, 9, 2), D(3, 3, 2, 1)}});
#define TRANSPOSE(...) {.act = {CN_ACT_LINEAR, 0, 0, 0}, .spatial = __VA_ARGS__}
  static const cn_conv_transpose_attrs
      up = TRANSPOSE(2, .stride = {2, 2}, .dilation = {1, 1}, .crop_begin = {1, 0}, .crop_end = {0, 1}),
      more = TRANSPOSE(1, .stride = {3}, .dilation = {2}, .crop_begin = {1}, .crop_end = {-2});
  CHECK({&cn_op_conv_transpose, &up, -1, 1, 3, {D(4, 2, 3, 3, 2), D(4, 3, 3, 4, 2), D(1, 4)}},
        {&cn_op_conv_transpose, &more, -1, 1, 2, {D(3, 2, 4, 2), D(3, 2, 3, 2)}});
}

static void test_pools(void **state) {
  (void)state;
  static const cn_pool_attrs largest = {.spatial = 2, .size = {2, 3}, .stride = {1, 2}, .pad_begin = {1, 1},
                                        .pad_end = {0, 1}},
                             mean = {.spatial = 2, .size = {2, 3}, .stride = {1, 2}, .pad_begin = {1, 1},
                                     .average = true},
                             whole = {.spatial = 1, .size = {3}, .stride = {2}, .pad_begin = {1}, .pad_end = {1},
                                      .average = true, .count_padding = true};
  CHECK({&cn_op_pool, &largest, -1, 1, 1, {D(4, 2, 4, 5, 3)}}, {&cn_op_pool, &mean, -1, 1, 1, {D(4, 2, 4, 6, 3)}},
        {&cn_op_pool, &whole, -1, 1, 1, {D(3, 2, 7, 70)}});
  static const cn_pool_attrs apart = {.spatial = 2, .size = {2, 2}, .stride = {2, 2}},
                             few = {.spatial = 3, .size = {2, 1, 2}, .stride = {2, 3, 2}, .average = true};
  static const op_case floats[] = {
      {&cn_op_pool, &largest, -1, 1, 1, {D(4, 3, 9, 8, 19)}}, {&cn_op_pool, &mean, -1, 1, 1, {D(4, 3, 8, 9, 37)}},
      {&cn_op_pool, &whole, -1, 1, 1, {D(3, 5, 9, 70)}}, {&cn_op_pool, &apart, -1, 1, 1, {D(4, 3, 8, 6, 5)}},
      {&cn_op_pool, &apart, -1, 1, 1, {D(4, 3, 9, 7, 33)}}, {&cn_op_pool, &few, -1, 1, 1, {D(5, 2, 4, 7, 5, 16)}}};
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) check_floats(&floats[i], CN_MAX_OUT);
  static const cn_adaptive_pool_attrs most = {.spatial = 2, .size = {3, 2}},
                                      means = {.spatial = 2, .size = {3, 4}, .average = true};
  CHECK({&cn_op_adaptive_pool, &most, -1, 1, 1, {D(4, 2, 5, 5, 3)}},
        {&cn_op_adaptive_pool, &means, -1, 1, 1, {D(4, 2, 5, 7, 3)}});
}

static void test_places(void **state) {
  (void)state;
  static const cn_axis_attrs last = {-1}, middle = {1};
  static const cn_sort_attrs up = {.axis = -1}, down = {.axis = 0, .descending = true}, three = {.axis = 1, .k = 3};
  CHECK({&cn_op_take_along_axis, &last, -1, 1, 2, {D(2, 3, 4), I(2, 3, 5)}},
        {&cn_op_take_along_axis, &middle, -1, 1, 2, {D(3, 2, 4, 3), I(3, 2, 6, 3)}},
        {&cn_op_sort, &up, -1, 1, 1, {D(2, 3, 7)}}, {&cn_op_sort, &down, -1, 1, 1, {D(2, 5, 3)}},
        {&cn_op_top_k, &three, -1, 1, 1, {D(3, 2, 5, 3)}});
  static const cn_quantile_attrs linear = {CN_QUANTILE_LINEAR, false}, midpoint = {CN_QUANTILE_MIDPOINT, false},
                                 nearest = {CN_QUANTILE_NEAREST, false};
  static const cn_quantile_attrs *const quantiles[] = {&linear, &midpoint, &nearest};
  for (int i = 0; i < 3; i++) { /* places are whole: the gradient with respect to them is refused */
    const op_case c = {&cn_op_quantile, quantiles[i], -1, 1, 2, {D(2, 3, 6), B(1, 5)}};
    check(&c);
  }
  static const cn_scatter_attrs set = {CN_SCATTER_SET}, sum = {CN_SCATTER_ADD};
  CHECK({&cn_op_scatter, &sum, -1, 1, 3, {D(3, 4, 4, 2), I(2, 3, 2), D(2, 3, 2)}},
        {&cn_op_scatter, &set, -1, 1, 3, {D(2, 5, 3), I(2, 4, 1), D(2, 4, 3)}});
  static const cn_segment_attrs add = {5, CN_SCATTER_ADD, true}, most = {5, CN_SCATTER_MAX, true};
  CHECK({&cn_op_segment, &add, -1, 1, 2, {D(3, 7, 2, 3), I(1, 7)}},
        {&cn_op_segment, &most, -1, 1, 2, {D(3, 7, 2, 3), I(1, 7)}});
  static const cn_ints_attrs block = {.v = {.n = 2, .v = {2, 1}}};
  CHECK({&cn_op_slice_at, &block, -1, 1, 2, {D(2, 6, 4), I(1, 2)}},
        {&cn_op_slice_update, NULL, -1, 1, 3, {D(2, 3, 4), D(2, 2, 2), I(1, 2)}});
}

static void test_signals(void **state) {
  (void)state;
  static const cn_frames_attrs frames = {5, 2}, apart = {3, 4}, one = {0, 2};
  CHECK({&cn_op_frames, &frames, -1, 1, 1, {D(2, 2, 12)}}, {&cn_op_frames, &apart, -1, 1, 1, {D(1, 13)}},
        {&cn_op_overlap_add, &one, -1, 1, 1, {D(3, 2, 4, 5)}});
  static const cn_fft_attrs plain = {0, false}, back = {0, true}, more = {9, false}, less = {5, true};
  CHECK({&cn_op_fft, &plain, -1, 1, 2, {D(2, 2, 6), D(2, 2, 6)}}, {&cn_op_fft, &back, -1, 1, 2, {D(1, 7), D(1, 7)}},
        {&cn_op_fft, &more, -1, 1, 2, {D(1, 7), D(1, 7)}}, {&cn_op_fft, &less, -1, 1, 2, {D(1, 7), D(1, 7)}},
        {&cn_op_rfft, &plain, -1, 1, 1, {D(2, 2, 8)}}, {&cn_op_rfft, &more, -1, 1, 1, {D(1, 8)}},
        {&cn_op_irfft, &plain, -1, 1, 2, {D(2, 2, 5), D(2, 2, 5)}},
        {&cn_op_irfft, &more, -1, 1, 2, {D(1, 4), D(1, 4)}});
}

static void test_images(void **state) {
  (void)state;
  static const cn_block_attrs two = {2};
  CHECK({&cn_op_depth_to_space, &two, -1, 1, 1, {D(4, 1, 2, 3, 8)}},
        {&cn_op_space_to_depth, &two, -1, 1, 1, {D(4, 1, 4, 6, 2)}});
  static const cn_patches_attrs cut = {.spatial = 2, .window = {2, 3}, .stride = {2, 1}, .dilation = {1, 2},
                                       .pad_begin = {1, 0}, .pad_end = {0, 2}, .size = {5, 6}};
  CHECK({&cn_op_patches, &cut, -1, 1, 1, {D(4, 2, 5, 6, 2)}}, {&cn_op_sum_patches, &cut, -1, 1, 1, {D(4, 2, 3, 4, 12)}},
        {&cn_op_rgb_to_hsv, NULL, 0.1, 0.9, 1, {D(2, 9, 3)}}, {&cn_op_hsv_to_rgb, NULL, 0.05, 0.95, 1, {D(2, 9, 3)}});
  static const cn_map_attrs outside = {.fill = CN_FILL_CONSTANT, .order = 1, .value = 0.5},
                            around = {.fill = CN_FILL_NEAREST, .order = 1};
  CHECK({&cn_op_map_coordinates, &outside, -0.9, 1.9, 2, {D(2, 3, 2), D(2, 2, 9)}},
        {&cn_op_map_coordinates, &around, 0.1, 1.9, 2, {D(2, 3, 4), D(3, 2, 2, 4)}});
  static const int methods[] = {CN_RESIZE_NEAREST, CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC, CN_RESIZE_AREA,
                                CN_RESIZE_LANCZOS3};
  for (int i = 0; i < 10; i++) {
    const cn_resize_attrs a = {.size = {3, 9}, .method = methods[i % 5], .antialias = i > 5};
    const op_case c = {&cn_op_resize, &a, -1, 1, 1, {D(4, 2, 5, 4, 2)}};
    check_coarsely(&c, 1, 1e-5);
  }
}

static void test_matrices(void **state) {
  (void)state;
  static const cn_offset_attrs main_one = {0}, right = {1}, below = {-2};
  CHECK({&cn_op_diagonal, &main_one, -1, 1, 1, {D(3, 2, 3, 4)}}, {&cn_op_diagonal, &right, -1, 1, 1, {D(2, 5, 3)}},
        {&cn_op_diagonal, &below, -1, 1, 1, {D(2, 5, 3)}}, {&cn_op_diag, &below, -1, 1, 1, {D(2, 2, 3)}},
        {&cn_op_tril, &right, -1, 1, 1, {D(2, 4, 4)}}, {&cn_op_triu, &below, -1, 1, 1, {D(2, 4, 3)}});
  static const cn_triangle_attrs lower = {false}, upper = {true};
  static const cn_full_attrs thin = {false}, full = {true};
  static const cn_rcond_attrs rcond = {NAN};
  static const op_case definites[] = {
      {&cn_op_inverse, NULL, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_determinant, NULL, -1, 1, 1, {D(3, 2, 3, 3)}},
      {&cn_op_log_determinant, NULL, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_slogdet, NULL, -1, 1, 1, {D(3, 2, 3, 3)}},
      {&cn_op_solve, NULL, -1, 1, 2, {D(3, 2, 3, 3), D(3, 2, 3, 2)}},
      {&cn_op_solve, NULL, -1, 1, 2, {D(2, 3, 3), D(1, 3)}},
      {&cn_op_solve_triangular, &lower, -1, 1, 2, {D(2, 3, 3), D(2, 3, 2)}},
      {&cn_op_solve_triangular, &upper, -1, 1, 2, {D(3, 2, 3, 3), D(2, 2, 3)}},
      {&cn_op_cholesky, &lower, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_cholesky, &upper, -1, 1, 1, {D(3, 2, 3, 3)}},
      {&cn_op_cholesky_inverse, &lower, -1, 1, 1, {D(2, 3, 3)}},
      {&cn_op_cholesky_inverse, &upper, -1, 1, 1, {D(2, 3, 3)}},
      {&cn_op_lu, NULL, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_eigh, NULL, -1, 1, 1, {D(3, 2, 3, 3)}},
      {&cn_op_qr, &thin, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_svd, &full, -1, 1, 1, {D(3, 2, 3, 3)}}};
  for (size_t i = 0; i < sizeof definites / sizeof *definites; i++)
    check_as(&definites[i], (options){CORNU_FLOAT64, CN_MAX_OUT, true});
  CHECK({&cn_op_lu, NULL, -1, 1, 1, {D(3, 2, 3, 3)}}, {&cn_op_qr, &thin, -1, 1, 1, {D(3, 2, 4, 2)}},
        {&cn_op_qr, &thin, -1, 1, 1, {D(3, 2, 2, 4)}}, {&cn_op_qr, &full, -1, 1, 1, {D(2, 2, 4)}},
        {&cn_op_svd, &thin, -1, 1, 1, {D(3, 2, 4, 2)}}, {&cn_op_svd, &thin, -1, 1, 1, {D(3, 2, 2, 4)}},
        {&cn_op_singular_values, NULL, -1, 1, 1, {D(3, 2, 2, 4)}}, {&cn_op_pinv, &rcond, -1, 1, 1, {D(3, 2, 4, 2)}},
        {&cn_op_pinv, &rcond, -1, 1, 1, {D(2, 2, 3)}}, {&cn_op_lstsq, &rcond, -1, 1, 2, {D(2, 4, 2), D(2, 4, 2)}},
        {&cn_op_lstsq, &rcond, -1, 1, 2, {D(2, 2, 4), D(1, 2)}});
}

static void test_attention(void **state) {
  (void)state;
  static const cn_attention_attrs of[] = {{.scale = 0.7, .masked = -1e9},
                                          {.scale = 1.2, .masked = -1e9, .causal = true},
                                          {.scale = 0.5, .masked = -3, .lower = true},
                                          {.scale = 0.5, .masked = -2, .clear = true},
                                          {.scale = 0.5, .masked = -1e9, .window = 2},
                                          {.scale = 0.5, .masked = -40, .lower = true, .causal = true, .window = 3}};
  for (int i = 0; i < 6; i++) {
    CHECK_EACH(
        {&cn_op_attention, &of[i], -1, 1, 3, {D(4, 2, 4, 4, 3), D(4, 2, 5, 2, 3), D(4, 2, 5, 2, 2)}},
        {&cn_op_attention, &of[i], -1, 1, 4, {D(4, 2, 3, 2, 3), D(4, 2, 4, 2, 3), D(4, 2, 4, 2, 2), B(4, 2, 1, 3, 4)}},
        {&cn_op_attention, &of[i], -1, 1, 5,
         {D(4, 2, 3, 2, 3), D(4, 2, 4, 1, 3), D(4, 2, 4, 1, 2), ABSENT, D(3, 2, 1, 4)}});
  }
}

static void test_ctc(void **state) {
  (void)state;
  static const cn_ctc_attrs first = {0}, last = {-1};
  const cn_ctc_attrs *const of[] = {&first, &last};
  for (int i = 0; i < 2; i++) {
    const op_case c = {&cn_op_ctc_loss, of[i], -1, 1, 4, {I(2, 3, 3), D(3, 3, 7, 5), I(1, 3), I(1, 3)}};
    check_coarsely(&c, 1e-2f, 1e-3);
  }
}

/* In float32 the kernel's gradient goes through vectors and chunks of images. */
static void check_kernel_gradient(int64_t n, int64_t c) {
  const cn_kernel_gradient_attrs a = {.conv = {.spatial = 2, .stride = {2, 2}, .dilation = {1, 1}, .pad_begin = {1, 1}},
                                      .size = {3, 3}};
  const int64_t in = 77, out = 39, f = 70;
  value x = FLOATS(4, n, in, in, c), dy = FLOATS(4, n, out, out, f), got, *both[] = {&x, &dy};
  fill_value(&x, 1);
  fill_value(&dy, 2);
  got = op_result(&cn_op_kernel_gradient, &a, both, 2);
  expect_shape(&got, 4, SHAPE(3, 3, c, f));
  const float *xs = x.operand.data, *dys = dy.operand.data, *found = got.operand.data;
  for (int64_t i = 0; i < got.operand.size; i += 97) {
    const int64_t of = i % f, oc = i / f % c, kx = i / f / c % 3, ky = i / f / c / 3;
    double sum = 0, size = 0;
    for (int64_t p = 0; p < n * out * out; p++) {
      const int64_t y = p / out % out * 2 - 1 + ky, u = p % out * 2 - 1 + kx, b = p / out / out;
      if (y < 0 || y >= in || u < 0 || u >= in) continue;
      const double v = (double)xs[((b * in + y) * in + u) * c + oc] * dys[p * f + of];
      sum += v, size += fabs(v);
    }
    if (fabs(found[i] - sum) > 3e-6 * size) fail_msg("%d: %g, expected %g", (int)i, found[i], sum);
  }
  free_value(&x);
  free_value(&dy);
  free_value(&got);
}

static void test_kernel_gradient_floats(void **state) {
  (void)state;
  check_kernel_gradient(3, 33);
  check_kernel_gradient(9, 2); /* fewer channels than rows of the kernel */
}

/* Kernels of one place, with more channels than filters and the other way round; n: more than a chunk of images. */
static void test_pointwise_kernel_gradient(void **state) {
  (void)state;
  static const int64_t cases[][4] = {{70, 12, 33, 900}, {12, 70, 33, 900}, {70, 65, 2, 30}, {300, 7, 40, 1100}};
  for (int k = 0; k < CN_COUNT(cases); k++) {
    const int64_t c = cases[k][0], f = cases[k][1], n = cases[k][2], pixels = cases[k][3];
    const cn_kernel_gradient_attrs a = {.conv = {.spatial = 1, .stride = {1}, .dilation = {1}}, .size = {1}};
    value x = FLOATS(3, n, pixels, c), dy = FLOATS(3, n, pixels, f), got, *both[] = {&x, &dy};
    fill_value(&x, 1);
    fill_value(&dy, 2);
    got = op_result(&cn_op_kernel_gradient, &a, both, 2);
    expect_shape(&got, 3, SHAPE(1, c, f));
    for (int64_t i = 0; i < c * f; i += 37) {
      double sum = 0, size = 0;
      for (int64_t p = 0; p < n * pixels; p++) {
        const double v = (double)((float *)x.operand.data)[p * c + i / f] * ((float *)dy.operand.data)[p * f + i % f];
        sum += v, size += fabs(v);
      }
      const double found = ((float *)got.operand.data)[i];
      if (fabs(found - sum) > 3e-6 * size) fail_msg("%d, %d: %g, expected %g", k, (int)i, found, sum);
    }
    free_value(&x);
    free_value(&dy);
    free_value(&got);
  }
}

static void test_norms(void **state) {
  (void)state;
  static const cn_batch_norm_attrs last = {.axis = -1, .epsilon = 1e-3}, first = {.axis = 1, .epsilon = 1e-2};
  CHECK({&cn_op_batch_norm, &last, 0.3, 2, 5, {D(3, 2, 3, 4), D(1, 4), D(1, 4), D(1, 4), D(1, 4)}},
        {&cn_op_batch_norm, &first, 0.3, 2, 5, {D(3, 2, 4, 3), D(1, 4), D(1, 4), ABSENT, D(1, 4)}},
        {&cn_op_batch_norm, &last, 0.3, 2, 3, {D(2, 3, 4), D(1, 4), D(1, 4)}},
        {&cn_op_batch_norm_train, &last, 0.3, 2, 3, {D(3, 2, 3, 4), D(1, 4), D(1, 4)}},
        {&cn_op_batch_norm_train, &last, 0.3, 2, 1, {D(2, 5, 3)}});
  for (int kind = CN_NORM_STANDARD; kind <= CN_NORM_RMS; kind++) {
    const cn_layer_norm_attrs rows = {.axes = {.n = 1, .v = {-1}}, .epsilon = 1e-3, .kind = kind},
                              planes = {.axes = {.n = 2, .v = {1, 2}}, .epsilon = 1e-3, .kind = kind};
    check(&(op_case){&cn_op_layer_norm, &rows, -1, 1, 3, {D(2, 3, 4), D(1, 4), D(1, 4)}});
    check(&(op_case){&cn_op_layer_norm, &planes, -1, 1, 2, {D(4, 2, 3, 2, 2), D(2, 3, 2)}});
  }
}

typedef struct rnn_case {
  cn_act act, recurrent;
  bool sequences, backwards, zeros, bias, mask, states;
} rnn_case;

static void check_rnn(const cn_op *op, int gates, bool reset_after, const rnn_case *r, const int64_t *sizes) {
  const int64_t rows = sizes[0], time = sizes[1], in = sizes[2], units = sizes[3], gu = gates * units;
  const cn_rnn_attrs a = {.sequences = r->sequences, .go_backwards = r->backwards, .reset_after = reset_after,
                          .zero_masked = r->zeros, .keeps = true, .act = r->act, .recurrent_act = r->recurrent};
  const cn_type state = D(2, rows, units);
  const int n_in = op == &cn_op_lstm ? 7 : 6;
  op_case c = {op, &a, -1, 1, n_in,
               {D(3, rows, time, in), D(2, in, gu), D(2, units, gu), ABSENT, ABSENT, ABSENT, ABSENT}};
  if (r->bias && reset_after) c.in[3] = (cn_type)D(2, 2, gu);
  else if (r->bias) c.in[3] = (cn_type)D(1, gu);
  if (r->mask) c.in[4] = (cn_type)B(2, rows, time);
  for (int i = 5; i < n_in && r->states; i++) c.in[i] = state;
  if (units < 8) {
    check_results(&c, n_in - 4);
    return;
  }
  c.low = -0.15, c.high = 0.15; /* no chaos */
  check_floats(&c, n_in - 4);
}

static void test_rnns(void **state) {
  (void)state;
  static const rnn_case of[] = {
      {{CN_ACT_TANH, 0, 0, 0}, {CN_ACT_SIGMOID, 0, 0, 0}, .sequences = true, .bias = true, .states = true},
      {{CN_ACT_TANH, 0, 0, 0}, {CN_ACT_SIGMOID, 0, 0, 0}, .backwards = true, .mask = true, .states = true},
      {{CN_ACT_SILU, 0, 0, 0}, {CN_ACT_HARD_SIGMOID, 0.2, 0.5, 0}, .sequences = true, .backwards = true, .zeros = true,
       .bias = true, .mask = true},
      {{CN_ACT_SOFTSIGN, 0, 0, 0}, {CN_ACT_GELU, 0, 0, 0}, .bias = true, .mask = true}};
  static const int64_t sizes[][4] = {{3, 4, 2, 5}, {13, 70, 7, 37}, {40, 14, 19, 32}, {1, 5, 3, 16}, {2, 520, 3, 9}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
      check_rnn(&cn_op_simple_rnn, 1, false, &of[i], sizes[k]);
      check_rnn(&cn_op_lstm, 4, false, &of[i], sizes[k]);
      check_rnn(&cn_op_gru, 3, false, &of[i], sizes[k]);
      check_rnn(&cn_op_gru, 3, true, &of[i], sizes[k]);
    }
}

/* f = sum((x w + x)² over uses of x): gradients of a value used several times add up. */
static void test_uses_add_up(void **state) {
  (void)state;
  cn_error e = {0};
  cn_graph *g;
  cn_trace t;
  const cn_type type = {CORNU_FLOAT64, 1, {3}};
  cn_edge x, grad, other, unused;
  assert_int_equal(cn_graph_new(&g, &e), 0);
  cn_trace_begin(&t, g, &e);
  t.differentiable = true;
  assert_int_equal(cn_graph_add_input(g, &type, &x, &e), 0);
  assert_int_equal(cn_graph_add_input(g, &type, &unused, &e), 0);
  const cn_reduce_attrs all = {.axes = {.n = -1}};
  cn_edge sum = cn_emit2(&t, &cn_op_add, NULL, cn_emit2(&t, &cn_op_mul, NULL, x, x), x);
  cn_edge y = cn_emit1(&t, &cn_op_square, NULL, sum);
  cn_edge loss = cn_emit1(&t, &cn_op_sum, &all, y), to[] = {x, unused}, grads[2];
  assert_int_equal(cn_trace_gradients(&t, loss, to, 2, grads), 0);
  grad = grads[0], other = grads[1];
  cn_graph_add_output(g, grad, &e);
  cn_graph_add_output(g, other, &e);
  assert_int_equal(cn_trace_end(&t), 0);
  cn_plan *plan;
  assert_int_equal(cn_plan_compile(g, &plan, &e), 0);
  const double at[3] = {0.5, -1, 2};
  double found[3], none[3];
  assert_int_equal(cn_plan_run(plan, (const void *[]){at, at}, (void *[]){found, none}, &e), 0);
  for (int i = 0; i < 3; i++) {
    assert_float_equal(found[i], 2 * (at[i] * at[i] + at[i]) * (2 * at[i] + 1), 1e-12);
    assert_float_equal(none[i], 0, 0);
  }
  cn_plan_free(plan);
}

/* Parts of a value: steps that make it up, some of them, and parts that overlap or lie along other axes. */
static void test_parts_of_values(void **state) {
  (void)state;
  static const struct { int n, axis[4]; int64_t begin[4], end[4]; } of[] = {
      {3, {1, 1, 1}, {2, 0, 1}, {3, 1, 2}}, {2, {1, 1}, {3, 1}, {4, 2}}, {2, {0, 0}, {0, 1}, {2, 3}},
      {2, {0, 1}, {0, 1}, {1, 3}},
      {1, {1}, {1}, {3}}};
  for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
    cn_error e = {0};
    cn_graph *g;
    cn_trace t;
    const cn_type type = {CORNU_FLOAT64, 2, {3, 5}};
    const cn_reduce_attrs all = {.axes = {.n = -1}};
    cn_edge x, loss = CN_NO_EDGE, grad;
    double want[15] = {0}, at[15], found[15];
    assert_int_equal(cn_graph_new(&g, &e), 0);
    cn_trace_begin(&t, g, &e);
    assert_int_equal(cn_graph_add_input(g, &type, &x, &e), 0);
    for (int i = 0; i < of[k].n; i++) { /* the sum of (i + 2) * squares of a part */
      const cn_slice_attrs cut = {.axes = {1, {of[k].axis[i]}}, .begin = {1, {of[k].begin[i]}},
                                  .end = {1, {of[k].end[i]}}, .step = {1, {1}}};
      const cn_edge part = cn_emit1(&t, &cn_op_square, NULL, cn_emit1(&t, &cn_op_slice, &cut, x));
      const cn_edge sum = cn_emit2(&t, &cn_op_mul, NULL, cn_emit1(&t, &cn_op_sum, &all, part),
                                   cn_emit_scalar(&t, CORNU_FLOAT64, i + 2));
      loss = i ? cn_emit2(&t, &cn_op_add, NULL, loss, sum) : sum;
      for (int j = 0; j < 15; j++) {
        const int64_t place = of[k].axis[i] ? j % 5 : j / 5;
        if (place >= of[k].begin[i] && place < of[k].end[i]) want[j] += 2 * (i + 2) * (j + 1);
      }
    }
    for (int j = 0; j < 15; j++) at[j] = j + 1;
    assert_int_equal(cn_trace_gradients(&t, loss, &x, 1, &grad), 0);
    cn_graph_add_output(g, grad, &e);
    assert_int_equal(cn_trace_end(&t), 0);
    cn_plan *plan;
    assert_int_equal(cn_plan_compile(g, &plan, &e), 0);
    assert_int_equal(cn_plan_run(plan, (const void *[]){at}, (void *[]){found}, &e), 0);
    for (int j = 0; j < 15; j++) assert_float_equal(found[j], want[j], 1e-12);
    cn_plan_free(plan);
  }
}

static void test_refusals(void **state) {
  (void)state;
  cn_error e = {0};
  cn_graph *g;
  cn_trace t;
  const cn_type type = {CORNU_FLOAT64, 1, {3}};
  cn_edge x, grad;
  assert_int_equal(cn_graph_new(&g, &e), 0);
  cn_trace_begin(&t, g, &e);
  t.label = "odd";
  assert_int_equal(cn_graph_add_input(g, &type, &x, &e), 0);
  const cn_reduce_attrs all = {.axes = {.n = -1}};
  cn_edge loss = cn_emit1(&t, &cn_op_sum, &all, cn_emit2(&t, &cn_op_nextafter, NULL, x, x));
  assert_int_not_equal(cn_trace_gradients(&t, loss, &x, 1, &grad), 0);
  const bool told = strstr(e.message, "odd") && strstr(e.message, "nextafter") && strstr(e.message, "no gradient");
  if (!told) fail_msg("%s", e.message);
  cn_trace_end(&t);
  cn_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unary), cmocka_unit_test(test_binary), cmocka_unit_test(test_acts),
      cmocka_unit_test(test_reductions), cmocka_unit_test(test_shapes), cmocka_unit_test(test_products),
      cmocka_unit_test(test_convolutions), cmocka_unit_test(test_pools), cmocka_unit_test(test_places),
      cmocka_unit_test(test_signals), cmocka_unit_test(test_images), cmocka_unit_test(test_matrices),
      cmocka_unit_test(test_attention), cmocka_unit_test(test_ctc),
      cmocka_unit_test(test_kernel_gradient_floats), cmocka_unit_test(test_pointwise_kernel_gradient),
      cmocka_unit_test(test_norms), cmocka_unit_test(test_rnns),
      cmocka_unit_test(test_uses_add_up), cmocka_unit_test(test_parts_of_values), cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
