/* Recurrent layers: settings and lowering that they share. */
#include "layers/rnn.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* ---- Settings ---- */

static cn_status put_text(cn_layer *l, cn_value *config, const char *key, const char *text, cn_error *e) {
  cn_value *v = cn_value_text(&l->arena, text);
  return v && cn_value_put(&l->arena, config, key, v) ? CORNU_OK : cn_no_memory(e);
}

static cn_status put_bool(cn_layer *l, cn_value *config, const char *key, bool b, cn_error *e) {
  cn_value *v = cn_value_new(&l->arena, CORNU_BOOL);
  if (!v) return cn_no_memory(e);
  v->b = b;
  return cn_value_put(&l->arena, config, key, v) ? CORNU_OK : cn_no_memory(e);
}

cn_status cn_rnn_upgrade(cn_layer *l, cn_value *config, cn_cell_kind kind, cn_error *e) {
  const cn_origin *o = &l->origin;
  if (kind != CN_CELL_SIMPLE && !cn_value_find(config, "recurrent_activation") &&
      !cn_value_find(config, "inner_activation")) {
    bool hard = !o->tf && !cn_origin_at_least(o, 2, 3, 0);
    CN_TRY(put_text(l, config, "recurrent_activation", hard ? "hard_sigmoid" : "sigmoid", e));
  }
  if (kind == CN_CELL_GRU && !cn_value_find(config, "reset_after"))
    CN_TRY(put_bool(l, config, "reset_after", o->tf || o->keras >= 3, e));
  const cn_value *forget = cn_value_find(config, "forget_bias_init");
  if (kind == CN_CELL_LSTM && forget) {
    const char *name = cn_value_str(forget);
    CN_TRY(put_bool(l, config, "unit_forget_bias", name && cn_word_in("one ones", name, NULL), e));
    cn_value_remove(config, "forget_bias_init");
  }
  return CORNU_OK;
}

/* ---- Weights in a trace ---- */

/* cuDNN's matrices, gate by gate, to plain ones: see rnn_weights.c. */
static cn_edge plain_kernel(cn_trace *t, cn_edge kernel, int gates) {
  const cn_type *type = cn_edge_type(t, kernel);
  int64_t rows = type->shape[0], columns = type->shape[1] / gates;
  cn_edge first, turned[4];
  if (!cn_emit_many(t, &cn_op_split, &(cn_split_attrs){.axis = 1, .count = gates}, &kernel, 1,
      &first)) return CN_NO_EDGE;
  for (int g = 0; g < gates; g++) {
    cn_edge shaped = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{2, {columns, rows}}}, first + g);
    turned[g] = cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{2, {1, 0}}}, shaped);
  }
  return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){1}, turned, gates);
}

static cn_edge plain_bias(cn_trace *t, cn_edge bias, cn_cell_kind kind) {
  int64_t half = cn_edge_type(t, bias)->shape[0] / 2;
  cn_edge pair = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{2, {2, half}}}, bias);
  return kind == CN_CELL_GRU ? pair : cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {0}}}, pair);
}

/* Whether each gate drops values of its own: Keras 1 unless the kernels are joined, later Keras by the implementation,
 * which since tf.keras is 1 wherever the state loses values. */
static bool drops_by_gate(const cn_layer *l, const cn_rnn *s) {
  const cn_origin *o = &l->origin;
  if (o->keras == 1) return !s->consume_less || strcmp(s->consume_less, "gpu") != 0;
  const bool none = s->implementation == CN_NULL_INT;
  if (o->keras == 2 && !o->tf) return none ? !cn_origin_at_least(o, 2, 3, 0) : s->implementation != 2;
  return s->implementation == 1 || s->cell.recurrent_dropout > 0;
}

/* tf.keras's layers with the settings of cuDNN take the factors from the whole sequence. */
static bool drops_by_step(const cn_layer *l, const cn_rnn *s, cn_cell_kind kind) {
  const cn_activation *a = &s->cell.activation, *r = &s->cell.recurrent_activation;
  double unroll = 0;
  cn_value_number(cn_value_find(l->config, "unroll"), &unroll);
  const bool acts = a->kind == CN_ACTIVATION_ELEMENT && a->act.kind == CN_ACT_TANH &&
                    r->kind == CN_ACTIVATION_ELEMENT && r->act.kind == CN_ACT_SIGMOID;
  return l->origin.tf && l->origin.keras == 2 && l->type->weights_path && kind != CN_CELL_SIMPLE && unroll == 0 &&
         s->cell.use_bias && s->cell.recurrent_dropout <= 0 && acts && (kind == CN_CELL_LSTM || s->cell.reset_after);
}

