/* The cells SimpleRNN, LSTM and GRU step by step, in ops of their own: for activations that their ops do not take, as
 * softmax, which mixes the units of a gate, and layers. Formulas: simple_rnn.c, lstm.c, gru.c. */
#include "layers/emit.h"
#include "layers/rnn.h"

enum { MOST_STEPS = 4096 };

typedef struct run {
  const cn_rnn_part *p;
  int gates;
  cn_edge u[CN_RNN_MAX_GATES], bias[CN_RNN_MAX_GATES]; /* of the state, for each gate; bias: of GRU with reset_after */
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
  return x == CN_NO_EDGE ? x : cn_emit_range(t, x, -1, from, to);
}

/* ---- What is dropped ---- */

static void draw(cn_trace *t, cn_rnn_drop *d, int n, const cn_type *type, double rate, int64_t seed) {
  d->n = rate > 0 ? n : 0;
  for (int i = 0; i < d->n; i++) d->by[i] = cn_emit_kept(t, type, rate < 1 ? rate : 1, seed);
}

void cn_rnn_draw(cn_trace *t, cn_rnn_part *p, cn_edge x) {
  if (!(p->dropout > 0 || p->recurrent_dropout > 0) || !t->training || !cn_layer_draws(p->layer, t)) return;
  const cn_type *type = cn_edge_type(t, x);
  const cn_type in = {.dtype = t->compute, .rank = 2, .shape = {type->shape[0], type->shape[type->rank - 1]}};
  const cn_type state = {.dtype = t->compute, .rank = 2, .shape = {type->shape[0], p->cell->units}};
  draw(t, &p->input, p->factors, p->each_step ? type : &in, p->dropout, p->cell->seed);
  draw(t, &p->state, p->factors, &state, p->recurrent_dropout, p->cell->seed);
}

/* x without what is dropped for a gate: (batch, time, features), or one step. */
static cn_edge left(cn_trace *t, const cn_rnn_drop *d, int gate, cn_edge x) {
  if (!d->n || x == CN_NO_EDGE) return x;
  const cn_edge by = d->by[d->n > 1 ? gate : 0];
  const bool wider = cn_edge_type(t, x)->rank > cn_edge_type(t, by)->rank;
  return cn_emit2(t, &cn_op_mul, NULL, x, wider ? cn_emit_new_axis(t, by, 1) : by);
}

cn_edge cn_rnn_left(cn_trace *t, const cn_rnn_part *p, cn_edge x) { return left(t, &p->input, 0, x); }

/* ---- One step ---- */

/* The parts of all gates. */
static void part(cn_trace *t, cn_edge all, int n, cn_edge *out) {
  cn_edge first = CN_NO_EDGE;
  const cn_split_attrs split = {.axis = -1, .count = n};
  if (n > 1 && all != CN_NO_EDGE) cn_emit_many(t, &cn_op_split, &split, &all, 1, &first);
  for (int i = 0; i < n; i++) out[i] = n == 1 ? all : first == CN_NO_EDGE ? first : first + i;
}

/* What the state gives to the first n gates. */
static void from_state(cn_trace *t, const run *r, int n, cn_edge *out) {
  const cn_rnn_drop *d = &r->p->state;
  if (d->n > 1 || r->h == CN_NO_EDGE) {
    for (int i = 0; i < n; i++) out[i] = product(t, left(t, d, i, r->h), r->u[i], r->bias[i]);
    return;
  }
  const int64_t width = n * r->p->cell->units;
  const cn_edge kernel = n == r->gates ? r->p->recurrent : columns(t, r->p->recurrent, 0, width);
  cn_edge all = product(t, left(t, d, 0, r->h), kernel, CN_NO_EDGE);
  part(t, all, n, out);
  for (int i = 0; i < n; i++) out[i] = add(t, out[i], r->bias[i]);
}

/* The activation of what a gate gets from the input and from the state. */
static cn_edge act(cn_trace *t, const cn_activation *a, cn_edge x, cn_edge state) {
  return cn_activation_emit(t, a, add(t, x, state));
}

static cn_edge lstm_step(cn_trace *t, run *r, const cn_edge *x) {
  const cn_activation *bend = &r->p->cell->activation, *squash = &r->p->cell->recurrent_activation;
  cn_edge s[CN_RNN_MAX_GATES], z[CN_RNN_MAX_GATES];
  from_state(t, r, 4, s);
  for (int i = 0; i < 4; i++) z[i] = act(t, i == 2 ? bend : squash, x[i], s[i]);
  r->c = add(t, mul(t, z[1], r->c), mul(t, z[0], z[2]));
  return mul(t, z[3], cn_activation_emit(t, bend, r->c));
}

static cn_edge gru_step(cn_trace *t, run *r, const cn_edge *x) {
  const cn_rnn_part *p = r->p;
  const cn_activation *squash = &p->cell->recurrent_activation;
  const bool after = p->cell->reset_after;
  cn_edge s[CN_RNN_MAX_GATES];
  from_state(t, r, after ? 3 : 2, s);
  const cn_edge z = act(t, squash, x[0], s[0]), reset = act(t, squash, x[1], s[1]);
  const cn_edge state = after ? mul(t, reset, s[2])
                              : product(t, mul(t, reset, left(t, &p->state, 2, r->h)), r->u[2], CN_NO_EDGE);
  const cn_edge candidate = act(t, &p->cell->activation, x[2], state);
  const cn_edge rest = cn_emit2(t, &cn_op_sub, NULL, cn_emit_like(t, z, 1), z);
  const cn_edge kept = p->drops_kept ? left(t, &p->state, 0, r->h) : r->h;
  return add(t, mul(t, z, kept), mul(t, rest, candidate));
}

