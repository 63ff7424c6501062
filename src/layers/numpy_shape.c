/* keras.ops: shapes, joining and splitting, of keras.ops.numpy. */
#include <string.h>

#include "base/text.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints axis, source, destination, shape, repeats, shift;
  int64_t one, other, number;
  const cn_value *sections, *pads;
  int mode;
} options;

#define INT(member, key, default_, text) \
  {.name = key, .kind = CN_F_INT, .offset = offsetof(options, member), .standard = default_, .help = CN_HELP(text)}
#define INTS(member, key, default_, text) \
  {.name = key, .kind = CN_F_INTS, .offset = offsetof(options, member), .standard = default_, .help = CN_HELP(text)}
#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }
static bool axis_of(cn_operation_call *c, int64_t axis, int rank, int *out) {
  return cn_trace_axis(c->t, axis, rank, out);
}

/* ---- Shapes ---- */

static void ravel(cn_operation_call *c) { cn_operation_return(c, cn_emit_flat(c->t, cn_argument_tensor(c, "x"))); }

/* Dimensions of the batch that the config keeps as null are the input's. */
static const cn_field shape_fields[] = {
    {.name = "shape", .kind = CN_F_INTS, .offset = offsetof(options, shape), .null_items = true,
     .help = CN_HELP("shape to broadcast to; null keeps a dimension")},
    {0}};
static void broadcast_to(cn_operation_call *c) {
  cn_ints_attrs a = {((const options *)c->options)->shape};
  for (int i = 0; i < a.v.n; i++)
    if (a.v.v[i] == CN_NULL_INT) a.v.v[i] = CN_DIM_COPY;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_broadcast_to, &a, cn_argument_tensor(c, "x")));
}

static const cn_field newshape_fields[] = {
    {.name = "newshape", .kind = CN_F_INTS, .offset = offsetof(options, shape), .null_items = true,
     .help = CN_HELP("new shape; one -1 or null is found out")},
    {0}};
static void reshape(cn_operation_call *c) {
  cn_reshape_attrs a = {((const options *)c->options)->shape};
  for (int i = 0; i < a.shape.n; i++)
    if (a.shape.v[i] == CN_NULL_INT) a.shape.v[i] = CN_DIM_INFER;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &a, cn_argument_tensor(c, "x")));
}

static const cn_field expand_fields[] = {INTS(axis, "axis", NULL, "where the new axes will be"), {0}};

/* Axes count in the result. */
static void expand_dims(cn_operation_call *c) {
  const cn_ints *axes = &((const options *)c->options)->axis;
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank + axes->n, axis;
  bool added[CN_MAX_RANK + CN_MAX_INTS] = {false};
  for (int i = 0; i < axes->n; i++)
    if (axis_of(c, axes->v[i], rank, &axis)) added[axis] = true;
  for (int i = 0; i < rank && !c->t->status; i++)
    if (added[i]) x = cn_emit_new_axis(c->t, x, i);
  cn_operation_return(c, x);
}

/* ---- Orders of axes ---- */

static const cn_field swap_fields[] = {INT(one, "axis1", NULL, "one"), INT(other, "axis2", NULL, "the other"), {0}};

static void swap_axes(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank, order[CN_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7}, a, b;
  if (!axis_of(c, o->one, rank, &a) || !axis_of(c, o->other, rank, &b)) return;
  order[a] = b;
  order[b] = a;
  cn_operation_return(c, cn_emit_permute(c->t, x, order));
}

static const cn_field move_fields[] = {INTS(source, "source", NULL, "axes"),
                                       INTS(destination, "destination", NULL, "their places in the result"), {0}};

static void move_axis(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank, order[CN_MAX_RANK], from, to;
  bool moved[CN_MAX_RANK] = {false};
  if (o->source.n != o->destination.n)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "moves %d axes to %d places", o->source.n, o->destination.n);
  memset(order, -1, sizeof order);
  for (int i = 0; i < o->source.n && !c->t->status; i++) {
    if (!axis_of(c, o->source.v[i], rank, &from) || !axis_of(c, o->destination.v[i], rank, &to)) return;
    order[to] = from;
    moved[from] = true;
  }
  for (int i = 0, next = 0; i < rank; i++) {
    if (order[i] >= 0) continue;
    while (next < rank && moved[next]) next++;
    order[i] = next++;
  }
  cn_operation_return(c, cn_emit_permute(c->t, x, order));
}

static const cn_field turn_fields[] = {INT(number, "k", "1", "quarter turns"),
                                       INTS(axis, "axes", "[0, 1]", "the plane"), {0}};

/* Keras's TensorFlow turns (…, h, w) as a stack and, after more than one turn, gives every one the final shape: for two
 * turns of what is not square that deals the elements out anew. */
