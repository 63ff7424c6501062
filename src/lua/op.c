/* Operations as functions and methods, made from the registry, and the arithmetic of tensors.
 *
 * cornu.NAME(t, …), t:NAME(…): first the tensors (numbers and tables become tensors where an operation needs one), then
 * its options: by place, in the order of help, or by name in a table: x:sum(1, true), x:sum{axes = {1, 2}}. Operations
 * on many tensors take a list too: cornu.concat({a, b}, 1). Axes and positions count from 1. */
#include <string.h>

#include "lua/binding.h"

/* Operations that take or give positions: 0-based in the library. */
typedef struct positions { const char *op; int input; bool output; } positions;
static const positions position_ops[] = {
  {"gather", 1, false}, {"one_hot", 0, false}, {"argmax", -1, true}, {"argmin", -1, true}, {NULL, 0, false}};

static const positions *find_positions(const char *op) {
  for (const positions *p = position_ops; p->op; p++)
    if (!strcmp(p->op, op)) return p;
  return NULL;
}

void cn_lua_apply(lua_State *L, const char *op, cornu_tensor *const *in, int n_in, const cornu_value *attributes) {
  cornu_error e;
  int n = 1;
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_apply(op, in, n_in, attributes, &b->t, &n, &e), &e);
  cn_lua_count(L, b);
}

/* ---- arithmetic ---- */

static int arithmetic(lua_State *L) {
  cornu_tensor *in[2];
  const char *op = lua_touserdata(L, lua_upvalueindex(1));
  cn_lua_tensor *a = cn_lua_test_tensor(L, 1), *b = cn_lua_test_tensor(L, 2);
  lua_settop(L, 2);
  for (int i = 1; i <= 2; i++) {
    int type = lua_type(L, i);
    if (type != LUA_TUSERDATA && type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TBOOLEAN)
      cn_lua_error(L, "attempt to perform arithmetic (%s) on a tensor and a %s", op, cn_lua_kind(L, i));
  }
  in[0] = cn_lua_to_tensor(L, 1, b ? b->t : NULL);
  in[1] = cn_lua_to_tensor(L, 2, a ? a->t : NULL);
  cn_lua_apply(L, op, in, 2, NULL);
  return 1;
}

static int negate(lua_State *L) {
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  cn_lua_apply(L, "neg", &t, 1, NULL);
  return 1;
}

void cn_lua_push_arithmetic(lua_State *L) {
  static const struct { const char *event, *op; } table[] = {
    {"__add", "add"}, {"__sub", "sub"}, {"__mul", "mul"}, {"__div", "div"}, {"__mod", "mod"}, {"__pow", "pow"},
    {"__idiv", "floordiv"}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)table[i].op);
    cn_lua_push_function(L, arithmetic, 1);
    lua_setfield(L, -2, table[i].event);
  }
  cn_lua_push_function(L, negate, 0);
  lua_setfield(L, -2, "__unm");
}

/* ---- inputs ---- */

/* A table with text keys and nothing else: options. */
static bool is_options(lua_State *L, int i) {
  if (!lua_istable(L, i) || cn_lua_rawlen(L, i) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, i)) return false;
  bool text = lua_type(L, -2) == LUA_TSTRING;
  lua_pop(L, 2);
  return text;
}

static bool is_tensor_list(lua_State *L, int i) {
  if (!lua_istable(L, i)) return false;
  lua_rawgeti(L, i, 1);
  bool yes = cn_lua_test_tensor(L, -1) != NULL;
  lua_pop(L, 1);
  return yes;
}

/* How many of the arguments 1 … n are tensors for the operation. */
static int count_inputs(lua_State *L, int n, const cornu_type_info *info) {
  int count = 0;
  for (int i = 1; i <= n && (info->max_inputs < 0 || i <= info->max_inputs); i++) {
    if (cn_lua_test_tensor(L, i)) count = i;
    else if (i <= info->min_inputs && !lua_isnil(L, i) && !is_options(L, i)) count = i;
    else if (!lua_isnil(L, i)) break; /* a nil between tensors is an absent optional input */
  }
  return count;
}

/* Pushes the inputs, as tensors; returns their number, and where the options begin. */
static int push_inputs(lua_State *L, const cornu_type_info *info, int *options) {
  int top = lua_gettop(L), n;
  if (info->max_inputs != 1 && is_tensor_list(L, 1)) {
    n = (int)cn_lua_rawlen(L, 1);
    luaL_checkstack(L, n + 20, "too many tensors");
    for (int i = 1; i <= n; i++) lua_rawgeti(L, 1, i);
    *options = 2;
  } else {
    n = count_inputs(L, top, info);
    luaL_checkstack(L, n + 20, "too many tensors");
    for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
    *options = n + 1;
  }
  const cornu_tensor *like = NULL;
  for (int i = top + 1; i <= top + n && !like; i++) {
    cn_lua_tensor *b = cn_lua_test_tensor(L, i);
    if (b) like = b->t;
  }
  for (int i = top + 1; i <= top + n; i++)
    if (!lua_isnil(L, i)) cn_lua_to_tensor(L, i, like);
  if (n < info->min_inputs)
    cn_lua_error(L, "%s needs %d tensor%s, got %d", info->name, info->min_inputs, info->min_inputs == 1 ? "" : "s", n);
  return n;
}

