/* The class cornu.tensor: life, accounting, conversion of arguments, and the metatable. */
#include <string.h>

#include "lua/binding.h"

#define LEAST 4096 /* what a tensor counts for: many small ones are garbage, too, of which Lua sees little */

const char cn_lua_tensor_key = 0, cn_lua_tensor_methods = 0;

/* A collection starts when `limit` bytes were made since the last one; it grows with the live set and with the Lua heap
 * that a collection has to walk. */
static void collect(lua_State *L, cn_lua_state *s) {
  s->since = 0;
  lua_gc(L, LUA_GCCOLLECT, 0);
  int kib = lua_gc(L, LUA_GCCOUNT, 0); /* -1 inside a finaliser */
  size_t limit = s->live / 2 + (kib > 0 ? (size_t)kib << 10 : 0);
  s->limit = limit < s->least ? s->least : s->most && limit > s->most ? s->most : limit;
}

cn_lua_tensor *cn_lua_new_tensor_in(lua_State *L, cn_lua_state *s) {
  if (s->since > s->limit) collect(L, s);
  return cn_lua_box(L, &cn_lua_tensor_key, sizeof(cn_lua_tensor));
}

cn_lua_tensor *cn_lua_new_tensor(lua_State *L) { return cn_lua_new_tensor_in(L, cn_lua_state_of(L)); }

void cn_lua_count(lua_State *L, cn_lua_tensor *b) { cn_lua_count_in(cn_lua_state_of(L), b); }

void cn_lua_count_in(cn_lua_state *s, cn_lua_tensor *b) {
  int64_t size = cornu_tensor_is_symbolic(b->t) ? 0 : cornu_tensor_size(b->t);
  if (size <= 0) return;
  b->bytes = (size_t)size * cornu_dtype_bytes(cornu_tensor_dtype(b->t));
  s->live += b->bytes;
  s->since += b->bytes > LEAST ? b->bytes : LEAST;
}