static void rot90(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "array");
  const cn_type type = *type_of(c, x);
  int order[CN_MAX_RANK], back[CN_MAX_RANK], n = 0, a, b;
  if (o->axis.n != 2) cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"axes\" has %d entries, expected 2", o->axis.n);
  if (!axis_of(c, o->axis.v[0], type.rank, &a) || !axis_of(c, o->axis.v[1], type.rank, &b)) return;
  for (int i = 0; i < type.rank; i++)
    if (i != a && i != b) order[n++] = i;
  order[n] = a;
  order[n + 1] = b;
  for (int i = 0; i < type.rank; i++) back[order[i]] = i;
  x = cn_emit_permute(c->t, x, order);
  int64_t turns = (o->number % 4 + 4) % 4;
  cn_reshape_attrs final = {.shape = {.n = type.rank}};
  for (int i = 0; i < n; i++) final.shape.v[i] = CN_DIM_COPY;
  final.shape.v[n] = type.shape[turns % 2 ? b : a];
  final.shape.v[n + 1] = type.shape[turns % 2 ? a : b];
  for (int64_t i = 0; i < turns; i++) {
    x = cn_emit1(c->t, &cn_op_reverse, &(cn_ints_attrs){{1, {-1}}}, x);
    x = cn_emit_move_axis(c->t, x, -1, -2);
    if (i == 0 && turns > 1) x = cn_emit1(c->t, &cn_op_reshape, &final, x);
  }
  if (turns > 1 && turns % 2 == 0) x = cn_emit1(c->t, &cn_op_reshape, &final, x);
  cn_operation_return(c, cn_emit_permute(c->t, x, back));
}

static const cn_field flip_fields[] = {INTS(axis, "axis", "null", "axes to turn round; null: all"), {0}};

static void flip(cn_operation_call *c) {
  cn_ints_attrs a = {((const options *)c->options)->axis};
  cn_edge x = cn_argument_tensor(c, "x");
  if (a.v.n < 0)
    for (a.v.n = 0; a.v.n < type_of(c, x)->rank; a.v.n++) a.v.v[a.v.n] = a.v.n;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reverse, &a, x));
}
static void flip_at(cn_operation_call *c, int64_t axis) {
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reverse, &(cn_ints_attrs){{1, {axis}}}, cn_argument_tensor(c, "x")));
}
static void flip_columns(cn_operation_call *c) { flip_at(c, 1); }
static void flip_rows(cn_operation_call *c) { flip_at(c, 0); }

/* ---- Joining ---- */

static void hstack(cn_operation_call *c) {
  cn_edge in[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "xs", in, CN_MAX_OUT), axis = n && type_of(c, in[0])->rank > 1;
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){axis}, in, n));
}

/* Unlike NumPy's, Keras's leaves vectors as they are. */
static void vstack(cn_operation_call *c) {
  cn_edge in[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "xs", in, CN_MAX_OUT);
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){0}, in, n));
}

/* A vector becomes a row, a matrix a slab. */
static void dstack(cn_operation_call *c) {
  cn_edge in[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "xs", in, CN_MAX_OUT);
  for (int i = 0; i < n; i++)
    for (int rank; (rank = type_of(c, in[i])->rank) < 3 && !c->t->status;)
      in[i] = cn_emit_new_axis(c->t, in[i], rank < 2 ? 0 : -1);
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){2}, in, n));
}

static const cn_field append_fields[] = {INTS(axis, "axis", "null", "the axis; null: as one line"), {0}};

static void append(cn_operation_call *c) {
  const cn_ints *axis = &((const options *)c->options)->axis;
  cn_edge in[] = {cn_argument_tensor(c, "x1"), cn_argument_tensor(c, "x2")};
  for (int i = 0; i < 2 && axis->n < 0; i++) in[i] = cn_emit_flat(c->t, in[i]);
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){axis->n < 0 ? 0 : axis->v[0]}, in, 2));
}

/* ---- Splitting ---- */

static const cn_field split_fields[] = {
    {.name = "indices_or_sections", .kind = CN_F_VALUE, .offset = offsetof(options, sections),
     .help = CN_HELP("how many equal parts, or where the parts after the first begin")},
    INT(one, "axis", "0", "the axis"), {0}};

static void split_at(cn_operation_call *c, cn_edge x, int axis, const cn_value *at) {
  int64_t begin = 0, end;
  if (at->count >= CN_MAX_OUT)
    cn_trace_fail(c->t, CORNU_ERR_LIMIT, "splits into more than %d parts", CN_MAX_OUT);
  for (int i = 0; i <= at->count && !c->t->status; i++, begin = end) {
    end = CN_NULL_INT;
    if (i < at->count && !cn_value_integer(at->items[i], &end))
      cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"indices_or_sections\" is %s, expected integers",
                    cn_value_show(at, (char[80]){0}, 80));
    cn_operation_return(c, cn_emit_range(c->t, x, axis, begin, end));
  }
}

