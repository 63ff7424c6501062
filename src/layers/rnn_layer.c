/* RNN over a cell or a stack of cells: lowered to the recurrent ops, one per cell, where each is one of Keras's; else
 * step by step. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/rnn.h"

/* ---- Cells ---- */

static bool cell_kind(const cn_layer *cell, cn_cell_kind *kind) {
  if (cell->type == &cn_layer_simple_rnn_cell) *kind = CN_CELL_SIMPLE;
  else if (cell->type == &cn_layer_lstm_cell) *kind = CN_CELL_LSTM;
  else if (cell->type == &cn_layer_gru_cell) *kind = CN_CELL_GRU;
  else return false;
  return true;
}

static bool is_cell(const cn_layer *cell) {
  cn_cell_kind kind;
  return cell_kind(cell, &kind) || cell->type == &cn_layer_stacked_rnn_cells ||
         cell->type == &cn_layer_cell_wrapper || (cell->custom && cell->custom->states);
}

static cn_status refuse_cell(const cn_layer *cell, cn_error *e) {
  if (cell->custom)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the handler of the cell \"%s\" (%s) does not tell its states: custom_objects = "
                   "{ %s = { state_size = …, call = function(x, states, layer) … return y, states end } }", cell->name,
                   cell->class_name, cell->class_name);
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the cell \"%s\" is a %s: RNN runs SimpleRNNCell, LSTMCell, GRUCell, stacks of "
                 "them, and cells of custom_objects", cell->name, cell->class_name);
}

/* The cells of a cell layer: itself, or those of the stack; *count of them in cells (room: CN_RNN_MAX_CELLS). False:
 * one of them is no op of its own, or there are too many. */
static bool list_cells(cn_layer *cell, cn_layer **cells, int *count) {
  cn_cell_kind kind;
  if (cell->type != &cn_layer_stacked_rnn_cells) {
    if (!cell_kind(cell, &kind) || *count >= CN_RNN_MAX_CELLS) return false;
    cells[(*count)++] = cell;
    return true;
  }
  for (int i = 0; i < cell->n_children; i++)
    if (!list_cells(cell->children[i].layer, cells, count)) return false;
  return true;
}

/* Declares the weights of the cells, each fed by the one before; those that run step by step are built when they run. */
static cn_status build_cells(cn_layer *stack, const cn_type *in, cn_error *e) {
  cn_layer *cells[CN_RNN_MAX_CELLS];
  int count = 0;
  if (!list_cells(stack, cells, &count)) return CORNU_OK;
  cn_type type = *in;
  for (int i = 0; i < count; i++) {
    if (!cells[i]->built) {
      cn_status status = cells[i]->type->build(cells[i], &type, 1, e);
      if (status) return cn_at(e, status, "cell \"%s\" (%s)", cells[i]->name, cells[i]->class_name);
      cells[i]->built = true;
    }
    type = (cn_type){.dtype = in->dtype, .rank = 2, .shape = {-1, ((const cn_rnn *)cells[i]->settings)->cell.units}};
  }
  stack->built = true;
  return CORNU_OK;
}

/* ---- StackedRNNCells ---- */

typedef struct stack_settings { const cn_value *cells; bool reverse_state_order; } stack_settings;

static const cn_field stack_fields[] = {
    {.name = "cells", .kind = CN_F_VALUE, .offset = offsetof(stack_settings, cells),
     .help = CN_HELP("the cells, in the order in which they run")},
    {.name = "reverse_state_order", .kind = CN_F_BOOL, .offset = offsetof(stack_settings, reverse_state_order),
     .standard = "false",
     .help = CN_HELP("states of the last cell come first; before Keras 2.2.3 always")},
    CN_RNN_IGNORED("state_size", NULL, "follows from the cells"),
    {0}};

/* Keras 3's weight files name the i-th cell by its class and a count: cells/lstm_cell, cells/lstm_cell_1. */
static const char *cell_path(cn_layer *l, const cn_layer *cell) {
  char name[128];
  int same = 0;
  const char *bare = strrchr(cell->class_name, '>');
  cn_snake_case(bare ? bare + 1 : cell->class_name, name, sizeof name);
  for (int i = 0; i < l->n_children; i++) same += strcmp(l->children[i].layer->class_name, cell->class_name) == 0;
  return same ? cn_arena_printf(&l->arena, "cells/%s_%d", name, same) : cn_arena_printf(&l->arena, "cells/%s", name);
}

static cn_status adopt_cell(cn_layer *l, const cn_value *serialized, cn_error *e) {
  cn_layer *cell;
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &cell, e));
  cn_status status = is_cell(cell) ? CORNU_OK : refuse_cell(cell, e);
  const char *path = status ? NULL : cell_path(l, cell);
  if (!status && !path) status = cn_no_memory(e);
  if (status) return cn_layer_drop(cell), status;
  return cn_layer_adopt(l, path, cell, e);
}