/* ---- options ---- */

static bool names_axis(const char *key) {
  return !strcmp(key, "axis") || !strcmp(key, "axes") || !strcmp(key, "perm") || !strcmp(key, "dim") || !strcmp(key,
      "dims");
}

/* An axis of a tensor with `rank` dimensions (-1: not known) in Keras's count. */
static int64_t checked_axis(lua_State *L, const char *key, int64_t axis, int rank) {
  if (rank >= 0 && (axis > rank || axis < -rank))
    cn_lua_error(L, "%s %d is out of range: the tensor has %d dimensions", key, (int)axis, rank);
  return cn_lua_axis(L, axis);
}

/* The value on top as an attribute; pops it. */
static void set_option(lua_State *L, cornu_tree *tree, cornu_value *dict, const char *key, int rank) {
  int64_t axis = 0;
  cornu_value *v;
  int i = lua_gettop(L);
  if (!names_axis(key)) {
    v = cn_lua_to_value(L, i, tree);
  } else if (cn_lua_whole(L, i, &axis)) {
    v = cornu_value_int(tree, checked_axis(L, key, axis, rank));
  } else if (lua_istable(L, i)) {
    v = cornu_value_list(tree);
    for (int k = 1, n = (int)cn_lua_rawlen(L, i); k <= n; k++) {
      lua_rawgeti(L, i, k);
      if (!cn_lua_whole(L, -1, &axis))
        cn_lua_error(L, "%s: axis %d is a %s, not a whole number", key, k, cn_lua_kind(L, -1));
      cornu_value_append(tree, v, cornu_value_int(tree, checked_axis(L, key, axis, rank)));
      lua_pop(L, 1);
    }
  } else {
    cn_lua_error(L, "%s: a %s is no axis", key, cn_lua_kind(L, i));
    return;
  }
  if (!v || !cornu_value_set(tree, dict, key, v)) cn_lua_error(L, "out of memory");
  lua_pop(L, 1);
}

static void set_options(lua_State *L, int i, cornu_tree *tree, cornu_value *dict, int rank) {
  for (lua_pushnil(L); lua_next(L, i);) {
    if (lua_type(L, -2) != LUA_TSTRING) cn_lua_error(L, "an option without a name: a %s key", luaL_typename(L, -2));
    set_option(L, tree, dict, lua_tostring(L, -2), rank);
  }
}

/* Options from the arguments first … last: by place, and tables by name. NULL without any; else the tree is pushed. */
static const cornu_value *push_options(lua_State *L, int op, const cornu_type_info *info, int first, int last,
                                       int rank) {
  while (last >= first && lua_isnil(L, last)) last--;
  if (last < first) return NULL;
  cornu_tree *tree = cn_lua_tree(L);
  cornu_value *dict = cornu_value_dict(tree);
  int place = 0;
  for (int i = first; i <= last; i++) {
    cornu_field_info field;
    if (is_options(L, i)) {
      set_options(L, i, tree, dict, rank);
      continue;
    }
    if (!cornu_op_field(op, place++, &field)) {
      if (lua_isnil(L, i)) continue;
      cn_lua_error(L, "%s: too many arguments (it has %d option%s)", info->name, info->n_fields, info->n_fields == 1 ?
                   "" : "s");
    }
    if (lua_isnil(L, i)) continue;
    lua_pushvalue(L, i);
    set_option(L, tree, dict, field.name, rank);
  }
  return dict;
}

/* ---- the call ---- */

/* the tensor at i plus or minus 1, as int64 */
static void shift_positions(lua_State *L, int i, const char *op, int by) {
  i = cn_lua_absindex(L, i);
  cornu_tensor *in[2] = {((cn_lua_tensor *)lua_touserdata(L, i))->t, NULL};
  cornu_tree *tree = cn_lua_tree(L);
  cornu_value *dict = cornu_value_dict(tree);
  if (!cornu_value_set(tree, dict, "dtype", cornu_value_string(tree, "int64", 5))) cn_lua_error(L, "out of memory");
  cn_lua_apply(L, "cast", in, 1, dict);
  in[0] = ((cn_lua_tensor *)lua_touserdata(L, -1))->t;
  lua_pushinteger(L, by);
  cn_lua_push_number_as(L, -1, CORNU_INT64);
  in[1] = ((cn_lua_tensor *)lua_touserdata(L, -1))->t;
  cn_lua_apply(L, op, in, 2, NULL);
  lua_replace(L, i);
  lua_settop(L, lua_gettop(L) - 4);
}

/* Outputs wait in a tray while their boxes are made, so that an error on the way loses none. One tray is kept in the
 * registry; who uses it takes it out, so that a finaliser in between, or an error, leaves it to the collector. */
static const char tray_key = 0, tray_slot = 0;

typedef struct tray { const void *tag; cornu_tensor *t[CN_LUA_TRAY]; } tray;