static void set_drops(const cn_layer *l, cn_rnn_part *p) {
  const cn_rnn *s = l->settings;
  const bool by_gate = drops_by_gate(l, s), plain = l->origin.keras == 2 && !l->origin.tf;
  p->dropout = s->cell.dropout;
  p->recurrent_dropout = s->cell.recurrent_dropout;
  p->factors = by_gate ? cn_rnn_gates(p->kind) : 1;
  p->each_step = drops_by_step(l, s, p->kind);
  if (p->each_step) p->factors = 1;
  p->drops_kept = plain && !by_gate;
  /* Keras 1's SimpleRNN forgets it unless it saves the CPU. */
  if (l->origin.keras == 1 && p->kind == CN_CELL_SIMPLE && s->consume_less && strcmp(s->consume_less,
                                                                                    "cpu") != 0) p->dropout = 0;
}

cn_rnn_part cn_rnn_part_of(cn_layer *l, cn_trace *t, cn_cell_kind kind, bool cudnn) {
  cn_rnn_part p = {.kind = kind, .cell = &((const cn_rnn *)l->settings)->cell, .layer = l};
  set_drops(l, &p);
  p.kernel = cn_layer_weight_edge(l, t, "kernel");
  p.recurrent = cn_layer_weight_edge(l, t, "recurrent_kernel");
  p.bias = p.cell->use_bias ? cn_layer_weight_edge(l, t, "bias") : CN_NO_EDGE;
  if (!cudnn || t->status) return p;
  p.kernel = plain_kernel(t, p.kernel, cn_rnn_gates(kind));
  p.recurrent = plain_kernel(t, p.recurrent, cn_rnn_gates(kind));
  p.bias = plain_bias(t, p.bias, kind);
  return p;
}

/* ---- States ---- */

typedef struct states {
  cn_edge edge[CN_RNN_MAX_STATES];
  int n;
} states;

static void add_state(cn_trace *t, cn_edge edge, cn_edge *out, int *n, int cap) {
  if (*n < cap) out[(*n)++] = edge;
  else cn_trace_fail(t, CORNU_ERR_LIMIT, "more than %d initial states", cap);
}

/* Tensors of a keyword argument: one, or lists of them. */
static void add_states_in(cn_trace *t, const cn_call *c, const cn_value *v, cn_edge *out, int *n, int cap) {
  int index;
  if (cn_call_ref(v, &index)) {
    if (index >= 0 && index < c->n_in) add_state(t, c->in[index].data, out, n, cap);
  } else if (cn_value_is(v, CORNU_LIST)) {
    for (int i = 0; i < v->count; i++) add_states_in(t, c, v->items[i], out, n, cap);
  }
}

int cn_rnn_initial_states(cn_trace *t, const cn_call *c, int n_constants, cn_edge *out, int cap) {
  int n = 0;
  for (int i = 1; i < c->n_positional - n_constants; i++) add_state(t, c->in[i].data, out, &n, cap);
  const cn_value *given = n ? NULL : cn_call_kwarg(c, "initial_state");
  if (given) add_states_in(t, c, given, out, &n, cap);
  return n;
}

cn_edge cn_rnn_mask(const cn_layer *l, const cn_call *c, int n_initial) {
  bool given = cn_call_tensor(c, "mask").data != CN_NO_EDGE;
  return l->origin.keras >= 3 && n_initial && !given ? CN_NO_EDGE : c->in[0].mask;
}

static int state_count(const cn_rnn_part *parts, int n_parts) {
  int count = 0;
  for (int i = 0; i < n_parts; i++) count += parts[i].kind == CN_CELL_LSTM ? 2 : 1;
  return count;
}

/* Where the states of part i begin in Keras's flat list. */
static int state_offset(const cn_rnn_part *parts, int n_parts, int i, bool reversed) {
  return reversed ? state_count(parts + i + 1, n_parts - i - 1) : state_count(parts, i);
}

static void initial_states(cn_trace *t, const cn_call *c, int expected, states *s) {
  s->n = cn_rnn_initial_states(t, c, 0, s->edge, CN_RNN_MAX_STATES);
  if (s->n && s->n != expected)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "%d initial states are given, the layer has %d states", s->n, expected);
}

