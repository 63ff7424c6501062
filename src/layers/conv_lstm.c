/* ConvLSTM1D, 2D and 3D: LSTM whose products are convolutions (Shi et al. 2015): the input's one for all steps at once,
 * the state's one with padding `same` in every step. Gates are stored i f c o. */
#include <string.h>

#include "base/text.h"
#include "layers/emit.h"
#include "layers/rnn.h"
#include "layers/spatial.h"

enum { MOST_STEPS = 4096, GATES = 4 };

typedef struct settings {
  cn_conv_settings conv; /* of the input; its activation is that of the candidate and the output */
  cn_activation recurrent_activation;
  bool return_sequences, return_state, go_backwards, stateful, time_major, zero_output_for_mask;
  const cn_value *unit_forget_bias;
  double dropout, recurrent_dropout;
  int64_t seed;
} settings;

#define FLAG(key, text) \
  {.name = #key, .kind = CN_F_BOOL, .offset = offsetof(settings, key), .standard = "false", .help = CN_HELP(text)}
/* CN_CONV_FIELDS has activation with the default null; the check makes that tanh. */
#define FIELDS(spatial, kernel, stride)                                                                                \
  {CN_FILTERS_FIELD, CN_CONV_FIELDS(spatial, kernel, stride),                                                          \
   {.name = "recurrent_activation", .aliases = "inner_activation", .kind = CN_F_ACTIVATION,                            \
    .offset = offsetof(settings, recurrent_activation), .standard = "null",                                            \
    .help = CN_HELP("of the gates; a missing key means hard_sigmoid, in Keras 3 sigmoid")},                            \
   FLAG(return_sequences, "output of every step, else of the last"),                                                   \
   FLAG(return_state, "final states follow the output"),                                                               \
   FLAG(go_backwards, "steps run from the last to the first; outputs stay in processing order"),                       \
   FLAG(stateful, "a run begins with the states that the last one left"),                                              \
   FLAG(time_major, "true is refused"), CN_DROPOUT_ROWS(settings, ),                                                        \
   {.name = "unit_forget_bias", .aliases = "forget_bias_init", .kind = CN_F_VALUE,                                     \
    .offset = offsetof(settings, unit_forget_bias), .standard = "true",                                                \
    .help = CN_HELP("the forget gate's bias begins as ones; Keras 1: as what")},                                       \
   FLAG(zero_output_for_mask, "Keras 3: masked steps give zeros, else the output before them"),                        \
   CN_RNN_IGNORED("unroll", NULL, "same result"),                                                                      \
   CN_RNN_IGNORED("implementation", "consume_less", "how it is computed"),                                             \
   CN_INITIALIZER_ROW("kernel", "init", "glorot_uniform"), CN_INITIALIZER_ROW("bias", NULL, "zeros"),                  \
   CN_INITIALIZER_ROW("recurrent", "inner_init", "orthogonal"),                                                        \
   CN_WEIGHT_ROWS("kernel", "W_regularizer", "W_constraint"), CN_WEIGHT_ROWS("recurrent", "U_regularizer", "U_constraint"), \
   CN_WEIGHT_ROWS("bias", "b_regularizer", "b_constraint"), CN_ACTIVITY_ROW, {0}}

static const cn_field fields1[] = FIELDS(1, NULL, NULL);
static const cn_field fields2[] = FIELDS(2, NULL, "subsample");
static const cn_field fields3[] = FIELDS(3, NULL, NULL);

/* ---- Weights ---- */

/* Where the keys of the cell are: ConvRNN2D has a serialized one. */
static const cn_value *cell_config(const cn_layer *l) {
  const cn_value *own = cn_value_find(cn_value_find(l->config, "cell"), "config");
  return own ? own : l->config;
}

static cn_status check(cn_layer *l, int spatial, cn_error *e) {
  settings *s = l->settings;
  const cn_value *config = cell_config(l);
  bool named = !cn_value_is_null(cn_value_find(config, "activation"));
  bool gates = cn_value_find(config, "recurrent_activation") || cn_value_find(config, "inner_activation");
  if (!named && !cn_value_find(config, "activation")) s->conv.activation.act = (cn_act){.kind = CN_ACT_TANH};
  if (!gates)
    s->recurrent_activation.act = l->origin.keras >= 3 ? (cn_act){.kind = CN_ACT_SIGMOID}
                                                       : (cn_act){.kind = CN_ACT_HARD_SIGMOID, .a = 0.2, .b = 0.5};
  bool plain = s->conv.activation.kind == CN_ACTIVATION_ELEMENT && s->recurrent_activation.kind == CN_ACTIVATION_ELEMENT;
  if (!plain && cn_channels_first(l, s->conv.data_format, spatial))   /* steps run in channels-last order */
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "with channels_first its activations must be element-wise");
  if (s->time_major) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"time_major\" is true, which is not supported");
  return cn_spatial_check(l, s->conv.padding, spatial, e);
}