static cn_edge step(cn_trace *t, run *r, cn_edge x) {
  cn_edge parts[CN_RNN_MAX_GATES], s;
  part(t, x, r->gates, parts);
  if (r->p->kind == CN_CELL_LSTM) return lstm_step(t, r, parts);
  if (r->p->kind == CN_CELL_GRU) return gru_step(t, r, parts);
  from_state(t, r, 1, &s);
  return act(t, &r->p->cell->activation, parts[0], s);
}

/* ---- All steps ---- */

/* One row of GRU's two biases. */
static cn_edge bias_row(cn_trace *t, cn_edge bias, int64_t row) {
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, cn_emit_range(t, bias, 0, row, row + 1));
}

/* What the input gives to all gates of all steps. */
static cn_edge from_input(cn_trace *t, const run *r, cn_edge x, cn_edge bias) {
  const cn_rnn_part *p = r->p;
  const int64_t u = p->cell->units;
  cn_edge parts[CN_RNN_MAX_GATES];
  if (p->input.n <= 1) return product(t, left(t, &p->input, 0, x), p->kernel, bias);
  for (int i = 0; i < r->gates; i++)
    parts[i] = product(t, left(t, &p->input, i, x), columns(t, p->kernel, i * u, (i + 1) * u),
                       columns(t, bias, i * u, (i + 1) * u));
  return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){-1}, parts, r->gates);
}

/* The steps of a sequence (batch, time, …), each (batch, …). */
static void take_steps(cn_trace *t, cn_edge x, int64_t time, cn_edge *steps) {
  for (int64_t i = 0; i < time; i++) steps[i] = CN_NO_EDGE;
  for (int64_t i = 0, n; i < time && x != CN_NO_EDGE && !t->status; i += n) {
    n = time - i < CN_MAX_OUT ? time - i : CN_MAX_OUT;
    const cn_edge some = n == time ? x : cn_emit_range(t, x, 1, i, i + n);
    cn_edge first = some;
    if (n > 1) cn_emit_many(t, &cn_op_split, &(cn_split_attrs){.axis = 1, .count = n}, &some, 1, &first);
    for (int64_t k = 0; k < n; k++)
      steps[i + k] = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {1}}}, first + (int)k);
  }
}

bool cn_rnn_must_unroll(const cn_rnn_part *p) {
  const bool gated = p->kind != CN_CELL_SIMPLE;
  return p->cell->activation.kind != CN_ACTIVATION_ELEMENT || p->state.n || p->input.n > 1 ||
         (gated && p->cell->recurrent_activation.kind != CN_ACTIVATION_ELEMENT);
}

static void begin(cn_trace *t, run *r, cn_edge *input_bias) {
  const cn_rnn_part *p = r->p;
  const int64_t u = p->cell->units;
  const bool two = p->kind == CN_CELL_GRU && p->cell->reset_after && p->bias != CN_NO_EDGE;
  const cn_edge bias = two ? bias_row(t, p->bias, 1) : CN_NO_EDGE;
  *input_bias = two ? bias_row(t, p->bias, 0) : p->bias;
  r->gates = cn_rnn_gates(p->kind);
  for (int i = 0; i < r->gates; i++) {
    r->u[i] = columns(t, p->recurrent, i * u, (i + 1) * u);
    r->bias[i] = columns(t, bias, i * u, (i + 1) * u);
  }
}

cn_rnn_result cn_rnn_unroll(cn_trace *t, const cn_rnn_part *p, cn_rnn_attrs flags, cn_edge x, cn_edge mask, cn_edge h,
                            cn_edge c) {
  run r = {.p = p, .h = h, .c = c, .output = CN_NO_EDGE};
  const int64_t time = cn_edge_type(t, x)->shape[1];
  cn_edge bias;
  if (time > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "the input has %lld steps, the most with such an activation, or a state from which "
                  "values are dropped, are %d", (long long)time, MOST_STEPS);
  cn_edge *steps = t->status ? NULL : cn_arena_array(&t->graph->arena, 3 * (size_t)time + 1, sizeof *steps);
  if (!steps) {
    if (!t->status) t->status = cn_no_memory(t->error);
    return (cn_rnn_result){CN_NO_EDGE, {CN_NO_EDGE, CN_NO_EDGE}};
  }
  cn_edge *masks = steps + time, *outputs = masks + time;
  begin(t, &r, &bias);
  take_steps(t, from_input(t, &r, x, bias), time, steps);
  take_steps(t, mask, time, masks);
  for (int64_t i = 0; i < time && !t->status; i++) {
    const int64_t at = flags.go_backwards ? time - 1 - i : i;
    const cn_edge before = r.c, fresh = step(t, &r, steps[at]);
    r.output = outputs[i] = cn_rnn_keep(t, masks[at], fresh, flags.zero_masked ? CN_NO_EDGE : r.output);
    r.h = cn_rnn_keep(t, masks[at], fresh, r.h);
    if (p->kind == CN_CELL_LSTM) r.c = cn_rnn_keep(t, masks[at], r.c, before);
  }
  cn_edge y = flags.sequences ? cn_emit(t, &cn_op_stack, &(cn_axis_attrs){1}, outputs, (int)time) : r.output;
  return (cn_rnn_result){y, {r.h, r.c}};
}
