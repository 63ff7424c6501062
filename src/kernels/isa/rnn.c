/* Steps of recurrent layers: the state times the recurrent kernel, and the gates on these sums while they are in the
 * first-level cache. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

#if CN_REGISTERS == 32
#define NV 2    /* vectors of units in a block: 4 gates of one row make 8 accumulators, which hide the latency */
#define ROWS 8  /* most rows at once: they share the loads of weights */
#define SUMS 24 /* accumulators, of 32 registers */
#else
#define NV 1
#define ROWS 6
#define SUMS 12 /* of 16 */
#endif
#define BLOCK (NV * CN_LANES)

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct rows {
  const float *a[ROWS], *w;
  int64_t k, width, step; /* units of the block; from the weights of one k to the next */
  float *sums;
} rows;

/* sums[row][gate][unit] of nv vectors of the units of a block; ku interleaved sums hide the latency of few
 * accumulators. The integers are constants. */
V_FN void accumulate(int n, int gates, int nv, int ku, const rows *t) {
  const int sums = n * gates * nv;
  vf acc[SUMS], part[SUMS];
  const float *w = t->w, *a[ROWS];
  const int64_t width = nv == NV ? BLOCK : t->width;
  int64_t k = 0;
  UNROLL for (int r = 0; r < n; r++) a[r] = t->a[r];
  UNROLL for (int i = 0; i < sums; i++) acc[i] = v_zero();
  UNROLL for (int i = 0; i < (ku - 1) * sums; i++) part[i] = v_zero();
#define ONE(to, at)                                                                                     \
  do {                                                                                                  \
    vf x[ROWS];                                                                                         \
    UNROLL for (int r = 0; r < n; r++) x[r] = v_set(a[r][at]);                                          \
    UNROLL for (int g = 0; g < gates * nv; g++) {                                                       \
      vf y = v_load(w + g / nv * width + g % nv * CN_LANES);                                            \
      UNROLL for (int r = 0; r < n; r++) (to)[r * gates * nv + g] = v_fma(x[r], y, (to)[r * gates * nv + g]); \
    }                                                                                                   \
    w += t->step;                                                                                       \
  } while (0)
  for (; ku > 1 && k + ku <= t->k; k += ku) {
    ONE(acc, k);
    UNROLL for (int u = 1; u < ku; u++) ONE(part + (u - 1) * sums, k + u);
  }
  for (; k < t->k; k++) ONE(acc, k);
#undef ONE
  UNROLL for (int i = 0; i < (ku - 1) * sums; i++) acc[i % sums] += part[i];
  UNROLL for (int i = 0; i < sums; i++) v_store(t->sums + i * CN_LANES, acc[i]);
}

typedef void sum_function(const rows *t);

/* The only row of a batch: one vector of units, or all of a block. */
#define KU(sums) ((sums) >= 8 ? 1 : (sums) >= 3 ? 2 : 4)
#define DEFINE_ONE(gates)                                                                    \
  static void one_##gates(const rows *t) { accumulate(1, gates, 1, KU(gates), t); }          \
  static void wide_##gates(const rows *t) { accumulate(1, gates, NV, KU((gates) * NV), t); }
DEFINE_ONE(1) DEFINE_ONE(2) DEFINE_ONE(3) DEFINE_ONE(4)
static sum_function *const sum_alone[2][4] = {{one_1, one_2, one_3, one_4}, {wide_1, wide_2, wide_3, wide_4}};

/* Rows of several: what is summed in which order depends on the gates alone, so that any rows may go together. */
#define DEFINE(n, gates) \
  static void sum_##n##_##gates(const rows *t) { accumulate(n, gates, 1, (gates) == 1 ? 2 : 1, t); }
#define ENTRY(n, gates) [n - 1] = sum_##n##_##gates,
#define ROWS_3(X, gates) X(1, gates) X(2, gates) X(3, gates)
#define ROWS_4(X, gates) ROWS_3(X, gates) X(4, gates)
#define ROWS_6(X, gates) ROWS_4(X, gates) X(5, gates) X(6, gates)
#define ROWS_8(X, gates) ROWS_6(X, gates) X(7, gates) X(8, gates)
#if ROWS == 8
#define EACH_ROWS(X) X(ROWS_8, 1) X(ROWS_8, 2) X(ROWS_8, 3) X(ROWS_6, 4)
#else
#define EACH_ROWS(X) X(ROWS_6, 1) X(ROWS_6, 2) X(ROWS_4, 3) X(ROWS_3, 4)
#endif
#define DEFINE_ROWS(rows, gates) rows(DEFINE, gates)
#define ENTRY_ROWS(rows, gates) [gates - 1] = {rows(ENTRY, gates)},
EACH_ROWS(DEFINE_ROWS)
static sum_function *const sum_of[4][ROWS] = {EACH_ROWS(ENTRY_ROWS)};
/* One gate of several, in the order of sums of several. */
#define DEFINE_LAST(n, gates) \
  static void last_##n(const rows *t) { accumulate(n, gates, 1, 1, t); }