/* One step of the input: without the time. */
static cn_type step_type(const cn_type *in) {
  cn_type step = {.dtype = in->dtype, .rank = in->rank - 1, .shape = {in->shape[0]}};
  memcpy(step.shape + 1, in->shape + 2, sizeof *in->shape * (size_t)(in->rank - 2));
  return step;
}

static cn_status want_sequence(const cn_type *in, int spatial, cn_error *e) {
  if (in->rank == spatial + 3) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, time, channels and %d spatial",
                 CN_SHAPE(in->rank, in->shape), spatial + 3, spatial);
}

static cn_status build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const cn_conv_settings *s = &((const settings *)l->settings)->conv;
  CN_TRY(want_sequence(in, spatial, e));
  cn_type step = step_type(in);
  int64_t channels, shape[5];
  CN_TRY(cn_spatial_channels(&step, spatial, cn_channels_first(l, s->data_format, spatial), &channels, e));
  for (int i = 0; i < spatial; i++) shape[i] = s->kernel_size.v[i];
  shape[spatial] = channels;
  shape[spatial + 1] = GATES * s->filters;
  const cn_value *init = cn_spatial_initializer(l, "kernel_initializer", "init");
  CN_TRY(cn_layer_add_weight(l, "kernel", spatial + 2, shape, true, init, e));
  shape[spatial] = s->filters;
  init = cn_spatial_initializer(l, "recurrent_initializer", "inner_init");
  CN_TRY(cn_layer_add_weight(l, "recurrent_kernel", spatial + 2, shape, true, init, e));
  CN_TRY(cn_spatial_bias(l, s, GATES * s->filters, e));
  const cn_value *forget = ((const settings *)l->settings)->unit_forget_bias;
  const char *name = cn_value_str(forget);
  const bool ones = name ? cn_word_in("one ones", name, NULL) : cn_value_is(forget, CORNU_BOOL) && forget->b;
  if (!ones || !s->use_bias) return CORNU_OK;
  return cn_cell_forget_bias(l, s->filters, cn_value_find(l->config, "bias_initializer"), GATES * s->filters, e);
}

/* Keras 1: kernel, recurrent kernel and bias of the gates i, c, f and o, each on its own. */
static cn_status join_gates(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  static const int order[] = {0, 2, 1, 3};
  for (int part = 0; part < 3; part++) {
    const cn_weight *w = &l->weights[part];
    cn_tensor *joined, *place;
    CN_TRY(cornu_tensor_new(l->compute, w->rank, w->shape, &joined, e));
    int64_t width = w->shape[w->rank - 1] / GATES;
    cn_status status = CORNU_OK;
    for (int gate = 0; gate < GATES && !status; gate++) {
      status = cornu_tensor_slice(joined, w->rank - 1, gate * width, (gate + 1) * width, 1, &place, e);
      if (!status) status = cornu_tensor_copy(place, arrays[3 * order[gate] + part], e);
      cornu_tensor_release(status ? NULL : place);
    }
    if (status) return cornu_tensor_release(joined), status;
    cornu_tensor_release(arrays[3 * GATES + part]);
    arrays[3 * GATES + part] = joined;
  }
  for (int part = 0; part < 3; part++) {
    cornu_tensor_release(arrays[part]);
    arrays[part] = arrays[3 * GATES + part];
    arrays[3 * GATES + part] = NULL;
  }
  for (int i = 3; i < 3 * GATES; i++) {
    cornu_tensor_release(arrays[i]);
    arrays[i] = NULL;
  }
  *n = 3;
  return CORNU_OK;
}