/* ---- Lowering ---- */

cn_edge cn_rnn_swap_leading(cn_trace *t, cn_edge x) {
  if (x == CN_NO_EDGE || cn_edge_type(t, x)->rank < 2) return x;
  cn_ints_attrs a = {{cn_edge_type(t, x)->rank, {1, 0, 2, 3, 4, 5, 6, 7}}};
  return cn_emit1(t, &cn_op_transpose, &a, x);
}

cn_edge cn_rnn_time_mask(cn_trace *t, cn_edge mask) {
  if (mask == CN_NO_EDGE) return mask;
  const cn_type *type = cn_edge_type(t, mask);
  if (type->rank == 3 && type->shape[2] == 1) return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {2}}},
      mask);
  if (type->rank != 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the mask has shape %s, a recurrent layer takes (batch, time)",
        CN_SHAPE(type->rank, type->shape));
    return CN_NO_EDGE;
  }
  return mask;
}

/* One cell over a sequence; state: its initial states or NULL. */
static cn_rnn_result run_part(cn_trace *t, const cn_rnn_part *part, cn_rnn_attrs flags, cn_edge x, cn_edge mask,
    const cn_edge *state) {
  cn_rnn_part drawn = *part, *p = &drawn;
  flags.reset_after = p->kind == CN_CELL_GRU && p->cell->reset_after;
  flags.keeps = t->differentiable;
  flags.act = cn_activation_epilogue(&p->cell->activation);
  flags.recurrent_act = cn_activation_epilogue(&p->cell->recurrent_activation);
  cornu_dtype compute = t->compute;
  t->compute = cn_edge_type(t, p->kernel)->dtype; /* the cell has a policy of its own */
  cn_edge in[7] = {cn_emit_compute(t, x), p->kernel, p->recurrent, p->bias, mask,
                   state ? cn_emit_compute(t, state[0]) : CN_NO_EDGE, CN_NO_EDGE};
  if (p->kind == CN_CELL_LSTM && state) in[6] = cn_emit_compute(t, state[1]);
  if (!p->input.n && !p->state.n) cn_rnn_draw(t, p, in[0]);
  if (!t->status && cn_rnn_must_unroll(p) && cn_edge_type(t, x)->shape[1] > 0) {
    cn_rnn_result unrolled = cn_rnn_unroll(t, p, flags, in[0], mask, in[5], in[6]);
    t->compute = compute;
    return unrolled;
  }
  in[0] = cn_rnn_left(t, p, in[0]);
  t->compute = compute;
  const cn_op *op = p->kind == CN_CELL_LSTM ? &cn_op_lstm : p->kind == CN_CELL_GRU ? &cn_op_gru : &cn_op_simple_rnn;
  cn_edge first;
  cn_emit_many(t, op, &flags, in, p->kind == CN_CELL_LSTM ? 7 : 6, &first);
  return (cn_rnn_result){first, {first + 1, first + 2}};
}

/* Runs the stack; returns the output; finals[i].states: the final states of part i. */
static cn_edge run_stack(cn_trace *t, const cn_rnn *s, const cn_rnn_part *parts, int n_parts, bool reversed, cn_edge x,
                         cn_edge mask, const states *initial, cn_rnn_result *finals) {
  for (int i = 0; i < n_parts && !t->status; i++) {
    bool last = i == n_parts - 1;
    cn_rnn_attrs flags = {.sequences = !last || s->return_sequences, .go_backwards = i == 0 && s->go_backwards,
                          .zero_masked = last && s->zero_output_for_mask};
    const cn_edge *state = initial->n ? initial->edge + state_offset(parts, n_parts, i, reversed) : NULL;
    finals[i] = run_part(t, &parts[i], flags, x, mask, state);
    x = finals[i].y;
    /* What follows a reversed cell sees its steps in processing order. */
    if (flags.go_backwards && mask != CN_NO_EDGE && !last) mask = cn_emit1(t, &cn_op_reverse,
        &(cn_ints_attrs){{1, {1}}}, mask);
  }
  return x;
}

