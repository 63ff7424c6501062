/* Out of a tensor: numbers, tables, bytes, text; copies and conversions. */
#include <string.h>

#include "lua/binding.h"

static bool is_float(cornu_dtype d) {
  return d == CORNU_FLOAT32 || d == CORNU_FLOAT64 || d == CORNU_FLOAT16 || d == CORNU_BFLOAT16;
}

static void push_string(lua_State *L, cornu_text x) { lua_pushlstring(L, x.length ? x.bytes : "", x.length); }

void cn_lua_push_element(lua_State *L, const cornu_tensor *t, const int64_t *index) {
  cornu_dtype d = cornu_tensor_dtype(t);
  if (d == CORNU_TEXT) push_string(L, cornu_tensor_get_text(t, index));
  else if (is_float(d)) lua_pushnumber(L, (lua_Number)cornu_tensor_get(t, index));
  else if (d == CORNU_BOOL8) lua_pushboolean(L, cornu_tensor_get_int(t, index) != 0);
  else cn_lua_push_int(L, cornu_tensor_get_int(t, index));
}

/* Pushes element n of contiguous data. */
static void push_from(lua_State *L, cornu_dtype d, const void *data, int64_t n) {
  switch (d) {
    case CORNU_FLOAT32: lua_pushnumber(L, (lua_Number)((const float *)data)[n]); break;
    case CORNU_FLOAT64: lua_pushnumber(L, (lua_Number)((const double *)data)[n]); break;
    case CORNU_INT8: lua_pushinteger(L, ((const int8_t *)data)[n]); break;
    case CORNU_INT16: lua_pushinteger(L, ((const int16_t *)data)[n]); break;
    case CORNU_INT32: lua_pushinteger(L, ((const int32_t *)data)[n]); break;
    case CORNU_INT64: cn_lua_push_int(L, ((const int64_t *)data)[n]); break;
    case CORNU_UINT8: lua_pushinteger(L, ((const uint8_t *)data)[n]); break;
    case CORNU_UINT16: lua_pushinteger(L, ((const uint16_t *)data)[n]); break;
    case CORNU_UINT32: cn_lua_push_int(L, ((const uint32_t *)data)[n]); break;
    case CORNU_UINT64: {
      uint64_t v = ((const uint64_t *)data)[n];
      if (v <= INT64_MAX) cn_lua_push_int(L, (int64_t)v);
      else lua_pushnumber(L, (lua_Number)v);
      break;
    }
    case CORNU_BOOL8: lua_pushboolean(L, ((const uint8_t *)data)[n] != 0); break;
    case CORNU_TEXT: push_string(L, ((const cornu_text *)data)[n]); break;
    default: lua_pushnil(L); break;
  }
}

/* Pushes t (contiguous, half floats as float32) in a box. */
static cornu_tensor *plain(lua_State *L, cornu_tensor *t) {
  cornu_error e;
  cornu_dtype d = cornu_tensor_dtype(t);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  bool half = d == CORNU_FLOAT16 || d == CORNU_BFLOAT16;
  cn_lua_check(L, half ? cornu_tensor_cast(t, CORNU_FLOAT32, &b->t, &e) : cornu_tensor_contiguous(t, &b->t, &e), &e);
  return b->t;
}

static void push_table(lua_State *L, cornu_tensor *t, int depth, int64_t *n) {
  int64_t count = cornu_tensor_shape(t)[depth];
  lua_createtable(L, (int)count, 0);
  for (int64_t i = 0; i < count; i++) {
    if (depth + 1 < cornu_tensor_rank(t)) push_table(L, t, depth + 1, n);
    else push_from(L, cornu_tensor_dtype(t), cornu_tensor_data(t), (*n)++);
    lua_rawseti(L, -2, (int)(i + 1));
  }
}

static int totable(lua_State *L) {
  int64_t n = 0;
  cornu_tensor *t = plain(L, cn_lua_check_data(L, 1));
  luaL_checkstack(L, CORNU_MAX_RANK + 4, "tensor has too many dimensions");
  if (cornu_tensor_rank(t) == 0) push_from(L, cornu_tensor_dtype(t), cornu_tensor_data(t), 0);
  else push_table(L, t, 0, &n);
  return 1;
}

static int item(lua_State *L) {
  cornu_tensor *t = cn_lua_check_data(L, 1);
  int64_t zero[CORNU_MAX_RANK] = {0};
  if (cornu_tensor_size(t) != 1)
    return cn_lua_error(L, "item: the tensor has %d elements, not one", (int)cornu_tensor_size(t));
  cn_lua_push_element(L, t, zero);
  return 1;
}