/* One gate's kernels as declared for all gates. */
static cn_status import_gate(cn_layer *l, cn_tensor **arrays, int spatial, cn_error *e) {
  const settings *s = l->settings;
  for (int part = 0; part < 2; part++) {
    cn_weight one = l->weights[part];
    one.shape[one.rank - 1] /= GATES;
    CN_TRY(cn_spatial_import_kernel(l, s->conv.data_format, &arrays[part], &one, e));
    if (l->origin.theano) CN_TRY(cn_spatial_rotate(&arrays[part], spatial, e));
  }
  return CORNU_OK;
}

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, int spatial, cn_error *e) {
  if (*n == 3 * GATES && l->n_weights == 3) {
    for (int gate = 0; gate < GATES; gate++) CN_TRY(import_gate(l, arrays + 3 * gate, spatial, e));
    return join_gates(l, arrays, n, e);
  }
  for (int part = 0; part < 2 && part < *n && l->origin.theano; part++)
    CN_TRY(cn_spatial_rotate(&arrays[part], spatial, e));
  return CORNU_OK;
}

static int keras1_arrays(const cn_layer *l) { return l->n_weights == 3 ? 3 * GATES : l->n_weights; }

/* ---- Steps; everything in channels-last order ---- */

typedef struct steps {
  const settings *s;
  cn_layer *l;
  int spatial;
  cn_edge inputs, recurrent, mask; /* (batch, time, …, 4 filters); the recurrent kernel; (batch, time) or none */
  cn_edge h, c, output;            /* CN_NO_EDGE: zeros */
  cn_rnn_drop drop;                /* of the state */
} steps;

/* ---- What is dropped ---- */

static void draw(cn_layer *l, cn_trace *t, const cn_type *type, double rate, cn_rnn_drop *out) {
  const settings *s = l->settings;
  out->n = rate > 0 && t->training && cn_layer_draws(l, t) ? GATES : 0;
  for (int i = 0; i < out->n; i++) out->by[i] = cn_emit_kept(t, type, rate < 1 ? rate : 1, s->seed);
}

/* A convolution whose input loses other values for each gate. */
static cn_edge convolve(cn_trace *t, const cn_conv_attrs *conv, const cn_rnn_drop *drop, cn_edge x, cn_edge kernel,
                        cn_edge bias) {
  cn_edge parts[GATES];
  if (!drop->n || t->status) return cn_emit3(t, &cn_op_conv, conv, x, kernel, bias);
  const int rank = cn_edge_type(t, kernel)->rank;
  const int64_t width = cn_edge_type(t, kernel)->shape[rank - 1] / GATES;
  for (int i = 0; i < GATES; i++)
    parts[i] = cn_emit3(t, &cn_op_conv, conv, cn_emit2(t, &cn_op_mul, NULL, x, drop->by[i]),
                        cn_emit_range(t, kernel, -1, i * width, (i + 1) * width),
                        bias == CN_NO_EDGE ? bias : cn_emit_range(t, bias, -1, i * width, (i + 1) * width));
  return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){-1}, parts, GATES);
}

/* Where the mask of this step is false the old value stays; none is zeros. */
static cn_edge keep(cn_trace *t, cn_edge mask, cn_edge fresh, cn_edge old) {
  if (mask == CN_NO_EDGE) return fresh;
  if (old == CN_NO_EDGE) old = cn_emit_number(t, 0);
  return cn_emit3(t, &cn_op_where, NULL, mask, fresh, old);
}

