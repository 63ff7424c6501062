/* Recurrent layers against plain loops in double: single steps of the kernels of every instruction set, and whole
 * sequences with masks, initial states and both directions. */
#include "op_run.h"

enum { SIMPLE, LSTM, GRU_BEFORE, GRU_AFTER, KINDS };
static const int gates_of[KINDS] = {1, 4, 3, 3};
static const cn_act tanh_act = {.kind = CN_ACT_TANH}, sigmoid = {.kind = CN_ACT_SIGMOID},
                    relu6 = {.kind = CN_ACT_RELU, .b = 6},
                    hard = {.kind = CN_ACT_HARD_SIGMOID, .a = 0.2, .b = 0.5}, softsign = {.kind = CN_ACT_SOFTSIGN};
typedef struct acts { const cn_act *act, *recurrent; } acts;
static const acts act_pairs[] = {{&tanh_act, &sigmoid}, {&relu6, &hard}, {&softsign, &sigmoid}};

/* The sum over k of h[k] * r[k][gate * u + j]. */
static double dot(const double *h, const float *r, int u, int g, int gate, int j) {
  double sum = 0;
  for (int k = 0; k < u; k++) sum += h[k] * r[k * g * u + gate * u + j];
  return sum;
}

/* One step of one row: x is what the inputs give (g * u), bias that of the products or NULL; h and c are replaced. */
static void reference(int kind, acts f, int u, const double *x, const float *r, const float *bias, double *h,
                      double *c) {
  int g = gates_of[kind];
  double next[80], reset[80], z[80];
  for (int j = 0; j < u; j++) {
    double v[4] = {0}, p[4];
    for (int i = 0; i < g; i++) {
      p[i] = i == 2 && kind == GRU_BEFORE ? 0 : dot(h, r, u, g, i, j) + (bias ? bias[i * u + j] : 0);
      v[i] = x[i * u + j] + p[i];
    }
    for (int i = 0; i < g && g > 1; i++)
      if (i != 2) v[i] = cn_act_double(f.recurrent, v[i]);
    if (kind == SIMPLE) next[j] = cn_act_double(f.act, v[0]);
    if (kind == LSTM) {
      c[j] = v[1] * c[j] + v[0] * cn_act_double(f.act, v[2]);
      next[j] = v[3] * cn_act_double(f.act, c[j]);
    }
    z[j] = v[0];
    reset[j] = kind == GRU_BEFORE ? v[1] * h[j] : 0;
    if (kind == GRU_AFTER) next[j] = cn_act_double(f.act, x[2 * u + j] + v[1] * p[2]);
  }
  for (int j = 0; j < u && g == 3; j++) {
    if (kind == GRU_BEFORE) next[j] = cn_act_double(f.act, x[2 * u + j] + dot(reset, r, u, g, 2, j));
    next[j] = z[j] * h[j] + (1 - z[j]) * next[j];
  }
  memcpy(h, next, (size_t)u * sizeof *h);
}

static float *random_floats(int n, uint32_t seed) {
  value v = FLOATS(1, n);
  fill_value(&v, seed);
  return v.operand.data;
}

static void near(double expected, float got, const char *what, int kind, int u, int at) {
  if (!(fabs(expected - got) <= 4e-6))
    fail_msg("%s kind %d, %d units: %d is %.8g, expected %.8g", what, kind, u, at, got, expected);
}

/* ---- kernels ---- */