static int close_tensor(lua_State *L) {
  cn_lua_tensor *b = cn_lua_test_tensor(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.tensor");
  cornu_tensor *t = b->t;
  size_t bytes = b->bytes;
  b->t = NULL;
  b->bytes = 0;
  cornu_tensor_release(t);
  if (bytes) cn_lua_state_of(L)->live -= bytes;
  return 0;
}

cn_lua_tensor *cn_lua_test_tensor(lua_State *L, int i) {
  return cn_lua_test(L, i, &cn_lua_tensor_key, sizeof(cn_lua_tensor));
}

cn_lua_tensor *cn_lua_check_box(lua_State *L, int arg) {
  cn_lua_tensor *b = cn_lua_test_tensor(L, arg);
  if (!b) cn_lua_type_error(L, arg, "cornu.tensor");
  if (!b->t) cn_lua_arg_error(L, arg, "the tensor is closed");
  return b;
}

cornu_tensor *cn_lua_check_tensor(lua_State *L, int arg) { return cn_lua_check_box(L, arg)->t; }

cornu_tensor *cn_lua_check_data(lua_State *L, int arg) {
  cornu_tensor *t = cn_lua_check_tensor(L, arg);
  if (cornu_tensor_is_symbolic(t))
    cn_lua_arg_error(L, arg,
                     "a symbolic tensor has no data: the handler is traced once; with eager = true it sees data");
  return t;
}

int cn_lua_check_data_list(lua_State *L, int i, cornu_tensor **out, int most) {
  luaL_checktype(L, i, LUA_TTABLE);
  const int n = (int)cn_lua_rawlen(L, i);
  if (n > most) cn_lua_arg_error(L, i, "more than %d tensors", most);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    out[k] = cn_lua_check_data(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return n;
}

cornu_tensor *cn_lua_check_writable(lua_State *L, int arg) {
  cn_lua_tensor *b = cn_lua_check_box(L, arg);
  if (b->read_only)
    cn_lua_arg_error(L, arg, "weights are read-only: change a clone() and give it to layer:set_weights");
  return cn_lua_check_data(L, arg);
}

void cn_lua_push_tensor(lua_State *L, cornu_tensor *t) {
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  b->t = cornu_tensor_retain(t);
  cn_lua_count(L, b);
}

void cn_lua_push_list(lua_State *L, cornu_tensor *const *t, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_push_tensor(L, t[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* ---- arguments ---- */

static bool fits(cornu_dtype d, int64_t v) {
  switch (d) {
    case CORNU_INT8: return v >= INT8_MIN && v <= INT8_MAX;
    case CORNU_INT16: return v >= INT16_MIN && v <= INT16_MAX;
    case CORNU_INT32: return v >= INT32_MIN && v <= INT32_MAX;
    case CORNU_UINT8: return v >= 0 && v <= UINT8_MAX;
    case CORNU_UINT16: return v >= 0 && v <= UINT16_MAX;
    case CORNU_UINT32: return v >= 0 && v <= (int64_t)UINT32_MAX;
    case CORNU_UINT64: return v >= 0;
    case CORNU_BOOL8: return false;
    default: return true;
  }
}

static bool is_float(cornu_dtype d) {
  return d == CORNU_FLOAT32 || d == CORNU_FLOAT64 || d == CORNU_FLOAT16 || d == CORNU_BFLOAT16;
}

/* As in NumPy 2 a plain number is weak: it takes the tensor's dtype, unless that is an integer type that cannot hold
 * it. */
static cornu_dtype number_dtype(lua_State *L, int i, const cornu_tensor *like) {
  int64_t v;
  if (!like) return CORNU_FLOAT32;
  cornu_dtype d = cornu_tensor_dtype(like);
  if (is_float(d)) return d;
  if (!cn_lua_whole(L, i, &v)) return CORNU_FLOAT32;
  return fits(d, v) ? d : CORNU_INT64;
}

static void push_scalar(lua_State *L, int i, cornu_dtype d) {
  cornu_error e;
  int64_t v = 0;
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(d, 0, NULL, &b->t, &e), &e);
  if (lua_isboolean(L, i)) cornu_tensor_set_int(b->t, NULL, lua_toboolean(L, i));
  else if (!is_float(d) && cn_lua_whole(L, i, &v)) cornu_tensor_set_int(b->t, NULL, v);
  else cornu_tensor_set(b->t, NULL, (double)lua_tonumber(L, i));
}

cornu_tensor *cn_lua_to_tensor(lua_State *L, int i, const cornu_tensor *like) {
  i = cn_lua_absindex(L, i);
  switch (lua_type(L, i)) {
    case LUA_TNUMBER: push_scalar(L, i, number_dtype(L, i, like)); break;
    case LUA_TBOOLEAN: push_scalar(L, i, CORNU_BOOL8); break;
    case LUA_TTABLE: cn_lua_table_tensor(L, i, CORNU_DTYPES); break;
    case LUA_TSTRING:
      if (like && cornu_tensor_dtype(like) == CORNU_TEXT) {
        cn_lua_table_tensor(L, i, CORNU_TEXT);
        break;
      } /* fall through */
    default: {
      cn_lua_tensor *b = cn_lua_test_tensor(L, i);
      if (!b) cn_lua_type_error(L, i, "tensor, number or table");
      if (!b->t) cn_lua_arg_error(L, i, "the tensor is closed");
      return b->t;
    }
  }
  lua_replace(L, i);
  return ((cn_lua_tensor *)lua_touserdata(L, i))->t;
}

/* ---- small methods ---- */

static int shape(lua_State *L) {
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  cn_lua_push_shape(L, cornu_tensor_rank(t), cornu_tensor_shape(t));
  return 1;
}

static int dtype(lua_State *L) {
  lua_pushstring(L, cornu_dtype_name(cornu_tensor_dtype(cn_lua_check_tensor(L, 1))));
  return 1;
}

static int rank(lua_State *L) {
  lua_pushinteger(L, cornu_tensor_rank(cn_lua_check_tensor(L, 1)));
  return 1;
}

/* t:size() elements in all; t:size(dim) along one dimension */
static int size(lua_State *L) {
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  int64_t n = cornu_tensor_rank(t);
  if (lua_isnoneornil(L, 2)) {
    cn_lua_push_int(L, cornu_tensor_size(t));
    return 1;
  }
  int64_t k = cn_lua_axis(L, cn_lua_check_int(L, 2));
  if (k < 0) k += n;
  if (k < 0 || k >= n)
    cn_lua_arg_error(L, 2, "no dimension %d: the tensor has %d", (int)cn_lua_check_int(L, 2), (int)n);
  cn_lua_push_int(L, cornu_tensor_shape(t)[k]);
  return 1;
}

static int length(lua_State *L) {
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  if (cornu_tensor_rank(t) == 0) cn_lua_error(L, "a scalar has no length");
  cn_lua_push_int(L, cornu_tensor_shape(t)[0]);
  return 1;
}

static int is_contiguous(lua_State *L) {
  lua_pushboolean(L, cornu_tensor_is_contiguous(cn_lua_check_tensor(L, 1)));
  return 1;
}

static int is_symbolic(lua_State *L) {
  lua_pushboolean(L, cornu_tensor_is_symbolic(cn_lua_check_tensor(L, 1)));
  return 1;
}

/* t:allclose(u [, rtol [, atol]]) → boolean, largest absolute difference */
static int allclose(lua_State *L) {
  cornu_error e;
  bool close = false;
  double worst = 0;
  cornu_tensor *t = cn_lua_check_data(L, 1);
  cornu_tensor *u = cn_lua_test_tensor(L, 2) ? cn_lua_check_data(L, 2) : cn_lua_to_tensor(L, 2, t);
  double rtol = lua_isnoneornil(L, 3) ? 1e-5 : cn_lua_check_number(L, 3);
  double atol = lua_isnoneornil(L, 4) ? 1e-8 : cn_lua_check_number(L, 4);
  cn_lua_check(L, cornu_tensor_allclose(t, u, rtol, atol, &close, &worst, &e), &e);
  lua_pushboolean(L, close);
  lua_pushnumber(L, (lua_Number)worst);
  return 2;
}

/* t:copy(source): writes into t, broadcasting and converting */
static int copy(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_writable(L, 1);
  cornu_tensor *u = cn_lua_to_tensor(L, 2, t);
  cn_lua_check_data(L, 2);
  cn_lua_check(L, cornu_tensor_copy(t, u, &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* t:ptr(): the first element as a light userdata, for LuaJIT's ffi; keep t while it is used */
static int ptr(lua_State *L) {
  cornu_tensor *t = cn_lua_check_data(L, 1);
  if (!cornu_tensor_is_contiguous(t)) cn_lua_arg_error(L, 1, "the tensor is not contiguous: use t:contiguous():ptr()");
  lua_pushlightuserdata(L, cornu_tensor_data(t));
  return 1;
}

static void add_methods(lua_State *L) {
  cn_lua_registry_get(L, &cn_lua_tensor_methods);
  cn_lua_setfuncs(L, cn_lua_tensor_views);
  cn_lua_setfuncs(L, cn_lua_tensor_readers);
  lua_pop(L, 1);
}

void cn_lua_open_tensor(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"shape", shape}, {"dtype", dtype}, {"rank", rank}, {"size", size}, {"is_contiguous", is_contiguous},
    {"is_symbolic", is_symbolic}, {"allclose", allclose}, {"copy", copy}, {"fill", copy}, {"ptr", ptr}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
    {"__len", length}, {"__tostring", cn_lua_tensor_tostring}, {"__newindex", cn_lua_tensor_newindex}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.tensor", .key = &cn_lua_tensor_key,
    .methods_key = &cn_lua_tensor_methods,
    .metamethods = metamethods, .methods = methods, .index = cn_lua_tensor_index, .close = close_tensor};
  cn_lua_open_class(L, &class);
  add_methods(L);
  cn_lua_registry_get(L, &cn_lua_tensor_key);
  cn_lua_push_arithmetic(L);
  lua_pop(L, 1);
}
