/* Bidirectional: a recurrent layer forward and another backward, their outputs merged. Any layer with go_backwards,
 * return_sequences and return_state in its config will do. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/rnn.h"

enum { MODE_CONCAT, MODE_SUM, MODE_MUL, MODE_AVE };

typedef struct settings {
  const cn_value *layer, *backward_layer;
  int merge_mode;                      /* -1: null, two outputs */
  int64_t num_constants;
  bool return_sequences, return_state; /* the wrapped layer's */
  bool time_major;
} settings;

static const cn_field fields[] = {
    {.name = "layer", .kind = CN_F_VALUE, .offset = offsetof(settings, layer), .help = CN_HELP("the forward layer")},
    {.name = "merge_mode", .kind = CN_F_ENUM, .offset = offsetof(settings, merge_mode), .standard = "\"concat\"",
     .choices = "concat sum mul ave null", .help = CN_HELP("how the outputs join; null: they stay two")},
    {.name = "backward_layer", .kind = CN_F_VALUE, .offset = offsetof(settings, backward_layer), .standard = "null",
     .help = CN_HELP("the backward layer; null: the forward one with go_backwards turned")},
    {.name = "num_constants", .kind = CN_F_INT, .offset = offsetof(settings, num_constants), .standard = "null",
     .help = CN_HELP("constants for custom cells: so many inputs come after the states")},
    {.name = "weights", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("Keras 1: initial weights")},
    {0}};

/* ---- Children ---- */

static bool flag(const cn_value *config, const char *key) { return cornu_value_as_bool(cn_value_find(config, key)); }

static bool put_bool(cn_arena *a, cn_value *dict, const char *key, bool b) {
  cn_value *v = cn_value_new(a, CORNU_BOOL);
  if (v) v->b = b;
  return v && cn_value_put(a, dict, key, v);
}

/* "forward_" or "backward_" before the name, once. */
static bool put_name(cn_arena *a, cn_value *config, const char *prefix) {
  const char *name = cn_value_str(cn_value_find(config, "name"));
  if (!name || strncmp(name, prefix, strlen(prefix)) == 0) return true;
  cn_value *v = cn_value_text(a, cn_arena_printf(a, "%s%s", prefix, name));
  return v && cn_value_put(a, config, "name", v);
}

/* tf.keras and Keras 3 make masked steps zeros when sequences come out, else carry over, whatever the layer says. */
static bool force_zeros(const cn_layer *l, cn_value *serialized, cn_value *config) {
  const char *class_name = cn_value_str(cn_value_find(serialized, "class_name"));
  const cn_layer_type *type = class_name ? cn_layer_type_find(class_name) : NULL;
  if (!(l->origin.tf || l->origin.keras >= 3) || !type || !type->fields ||
      !cn_field_find(type->fields, "zero_output_for_mask")) return true;
  return put_bool(&((cn_layer *)l)->arena, config, "zero_output_for_mask", flag(config, "return_sequences"));
}

/* The wrapped layers take as many constants as this one is called with. */
static bool hand_constants(cn_layer *l, cn_value *config) {
  const cn_value *number = cn_value_find(l->config, "num_constants");
  cn_value *copy = cn_value_copy(&l->arena, number);
  return copy && cn_value_put(&l->arena, config, "num_constants", copy);
}

static cn_status make_child(cn_layer *l, const cn_value *from, bool backward, bool turn, cn_error *e) {
  cn_value *serialized = cn_value_copy(&l->arena, from), *config = cn_value_find(serialized, "config");
  if (!serialized) return cn_no_memory(e);
  if (!cn_value_is(config, CORNU_DICT))
    return cn_fail(e, CORNU_ERR_FORMAT, "%s has no config", backward ? "backward_layer" : "layer");
  bool made = put_name(&l->arena, config, backward ? "backward_" : "forward_") && force_zeros(l, serialized, config);
  if (made && turn) made = put_bool(&l->arena, config, "go_backwards", !flag(config, "go_backwards"));
  if (made && ((const settings *)l->settings)->num_constants) made = hand_constants(l, config);
  if (!made) return cn_no_memory(e);
  cn_layer *child;
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &child, e));
  return cn_layer_adopt(l, backward ? "backward_layer" : "forward_layer", child, e);
}

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  if (s->num_constants == CN_NULL_INT) s->num_constants = 0;
  if (s->num_constants < 0 || s->num_constants > CN_RNN_MAX_STATES)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"num_constants\" is %lld, expected 0 to %d", (long long)s->num_constants,
        CN_RNN_MAX_STATES);
  bool own_backward = !cn_value_is_null(s->backward_layer);
  CN_TRY(make_child(l, s->layer, false, false, e));
  CN_TRY(make_child(l, own_backward ? s->backward_layer : s->layer, true, !own_backward, e));
  const cn_value *forward = l->children[0].layer->config, *backward = l->children[1].layer->config;
  s->return_sequences = flag(forward, "return_sequences");
  s->return_state = flag(forward, "return_state");
  s->time_major = flag(forward, "time_major");
  if (flag(backward, "go_backwards") == flag(forward, "go_backwards"))
    return cn_fail(e, CORNU_ERR_ARGUMENT,
        "the two layers run in the same direction: go_backwards must be true for one of them");
  if (s->return_sequences != flag(backward, "return_sequences") || s->return_state != flag(backward, "return_state"))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the two layers must agree on return_sequences and return_state");
  return CORNU_OK;
}