static void check_kernel(const cn_rnn_kernels *k, int kind, acts f, int u, int rows, bool alone) {
  static const cn_rnn_kind kinds[] = {CN_RNN_SIMPLE, CN_RNN_LSTM, CN_RNN_GRU_GATES, CN_RNN_GRU};
  int g = gates_of[kind], first = kind == GRU_BEFORE ? 2 : g, pitch = (u + k->lanes - 1) / k->lanes * k->lanes;
  int blocks = (u + k->block - 1) / k->block, room = rows * pitch;
  float *r = random_floats(u * g * u, 1), *x = random_floats(rows * g * u, 2), *bias = random_floats(g * u, 3);
  float *h = random_floats(room, 4), *c = random_floats(room, 5), *out[4], *packed[2];
  for (int i = 0; i < 4; i++) out[i] = random_floats(room, 6);
  for (int i = 0; i < 2; i++) packed[i] = random_floats(u * g * pitch, 7);
  k->pack(packed[0], r, g * u, first, u);
  cn_rnn_call call = {.kind = kinds[kind], .act = f.act, .recurrent_act = f.recurrent, .alone = alone, .units = u,
                      .pitch = pitch, .weights = packed[0], .bias = kind == GRU_AFTER ? bias : NULL, .x = x,
                      .x_pitch = g * u, .a = h, .h = h, .c = c, .h_next = out[0], .c_next = out[1], .z = out[2],
                      .reset = out[3]};
  k->run(&call, 0, rows, 0, blocks);
  if (kind == GRU_BEFORE) {
    k->pack(packed[1], r + 2 * u, g * u, 1, u);
    call.kind = CN_RNN_GRU_MIX;
    call.weights = packed[1];
    call.a = out[3];
    k->run(&call, 0, rows, 0, blocks);
  }
  for (int i = 0; i < rows; i++) {
    double xs[4 * 80], hs[80], cs[80];
    for (int j = 0; j < g * u; j++) xs[j] = x[i * g * u + j];
    for (int j = 0; j < u; j++) hs[j] = h[i * pitch + j], cs[j] = c[i * pitch + j];
    reference(kind, f, u, xs, r, call.bias, hs, cs);
    for (int j = 0; j < u; j++) {
      near(hs[j], out[0][i * pitch + j], "h", kind, u, j);
      if (kind == LSTM) near(cs[j], out[1][i * pitch + j], "c", kind, u, j);
    }
  }
  float *all[] = {r, x, bias, h, c, out[0], out[1], out[2], out[3], packed[0], packed[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void kernels(void **state) {
  static const cn_rnn_kernels *const tables[] = CN_KERNELS_OF(cn_rnn_math);
  static const int units[] = {1, 5, 8, 16, 17, 33, 48, 64, 79};
  (void)state;
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (int kind = 0; kind < KINDS; kind++)
      for (int i = 0; i < 9; i++)
        for (int rows = 1; rows <= tables[isa]->rows; rows++)
          for (int f = 0; f < 3; f++)
            for (int alone = 0; alone <= (rows == 1); alone++)
              check_kernel(tables[isa], kind, act_pairs[f], units[i], rows, alone);
}

/* ---- sequences ---- */

typedef struct sequence {
  int kind, b, t, in, u, f;
  bool sequences, backwards, masked, zero_masked, started, constant, doubles;
} sequence;
enum { X, KERNEL, RECURRENT, BIAS, MASK, H0, C0 };

static double number(const value *v, int64_t i) {
  return v->type.dtype == CORNU_FLOAT64 ? ((double *)v->operand.data)[i] : (double)((float *)v->operand.data)[i];
}

/* The inputs in single precision, and in the precision of the case: the same numbers. */
static value input(const sequence *q, int rank, const int64_t *shape, uint32_t seed, float **floats) {
  value v = make_value(q->doubles ? CORNU_FLOAT64 : CORNU_FLOAT32, rank, shape);
  *floats = random_floats((int)v.operand.size, seed);
  for (int64_t i = 0; i < v.operand.size; i++) {
    if (q->doubles) ((double *)v.operand.data)[i] = (*floats)[i];
    else ((float *)v.operand.data)[i] = (*floats)[i];
  }
  return v;
}

static void expect_row(const sequence *q, int row, float *const *p, const uint8_t *mask, const value *out) {
  int g = gates_of[q->kind], u = q->u;
  double h[80] = {0}, c[80] = {0}, y[80] = {0}, x[4 * 80];
  for (int j = 0; j < u && q->started; j++) h[j] = p[H0][row * u + j], c[j] = q->kind == LSTM ? p[C0][row * u + j] : 0;
  for (int place = 0; place < q->t; place++) {
    int time = q->backwards ? q->t - 1 - place : place;
    for (int j = 0; j < g * u; j++) {
      x[j] = p[BIAS][j];
      for (int i = 0; i < q->in; i++) x[j] += (double)p[X][(row * q->t + time) * q->in + i] * p[KERNEL][i * g * u + j];
    }
    bool real = !q->masked || mask[row * q->t + time];
    if (real) {
      reference(q->kind, act_pairs[q->f], u, x, p[RECURRENT], q->kind == GRU_AFTER ? p[BIAS] + g * u : NULL, h, c);
      memcpy(y, h, sizeof y);
    } else if (q->zero_masked) {
      memset(y, 0, sizeof y);
    }
    if (!q->sequences && place < q->t - 1) continue;
    for (int j = 0; j < u; j++)
      near(y[j], (float)number(out, (q->sequences ? row * q->t + place : row) * u + j), "sequence", q->kind, u, j);
  }
}

static void check_sequence(const sequence *q) {
  const cn_op *const ops[KINDS] = {&cn_op_simple_rnn, &cn_op_lstm, &cn_op_gru, &cn_op_gru};
  cn_rnn_attrs a = {.sequences = q->sequences, .go_backwards = q->backwards, .reset_after = q->kind == GRU_AFTER,
                    .zero_masked = q->zero_masked, .act = *act_pairs[q->f].act,
                    .recurrent_act = *act_pairs[q->f].recurrent};
  int64_t gu = gates_of[q->kind] * q->u;
  float *p[7];
  value v[7] = {input(q, 3, SHAPE(q->b, q->t, q->in), 1, &p[X]), input(q, 2, SHAPE(q->in, gu), 2, &p[KERNEL]),
                input(q, 2, SHAPE(q->u, gu), 3, &p[RECURRENT]),
                q->kind == GRU_AFTER ? input(q, 2, SHAPE(2, gu), 4, &p[BIAS]) : input(q, 1, SHAPE(gu), 4, &p[BIAS]),
                make_value(CORNU_BOOL8, 2, SHAPE(q->b, q->t)), input(q, 2, SHAPE(q->b, q->u), 5, &p[H0]),
                input(q, 2, SHAPE(q->b, q->u), 6, &p[C0])};
  p[MASK] = NULL;
  uint8_t *mask = v[MASK].operand.data;
  for (int i = 0; i < q->b * q->t; i++) mask[i] = i * 7 % 5 > 1;
  for (int i = 0; i < q->u * gu && q->t > 5; i++) /* long sequences of large numbers tell nothing */
    p[RECURRENT][i] = ((float *)v[RECURRENT].operand.data)[i] /= 16;
  v[RECURRENT].operand.constant = q->constant;
  value *in[] = {&v[X], &v[KERNEL], &v[RECURRENT], &v[BIAS], q->masked ? &v[MASK] : NULL, q->started ? &v[H0] : NULL,
                 q->started ? &v[C0] : NULL};
  value out = op_result(ops[q->kind], &a, in, q->kind == LSTM ? 7 : 6);
  for (int i = 0; i < q->b; i++) expect_row(q, i, p, mask, &out);
  for (int i = 0; i < 7; i++) free(p[i]), free_value(&v[i]);
  free_value(&out);
}

static void sequences(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++)
    for (int i = 0; i < 24; i++) {
      static const int units[] = {1, 7, 16, 19, 40, 64}, batches[] = {1, 2, 5, 8};
      sequence q = {.kind = kind, .b = batches[i % 4], .t = 1 + i % 5, .in = 1 + i % 3 * 4, .u = units[i % 6],
                    .f = i % 3, .sequences = i & 1, .backwards = i & 2, .masked = i % 3 == 1, .zero_masked = i & 4,
                    .started = i & 8,
                    .constant = i % 5 < 3, .doubles = i % 7 == 6};
      check_sequence(&q);
    }
  for (int kind = 0; kind < KINDS; kind++) { /* enough to share out rows, and to project some steps after others */
    sequence q = {.kind = kind, .b = 11, .t = 40, .in = 5, .u = 65, .sequences = true,
                  .backwards = kind == LSTM, .masked = true, .started = true, .constant = true};
    check_sequence(&q);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kernels), cmocka_unit_test(sequences)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
