/* Recurrent layers over cells that are no ops of their own: the cell is called for every step, so that a plan holds the
 * ops of all steps. */
#include <string.h>

#include "base/text.h"
#include "layers/rnn.h"

enum { MOST_STEPS = 4096 };

typedef struct run {
  const cn_rnn *s;
  cn_layer *cell;
  cn_edge x, mask;                       /* (batch, time, …), (batch, time) or none */
  cn_sym in[1 + 2 * CN_RNN_MAX_STATES];  /* of a step: its input, states, constants */
  cn_type types[CN_RNN_MAX_STATES];
  int n_states, n_constants;
  cn_edge output;                        /* of the step before; CN_NO_EDGE: none yet */
} run;

cn_edge cn_rnn_step_of(cn_trace *t, cn_edge x, int64_t i) {
  cn_slice_attrs range = {.axes = {1, {1}}, .begin = {1, {i}}, .end = {1, {i + 1}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {1}}}, cn_emit1(t, &cn_op_slice, &range, x));
}

/* ---- Steps ---- */

cn_edge cn_rnn_keep(cn_trace *t, cn_edge mask, cn_edge fresh, cn_edge old) {
  if (mask == CN_NO_EDGE || t->status) return fresh;
  if (old == CN_NO_EDGE) old = cn_emit_scalar(t, cn_edge_type(t, fresh)->dtype, 0);
  for (int d = cn_edge_type(t, fresh)->rank; d > 1; d--) mask = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1},
                                                                         mask);
  return cn_emit3(t, &cn_op_where, NULL, mask, fresh, old);
}

static void one_step(cn_trace *t, run *r, cn_edge x, cn_edge mask) {
  cn_sym out[1 + CN_RNN_MAX_STATES];
  r->in[0] = (cn_sym){x, CN_NO_EDGE};
  int n = cn_layer_call_on(r->cell, t, r->in, 1 + r->n_states + r->n_constants, out, 1 + CN_RNN_MAX_STATES);
  if (!t->status && n != 1 + r->n_states)
    cn_trace_fail(t, CORNU_ERR_CALLBACK, "the cell \"%s\" (%s) gave %d states, its state_size has %d", r->cell->name,
                  r->cell->class_name, n - 1, r->n_states);
  if (t->status) return;
  r->output = cn_rnn_keep(t, mask, out[0].data, r->s->zero_output_for_mask ? CN_NO_EDGE : r->output);
  for (int i = 0; i < r->n_states; i++) r->in[1 + i].data = cn_rnn_keep(t, mask, out[1 + i].data, r->in[1 + i].data);
}

/* The outputs of all steps as (batch, time, …), or the last one. */
static cn_edge all_steps(cn_trace *t, run *r, int64_t time) {
  cn_edge *outputs = cn_arena_array(&t->graph->arena, (size_t)time + 1, sizeof *outputs);
  if (!outputs) {
    t->status = cn_no_memory(t->error);
    return CN_NO_EDGE;
  }
  for (int64_t i = 0; i < time && !t->status; i++) {
    int64_t at = r->s->go_backwards ? time - 1 - i : i;
    one_step(t, r, cn_rnn_step_of(t, r->x, at), r->mask == CN_NO_EDGE ? r->mask : cn_rnn_step_of(t, r->mask, at));
    outputs[i] = r->output;
  }
  return r->s->return_sequences ? cn_emit(t, &cn_op_stack, &(cn_axis_attrs){1}, outputs, (int)time) : r->output;
}

/* Shapes alone: the number of steps is not known yet. */
static cn_edge some_steps(cn_trace *t, run *r) {
  int rank = cn_edge_type(t, r->x)->rank;
  cn_reduce_attrs features = {.axes = {.n = rank - 2}};
  one_step(t, r, cn_emit1(t, &cn_op_max, &(cn_reduce_attrs){.axes = {1, {1}}}, r->x), CN_NO_EDGE);
  if (!r->s->return_sequences || t->status) return r->output;
  for (int i = 0; i < rank - 2; i++) features.axes.v[i] = i + 2;
  cn_edge time = features.axes.n ? cn_emit1(t, &cn_op_max, &features, r->x) : r->x;
  for (int d = cn_edge_type(t, r->output)->rank; d > 1; d--)
    time = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, time);
  return cn_emit2(t, &cn_op_add, NULL, time, cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, r->output));
}