static cn_edge mask_at(cn_trace *t, const steps *p, int64_t i) {
  if (p->mask == CN_NO_EDGE) return CN_NO_EDGE;
  cn_edge mask = cn_rnn_step_of(t, p->mask, i);
  for (int d = 0; d <= p->spatial; d++) mask = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, mask);
  return mask;
}

static void one_step(cn_trace *t, steps *p, int64_t i) {
  cn_edge gates = cn_rnn_step_of(t, p->inputs, i), gate;
  if (p->h != CN_NO_EDGE) {
    cn_conv_attrs conv = {.spatial = p->spatial, .groups = 1};
    for (int d = 0; d < p->spatial; d++) {
      conv.stride[d] = conv.dilation[d] = 1;
      cn_spatial_pad(p->l, CN_PADDING_SAME, false, cn_edge_type(t, p->h)->shape[d + 1], p->s->conv.kernel_size.v[d], 1,
                     &conv.pad_begin[d], &conv.pad_end[d]);
    }
    gates = cn_emit2(t, &cn_op_add, NULL, gates, convolve(t, &conv, &p->drop, p->h, p->recurrent, CN_NO_EDGE));
  }
  if (cn_emit_many(t, &cn_op_split, &(cn_split_attrs){-1, GATES}, &gates, 1, &gate) != GATES) return;
  const cn_activation *squash = &p->s->recurrent_activation, *bend = &p->s->conv.activation;
  cn_edge in = cn_activation_emit(t, squash, gate), forget = cn_activation_emit(t, squash, gate + 1);
  cn_edge fresh = cn_emit2(t, &cn_op_mul, NULL, in, cn_activation_emit(t, bend, gate + 2));
  cn_edge out = cn_activation_emit(t, squash, gate + 3), mask = mask_at(t, p, i);
  if (p->c != CN_NO_EDGE) fresh = cn_emit2(t, &cn_op_add, NULL, cn_emit2(t, &cn_op_mul, NULL, forget, p->c), fresh);
  cn_edge h = cn_emit2(t, &cn_op_mul, NULL, out, cn_activation_emit(t, bend, fresh));
  bool zeros = p->s->zero_output_for_mask && p->l->origin.keras >= 3;
  p->output = keep(t, mask, h, zeros ? CN_NO_EDGE : p->output);
  p->h = keep(t, mask, h, p->h);
  p->c = keep(t, mask, fresh, p->c);
}

/* The outputs of all steps as (batch, time, …), or the last one. */
static cn_edge run_steps(cn_trace *t, steps *p, int64_t time) {
  cn_edge *outputs = cn_arena_array(&t->graph->arena, (size_t)time + 1, sizeof *outputs);
  if (!outputs) {
    t->status = cn_no_memory(t->error);
    return CN_NO_EDGE;
  }
  for (int64_t i = 0; i < time && !t->status; i++) {
    one_step(t, p, p->s->go_backwards ? time - 1 - i : i);
    outputs[i] = p->output;
  }
  return p->s->return_sequences ? cn_emit(t, &cn_op_stack, &(cn_axis_attrs){1}, outputs, (int)time) : p->output;
}

/* Shapes alone: the time is not known yet. */
static cn_edge shape_of_steps(cn_trace *t, steps *p) {
  cn_slice_attrs filters = {.axes = {1, {-1}}, .begin = {1, {0}}, .end = {1, {p->s->conv.filters}}, .step = {1, {1}}};
  cn_edge all = cn_emit1(t, &cn_op_slice, &filters, p->inputs);
  p->h = p->c = cn_emit1(t, &cn_op_max, &(cn_reduce_attrs){.axes = {1, {1}}}, all);
  return p->s->return_sequences ? all : p->h;
}

/* ---- The call ---- */