static cn_status check_stack(cn_layer *l, cn_error *e) {
  stack_settings *s = l->settings;
  if (!cn_value_is(s->cells, CORNU_LIST) || s->cells->count < 1)
    return cn_fail(e, CORNU_ERR_FORMAT, "cells must be a list of at least one serialized cell");
  for (int i = 0; i < s->cells->count; i++) CN_TRY(adopt_cell(l, s->cells->items[i], e));
  if (!l->origin.tf && !cn_origin_at_least(&l->origin, 2, 2, 3)) s->reverse_state_order = true;
  return CORNU_OK;
}

static cn_status build_stack(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return build_cells(l, in, e);
}

/* Where the states of child i begin in the list of the stack's. */
static int states_before(const cn_layer *l, const int *counts, int i) {
  bool reversed = ((const stack_settings *)l->settings)->reverse_state_order;
  int at = 0;
  for (int k = reversed ? i + 1 : 0; k < (reversed ? l->n_children : i); k++) at += counts[k];
  return at;
}

static int count_states(cn_layer *l, const cn_type *x, int *counts, cn_error *e) {
  cn_type states[CN_RNN_MAX_STATES];
  int all = 0;
  for (int i = 0; i < l->n_children; i++) {
    counts[i] = cn_cell_states(l->children[i].layer, x, states, CN_RNN_MAX_STATES, e);
    if (counts[i] < 0) return -1;
    all += counts[i];
  }
  return all;
}

/* One step: each cell on the output of the one before, custom ones with the constants behind the states. */
static void lower_stack(cn_layer *l, cn_trace *t, cn_call *c) {
  int counts[CN_RNN_MAX_CELLS], all = l->n_children > CN_RNN_MAX_CELLS ? -1 : 0;
  cn_sym in[1 + 2 * CN_RNN_MAX_STATES], out[1 + CN_RNN_MAX_STATES], next[CN_RNN_MAX_STATES];
  cn_sym x = c->in[0];
  if (all < 0) cn_trace_fail(t, CORNU_ERR_LIMIT, "more than %d stacked cells", CN_RNN_MAX_CELLS);
  if (!t->status) all = count_states(l, cn_edge_type(t, x.data), counts, t->error);
  if (!t->status && all < 0) t->status = t->error->status;
  if (!t->status && (all > c->n_positional - 1 || c->n_positional > CN_RNN_MAX_STATES))
    cn_trace_fail(t, CORNU_ERR_SHAPE, "has %d states, it is called with %d", all, c->n_positional - 1);
  int constants = c->n_positional - 1 - all;
  for (int i = 0; i < l->n_children && !t->status; i++) {
    cn_layer *cell = l->children[i].layer;
    int n = 1, at = states_before(l, counts, i);
    in[0] = (cn_sym){x.data, CN_NO_EDGE};
    for (int k = 0; k < counts[i]; k++) in[n++] = c->in[1 + at + k];
    for (int k = 0; k < constants && cell->custom; k++) in[n++] = c->in[1 + all + k];
    if (cn_layer_call_on(cell, t, in, n, out, 1 + counts[i]) != 1 + counts[i]) return;
    x = out[0];
    memcpy(next + at, out + 1, sizeof *next * (size_t)counts[i]);
  }
  cn_call_return(t, c, x.data, CN_NO_EDGE);
  for (int i = 0; i < all && !t->status; i++) cn_call_return(t, c, next[i].data, CN_NO_EDGE);
}

