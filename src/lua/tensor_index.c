/* t[…] and t[…] = v, and the methods that make views. Positions and axes count from 1, negative ones from the end;
 * ranges include both ends. Symbolic tensors (inside a traced handler) go through operations instead of views. */
#include <string.h>

#include "lua/binding.h"

/* The one place where an axis of Lua becomes an axis of Keras. */
int64_t cn_lua_axis(lua_State *L, int64_t axis) {
  if (axis == 0) cn_lua_error(L, "axis 0: axes count from 1, negative ones from the end");
  return axis > 0 ? axis - 1 : axis;
}

static cornu_tensor *top(lua_State *L) { return ((cn_lua_tensor *)lua_touserdata(L, -1))->t; }

/* Pushes an empty box for a view of the tensor on top, which stays below it. */
static cn_lua_tensor *view_box(lua_State *L) {
  cn_lua_tensor *from = lua_touserdata(L, -1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  b->read_only = from->read_only;
  return b;
}

static void view_done(lua_State *L, cornu_status status, const cornu_error *e) {
  cn_lua_check(L, status, e);
  lua_remove(L, -2);
}

/* A position in a dimension of n as a 0-based index. */
static int64_t position(lua_State *L, int64_t i, int64_t n, int dim) {
  int64_t k = i > 0 ? i - 1 : n + i;
  if (i == 0 || k < 0 || k >= n)
    cn_lua_error(L, i == 0 ? "index %d in dimension %d of size %d: positions count from 1" :
                 "index %d is out of range: dimension %d has size %d", (int)i, dim + 1, (int)n);
  return k;
}

/* ---- attributes of operations on symbols ---- */

static void set_ints(lua_State *L, cornu_tree *tree, cornu_value *dict, const char *key, int n, const int64_t *v) {
  cornu_value *list = cornu_value_list(tree);
  for (int i = 0; i < n; i++)
    cornu_value_append(tree, list, v[i] == INT64_MIN ? cornu_value_null(tree) : cornu_value_int(tree, v[i]));
  if (!cornu_value_set(tree, dict, key, list)) cn_lua_error(L, "out of memory");
}

/* Replaces the tensor on top by op(it, {key = ints}). */
static void apply_ints(lua_State *L, const char *op, const char *key, int n, const int64_t *v) {
  cornu_tensor *t = top(L);
  cornu_tree *tree = cn_lua_tree(L);
  cornu_value *dict = cornu_value_dict(tree);
  set_ints(L, tree, dict, key, n, v);
  cn_lua_apply(L, op, &t, 1, dict);
  cn_lua_tree_done(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void symbolic_slice(lua_State *L, int64_t axis, int64_t from, int64_t to, int64_t step) {
  cornu_tensor *t = top(L);
  int64_t begin = from > 0 ? from - 1 : from, end;
  if (step > 0) end = to == -1 ? INT64_MIN : to < 0 ? to + 1 : to;
  else end = to == 1 ? INT64_MIN : to > 0 ? to - 2 : to - 1;
  cornu_tree *tree = cn_lua_tree(L);
  cornu_value *dict = cornu_value_dict(tree);
  set_ints(L, tree, dict, "axes", 1, &axis);
  set_ints(L, tree, dict, "begin", 1, &begin);
  set_ints(L, tree, dict, "end", 1, &end);
  set_ints(L, tree, dict, "step", 1, &step);
  cn_lua_apply(L, "slice", &t, 1, dict);
  cn_lua_tree_done(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* ---- one step of an index: replaces the tensor on top; dim is the place in the index, for messages ---- */

static void pick(lua_State *L, int axis, int64_t i, int dim) {
  cornu_error e;
  cornu_tensor *t = top(L);
  if (cornu_tensor_is_symbolic(t)) {
    int64_t a = axis;
    if (i == 0) cn_lua_error(L, "index 0 in dimension %d: positions count from 1", dim + 1);
    symbolic_slice(L, axis, i, i, 1);
    apply_ints(L, "squeeze", "axes", 1, &a);
    return;
  }
  int64_t k = position(L, i, cornu_tensor_shape(t)[axis], dim);
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_select(t, axis, k, &b->t, &e), &e);
}

static void narrow(lua_State *L, int axis, int64_t from, int64_t to, int64_t step, int dim) {
  cornu_error e;
  cornu_tensor *t = top(L);
  if (step == 0) cn_lua_error(L, "dimension %d: the step of a range is 0", dim + 1);
  if (cornu_tensor_is_symbolic(t)) {
    if (from == 0 || to == 0) cn_lua_error(L, "dimension %d: positions count from 1", dim + 1);
    symbolic_slice(L, axis, from, to, step);
    return;
  }
  int64_t n = cornu_tensor_shape(t)[axis], first = from < 0 ? n + from : from - 1, last = to < 0 ? n + to : to - 1;
  bool empty = step > 0 ? last < first : last > first; /* {3, 2}: nothing, as in a for loop */
  if (!empty || n > 0) {
    if (empty) {
      if (first < 0 || first > n || last < -1 || last >= n) position(L, from > n ? from : to, n, dim);
    } else {
      position(L, from, n, dim);
      position(L, to, n, dim);
    }
  }
  cn_lua_tensor *b = view_box(L);
  cornu_status status = empty ? cornu_tensor_slice(t, axis, 0, 0, 1, &b->t, &e)
                              : cornu_tensor_slice(t, axis, first, step > 0 ? last + 1 : last - 1, step, &b->t, &e);
  view_done(L, status, &e);
}

/* Field k of the table on top as a whole number. */
static int64_t range_part(lua_State *L, int table, int k, int dim) {
  int64_t v = 0;
  lua_rawgeti(L, table, k);
  if (!cn_lua_whole(L, -1, &v))
    cn_lua_error(L, "dimension %d: a range is {}, {from, to} or {from, to, step} of whole numbers", dim + 1);
  lua_pop(L, 1);
  return v;
}

/* Replaces the tensor on top by t[{spec}]; spec is the table at i. */
static void index_spec(lua_State *L, int i) {
  int n = (int)cn_lua_rawlen(L, i), rank = cornu_tensor_rank(top(L)), axis = 0;
  if (n > rank) cn_lua_error(L, "%d indices for a tensor of %d dimension%s", n, rank, rank == 1 ? "" : "s");
  luaL_checkstack(L, 8, "too many indices");
  for (int k = 1; k <= n; k++) {
    int64_t at;
    lua_rawgeti(L, i, k);
    int entry = lua_gettop(L);
    if (cn_lua_whole(L, entry, &at)) {
      lua_pop(L, 1);
      pick(L, axis, at, k - 1);
      continue;
    }
    int parts = lua_istable(L, entry) ? (int)cn_lua_rawlen(L, entry) : 1;
    if (parts == 1 || parts > 3)
      cn_lua_error(L, "index %d is a %s: a position, {}, {from, to} or {from, to, step} expected", k, luaL_typename(L,
          entry));
    int64_t from = 1, to = 0, step = 1;
    if (parts) {
      from = range_part(L, entry, 1, k - 1);
      to = range_part(L, entry, 2, k - 1);
      if (parts == 3) step = range_part(L, entry, 3, k - 1);
    }
    lua_pop(L, 1);
    if (parts) narrow(L, axis, from, to, step, k - 1);
    axis++;
  }
}

/* ---- masks and lists of positions ---- */

static void check_mask(lua_State *L, const cornu_tensor *t, const cornu_tensor *mask) {
  int rank = cornu_tensor_rank(mask);
  bool fits = rank >= 1 && rank <= cornu_tensor_rank(t);
  if (fits) fits = !memcmp(cornu_tensor_shape(t), cornu_tensor_shape(mask), (size_t)rank * sizeof(int64_t));
  if (fits) return;
  char a[200], b[200];
  cn_lua_shape_text(rank, cornu_tensor_shape(mask), a, sizeof a);
  cn_lua_shape_text(cornu_tensor_rank(t), cornu_tensor_shape(t), b, sizeof b);
  cn_lua_error(L, "a mask of shape %s does not fit the first dimensions of %s", a, b);
}

static cornu_tensor *contiguous(lua_State *L, cornu_tensor *t) { /* pushed */
  cornu_error e;
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_contiguous(t, &b->t, &e), &e);
  return b->t;
}

/* The elements (or rows) where the mask is true, in order. */
static int index_mask(lua_State *L, cornu_tensor *t, cornu_tensor *mask) {
  cornu_error e;
  check_mask(L, t, mask);
  cornu_tensor *source = contiguous(L, t), *where = contiguous(L, mask);
  const uint8_t *m = cornu_tensor_data(where);
  int64_t n = cornu_tensor_size(where), shape[CORNU_MAX_RANK] = {0}, row = 1;
  int rank = 1;
  for (int64_t i = 0; i < n; i++) shape[0] += m[i] != 0;
  for (int i = cornu_tensor_rank(mask); i < cornu_tensor_rank(t); i++) row *= shape[rank++] = cornu_tensor_shape(t)[i];
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(cornu_tensor_dtype(t), rank, shape, &b->t, &e), &e);
  cn_lua_count(L, b);
  size_t bytes = (size_t)row * cornu_dtype_bytes(cornu_tensor_dtype(t));
  const char *from = cornu_tensor_data(source);
  char *to = cornu_tensor_data(b->t);
  for (int64_t i = 0; i < n && bytes; i++, from += bytes) {
    if (!m[i]) continue;
    memcpy(to, from, bytes);
    to += bytes;
  }
  if (cornu_tensor_dtype(t) == CORNU_TEXT) { /* so far they point into the source */
    cn_lua_tensor *own = cn_lua_new_tensor(L);
    cn_lua_check(L, cornu_tensor_cast(b->t, CORNU_TEXT, &own->t, &e), &e);
  }
  return 1;
}

/* t[mask] = v: v is a number or a tensor that broadcasts to t. */
static void assign_mask(lua_State *L, cornu_tensor *t, cornu_tensor *mask, int value) {
  cornu_error e;
  check_mask(L, t, mask);
  int64_t shape[CORNU_MAX_RANK];
  int rank = cornu_tensor_rank(t);
  for (int i = 0; i < rank; i++) shape[i] = i < cornu_tensor_rank(mask) ? cornu_tensor_shape(mask)[i] : 1;
  cn_lua_tensor *m = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_reshape(mask, rank, shape, &m->t, &e), &e);
  if (lua_type(L, value) == LUA_TNUMBER || lua_isboolean(L, value)) {
    cn_lua_push_number_as(L, value, cornu_tensor_dtype(t));
    lua_replace(L, value);
  }
  cornu_tensor *in[3] = {m->t, cn_lua_to_tensor(L, value, t), t};
  cn_lua_apply(L, "where", in, 3, NULL);
  cn_lua_check(L, cornu_tensor_copy(t, top(L), &e), &e);
}

/* t[positions]: rows by an integer tensor or a list of them, counted from 1. */
static int index_positions(lua_State *L, cornu_tensor *t, cornu_tensor *at) {
  cornu_error e;
  if (cornu_tensor_rank(t) == 0) cn_lua_error(L, "a scalar has no positions: use t:item()");
  int64_t n = cornu_tensor_shape(t)[0], count = cornu_tensor_size(at);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(CORNU_INT64, cornu_tensor_rank(at), cornu_tensor_shape(at), &b->t, &e), &e);
  cn_lua_count(L, b);
  cn_lua_check(L, cornu_tensor_copy(b->t, at, &e), &e);
  int64_t *k = cornu_tensor_data(b->t);
  for (int64_t i = 0; i < count; i++) k[i] = position(L, k[i], n, 0);
  cornu_tensor *in[2] = {t, b->t};
  cornu_tree *tree = cn_lua_tree(L);
  cornu_value *dict = cornu_value_dict(tree);
  if (!cornu_value_set(tree, dict, "axis", cornu_value_int(tree, 0))) cn_lua_error(L, "out of memory");
  cn_lua_apply(L, "gather", in, 2, dict);
  cn_lua_tree_done(L, -2);
  return 1;
}