/* For all steps x (batch, time, …) as `all` (batch * time, …): the same factors for the steps of a sample. */
static cn_rnn_drop draw_inputs(cn_layer *l, cn_trace *t, cn_edge x, cn_edge all) {
  cn_rnn_drop drop;
  cn_type type = *cn_edge_type(t, all);
  const int64_t batch = cn_edge_type(t, x)->shape[0], time = cn_edge_type(t, x)->shape[1];
  type.shape[0] = batch;
  draw(l, t, &type, ((const settings *)l->settings)->dropout, &drop);
  for (int i = 0; i < drop.n; i++)
    drop.by[i] = cn_emit1(t, &cn_op_repeat, &(cn_repeat_attrs){.axis = 0, .count = time}, drop.by[i]);
  return drop;
}

/* The convolution of all steps at once. */
static cn_edge convolve_inputs(cn_layer *l, cn_trace *t, cn_edge x, int spatial, bool first) {
  const cn_conv_settings *s = &((const settings *)l->settings)->conv;
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "kernel")];
  cn_edge all = cn_spatial_enter(t, cn_emit1(t, &cn_op_fold, NULL, x), spatial, first, kernel->shape[spatial]);
  cn_conv_attrs conv = cn_spatial_conv(l, s, cn_edge_type(t, all), spatial);
  cn_rnn_drop drop = draw_inputs(l, t, x, all);
  all = convolve(t, &conv, &drop, all, cn_layer_weight_edge(l, t, "kernel"), cn_layer_weight_edge(l, t, "bias"));
  return cn_emit2(t, &cn_op_unfold, NULL, all, x);
}

/* Given states, or those that a stateful layer kept. */
static void begin_states(cn_layer *l, cn_trace *t, cn_call *c, steps *p, bool first) {
  cn_edge given[2];
  int n = cn_rnn_initial_states(t, c, 0, given, 2);
  p->mask = cn_rnn_mask(l, c, n);
  if (n == 1 || t->status) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "1 initial state is given, the layer has 2");
    return;
  }
  cn_type type = *cn_edge_type(t, p->inputs);
  memmove(type.shape + 1, type.shape + 2, sizeof *type.shape * (size_t)(type.rank - 2));
  type.rank--;
  type.shape[type.rank - 1] = p->s->conv.filters;
  cn_edge kept[2] = {CN_NO_EDGE, CN_NO_EDGE};
  for (int i = 0; i < 2 && p->s->stateful; i++) kept[i] = cn_trace_state_now(t, l, i, &type);
  for (int i = 0; i < 2 && n == 2; i++) given[i] = cn_spatial_enter(t, given[i], p->spatial, first, p->s->conv.filters);
  p->h = n ? given[0] : kept[0];
  p->c = n ? given[1] : kept[1];
  draw(l, t, &type, p->s->recurrent_dropout, &p->drop);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->conv.data_format, spatial);
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type in = *cn_edge_type(t, x);
  if (!t->status) t->status = want_sequence(&in, spatial, t->error);
  if (!t->status && in.shape[1] > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "the input has %lld steps, the most are %d", (long long)in.shape[1], MOST_STEPS);
  if (!t->status && in.shape[1] == 0) cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has no steps");
  if (t->status) return;
  steps p = {s, l, spatial, convolve_inputs(l, t, x, spatial, first), cn_layer_weight_edge(l, t, "recurrent_kernel"),
             c->in[0].mask, CN_NO_EDGE, CN_NO_EDGE, CN_NO_EDGE, {.n = 0}};
  if (!t->status) begin_states(l, t, c, &p, first);
  cn_edge y = in.shape[1] < 0 ? shape_of_steps(t, &p) : run_steps(t, &p, in.shape[1]);
  if (t->status) return;
  for (int i = 0; i < 2 && s->stateful; i++) cn_trace_state_keep(t, l, i, i ? p.c : p.h);
  if (first && s->return_sequences) {
    cn_edge flat = cn_spatial_leave(t, cn_emit1(t, &cn_op_fold, NULL, y), spatial, true);
    y = cn_emit2(t, &cn_op_unfold, NULL, flat, y);
  } else {
    y = cn_spatial_leave(t, y, spatial, first);
  }
  cn_call_return(t, c, y, s->return_sequences ? c->in[0].mask : CN_NO_EDGE);
  if (!s->return_state) return;
  cn_call_return(t, c, cn_spatial_leave(t, p.h, spatial, first), CN_NO_EDGE);
  cn_call_return(t, c, cn_spatial_leave(t, p.c, spatial, first), CN_NO_EDGE);
}