#define ENTRY_LAST(n, gates) [n - 1] = last_##n,
#if ROWS * 3 > SUMS
ROWS_6(DEFINE_LAST, 1)
static sum_function *const sum_last[ROWS] = {ROWS_6(ENTRY_LAST, 1)};
#else /* three gates always fit, and four are twice two */
static sum_function *const sum_last[ROWS];
#endif

/* Where not all gates of the rows fit into registers, two gates after two. */
static void sum_rows(rows t, int n, int gates) {
  float *const sums = t.sums;
  if (n * gates <= SUMS) {
    sum_of[gates - 1][n - 1](&t);
    return;
  }
  _Alignas(64) float some[ROWS * 2 * CN_LANES];
  t.sums = some;
  for (int done = 0, count; done < gates; done += count, t.w += count * t.width) {
    count = gates - done < 2 ? 1 : 2;
    (count == 1 ? sum_last : sum_of[1])[n - 1](&t);
    for (int i = 0; i < n * count; i++)
      v_store(sums + (i / count * gates + done + i % count) * CN_LANES, v_load(some + i * CN_LANES));
  }
}

/* ---- Gates ---- */

static __attribute__((noinline)) vf any_act(const cn_act *act, vf x) {
  if (act->kind == CN_ACT_HARD_SIGMOID) { /* of older models */
    const vact p = v_act_parameters(act);
    return v_act_one(CN_ACT_HARD_SIGMOID, x, &p);
  }
  float y[CN_LANES];
  v_store(y, x);
  CN_ISA_NAME(cn_act_math_table).apply(act, y, y, CN_LANES);
  return v_load(y);
}

/* With `usual` (a constant) the activations are tanh, and sigmoid for the recurrent one. */
#define ACT(x) (usual ? v_tanh(x) : any_act(s->act, x))
#define RECURRENT_ACT(x) (usual ? v_sigmoid(x) : any_act(s->recurrent_act, x))

/* One vector of units of one row: `at` is its place among the units, left how many of them there are. */
typedef struct cell { const float *x, *sums; int64_t row, at, step; int left; } cell;

V_FN vf sum_of_gate(const cn_rnn_call *s, const cell *o, int gate) {
  vf sum = v_load(o->sums + gate * o->step);
  if (s->bias) sum += v_load_n(s->bias + gate * s->units + o->at, o->left);
  return sum;
}
V_FN vf input_of_gate(const cn_rnn_call *s, const cell *o, int gate) { return v_load(o->x + gate * s->units + o->at); }

/* What gradients need of a gate is kept. */
V_FN void keep(const cn_rnn_call *s, const cell *o, int gate, vf v) {
  if (s->kept) v_store_n(s->kept + o->row * s->kept_pitch + gate * s->units + o->at, v, o->left);
}
V_FN vf bend(bool usual, const cn_rnn_call *s, const cell *o, int gate, vf x) {
  const vf y = ACT(x);
  keep(s, o, gate, usual || cn_act_by_result(s->act) ? y : x);
  return y;
}
V_FN vf squash(bool usual, const cn_rnn_call *s, const cell *o, int gate, vf x) {
  const vf y = RECURRENT_ACT(x);
  keep(s, o, gate, usual || cn_act_by_result(s->recurrent_act) ? y : x);
  return y;
}

V_FN void gates_of(cn_rnn_kind kind, bool usual, const cn_rnn_call *s, const cell *o) {
  const int64_t at = o->row * s->pitch + o->at;
  if (kind == CN_RNN_SIMPLE) {
    vf y = sum_of_gate(s, o, 0) + input_of_gate(s, o, 0);
    v_store(s->h_next + at, bend(usual, s, o, 0, y));
  } else if (kind == CN_RNN_LSTM) {
    vf i = squash(usual, s, o, 0, sum_of_gate(s, o, 0) + input_of_gate(s, o, 0));
    vf f = squash(usual, s, o, 1, sum_of_gate(s, o, 1) + input_of_gate(s, o, 1));
    vf g = bend(usual, s, o, 2, sum_of_gate(s, o, 2) + input_of_gate(s, o, 2));
    vf out = squash(usual, s, o, 3, sum_of_gate(s, o, 3) + input_of_gate(s, o, 3));
    vf c = v_fma(f, v_load(s->c + at), i * g);
    v_store(s->c_next + at, c);
    v_store(s->h_next + at, out * ACT(c));
  } else if (kind == CN_RNN_GRU_GATES) {
    vf z = squash(usual, s, o, 0, sum_of_gate(s, o, 0) + input_of_gate(s, o, 0));
    vf r = squash(usual, s, o, 1, sum_of_gate(s, o, 1) + input_of_gate(s, o, 1));
    v_store(s->z + at, z);
    v_store(s->reset + at, r * v_load(s->h + at));
  } else {
    vf z, y;
    if (kind == CN_RNN_GRU) {
      z = squash(usual, s, o, 0, sum_of_gate(s, o, 0) + input_of_gate(s, o, 0));
      vf r = squash(usual, s, o, 1, sum_of_gate(s, o, 1) + input_of_gate(s, o, 1)), sum = sum_of_gate(s, o, 2);
      y = v_fma(r, sum, input_of_gate(s, o, 2));
      keep(s, o, 3, sum);
    } else {
      z = v_load(s->z + at);
      y = sum_of_gate(s, o, 0) + input_of_gate(s, o, 2);
    }
    v_store(s->h_next + at, v_fma(z, v_load(s->h + at), (v_set(1) - z) * bend(usual, s, o, 2, y)));
  }
}

