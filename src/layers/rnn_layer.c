/* RNN over a cell or a stack of cells: lowered to the recurrent ops, one per cell. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/rnn.h"

/* ---- Cells ---- */

static bool cell_kind(const cn_layer *cell, cn_rnn_kind *kind) {
  if (cell->type == &cn_layer_simple_rnn_cell) *kind = CN_RNN_SIMPLE;
  else if (cell->type == &cn_layer_lstm_cell) *kind = CN_RNN_LSTM;
  else if (cell->type == &cn_layer_gru_cell) *kind = CN_RNN_GRU;
  else return false;
  return true;
}

static cn_status refuse_cell(const cn_layer *cell, cn_error *e) {
  return cn_fail(e, CORNU_ERR_UNSUPPORTED,
      "the cell \"%s\" is a %s: RNN runs SimpleRNNCell, LSTMCell, GRUCell and stacks of them",
                 cell->name, cell->class_name);
}

/* The cells of a cell layer: itself, or those of the stack; *count of them in cells (room: CN_RNN_MAX_CELLS). */
static cn_status list_cells(cn_layer *cell, cn_layer **cells, int *count, cn_error *e) {
  cn_rnn_kind kind;
  if (cell->type != &cn_layer_stacked_rnn_cells) {
    if (!cell_kind(cell, &kind)) return refuse_cell(cell, e);
    if (*count >= CN_RNN_MAX_CELLS) return cn_fail(e, CORNU_ERR_LIMIT, "more than %d stacked cells", CN_RNN_MAX_CELLS);
    cells[(*count)++] = cell;
    return CORNU_OK;
  }
  for (int i = 0; i < cell->n_children; i++) CN_TRY(list_cells(cell->children[i].layer, cells, count, e));
  return CORNU_OK;
}

/* Declares the weights of the cells, each fed by the one before. */
static cn_status build_cells(cn_layer *stack, const cn_type *in, cn_error *e) {
  cn_layer *cells[CN_RNN_MAX_CELLS];
  int count = 0;
  CN_TRY(list_cells(stack, cells, &count, e));
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
     .help = "the cells, in the order in which they run"},
    {.name = "reverse_state_order", .kind = CN_F_BOOL, .offset = offsetof(stack_settings, reverse_state_order),
     .standard = "false",
     .help = "states of the last cell come first; before Keras 2.2.3 always"},
    CN_RNN_IGNORED("state_size", NULL, "follows from the cells"),
    {0}};

/* Keras 3's weight files name the i-th cell by its class and a count: cells/lstm_cell, cells/lstm_cell_1. */
static const char *cell_path(cn_layer *l, const cn_layer *cell) {
  char name[128];
  int same = 0;
  cn_snake_case(cell->type ? cell->type->name : cell->class_name, name, sizeof name);
  for (int i = 0; i < l->n_children; i++) same += l->children[i].layer->type == cell->type;
  return same ? cn_arena_printf(&l->arena, "cells/%s_%d", name, same) : cn_arena_printf(&l->arena, "cells/%s", name);
}

static cn_status adopt_cell(cn_layer *l, const cn_value *serialized, cn_error *e) {
  cn_layer *cell;
  cn_rnn_kind kind;
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &cell, e));
  cn_status status = cell_kind(cell, &kind) || cell->type == &cn_layer_stacked_rnn_cells ? CORNU_OK
      : refuse_cell(cell, e);
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

static void lower_stack(cn_layer *l, cn_trace *t, cn_call *c) {
  (void)c;
  cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "%s is called on its own: wrap the cells in an RNN layer", l->class_name);
}

const cn_layer_type cn_layer_stacked_rnn_cells = {
    .name = "StackedRNNCells",
    .weights = "inner",
    .versions = "2 3",
    .help = "cells that run one after the other in each time step of an RNN layer",
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(stack_settings),
    .fields = stack_fields,
    .check = check_stack,
    .build = build_stack,
    .lower = lower_stack,
};

/* ---- RNN ---- */

static const cn_field fields[] = {
    {.name = "cell", .kind = CN_F_VALUE, .offset = offsetof(cn_rnn, cell_config),
     .help = "the cell that each time step runs"},
    CN_RNN_ROWS,
    {.name = "num_constants", .kind = CN_F_INT, .offset = offsetof(cn_rnn, num_constants), .standard = "null",
     .help = "constants for custom cells: only 0"},
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
  const cn_rnn *s = l->settings;
  if (s->num_constants != CN_NULL_INT && s->num_constants != 0)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "constants (num_constants %lld) go to custom cells, which RNN cannot run",
        (long long)s->num_constants);
  const cn_value *serialized = serialized_cell(l, s->cell_config);
  if (!serialized) return cn_no_memory(e);
  cn_layer *cell, *cells[CN_RNN_MAX_CELLS];
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &cell, e));
  int count = 0;
  cn_status status = list_cells(cell, cells, &count, e);
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
  if (t->status || (t->status = list_cells(cell, cells, &count, t->error))) return;
  for (int i = 0; i < count; i++) {
    cn_rnn_kind kind = CN_RNN_SIMPLE;
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
    .help = "a recurrent layer made of a cell or a list of cells: (batch, time, features) -> (batch, units), "
        "or (batch, time, units)",
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(cn_rnn),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