static bool is_integer(cornu_dtype d) { return d >= CORNU_INT8 && d <= CORNU_UINT64; }

static int index_tensor(lua_State *L, cornu_tensor *t, int i) {
  cornu_tensor *at = cn_lua_check_data(L, i);
  cornu_dtype d = cornu_tensor_dtype(at);
  if (cornu_tensor_is_symbolic(t))
    cn_lua_error(L, "a symbolic tensor cannot be indexed by a tensor: use cornu.gather or cornu.where");
  if (d == CORNU_BOOL8) return index_mask(L, t, at);
  if (is_integer(d)) return index_positions(L, t, at);
  return cn_lua_error(L, "a tensor of %s is no index: bool masks and integer positions are", cornu_dtype_name(d));
}

/* ---- metamethods ---- */

static int index_number(lua_State *L, cornu_tensor *t) {
  int64_t i;
  int rank = cornu_tensor_rank(t);
  if (!cn_lua_whole(L, 2, &i)) return cn_lua_error(L, "index %s is not a whole number", cn_lua_number_text(L, 2));
  if (rank == 0) return cn_lua_error(L, "a scalar has no positions: use t:item()");
  if (rank == 1 && !cornu_tensor_is_symbolic(t)) {
    int64_t k = position(L, i, cornu_tensor_shape(t)[0], 0);
    cn_lua_push_element(L, t, &k);
    return 1;
  }
  lua_settop(L, 1);
  pick(L, 0, i, 0);
  return 1;
}