static void split_along(cn_operation_call *c, cn_edge x, int64_t at, bool uneven) {
  const options *o = c->options;
  int axis;
  int64_t parts;
  const cn_type type = *type_of(c, x);
  if (!axis_of(c, at, type.rank, &axis)) return;
  if (cn_value_is(o->sections, CORNU_LIST)) {
    split_at(c, x, axis, o->sections);
    return;
  }
  if (!cn_value_integer(o->sections, &parts) || parts < 1 || parts > CN_MAX_OUT) {
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"indices_or_sections\" is %s, expected up to %d parts or a list",
                  cn_value_show(o->sections, (char[80]){0}, 80), CN_MAX_OUT);
    return;
  }
  int64_t n = type.shape[axis], more = uneven && n > 0 ? n % parts : 0, begin = 0;
  for (int64_t i = 0; i < parts && more; i++) { /* the first parts are one longer */
    int64_t end = begin + n / parts + (i < more);
    cn_operation_return(c, cn_emit_range(c->t, x, axis, begin, end));
    begin = end;
  }
  cn_edge first;
  int made = more ? 0 : cn_emit_many(c->t, &cn_op_split, &(cn_split_attrs){axis, parts}, &x, 1, &first);
  for (int i = 0; i < made; i++) cn_operation_return(c, first + i);
}

static void split(cn_operation_call *c) {
  split_along(c, cn_argument_tensor(c, "x"), ((const options *)c->options)->one, false);
}
static void array_split(cn_operation_call *c) {
  split_along(c, cn_argument_tensor(c, "x"), ((const options *)c->options)->one, true);
}
static void hsplit(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  split_along(c, x, type_of(c, x)->rank > 1 ? 1 : 0, false);
}
static void vsplit(cn_operation_call *c) { split_along(c, cn_argument_tensor(c, "x"), 0, false); }
static void dsplit(cn_operation_call *c) { split_along(c, cn_argument_tensor(c, "x"), 2, false); }

/* ---- Repeating ---- */

static const cn_field tile_fields[] = {INTS(repeats, "repeats", NULL, "one for each axis"), {0}};

/* Missing repeats are 1, missing axes are added before the first. */
static void tile(cn_operation_call *c) {
  const cn_ints *repeats = &((const options *)c->options)->repeats;
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank;
  for (; rank < repeats->n && !c->t->status; rank++) x = cn_emit_new_axis(c->t, x, 0);
  cn_ints_attrs a = {.v = {.n = rank, .v = {1, 1, 1, 1, 1, 1, 1, 1}}};
  for (int i = 0; i < repeats->n; i++) a.v.v[rank - repeats->n + i] = repeats->v[i];
  cn_operation_return(c, cn_emit1(c->t, &cn_op_tile, &a, x));
}

static const cn_field repeat_fields[] = {INTS(repeats, "repeats", NULL, "of each element: one number, or one each"),
                                         INTS(axis, "axis", "null", "the axis; null: as one line"), {0}};

static void repeat(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x"), parts[CN_MAX_INTS];
  int axis = 0;
  if (o->axis.n < 0) x = cn_emit_flat(c->t, x);
  else if (!axis_of(c, o->axis.v[0], type_of(c, x)->rank, &axis)) return;
  if (o->repeats.n == 1) {
    cn_operation_return(c, cn_emit1(c->t, &cn_op_repeat, &(cn_repeat_attrs){axis, o->repeats.v[0]}, x));
    return;
  }
  for (int i = 0; i < o->repeats.n; i++)
    parts[i] = cn_emit1(c->t, &cn_op_repeat, &(cn_repeat_attrs){axis, o->repeats.v[i]}, cn_emit_range(c->t, x, axis, i, i + 1));
  if (!c->t->status && !cn_dims_agree(type_of(c, x)->shape[axis], o->repeats.n))
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "has %d repeats for %lld elements", o->repeats.n,
                  (long long)type_of(c, x)->shape[axis]);
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){axis}, parts, o->repeats.n));
}

static const cn_field roll_fields[] = {INTS(shift, "shift", NULL, "places"),
                                       INTS(axis, "axis", "null", "axes; null: as one line"), {0}};

static cn_edge roll_axis(cn_operation_call *c, cn_edge x, int64_t at, int64_t shift) {
  int axis;
  const cn_type type = *type_of(c, x);
  if (!axis_of(c, at, type.rank, &axis)) return x;
  int64_t n = type.shape[axis];
  if (n < 0) return x; /* shapes alone */
  int64_t by = n ? (shift % n + n) % n : 0;
  if (by == 0) return x;
  cn_edge halves[] = {cn_emit_range(c->t, x, axis, n - by, n), cn_emit_range(c->t, x, axis, 0, n - by)};
  return cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){axis}, halves, 2);
}