static void return_states(cn_trace *t, cn_call *c, const cn_rnn_part *parts, int n_parts, bool reversed,
    const cn_rnn_result *finals) {
  for (int k = 0; k < n_parts; k++) {
    int i = reversed ? n_parts - 1 - k : k;
    cn_call_return(t, c, cn_emit_compute(t, finals[i].states[0]), CN_NO_EDGE);
    if (parts[i].kind == CN_CELL_LSTM) cn_call_return(t, c, cn_emit_compute(t, finals[i].states[1]), CN_NO_EDGE);
  }
}

/* Of a stateful layer: what the last run left, for a call that names no initial states; in Keras's order. */
static void kept_states(cn_layer *l, cn_trace *t, const cn_rnn_part *parts, int n_parts, bool reversed, int64_t batch,
                        states *s) {
  for (int k = 0; k < n_parts; k++) {
    const cn_rnn_part *p = &parts[reversed ? n_parts - 1 - k : k];
    cn_type type = {.dtype = cn_edge_type(t, p->kernel)->dtype, .rank = 2, .shape = {batch, p->cell->units}};
    for (int i = 0; i < state_count(p, 1); i++, s->n++) s->edge[s->n] = cn_trace_state_now(t, l, s->n, &type);
  }
}

static void keep_states(cn_layer *l, cn_trace *t, const cn_rnn_part *parts, int n_parts, bool reversed,
                        const cn_rnn_result *finals) {
  int index = 0;
  for (int k = 0; k < n_parts; k++) {
    int part = reversed ? n_parts - 1 - k : k;
    for (int i = 0; i < state_count(&parts[part], 1); i++) cn_trace_state_keep(t, l, index++, finals[part].states[i]);
  }
}

void cn_rnn_lower(cn_layer *l, const cn_rnn_part *parts, int n_parts, bool states_reversed, cn_trace *t, cn_call *c) {
  const cn_rnn *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data), given_mask = c->in[0].mask;
  cn_rnn_result finals[CN_RNN_MAX_CELLS];
  if (t->status) return;
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank != 3) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (%s, features)",
        CN_SHAPE(type->rank, type->shape),
                  s->time_major ? "time, batch" : "batch, time");
    return;
  }
  states initial = {.n = 0};
  initial_states(t, c, state_count(parts, n_parts), &initial);
  cn_edge mask = cn_rnn_mask(l, c, initial.n);
  if (s->time_major) x = cn_rnn_swap_leading(t, x), mask = cn_rnn_swap_leading(t, mask);
  mask = cn_rnn_time_mask(t, mask);
  states kept = {.n = 0};
  if (s->stateful) kept_states(l, t, parts, n_parts, states_reversed, cn_edge_type(t, x)->shape[0], &kept);
  if (initial.n == 0) initial = kept;
  cn_edge y = run_stack(t, s, parts, n_parts, states_reversed, x, mask, &initial, finals);
  if (t->status) return;
  if (s->stateful) keep_states(l, t, parts, n_parts, states_reversed, finals);
  if (s->time_major && s->return_sequences) y = cn_rnn_swap_leading(t, y);
  cn_call_return(t, c, cn_emit_compute(t, y), s->return_sequences ? given_mask : CN_NO_EDGE);
  if (s->return_state) return_states(t, c, parts, n_parts, states_reversed, finals);
}

void cn_cell_lower(cn_layer *l, cn_trace *t, cn_call *c, cn_cell_kind kind) {
  cn_rnn_part part = cn_rnn_part_of(l, t, kind, false);
  states initial = {.n = 0};
  for (int i = 1; i < c->n_in; i++) add_state(t, c->in[i].data, initial.edge, &initial.n, CN_RNN_MAX_STATES);
  int expected = state_count(&part, 1);
  if (initial.n != expected)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "a cell is called on one time step and its %d state%s, not on %d", expected,
                  expected > 1 ? "s" : "", initial.n);
  cn_edge x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, cn_emit_compute(t, c->in[0].data));
  cn_rnn *s = l->settings;
  if (s->drawn.serial == t->serial) part.input = s->drawn.input, part.state = s->drawn.state;
  else cn_rnn_draw(t, &part, x);
  s->drawn.serial = t->serial, s->drawn.input = part.input, s->drawn.state = part.state;
  cn_rnn_result one = run_part(t, &part, (cn_rnn_attrs){0}, x, CN_NO_EDGE, initial.edge);
  if (t->status) return;
  cn_call_return(t, c, one.y, CN_NO_EDGE);
  return_states(t, c, &part, 1, false, &one);
}