int cn_lua_tensor_index(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
  }
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  switch (lua_type(L, 2)) {
    case LUA_TNUMBER: return index_number(L, t);
    case LUA_TTABLE:
      lua_pushvalue(L, 1);
      index_spec(L, 2);
      if (cornu_tensor_rank(top(L)) == 0 && cornu_tensor_rank(t) > 0 && !cornu_tensor_is_symbolic(t))
        cn_lua_push_element(L, top(L), NULL);
      return 1;
    case LUA_TUSERDATA: return index_tensor(L, t, 2);
    default: return cn_lua_error(L, "a %s is no index of a tensor", luaL_typename(L, 2));
  }
}

/* Writes the value at `value` (number, tensor or table) into the view on top. */
static void assign(lua_State *L, int value) {
  cornu_error e;
  cornu_tensor *to = top(L);
  int type = lua_type(L, value);
  bool text = type == LUA_TSTRING && cornu_tensor_dtype(to) == CORNU_TEXT;
  if (type == LUA_TNUMBER || type == LUA_TBOOLEAN || text) cn_lua_push_number_as(L, value, cornu_tensor_dtype(to));
  else if (type == LUA_TTABLE) cn_lua_table_tensor(L, value, cornu_tensor_dtype(to));
  else if (cn_lua_test_tensor(L, value)) lua_pushvalue(L, value);
  else cn_lua_error(L, "a %s cannot be written into a tensor", cn_lua_kind(L, value));
  cn_lua_tensor *from = lua_touserdata(L, -1);
  if (!from->t) cn_lua_error(L, "the tensor to write is closed");
  if (cornu_tensor_is_symbolic(from->t)) cn_lua_error(L, "a symbolic tensor has no data to write");
  cn_lua_check(L, cornu_tensor_copy(to, from->t, &e), &e);
}