/* ---- One to three dimensions ---- */

/* Keras 2's ConvRNN2D over a ConvLSTM2DCell is a ConvLSTM2D whose keys are in two places. */
static cn_status join_cell(cn_layer *l, cn_value *config, cn_error *e) {
  const cn_value *cell = cn_value_find(config, "cell"), *keys = cn_value_find(cell, "config");
  const char *class_name = cn_value_str(cn_value_find(cell, "class_name"));
  if (!cell) return CORNU_OK;
  if (!class_name || strcmp(class_name, "ConvLSTM2DCell") != 0 || !cn_value_is(keys, CORNU_DICT))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the cell is %s: ConvRNN2D runs a ConvLSTM2DCell; give a handler for the "
                   "layer in custom_objects", class_name ? class_name : cn_value_show(cell, (char[80]){0}, 80));
  for (int i = 0; i < keys->count; i++) {
    cn_value *v = keys->items[i];
    if (!cn_value_find(config, cornu_value_key(keys, i)) && !cn_value_put(&l->arena, config, cornu_value_key(keys, i),
                                                                          v))
      return cn_no_memory(e);
  }
  cn_value_remove(config, "cell");
  return CORNU_OK;
}

static cn_status upgrade2(cn_layer *l, cn_value *config, cn_error *e) {
  CN_TRY(join_cell(l, config, e));
  return cn_spatial_join(l, config, "kernel_size", 2, (const char *const[]){"nb_row", "nb_col"}, e);
}

#define OF(d)                                                                                                          \
  static cn_status check##d(cn_layer *l, cn_error *e) { return check(l, d, e); }                                       \
  static cn_status build##d(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {                                   \
    (void)n_in;                                                                                                        \
    return build(l, in, d, e);                                                                                         \
  }                                                                                                                    \
  static void lower##d(cn_layer *l, cn_trace *t, cn_call *c) { lower(l, t, c, d); }                                    \
  static cn_status import##d(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {                                   \
    return import(l, arrays, n, d, e);                                                                                 \
  }
OF(1)
OF(2)
OF(3)

#define COMMON \
  .flags = CN_MASK_OWN, .min_in = 1, .max_in = 3, .settings_size = sizeof(settings), .weights_path = "cell"

const cn_layer_type cn_layer_conv_lstm1d = {
    .name = "ConvLSTM1D", COMMON, .versions = "2 3", .fields = fields1, .check = check1, .build = build1,
    .lower = lower1, .import = import1,
    .help = CN_HELP("LSTM by convolutions: (batch, time, steps, channels) -> (batch, steps, filters), or "
                    "with the time"),
};
const cn_layer_type cn_layer_conv_lstm2d = {
    .name = "ConvLSTM2D", .aliases = "ConvRNN2D", COMMON, .versions = "1 2 3", .fields = fields2, .upgrade = upgrade2, .check = check2,
    .build = build2, .lower = lower2, .import = import2, .keras1_arrays = keras1_arrays,
    .help = CN_HELP("LSTM by convolutions: (batch, time, height, width, channels) -> images, or with the time"),
};
const cn_layer_type cn_layer_conv_lstm3d = {
    .name = "ConvLSTM3D", COMMON, .versions = "2 3", .fields = fields3, .check = check3, .build = build3,
    .lower = lower3, .import = import3,
    .help = CN_HELP("LSTM by convolutions: (batch, time, depth, height, width, channels) -> volumes, or with the time"),
};