/* ---- The call ---- */

static cn_edge zeros(cn_trace *t, const cn_type *type, cn_edge x) {
  cn_ints_attrs shape = {.v = {.n = type->rank}};
  cn_reduce_attrs rest = {.axes = {.n = 0}};
  for (int i = 1; i < cn_edge_type(t, x)->rank; i++) rest.axes.v[rest.axes.n++] = i;
  cn_edge one = cn_emit1(t, &cn_op_max, &rest, x); /* has the batch */
  one = cn_emit1(t, &cn_op_full_like, &(cn_fill_attrs){0, type->dtype}, one);
  for (int i = 1; i < type->rank; i++) one = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, one);
  memcpy(shape.v.v, type->shape, sizeof *type->shape * (size_t)type->rank);
  shape.v.v[0] = CN_DIM_COPY;
  return cn_emit1(t, &cn_op_broadcast_to, &shape, one);
}

/* Given states, those that a stateful layer kept, or zeros; the constants behind them. */
static int begin_states(cn_layer *l, cn_trace *t, cn_call *c, run *r) {
  cn_edge given[CN_RNN_MAX_STATES];
  int n = cn_rnn_initial_states(t, c, r->n_constants, given, CN_RNN_MAX_STATES);
  if (n && n != r->n_states)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "%d initial states are given, the cell has %d", n, r->n_states);
  for (int i = 0; i < r->n_states && !t->status; i++) {
    cn_edge state = r->s->stateful ? cn_trace_state_now(t, l, i, &r->types[i]) : CN_NO_EDGE;
    if (n) state = cn_emit_compute(t, given[i]);
    else if (!r->s->stateful) state = zeros(t, &r->types[i], r->x);
    r->in[1 + i] = (cn_sym){state, CN_NO_EDGE};
  }
  for (int i = 0; i < r->n_constants; i++)
    r->in[1 + r->n_states + i] = (cn_sym){c->in[c->n_positional - r->n_constants + i].data, CN_NO_EDGE};
  return n;
}

static bool find_states(cn_trace *t, run *r) {
  cn_type step = *cn_edge_type(t, r->x);
  step.rank--;
  memmove(step.shape + 1, step.shape + 2, sizeof *step.shape * (size_t)(step.rank - 1));
  r->n_states = cn_cell_states(r->cell, &step, r->types, CN_RNN_MAX_STATES, t->error);
  if (r->n_states < 0) t->status = t->error->status ? t->error->status : CORNU_ERR_CALLBACK;
  return !t->status;
}

static bool prepare(cn_layer *l, cn_trace *t, cn_call *c, run *r) {
  const cn_type in = *cn_edge_type(t, r->x);
  r->n_constants = (int)r->s->num_constants;
  if (!t->status && in.rank < 2)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, time, …)", CN_SHAPE(in.rank, in.shape));
  if (!t->status && c->n_positional <= r->n_constants)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "is called with %d inputs, %d of them constants", c->n_positional,
                  r->n_constants);
  if (t->status) return false;
  if (r->s->time_major) r->x = cn_rnn_swap_leading(t, r->x);
  int64_t time = cn_edge_type(t, r->x)->shape[1];
  if (time > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "the input has %lld steps, the most of such a cell are %d", (long long)time,
                  MOST_STEPS);
  if (time == 0) cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has no steps");
  if (t->status || !find_states(t, r)) return false;
  int given = begin_states(l, t, c, r);
  cn_edge mask = cn_rnn_mask(l, c, given);
  r->mask = cn_rnn_time_mask(t, r->s->time_major ? cn_rnn_swap_leading(t, mask) : mask);
  return !t->status;
}

/* Each sequence drops other values. */
static void draw_anew(cn_layer *cell) {
  const cn_layer_type *type = cell->type;
  if (type == &cn_layer_simple_rnn_cell || type == &cn_layer_lstm_cell || type == &cn_layer_gru_cell)
    ((cn_rnn *)cell->settings)->drawn.serial = 0;
  for (int i = 0; i < cell->n_children; i++) draw_anew(cell->children[i].layer);
}