#define GATES(name, kind)                                                                                 \
  static void plain_##name(const cn_rnn_call *s, const cell *o) { gates_of(kind, false, s, o); }          \
  static void usual_##name(const cn_rnn_call *s, const cell *o) { gates_of(kind, true, s, o); }
GATES(simple, CN_RNN_SIMPLE)
GATES(lstm, CN_RNN_LSTM)
GATES(gru, CN_RNN_GRU)
GATES(gru_gates, CN_RNN_GRU_GATES)
GATES(gru_mix, CN_RNN_GRU_MIX)

typedef struct gates { int count; void (*cell[2])(const cn_rnn_call *s, const cell *o); } gates;
static const gates gates_table[] = {
  [CN_RNN_SIMPLE] = {1, {plain_simple, usual_simple}}, [CN_RNN_LSTM] = {4, {plain_lstm, usual_lstm}},
  [CN_RNN_GRU] = {3, {plain_gru, usual_gru}}, [CN_RNN_GRU_GATES] = {2, {plain_gru_gates, usual_gru_gates}},
  [CN_RNN_GRU_MIX] = {1, {plain_gru_mix, usual_gru_mix}},
};

/* ---- The table ---- */

/* The gates of nv vectors of units from `at` on, their sums being there. */
static void finish(const cn_rnn_call *s, const gates *g, int64_t row, int n, int64_t at, int nv, const float *sums) {
  const bool usual = s->act->kind == CN_ACT_TANH &&
                     (s->kind == CN_RNN_SIMPLE || s->recurrent_act->kind == CN_ACT_SIGMOID);
  for (int r = 0; r < n; r++)
    for (int v = 0; v < nv; v++) {
      const int64_t unit = at + v * CN_LANES, left = s->units - unit;
      const cell o = {.x = s->x + (row + r) * s->x_pitch, .sums = sums + (r * g->count * nv + v) * CN_LANES,
                      .row = row + r, .at = unit, .step = nv * CN_LANES,
                      .left = left < CN_LANES ? (int)left : CN_LANES};
      g->cell[usual](s, &o);
    }
}

static void run(const cn_rnn_call *s, int64_t row, int n, int64_t block0, int64_t block1) {
  const gates *g = &gates_table[s->kind];
  _Alignas(64) float sums[ROWS * 4 * BLOCK];
  rows t = {.k = s->units, .sums = sums};
  for (int r = 0; r < n; r++) t.a[r] = s->a + (row + r) * s->pitch;
  for (int64_t b = block0; b < block1; b++) {
    const int64_t at = b * BLOCK;
    const int nv = s->units - at > (NV - 1) * CN_LANES ? NV : 1;
    t.w = s->weights + at * g->count * s->units;
    t.width = nv * CN_LANES;
    t.step = g->count * t.width;
    if (s->alone) {
      sum_alone[nv == NV][g->count - 1](&t);
      finish(s, g, row, 1, at, nv, sums);
      continue;
    }
    for (int v = 0; v < nv; v++, t.w += CN_LANES) {
      sum_rows(t, n, g->count);
      finish(s, g, row, n, at + v * CN_LANES, 1, sums);
    }
  }
}

static void pack(float *to, const float *from, int64_t row, int gate_count, int64_t units) {
  for (int64_t at = 0; at < units; at += BLOCK) {
    const int64_t left = units - at;
    const int width = left > (NV - 1) * CN_LANES ? BLOCK : CN_LANES;
    for (int64_t k = 0; k < units; k++)
      for (int g = 0; g < gate_count; g++, to += width)
        for (int i = 0; i < width; i++) to[i] = i < left ? from[k * row + g * units + at + i] : 0;
  }
}

const cn_rnn_kernels CN_ISA_NAME(cn_rnn_math_table) = {
  .lanes = CN_LANES, .block = BLOCK, .rows = ROWS, .run = run, .pack = pack,
};