int cn_lua_tensor_newindex(lua_State *L) {
  int64_t i;
  cornu_tensor *t = cn_lua_check_writable(L, 1);
  lua_settop(L, 3);
  switch (lua_type(L, 2)) {
    case LUA_TNUMBER: {
      if (!cn_lua_whole(L, 2, &i)) return cn_lua_error(L, "index %s is not a whole number", cn_lua_number_text(L, 2));
      if (cornu_tensor_rank(t) == 0) return cn_lua_error(L, "a scalar has no positions: use t:fill(v)");
      lua_pushvalue(L, 1);
      pick(L, 0, i, 0);
      assign(L, 3);
      return 0;
    }
    case LUA_TTABLE:
      lua_pushvalue(L, 1);
      index_spec(L, 2);
      assign(L, 3);
      return 0;
    case LUA_TUSERDATA: {
      cornu_tensor *mask = cn_lua_check_data(L, 2);
      if (cornu_tensor_dtype(mask) != CORNU_BOOL8) return cn_lua_error(L, "only a bool tensor can stand left of =");
      assign_mask(L, t, mask, 3);
      return 0;
    }
    default: return cn_lua_error(L, "a %s is no index of a tensor", luaL_typename(L, 2));
  }
}

/* ---- single elements, without anything for the collector ---- */

/* The position that the numbers from 2 on name. */
static void element_at(lua_State *L, const cornu_tensor *t, int given, int64_t *index) {
  const int rank = cornu_tensor_rank(t);
  if (given != rank) cn_lua_error(L, "the tensor has %d dimensions, %d positions are given", rank, given);
  for (int d = 0; d < rank; d++) {
    int64_t i = 0;
    if (!cn_lua_whole(L, d + 2, &i)) cn_lua_error(L, "position %d is no whole number", d + 1);
    index[d] = position(L, i, cornu_tensor_shape(t)[d], d);
  }
}

/* t:get(i, j, …) */
static int get(lua_State *L) {
  int64_t index[CORNU_MAX_RANK];
  cornu_tensor *t = cn_lua_check_data(L, 1);
  element_at(L, t, lua_gettop(L) - 1, index);
  cn_lua_push_element(L, t, index);
  return 1;
}