static int tobytes(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_data(L, 1);
  if (cornu_tensor_dtype(t) == CORNU_TEXT) return cn_lua_error(L, "strings have no raw elements: use t:totable()");
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_contiguous(t, &b->t, &e), &e);
  size_t bytes = (size_t)cornu_tensor_size(t) * cornu_dtype_bytes(cornu_tensor_dtype(t));
  lua_pushlstring(L, bytes ? cornu_tensor_data(b->t) : "", bytes);
  return 1;
}

/* ---- text ---- */

typedef struct text_box { const void *tag; char *text; } text_box;
static const char text_key = 0;

static int free_text(lua_State *L) {
  text_box *b = lua_touserdata(L, 1);
  cornu_free(b->text);
  b->text = NULL;
  return 0;
}

/* Pushes an owner for a text that cornu_free frees. */
char **cn_lua_text(lua_State *L) {
  cn_lua_registry_get(L, &text_key);
  bool made = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!made) {
    lua_newtable(L);
    lua_pushcfunction(L, free_text);
    lua_setfield(L, -2, "__gc");
    cn_lua_registry_set(L, &text_key);
  }
  text_box *b = cn_lua_box(L, &text_key, sizeof *b);
  return &b->text;
}

void cn_lua_push_text(lua_State *L) { /* the owner is on top; its text takes its place */
  text_box *b = lua_touserdata(L, -1);
  lua_pushstring(L, b->text);
  cornu_free(b->text);
  b->text = NULL;
  lua_remove(L, -2);
}

int cn_lua_tensor_tostring(lua_State *L) {
  cornu_error e;
  cn_lua_tensor *b = cn_lua_test_tensor(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.tensor");
  if (!b->t) {
    lua_pushliteral(L, "tensor (closed)");
    return 1;
  }
  if (cornu_tensor_is_symbolic(b->t)) {
    char shape[200];
    cn_lua_shape_text(cornu_tensor_rank(b->t), cornu_tensor_shape(b->t), shape, sizeof shape);
    lua_pushfstring(L, "symbolic tensor %s of shape %s", cornu_dtype_name(cornu_tensor_dtype(b->t)), shape);
    return 1;
  }
  char **text = cn_lua_text(L);
  cn_lua_check(L, cornu_tensor_format(b->t, &cn_lua_state_of(L)->print, text, &e), &e);
  cn_lua_push_text(L);
  return 1;
}

/* ---- copies ---- */

static int clone(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_data(L, 1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(cornu_tensor_dtype(t), cornu_tensor_rank(t), cornu_tensor_shape(t), &b->t, &e), &e);
  cn_lua_count(L, b);
  cn_lua_check(L, cornu_tensor_copy(b->t, t, &e), &e);
  return 1;
}

static int contiguous(lua_State *L) {
  cornu_error e;
  cn_lua_tensor *from = cn_lua_check_box(L, 1);
  if (cornu_tensor_is_symbolic(from->t) || cornu_tensor_is_contiguous(from->t)) {
    lua_settop(L, 1);
    return 1;
  }
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_contiguous(from->t, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

static int cast_to(lua_State *L, cornu_dtype dtype) {
  cornu_error e;
  cn_lua_tensor *from = cn_lua_check_box(L, 1);
  if (cornu_tensor_dtype(from->t) == dtype) {
    lua_settop(L, 1);
    return 1;
  }
  if (cornu_tensor_is_symbolic(from->t)) {
    cornu_tree *tree = cn_lua_tree(L);
    cornu_value *dict = cornu_value_dict(tree);
    const char *name = cornu_dtype_name(dtype);
    if (!cornu_value_set(tree, dict, "dtype", cornu_value_string(tree, name, strlen(name))))
      cn_lua_error(L, "out of memory");
    cn_lua_apply(L, "cast", &from->t, 1, dict);
    return 1;
  }
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_cast(from->t, dtype, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

/* t:cast(dtype): t itself when it has that dtype */
static int cast(lua_State *L) {
  cn_lua_check_tensor(L, 1);
  return cast_to(L, cn_lua_check_dtype(L, 2));
}
static int as_float(lua_State *L) { return cast_to(L, CORNU_FLOAT32); }
static int as_double(lua_State *L) { return cast_to(L, CORNU_FLOAT64); }
static int as_int(lua_State *L) { return cast_to(L, CORNU_INT32); }
static int as_long(lua_State *L) { return cast_to(L, CORNU_INT64); }
static int as_bool(lua_State *L) { return cast_to(L, CORNU_BOOL8); }

const luaL_Reg cn_lua_tensor_readers[] = {
  {"totable", totable}, {"item", item}, {"tobytes", tobytes}, {"tostring", cn_lua_tensor_tostring}, {"clone", clone},
  {"contiguous", contiguous}, {"cast", cast}, {"float", as_float}, {"double", as_double}, {"int", as_int},
  {"long", as_long}, {"bool", as_bool}, {NULL, NULL}};
