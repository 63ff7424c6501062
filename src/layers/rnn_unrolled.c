/* The cells SimpleRNN, LSTM and GRU step by step, in ops of their own: for activations that their ops do not take, as
 * softmax, which mixes the units of a gate, and layers. Formulas: simple_rnn.c, lstm.c, gru.c. */
#include "layers/rnn.h"

enum { MOST_STEPS = 4096, MOST_GATES = 4 };

typedef struct run {
  const cn_rnn_part *p;
  cn_edge h, c, output;   /* CN_NO_EDGE: zeros */
} run;

static cn_edge add(cn_trace *t, cn_edge a, cn_edge b) {
  return a == CN_NO_EDGE ? b : b == CN_NO_EDGE ? a : cn_emit2(t, &cn_op_add, NULL, a, b);
}
/* Zeros (CN_NO_EDGE) stay zeros. */
static cn_edge mul(cn_trace *t, cn_edge a, cn_edge b) {
  return a == CN_NO_EDGE || b == CN_NO_EDGE ? CN_NO_EDGE : cn_emit2(t, &cn_op_mul, NULL, a, b);
}
static cn_edge product(cn_trace *t, cn_edge x, cn_edge kernel, cn_edge bias) {
  return x == CN_NO_EDGE ? bias : cn_emit3(t, &cn_op_dense, &(cn_dense_attrs){0}, x, kernel, bias);
}
static cn_edge columns(cn_trace *t, cn_edge x, int64_t from, int64_t to) {
  cn_slice_attrs range = {.axes = {1, {-1}}, .begin = {1, {from}}, .end = {1, {to}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_slice, &range, x);
}
static cn_edge gate(cn_trace *t, const run *r, cn_edge all, int i) {
  int64_t u = r->p->cell->units;
  return all == CN_NO_EDGE ? all : columns(t, all, i * u, (i + 1) * u);
}
/* The activation of what a gate gets from the input and from the state. */
static cn_edge act(cn_trace *t, const cn_activation *a, cn_edge x, cn_edge state) {
  return cn_activation_emit(t, a, add(t, x, state));
}

static cn_edge lstm_step(cn_trace *t, run *r, cn_edge x) {
  const cn_activation *bend = &r->p->cell->activation, *squash = &r->p->cell->recurrent_activation;
  cn_edge s = product(t, r->h, r->p->recurrent, CN_NO_EDGE), z[MOST_GATES];
  for (int i = 0; i < 4; i++) z[i] = act(t, i == 2 ? bend : squash, gate(t, r, x, i), gate(t, r, s, i));
  r->c = add(t, mul(t, z[1], r->c), mul(t, z[0], z[2]));
  return mul(t, z[3], cn_activation_emit(t, bend, r->c));
}

static cn_edge gru_step(cn_trace *t, run *r, cn_edge x, cn_edge recurrent_bias) {
  const cn_cell *cell = r->p->cell;
  int64_t u = cell->units;
  const cn_activation *squash = &cell->recurrent_activation;
  cn_edge kernel = cell->reset_after ? r->p->recurrent : columns(t, r->p->recurrent, 0, 2 * u);
  cn_edge s = product(t, r->h, kernel, recurrent_bias);
  cn_edge z = act(t, squash, gate(t, r, x, 0), gate(t, r, s, 0)), reset = act(t, squash, gate(t, r, x, 1), gate(t, r, s, 1));
  cn_edge state = cell->reset_after ? mul(t, reset, gate(t, r, s, 2))
                                    : product(t, mul(t, reset, r->h), columns(t, r->p->recurrent, 2 * u, 3 * u), CN_NO_EDGE);
  cn_edge candidate = act(t, &cell->activation, gate(t, r, x, 2), state);
  cn_edge rest = cn_emit2(t, &cn_op_sub, NULL, cn_emit_scalar(t, cn_edge_type(t, z)->dtype, 1), z);
  return add(t, mul(t, z, r->h), mul(t, rest, candidate));
}

/* One row of GRU's two biases. */
static cn_edge bias_row(cn_trace *t, cn_edge bias, int64_t row) {
  cn_slice_attrs range = {.axes = {1, {0}}, .begin = {1, {row}}, .end = {1, {row + 1}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, cn_emit1(t, &cn_op_slice, &range, bias));
}

static cn_edge step(cn_trace *t, run *r, cn_edge x) {
  const cn_rnn_part *p = r->p;
  bool two = p->kind == CN_RNN_GRU && p->cell->reset_after && p->bias != CN_NO_EDGE;
  x = product(t, x, p->kernel, two ? bias_row(t, p->bias, 0) : p->bias);
  if (p->kind == CN_RNN_LSTM) return lstm_step(t, r, x);
  if (p->kind == CN_RNN_GRU) return gru_step(t, r, x, two ? bias_row(t, p->bias, 1) : CN_NO_EDGE);
  return act(t, &p->cell->activation, x, product(t, r->h, p->recurrent, CN_NO_EDGE));
}

bool cn_rnn_must_unroll(const cn_rnn_part *p) {
  bool gated = p->kind != CN_RNN_SIMPLE;
  return p->cell->activation.kind != CN_ACTIVATION_ELEMENT ||
         (gated && p->cell->recurrent_activation.kind != CN_ACTIVATION_ELEMENT);
}

cn_rnn_result cn_rnn_unroll(cn_trace *t, const cn_rnn_part *p, cn_rnn_attrs flags, cn_edge x, cn_edge mask, cn_edge h,
                            cn_edge c) {
  run r = {p, h, c, CN_NO_EDGE};
  int64_t time = cn_edge_type(t, x)->shape[1];
  if (time > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "the input has %lld steps, the most with such an activation are %d",
                  (long long)time, MOST_STEPS);
  cn_edge *outputs = t->status ? NULL : cn_arena_array(&t->graph->arena, (size_t)time + 1, sizeof *outputs);
  if (!outputs) {
    if (!t->status) t->status = cn_no_memory(t->error);
    return (cn_rnn_result){CN_NO_EDGE, {CN_NO_EDGE, CN_NO_EDGE}};
  }
  for (int64_t i = 0; i < time && !t->status; i++) {
    int64_t at = flags.go_backwards ? time - 1 - i : i;
    cn_edge now = mask == CN_NO_EDGE ? mask : cn_rnn_step_of(t, mask, at), before = r.c;
    cn_edge fresh = step(t, &r, cn_rnn_step_of(t, x, at));
    r.output = outputs[i] = cn_rnn_keep(t, now, fresh, flags.zero_masked ? CN_NO_EDGE : r.output);
    r.h = cn_rnn_keep(t, now, fresh, r.h);
    if (p->kind == CN_RNN_LSTM) r.c = cn_rnn_keep(t, now, r.c, before);
  }
  cn_edge y = flags.sequences ? cn_emit(t, &cn_op_stack, &(cn_axis_attrs){1}, outputs, (int)time) : r.output;
  return (cn_rnn_result){y, {r.h, r.c}};
}