/* t:set(i, j, …, v) */
static int set(lua_State *L) {
  int64_t index[CORNU_MAX_RANK], at = 0;
  cornu_tensor *t = cn_lua_check_writable(L, 1);
  const cornu_dtype d = cornu_tensor_dtype(t);
  const int last = lua_gettop(L);
  element_at(L, t, last - 2, index);
  for (int k = 0; k < cornu_tensor_rank(t); k++) at += index[k] * cornu_tensor_strides(t)[k];
  if (d == CORNU_TEXT || d == CORNU_FLOAT16 || d == CORNU_BFLOAT16)
    return cn_lua_error(L, "set: elements of %s are set by t[{…}] = v", cornu_dtype_name(d));
  char *data = (char *)cornu_tensor_data(t) + at * (int64_t)cornu_dtype_bytes(d);
  const char *wrong = cn_lua_store(L, last, d, data, 0);
  if (wrong) return cn_lua_error(L, "the value %s", wrong);
  lua_settop(L, 1);
  return 1;
}

/* ---- views as methods ---- */

/* t:slice(axis, from, to [, step]) or t:slice{spec} */
static int slice(lua_State *L) {
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  if (lua_istable(L, 2)) {
    lua_pushvalue(L, 1);
    index_spec(L, 2);
    return 1;
  }
  int64_t axis = cn_lua_axis(L, cn_lua_check_int(L, 2)), from = cn_lua_check_int(L, 3), to = cn_lua_check_int(L, 4);
  int64_t step = lua_isnoneornil(L, 5) ? 1 : cn_lua_check_int(L, 5);
  if (axis < 0) axis += cornu_tensor_rank(t);
  if (axis < 0 || axis >= cornu_tensor_rank(t))
    cn_lua_arg_error(L, 2, "the tensor has %d dimensions", cornu_tensor_rank(t));
  lua_pushvalue(L, 1);
  narrow(L, (int)axis, from, to, step, (int)axis);
  return 1;
}

/* t:reshape(sizes…): one may be -1 (what is left); -2 keeps the dimension at its place */
static int reshape(lua_State *L) {
  cornu_error e;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  cn_lua_check_shape(L, 2, &rank, shape);
  lua_pushvalue(L, 1);
  if (cornu_tensor_is_symbolic(t)) {
    apply_ints(L, "reshape", "shape", rank, shape);
    return 1;
  }
  for (int i = 0; i < rank; i++)
    if (shape[i] == -2 && i < cornu_tensor_rank(t)) shape[i] = cornu_tensor_shape(t)[i];
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_reshape(t, rank, shape, &b->t, &e), &e);
  return 1;
}

/* t:flatten([from]): the dimensions from `from` (1) to the last become one */
static int flatten(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  int64_t rank = cornu_tensor_rank(t), from = lua_isnoneornil(L, 2) ? 0 : cn_lua_axis(L, cn_lua_check_int(L, 2));
  int64_t shape[CORNU_MAX_RANK] = {0};
  if (from < 0) from += rank;
  if (from < 0 || from > rank || from >= CORNU_MAX_RANK)
    cn_lua_arg_error(L, 2, "the tensor has %d dimensions", (int)rank);
  lua_settop(L, 1);
  bool symbolic = cornu_tensor_is_symbolic(t);
  for (int64_t i = 0; i < from; i++) shape[i] = symbolic ? -2 : cornu_tensor_shape(t)[i];
  shape[from] = -1;
  if (symbolic) {
    apply_ints(L, "reshape", "shape", (int)from + 1, shape);
    return 1;
  }
  shape[from] = 1;
  for (int64_t i = from; i < rank; i++) shape[from] *= cornu_tensor_shape(t)[i];
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_reshape(t, (int)from + 1, shape, &b->t, &e), &e);
  return 1;
}

/* t:transpose() reverses the dimensions; t:transpose(2, 1, 3) or t:transpose{2, 1, 3} puts them into that order */
static int transpose(lua_State *L) {
  cornu_error e;
  int n = 0, rank, axes[CORNU_MAX_RANK];
  int64_t order[CORNU_MAX_RANK];
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  rank = cornu_tensor_rank(t);
  bool given = !lua_isnoneornil(L, 2);
  if (given) cn_lua_check_shape(L, 2, &n, order);
  if (given && n != rank)
    cn_lua_arg_error(L, 2, "%d axes for a tensor of %d dimensions: all in their new order", n, rank);
  for (int i = 0; i < rank; i++) {
    if (given) order[i] = cn_lua_axis(L, order[i]);
    else order[i] = rank - 1 - i;
    axes[i] = (int)(order[i] < 0 ? order[i] + rank : order[i]);
  }
  lua_settop(L, 1);
  if (cornu_tensor_is_symbolic(t)) {
    apply_ints(L, "transpose", "axes", rank, order);
    return 1;
  }
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_transpose(t, axes, &b->t, &e), &e);
  return 1;
}