void cn_rnn_lower_steps(cn_layer *l, cn_layer *cell, cn_trace *t, cn_call *c) {
  run r = {.s = l->settings, .cell = cell, .x = cn_emit_compute(t, c->in[0].data), .output = CN_NO_EDGE};
  if (!prepare(l, t, c, &r)) return;
  draw_anew(cell);
  int64_t time = cn_edge_type(t, r.x)->shape[1];
  cn_edge y = time < 0 ? some_steps(t, &r) : all_steps(t, &r, time);
  if (t->status) return;
  for (int i = 0; i < r.n_states && r.s->stateful; i++) cn_trace_state_keep(t, l, i, r.in[1 + i].data);
  if (r.s->time_major && r.s->return_sequences) y = cn_rnn_swap_leading(t, y);
  cn_call_return(t, c, y, r.s->return_sequences ? c->in[0].mask : CN_NO_EDGE);
  for (int i = 0; i < r.n_states && r.s->return_state; i++) cn_call_return(t, c, r.in[1 + i].data, CN_NO_EDGE);
}

/* ---- Wrappers of cells (tf.nn) ---- */

typedef struct wrapper_settings { const cn_value *cell; double keep[3]; } wrapper_settings;

#define KEEP(key, i)                                                                                                   \
  {.name = key, .kind = CN_F_FLOAT, .offset = offsetof(wrapper_settings, keep[i]), .standard = "1", .min = 0, .max = 1, \
   .help = CN_HELP("DropoutWrapper: 1 alone, since it drops at inference, too")}
#define IGNORED(key, text) {.name = key, .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP(text)}
static const cn_field wrapper_fields[] = {
    {.name = "cell", .kind = CN_F_VALUE, .offset = offsetof(wrapper_settings, cell),
     .help = CN_HELP("the wrapped cell")},
    KEEP("input_keep_prob", 0),
    KEEP("output_keep_prob", 1),
    KEEP("state_keep_prob", 2),
    IGNORED("variational_recurrent", "the same elements drop in all steps"),
    IGNORED("input_size", "of such dropping"),
    IGNORED("device", "DeviceWrapper: where it runs"),
    {.name = "residual_fn", .aliases = "residual_fn_type residual_fn_module", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("ResidualWrapper: Python code, refused")},
    {.name = "dropout_fn", .aliases = "dropout_fn_type dropout_fn_module", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("DropoutWrapper: which states drop")},
    {0}};

static cn_status check_wrapper(cn_layer *l, cn_error *e) {
  const wrapper_settings *s = l->settings;
  cn_layer *cell;
  for (int i = 0; i < 3; i++)
    if (s->keep[i] != 1)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED, "drops parts at random at inference, too (it keeps %g): save the model "
                     "without DropoutWrapper", s->keep[i]);
  if (!cn_value_is_null(cn_value_find(l->config, "residual_fn")))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"residual_fn\" is Python code: give a handler of the cell in custom_objects");
  CN_TRY(cn_layer_new(s->cell, &l->origin, l->customs, &cell, e));
  return cn_layer_adopt(l, "wrapped_cell", cell, e);
}

/* ResidualWrapper adds the input to the output. */
static void lower_wrapper(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_sym out[1 + CN_RNN_MAX_STATES];
  int n = cn_layer_call_on(l->children[0].layer, t, c->in, c->n_positional, out, CN_COUNT(out));
  if (n < 1) return;
  if (strstr(l->class_name, "Residual")) out[0].data = cn_emit2(t, &cn_op_add, NULL, c->in[0].data, out[0].data);
  for (int i = 0; i < n; i++) cn_call_return(t, c, out[i].data, CN_NO_EDGE);
}

const cn_layer_type cn_layer_cell_wrapper = {
    .name = "ResidualWrapper",
    .aliases = "DropoutWrapper DeviceWrapper",
    .weights = "inner",
    .versions = "2",
    .help = CN_HELP("a cell whose input is added to its output; DropoutWrapper and DeviceWrapper: the cell"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(wrapper_settings),
    .fields = wrapper_fields,
    .check = check_wrapper,
    .lower = lower_wrapper,
};