/* ---- Lowering ---- */

static cn_edge merge(cn_trace *t, int mode, cn_edge y, cn_edge z) {
  switch (mode) {
    case MODE_CONCAT: return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){-1}, (cn_edge[]){y, z}, 2);
    case MODE_SUM: return cn_emit2(t, &cn_op_add, NULL, y, z);
    case MODE_MUL: return cn_emit2(t, &cn_op_mul, NULL, y, z);
    default: return cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_add, NULL, y, z),
        cn_emit_number(t, 0.5));
  }
}

/* The child on the sequence, its states and all constants; returns the number of outputs in out (room: 1 +
 * CN_RNN_MAX_STATES). */
static int call_child(cn_layer *child, cn_trace *t, const cn_call *c, int n_constants, const cn_edge *states,
                      int n_states, cn_sym *out) {
  cn_sym in[1 + 2 * CN_RNN_MAX_STATES] = {c->in[0]};
  int n = 1;
  for (int i = 0; i < n_states; i++) in[n++] = (cn_sym){states[i], CN_NO_EDGE};
  for (int i = 0; i < n_constants; i++) in[n++] = c->in[c->n_positional - n_constants + i];
  return cn_layer_call_on(child, t, in, n, out, 1 + CN_RNN_MAX_STATES);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge states[CN_RNN_MAX_STATES];
  cn_sym forward[1 + CN_RNN_MAX_STATES], backward[1 + CN_RNN_MAX_STATES];
  int constants = (int)s->num_constants, given = cn_rnn_initial_states(t, c, constants, states, CN_RNN_MAX_STATES);
  int half = given / 2;
  if (c->n_positional <= constants)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "is called with %d inputs, %d of them constants", c->n_positional, constants);
  if (given % 2) cn_trace_fail(t, CORNU_ERR_SHAPE, "%d initial states are given: both directions need the same number",
      given);
  if (t->status) return;
  int n = call_child(l->children[0].layer, t, c, constants, states, half, forward);
  int m = call_child(l->children[1].layer, t, c, constants, states + half, half, backward);
  if (t->status || n < 1 || m < 1) return;
  cn_edge y = forward[0].data, z = backward[0].data;
  if (l->origin.keras >= 3) y = cn_emit_compute(t, y), z = cn_emit_compute(t, z);
  cn_edge mask = s->return_sequences ? c->in[0].mask : CN_NO_EDGE;
  /* Outputs are in processing order: the backward ones are turned to match. */
  if (s->return_sequences) z = cn_emit1(t, &cn_op_reverse, &(cn_ints_attrs){{1, {s->time_major ? 0 : 1}}}, z);
  if (s->merge_mode >= 0) {
    cn_call_return(t, c, merge(t, s->merge_mode, y, z), mask);
  } else {
    cn_call_return(t, c, y, mask);
    cn_call_return(t, c, z, mask);
  }
  for (int i = 1; s->return_state && i < n; i++) cn_call_return(t, c, forward[i].data, CN_NO_EDGE);
  for (int i = 1; s->return_state && i < m; i++) cn_call_return(t, c, backward[i].data, CN_NO_EDGE);
}

const cn_layer_type cn_layer_bidirectional = {
    .name = "Bidirectional",
    .weights = "inner",
    .versions = "1 2 3",
    .help = CN_HELP("a recurrent layer in both directions: (batch, time, features) -> (batch, 2 units) or "
                    "(batch, time, "
                "2 units) by merge_mode"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