/* t:expand_dims(axis): a new dimension of size 1 that will be the axis-th (-1: the last) */
static int expand_dims(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  int64_t rank = cornu_tensor_rank(t), axis = cn_lua_axis(L, cn_lua_check_int(L, 2)), shape[CORNU_MAX_RANK + 1];
  if (axis < 0) axis += rank + 1;
  if (axis < 0 || axis > rank)
    cn_lua_arg_error(L, 2, "axis %d of a tensor that will have %d dimensions", (int)cn_lua_check_int(L, 2),
                     (int)rank + 1);
  if (rank == CORNU_MAX_RANK) cn_lua_arg_error(L, 2, "a tensor has at most %d dimensions", CORNU_MAX_RANK);
  lua_settop(L, 1);
  if (cornu_tensor_is_symbolic(t)) {
    cornu_tree *tree = cn_lua_tree(L);
    cornu_value *dict = cornu_value_dict(tree);
    cornu_value_set(tree, dict, "axis", cornu_value_int(tree, axis));
    cn_lua_apply(L, "expand_dims", &t, 1, dict);
    return 1;
  }
  for (int64_t i = 0, k = 0; i <= rank; i++) shape[i] = i == axis ? 1 : cornu_tensor_shape(t)[k++];
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_reshape(t, (int)rank + 1, shape, &b->t, &e), &e);
  return 1;
}

/* t:squeeze([axis | axes]): drops dimensions of size 1 */
static int squeeze(lua_State *L) {
  cornu_error e;
  bool drop[CORNU_MAX_RANK] = {false}, given = !lua_isnoneornil(L, 2);
  int64_t axes[CORNU_MAX_RANK], shape[CORNU_MAX_RANK];
  int n = 0, kept = 0;
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  int rank = cornu_tensor_rank(t);
  if (given) cn_lua_check_shape(L, 2, &n, axes);
  for (int i = 0; i < n; i++) {
    int64_t a = axes[i] = cn_lua_axis(L, axes[i]);
    if (a < 0) a += rank;
    if (a < 0 || a >= rank) cn_lua_arg_error(L, 2, "the tensor has %d dimensions", rank);
    if (cornu_tensor_shape(t)[a] > 1)
      cn_lua_arg_error(L, 2, "dimension %d has size %d, not 1", (int)a + 1, (int)cornu_tensor_shape(t)[a]);
    drop[a] = true;
  }
  lua_settop(L, 1);
  if (cornu_tensor_is_symbolic(t)) {
    for (int i = 0; i < rank && !given; i++)
      if (cornu_tensor_shape(t)[i] == 1) axes[n++] = i;
    apply_ints(L, "squeeze", "axes", n, axes);
    return 1;
  }
  for (int i = 0; i < rank; i++)
    if (given ? !drop[i] : cornu_tensor_shape(t)[i] != 1) shape[kept++] = cornu_tensor_shape(t)[i];
  cn_lua_tensor *b = view_box(L);
  view_done(L, cornu_tensor_reshape(t, kept, shape, &b->t, &e), &e);
  return 1;
}

/* t:broadcast_to(sizes…): a view that repeats dimensions of size 1; read-only, as its elements share memory */
static int broadcast_to(lua_State *L) {
  cornu_error e;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  cn_lua_check_shape(L, 2, &rank, shape);
  lua_settop(L, 1);
  if (cornu_tensor_is_symbolic(t)) {
    apply_ints(L, "broadcast_to", "shape", rank, shape);
    return 1;
  }
  cn_lua_tensor *b = view_box(L);
  b->read_only = true;
  view_done(L, cornu_tensor_broadcast(t, rank, shape, &b->t, &e), &e);
  return 1;
}

const luaL_Reg cn_lua_tensor_views[] = {
  {"get", get}, {"set", set}, {"slice", slice}, {"reshape", reshape}, {"view", reshape}, {"flatten", flatten}, {"transpose", transpose}, {"t",
    transpose},
  {"permute", transpose}, {"expand_dims", expand_dims}, {"squeeze", squeeze}, {"broadcast_to", broadcast_to},
  {NULL, NULL}};