const cn_layer_type cn_layer_stacked_rnn_cells = {
    .name = "StackedRNNCells",
    .weights = "inner",
    .versions = "2 3",
    .help = CN_HELP("cells that run one after the other in each time step of an RNN layer"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(stack_settings),
    .fields = stack_fields,
    .check = check_stack,
    .build = build_stack,
    .lower = lower_stack,
};

/* ---- States of cells ---- */

static int custom_states(cn_layer *cell, const cn_type *x, cn_type *out, int cap, cn_error *e) {
  int count = 0, ranks[CN_RNN_MAX_STATES];
  int64_t shapes[CN_RNN_MAX_STATES][CN_MAX_RANK];
  cn_status status = cell->custom->states(cell->custom->user, cell, cap, &count, ranks, shapes, e);
  if (status) return e->status = status, -1;
  if (count < 0 || count > cap) return cn_fail(e, CORNU_ERR_LIMIT, "a cell of %d states, the most are %d", count, cap), -1;
  for (int i = 0; i < count; i++) {
    if (ranks[i] < 0 || ranks[i] >= CN_MAX_RANK)
      return cn_fail(e, CORNU_ERR_SHAPE, "state %d has %d dimensions", i + 1, ranks[i]), -1;
    out[i] = (cn_type){.dtype = cell->compute, .rank = ranks[i] + 1, .shape = {x->shape[0]}};
    memcpy(out[i].shape + 1, shapes[i], sizeof *shapes[i] * (size_t)ranks[i]);
  }
  return count;
}

static int stacked_states(cn_layer *cell, const cn_type *x, cn_type *out, int cap, cn_error *e) {
  bool reversed = ((const stack_settings *)cell->settings)->reverse_state_order;
  int count = 0;
  for (int k = 0; k < cell->n_children; k++) {
    cn_layer *child = cell->children[reversed ? cell->n_children - 1 - k : k].layer;
    int n = cn_cell_states(child, x, out + count, cap - count, e);
    if (n < 0) return -1;
    count += n;
  }
  return count;
}

int cn_cell_states(cn_layer *cell, const cn_type *x, cn_type *out, int cap, cn_error *e) {
  cn_cell_kind kind;
  if (cell->custom) return custom_states(cell, x, out, cap, e);
  if (cell->type == &cn_layer_stacked_rnn_cells) return stacked_states(cell, x, out, cap, e);
  if (cell->type == &cn_layer_cell_wrapper) return cn_cell_states(cell->children[0].layer, x, out, cap, e);
  int count = cell_kind(cell, &kind) && kind == CN_CELL_LSTM ? 2 : 1;
  if (count > cap) return cn_fail(e, CORNU_ERR_LIMIT, "more than %d states", CN_RNN_MAX_STATES), -1;
  for (int i = 0; i < count; i++)
    out[i] = (cn_type){.dtype = cell->compute, .rank = 2,
                       .shape = {x->shape[0], ((const cn_rnn *)cell->settings)->cell.units}};
  return count;
}

/* ---- RNN ---- */

static const cn_field fields[] = {
    {.name = "cell", .kind = CN_F_VALUE, .offset = offsetof(cn_rnn, cell_config),
     .help = CN_HELP("the cell that each time step runs")},
    CN_RNN_ROWS,
    {.name = "num_constants", .kind = CN_F_INT, .offset = offsetof(cn_rnn, num_constants), .standard = "null",
     .help = CN_HELP("constants for custom cells: so many inputs come after the states")},
    {0}};

/* A list of cells stands for their stack. */
static const cn_value *serialized_cell(cn_layer *l, const cn_value *v) {
  if (!cn_value_is(v, CORNU_LIST)) return v;
  cn_value *stack = cn_value_new(&l->arena, CORNU_DICT), *config = cn_value_new(&l->arena, CORNU_DICT);
  cn_value *cells = cn_value_copy(&l->arena, v), *name = cn_value_text(&l->arena, "StackedRNNCells");
  bool made = stack && config && cells && name && cn_value_put(&l->arena, config, "cells", cells) &&
              cn_value_put(&l->arena, stack, "class_name", name) && cn_value_put(&l->arena, stack, "config", config);
  return made ? stack : NULL;
}

static cn_status check(cn_layer *l, cn_error *e) {
  cn_rnn *s = l->settings;
  if (s->num_constants == CN_NULL_INT) s->num_constants = 0;
  if (s->num_constants < 0 || s->num_constants > CN_RNN_MAX_STATES)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"num_constants\" is %lld, expected 0 to %d", (long long)s->num_constants,
                   CN_RNN_MAX_STATES);
  const cn_value *serialized = serialized_cell(l, s->cell_config);
  if (!serialized) return cn_no_memory(e);
  cn_layer *cell;
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &cell, e));
  cn_status status = is_cell(cell) ? CORNU_OK : refuse_cell(cell, e);
  if (status) return cn_layer_drop(cell), status;
  return cn_layer_adopt(l, "cell", cell, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return build_cells(l->children[0].layer, in, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_layer *cell = l->children[0].layer, *cells[CN_RNN_MAX_CELLS];
  cn_rnn_part parts[CN_RNN_MAX_CELLS];
  int count = 0;
  if (t->status) return;
  if (((const cn_rnn *)l->settings)->num_constants || !list_cells(cell, cells, &count)) {
    cn_rnn_lower_steps(l, cell, t, c);
    return;
  }
  for (int i = 0; i < count; i++) {
    cn_cell_kind kind = CN_CELL_SIMPLE;
    cell_kind(cells[i], &kind);
    parts[i] = cn_rnn_part_of(cells[i], t, kind, false);
  }
  bool reversed = cell->type == &cn_layer_stacked_rnn_cells &&
      ((const stack_settings *)cell->settings)->reverse_state_order;
  cn_rnn_lower(l, parts, count, reversed, t, c);
}

const cn_layer_type cn_layer_rnn = {
    .name = "RNN",
    .weights = "inner",
    .versions = "2 3",
    .help = CN_HELP("a recurrent layer made of a cell or a list of cells: (batch, time, features) -> (batch, units), "
                "or (batch, time, units)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(cn_rnn),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