static int free_tray(lua_State *L) {
  tray *b = lua_touserdata(L, 1);
  for (int i = 0; i < CN_LUA_TRAY; i++) {
    cornu_tensor_release(b->t[i]);
    b->t[i] = NULL;
  }
  return 0;
}

static tray *push_tray(lua_State *L) {
  cn_lua_registry_get(L, &tray_slot);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return cn_lua_box(L, &tray_key, sizeof(tray));
  }
  lua_pushnil(L);
  cn_lua_registry_set(L, &tray_slot);
  return lua_touserdata(L, -1);
}

static int push_outputs(lua_State *L, const char *op, cornu_tensor *const *in, int n_in,
                        const cornu_value *attributes) {
  cornu_error e;
  int n = CN_LUA_TRAY;
  tray *made = push_tray(L);
  int place = lua_gettop(L);
  cn_lua_check(L, cornu_apply(op, in, n_in, attributes, made->t, &n, &e), &e);
  luaL_checkstack(L, n + 4, "too many outputs");
  for (int i = 0; i < n; i++) {
    cn_lua_tensor *b = cn_lua_new_tensor(L);
    b->t = made->t[i];
    made->t[i] = NULL;
    cn_lua_count(L, b);
  }
  lua_pushvalue(L, place);
  cn_lua_registry_set(L, &tray_slot);
  return n;
}

static int make_list(lua_State *L, int n) {
  lua_createtable(L, n, 0);
  lua_insert(L, -n - 1);
  for (int i = n; i >= 1; i--) lua_rawseti(L, -i - 1, i);
  return 1;
}

typedef struct operation {
  int index;
  cornu_type_info info;
  const positions *positions;
} operation; /* upvalue of call_op */

static int call_op(lua_State *L) {
  const operation *op = lua_touserdata(L, lua_upvalueindex(1));
  cornu_tensor *few[8], **in = few;
  int options, top = lua_gettop(L), n = push_inputs(L, &op->info, &options);
  const positions *p = op->positions;
  if (p && p->input >= 0 && p->input < n && !lua_isnil(L, top + 1 + p->input))
    shift_positions(L, top + 1 + p->input, "sub", 1);
  if (n > 8) in = lua_newuserdata(L, (size_t)n * sizeof *in);
  for (int i = 0; i < n; i++)
    in[i] = lua_isnil(L, top + 1 + i) ? NULL : ((cn_lua_tensor *)lua_touserdata(L, top + 1 + i))->t;
  bool adds_axis = !strcmp(op->info.name, "expand_dims") || !strcmp(op->info.name, "stack");
  int rank = n > 0 && in[0] ? cornu_tensor_rank(in[0]) + adds_axis : -1;
  const cornu_value *attributes = push_options(L, op->index, &op->info, options, top, rank);
  int tree = attributes ? lua_gettop(L) : 0;
  int made = push_outputs(L, op->info.name, in, n, attributes);
  if (tree) cn_lua_tree_done(L, tree);
  if (p && p->output) shift_positions(L, -1, "add", 1);
  return !strcmp(op->info.name, "split") ? make_list(L, made) : made;
}

/* ---- the registry in Lua ---- */

/* Adds the function on top under `name` to the operations (at -2) and the methods (at -3), unless a method of its own
 * is there: that one serves as the function too. */
static void register_op(lua_State *L, const char *name) {
  lua_getfield(L, -3, name);
  bool own = !lua_isnil(L, -1);
  if (!own) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, name);
    lua_pushvalue(L, -1);
  }
  lua_setfield(L, -3, name);
}

static void register_words(lua_State *L, const char *words) {
  char name[64];
  while (words && *words) {
    size_t n = strcspn(words, " ");
    if (n && n < sizeof name) {
      memcpy(name, words, n);
      name[n] = 0;
      register_op(L, name);
    }
    words += n + strspn(words + n, " ");
  }
}

void cn_lua_open_op(lua_State *L) { /* core.ops = {name = function} */
  static const struct { const char *name, *op; } others[] = {
    {"dot", "matmul"}, {"lt", "less"}, {"gt", "greater"}, {"le", "less_equal"}, {"ge", "greater_equal"}, {"eq",
      "equal"},
    {"ne", "not_equal"}, {"repeat_", "repeat"}, {"take", "gather"}};
  lua_newtable(L);
  lua_pushcfunction(L, free_tray);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &tray_key);
  cn_lua_registry_get(L, &cn_lua_tensor_methods);
  lua_newtable(L);
  for (int i = 0, n = cornu_op_count(); i < n; i++) {
    operation *op = lua_newuserdata(L, sizeof *op);
    op->index = i;
    if (!cornu_op_info(i, &op->info)) {
      lua_pop(L, 1);
      continue;
    }
    op->positions = find_positions(op->info.name);
    const cornu_type_info info = op->info;
    cn_lua_push_function(L, call_op, 1);
    register_words(L, info.name);
    register_words(L, info.aliases);
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    lua_getfield(L, -1, others[i].op);
    if (!lua_isnil(L, -1)) register_op(L, others[i].name);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  lua_setfield(L, -2, "ops");
}