static void roll(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  if (o->axis.n < 0) {
    cn_edge like = x, line = roll_axis(c, cn_emit_flat(c->t, x), 0, o->shift.v[0]);
    cn_reshape_attrs back = {.shape = {.n = type_of(c, like)->rank}};
    memcpy(back.shape.v, type_of(c, like)->shape, sizeof(int64_t) * (size_t)back.shape.n);
    cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &back, line));
    return;
  }
  for (int i = 0; i < o->axis.n || i < o->shift.n; i++)
    x = roll_axis(c, x, o->axis.v[o->axis.n == 1 ? 0 : i], o->shift.v[o->shift.n == 1 ? 0 : i]);
  cn_operation_return(c, x);
}

/* ---- Padding ---- */

static const cn_field pad_fields[] = {
    {.name = "pad_width", .kind = CN_F_VALUE, .offset = offsetof(options, pads),
     .help = CN_HELP("a number, (before, after), or that for each axis")},
    {.name = "mode", .kind = CN_F_ENUM, .offset = offsetof(options, mode), .standard = "\"constant\"",
     .choices = "constant reflect symmetric edge", .help = CN_HELP("what the new elements are")},
    {0}};

static bool pad_pair(const cn_value *v, int64_t *before, int64_t *after) {
  if (cn_value_integer(v, before)) return *after = *before, *before >= 0;
  if (!cn_value_is(v, CORNU_LIST) || v->count < 1 || v->count > 2) return false;
  return cn_value_integer(v->items[0], before) && cn_value_integer(v->items[v->count - 1], after) && *before >= 0 &&
         *after >= 0;
}

static void pad(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  const cn_value *widths = o->pads, *filler = cn_argument(c, "constant_values");
  int rank = type_of(c, x)->rank;
  cn_pad_attrs a = {.before = {.n = rank}, .after = {.n = rank}, .mode = o->mode};
  bool each = cn_value_is(widths, CORNU_LIST) && widths->count && cn_value_is(widths->items[0], CORNU_LIST);
  bool good = !each || widths->count == rank || widths->count == 1;
  for (int i = 0; good && i < rank; i++)
    good = pad_pair(each ? widths->items[widths->count == 1 ? 0 : i] : widths, &a.before.v[i], &a.after.v[i]);
  if (!good)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"pad_width\" is %s, which does not fit %d axes",
                  cn_value_show(widths, (char[80]){0}, 80), rank);
  if (filler && !cn_value_number(filler, &a.value))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"constant_values\" is %s, expected a number",
                  cn_value_show(filler, (char[80]){0}, 80));
  cn_operation_return(c, cn_emit1(c->t, &cn_op_pad, &a, x));
}

const cn_operation cn_operations_numpy_shape[] = {
    WITH("Reshape", "x", reshape, newshape_fields),
    {.name = "Ravel", .arguments = "x", .emit = ravel},
    {.name = "Transpose", .arguments = "x", .op = "transpose"},
    {.name = "Squeeze", .arguments = "x", .op = "squeeze"},
    WITH("ExpandDims", "x", expand_dims, expand_fields),
    WITH("BroadcastTo", "x", broadcast_to, shape_fields),
    WITH("Swapaxes", "x", swap_axes, swap_fields),
    WITH("Moveaxis", "x", move_axis, move_fields),
    WITH("Rot90", "array", rot90, turn_fields),
    WITH("Flip", "x", flip, flip_fields),
    {.name = "Fliplr", .arguments = "x", .emit = flip_columns},
    {.name = "Flipud", .arguments = "x", .emit = flip_rows},
    {.name = "Concatenate", .arguments = "xs", .op = "concat"},
    {.name = "Stack", .arguments = "x", .op = "stack"},
    {.name = "Hstack", .arguments = "xs", .emit = hstack},
    {.name = "Vstack", .arguments = "xs", .emit = vstack},
    {.name = "Dstack", .arguments = "xs", .emit = dstack},
    WITH("Append", "x1 x2", append, append_fields),
    WITH("Split", "x", split, split_fields),
    WITH("ArraySplit", "x", array_split, split_fields),
    WITH("Hsplit", "x", hsplit, split_fields),
    WITH("Vsplit", "x", vsplit, split_fields),
    WITH("Dsplit", "x", dsplit, split_fields),
    WITH("Tile", "x", tile, tile_fields),
    WITH("Repeat", "x", repeat, repeat_fields),
    WITH("Roll", "x", roll, roll_fields),
    WITH("Pad", "x constant_values", pad, pad_fields),
    {0}};
