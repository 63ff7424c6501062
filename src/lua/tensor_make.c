/* New tensors: from tables and numbers, filled, ranges, random. */
#include <math.h>
#include <string.h>

#include "lua/binding.h"

/* ---- one element ---- */

#define STORE_INT(type, low, high)                              \
  if (!whole) return "is not a whole number";                   \
  if (v < (int64_t)(low) || v > (int64_t)(high)) return "is out of the dtype's range"; \
  ((type *)data)[n] = (type)v;                                  \
  return NULL

const char *cn_lua_store(lua_State *L, int i, cornu_dtype dtype, void *data, int64_t n) {
  int64_t v = 0;
  bool whole = true;
  double f;
  if (lua_type(L, i) == LUA_TBOOLEAN) {
    v = lua_toboolean(L, i);
    f = (double)v;
  } else if (lua_type(L, i) == LUA_TNUMBER) {
    f = (double)lua_tonumber(L, i);
    whole = dtype == CORNU_FLOAT32 || dtype == CORNU_FLOAT64 || cn_lua_whole(L, i, &v);
  } else {
    return "is no number";
  }
  switch (dtype) {
    case CORNU_FLOAT32: ((float *)data)[n] = (float)f; return NULL;
    case CORNU_FLOAT64: ((double *)data)[n] = f; return NULL;
    case CORNU_BOOL8: ((uint8_t *)data)[n] = f != 0; return NULL;
    case CORNU_INT8: STORE_INT(int8_t, INT8_MIN, INT8_MAX);
    case CORNU_INT16: STORE_INT(int16_t, INT16_MIN, INT16_MAX);
    case CORNU_INT32: STORE_INT(int32_t, INT32_MIN, INT32_MAX);
    case CORNU_INT64: STORE_INT(int64_t, INT64_MIN, INT64_MAX);
    case CORNU_UINT8: STORE_INT(uint8_t, 0, UINT8_MAX);
    case CORNU_UINT16: STORE_INT(uint16_t, 0, UINT16_MAX);
    case CORNU_UINT32: STORE_INT(uint32_t, 0, UINT32_MAX);
    case CORNU_UINT64: STORE_INT(uint64_t, 0, INT64_MAX);
    default: return "has no dtype to go to";
  }
}

/* Half floats are written as float32 first. */
static cornu_dtype staging(cornu_dtype d) {
  return d == CORNU_FLOAT16 || d == CORNU_BFLOAT16 ? CORNU_FLOAT32 : d;
}

/* ---- nested tables ---- */

typedef struct nest {
  int rank;
  int64_t shape[CORNU_MAX_RANK], at[CORNU_MAX_RANK]; /* at: the element in hand, for messages */
  cornu_dtype dtype;
  cornu_tensor *t;
  void *data;
  int64_t n;
} nest;

static const char *path(lua_State *L, const nest *s, int depth) { /* "[2][1]", left on the stack */
  lua_pushliteral(L, "");
  for (int i = 0; i < depth; i++) {
    lua_pushfstring(L, "[%d]", (int)s->at[i]);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

/* The shape is what the first elements say; the first leaf stays on the stack (nil for an empty tensor). */
static void measure(lua_State *L, int i, nest *s) {
  lua_pushvalue(L, i);
  while (lua_istable(L, -1)) {
    if (s->rank == CORNU_MAX_RANK)
      cn_lua_error(L, "table is nested more than %d deep: a tensor has at most so many dimensions", CORNU_MAX_RANK);
    s->shape[s->rank++] = (int64_t)cn_lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
}

static void refuse(lua_State *L, const nest *s, int depth, const char *wrong) { /* the value is on top */
  const char *where = path(L, s, depth);
  if (lua_type(L, -2) == LUA_TNUMBER) lua_pushfstring(L, " (%s)", cn_lua_number_text(L, -2));
  else lua_pushfstring(L, " (%s)", cn_lua_kind(L, -2));
  cn_lua_error(L, "element %s%s %s; dtype %s", where, lua_tostring(L, -1), wrong, cornu_dtype_name(s->dtype));
}

/* The string on top as the element in hand; else what is wrong. */
static const char *store_text(lua_State *L, const nest *s) {
  cornu_error e;
  size_t length;
  int64_t index[CORNU_MAX_RANK];
  if (lua_type(L, -1) != LUA_TSTRING) return "is no string";
  for (int i = 0; i < s->rank; i++) index[i] = s->at[i] - 1;
  const char *bytes = lua_tolstring(L, -1, &length);
  cn_lua_check(L, cornu_tensor_set_text(s->t, index, bytes, length, &e), &e);
  return NULL;
}

static void fill_nested(lua_State *L, nest *s, int depth) { /* the value is on top */
  if (depth == s->rank) {
    const char *wrong = NULL;
    if (lua_istable(L, -1))
      wrong = s->dtype == CORNU_TEXT ? "is a table, where the first element is a string"
                                       : "is a table, where the first element is a number";
    else if (s->dtype == CORNU_TEXT) wrong = store_text(L, s);
    else if (cn_lua_test_tensor(L, -1)) wrong = "is a tensor: cornu.stack joins tensors";
    else if (s->dtype == CORNU_BOOL8 && lua_type(L, -1) == LUA_TNUMBER)
      wrong = "is a number, where the first element is a boolean";
    else wrong = cn_lua_store(L, -1, s->dtype, s->data, s->n++);
    if (wrong) refuse(L, s, depth, wrong);
    return;
  }
  if (!lua_istable(L, -1)) refuse(L, s, depth, "is not a table, where the first element is one");
  int64_t n = (int64_t)cn_lua_rawlen(L, -1);
  if (n != s->shape[depth])
    cn_lua_error(L, "element %s has %d elements, where the first of its kind has %d: rows must be of one length",
                 path(L, s, depth), (int)n, (int)s->shape[depth]);
  for (int64_t i = 0; i < n; i++) {
    s->at[depth] = i + 1;
    lua_rawgeti(L, -1, (int)(i + 1));
    fill_nested(L, s, depth + 1);
    lua_pop(L, 1);
  }
}

/* Replaces the tensor on top by one of another dtype. */
static void convert_top(lua_State *L, cornu_dtype dtype) {
  cornu_error e;
  cn_lua_tensor *from = lua_touserdata(L, -1);
  if (cornu_tensor_dtype(from->t) == dtype) return;
  cn_lua_tensor *to = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_cast(from->t, dtype, &to->t, &e), &e);
  cn_lua_count(L, to);
  lua_remove(L, -2);
}

void cn_lua_table_tensor(lua_State *L, int i, cornu_dtype dtype) {
  cornu_error e;
  nest s = {0};
  i = cn_lua_absindex(L, i);
  luaL_checkstack(L, CORNU_MAX_RANK + 8, "table is nested too deeply");
  measure(L, i, &s);
  bool booleans = lua_isboolean(L, -1), texts = lua_type(L, -1) == LUA_TSTRING;
  lua_pop(L, 1);
  bool given = dtype != CORNU_DTYPES;
  if (!given) dtype = texts ? CORNU_TEXT : booleans ? CORNU_BOOL8 : CORNU_FLOAT32;
  /* Numbers for an asked-for bool go through float64, as any number that is not 0 is true. */
  s.dtype = given && dtype == CORNU_BOOL8 && !booleans ? CORNU_FLOAT64 : staging(dtype);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(s.dtype, s.rank, s.shape, &b->t, &e), &e);
  cn_lua_count(L, b);
  s.t = b->t;
  s.data = cornu_tensor_data(b->t);
  lua_pushvalue(L, i);
  fill_nested(L, &s, 0);
  lua_pop(L, 1);
  convert_top(L, dtype);
}

/* cornu.tensor(table | number | boolean | string | tensor [, dtype]) */
static int make(lua_State *L) {
  cornu_error e;
  cornu_dtype dtype = lua_isnoneornil(L, 2) ? CORNU_DTYPES : cn_lua_check_dtype(L, 2);
  int type = lua_type(L, 1);
  if (type == LUA_TTABLE || type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TSTRING) {
    cn_lua_table_tensor(L, 1, dtype);
    return 1;
  }
  if (!cn_lua_test_tensor(L, 1)) cn_lua_type_error(L, 1, "table, number, string or tensor");
  cornu_tensor *t = cn_lua_check_data(L, 1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  if (dtype == CORNU_DTYPES) dtype = cornu_tensor_dtype(t);
  cn_lua_check(L, cornu_tensor_new(dtype, cornu_tensor_rank(t), cornu_tensor_shape(t), &b->t, &e), &e);
  cn_lua_count(L, b);
  cn_lua_check(L, cornu_tensor_copy(b->t, t, &e), &e);
  return 1;
}

/* ---- filled ---- */

int cn_lua_check_shape(lua_State *L, int first, int *rank, int64_t *shape) {
  *rank = 0;
  bool table = lua_istable(L, first);
  int n = table ? (int)cn_lua_rawlen(L, first) : 0;
  if (!table)
    while (lua_type(L, first + n) == LUA_TNUMBER) n++;
  if (n == 0 && !table && !lua_isnoneornil(L, first) && lua_type(L, first) != LUA_TSTRING)
    cn_lua_type_error(L, first, "sizes or a table of sizes");
  if (n > CORNU_MAX_RANK) cn_lua_arg_error(L, first, "%d dimensions: a tensor has at most %d", n, CORNU_MAX_RANK);
  for (int i = 0; i < n; i++) {
    if (table) lua_rawgeti(L, first, i + 1);
    else lua_pushvalue(L, first + i);
    if (!cn_lua_whole(L, -1, &shape[i]))
      cn_lua_arg_error(L, table ? first : first + i, "size %d is %s, not a whole number", i + 1, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  *rank = n;
  return table ? first + 1 : first + n;
}

static cornu_tensor *new_filled(lua_State *L, int rank, const int64_t *shape, cornu_dtype dtype) { /* zeros, pushed */
  cornu_error e;
  for (int i = 0; i < rank; i++)
    if (shape[i] < 0) cn_lua_error(L, "size %d is %d: sizes are not negative", i + 1, (int)shape[i]);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(dtype, rank, shape, &b->t, &e), &e);
  cn_lua_count(L, b);
  return b->t;
}

static cornu_dtype opt_dtype(lua_State *L, int arg, cornu_dtype standard) {
  return lua_isnoneornil(L, arg) ? standard : cn_lua_check_dtype(L, arg);
}

/* Shape as numbers or a table, then a dtype name. */
static cornu_tensor *shaped(lua_State *L) {
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  int next = cn_lua_check_shape(L, 1, &rank, shape);
  return new_filled(L, rank, shape, opt_dtype(L, next, CORNU_FLOAT32));
}

void cn_lua_push_number_as(lua_State *L, int i, cornu_dtype dtype) {
  cornu_error e;
  i = cn_lua_absindex(L, i);
  if (dtype == CORNU_TEXT || lua_type(L, i) == LUA_TSTRING) {
    cn_lua_table_tensor(L, i, dtype);
    return;
  }
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(staging(dtype), 0, NULL, &b->t, &e), &e);
  const char *wrong = cn_lua_store(L, i, staging(dtype), cornu_tensor_data(b->t), 0);
  if (!wrong) return;
  if (lua_type(L, i) == LUA_TNUMBER)
    cn_lua_error(L, "%s %s; dtype %s", cn_lua_number_text(L, i), wrong, cornu_dtype_name(dtype));
  cn_lua_error(L, "a %s %s; dtype %s", cn_lua_kind(L, i), wrong, cornu_dtype_name(dtype));
}

static void fill_number(lua_State *L, cornu_tensor *t, int arg) { /* the number at arg, everywhere */
  cornu_error e;
  cn_lua_push_number_as(L, arg, cornu_tensor_dtype(t));
  cn_lua_check(L, cornu_tensor_copy(t, ((cn_lua_tensor *)lua_touserdata(L, -1))->t, &e), &e);
  lua_pop(L, 1);
}

static int zeros(lua_State *L) {
  shaped(L);
  return 1;
}

static int ones(lua_State *L) {
  cornu_tensor *t = shaped(L);
  if (cornu_tensor_dtype(t) == CORNU_TEXT) return cn_lua_error(L, "a string tensor has no ones: cornu.full fills it");
  lua_pushinteger(L, 1);
  fill_number(L, t, lua_gettop(L));
  lua_pop(L, 1);
  return 1;
}

/* full(shape, value [, dtype]) */
static int full(lua_State *L) {
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  if (!lua_istable(L, 1)) cn_lua_type_error(L, 1, "table of sizes");
  cn_lua_check_shape(L, 1, &rank, shape);
  bool text = lua_type(L, 2) == LUA_TSTRING;
  if (!lua_isboolean(L, 2) && !text) cn_lua_check_number(L, 2);
  cornu_dtype standard = text ? CORNU_TEXT : lua_isboolean(L, 2) ? CORNU_BOOL8 : CORNU_FLOAT32;
  cornu_tensor *t = new_filled(L, rank, shape, opt_dtype(L, 3, standard));
  fill_number(L, t, 2);
  return 1;
}

/* Writes start + i * step, in float64, then converts. */
static int ramp(lua_State *L, double start, double step, int64_t n, cornu_dtype dtype) {
  cornu_tensor *t = new_filled(L, 1, &n, CORNU_FLOAT64);
  double *data = cornu_tensor_data(t);
  for (int64_t i = 0; i < n; i++) data[i] = start + (double)i * step;
  convert_top(L, dtype);
  return 1;
}

/* arange(stop [, dtype]), arange(start, stop [, step [, dtype]]): NumPy's, stop is not part of it */
static int arange(lua_State *L) {
  int n = 0;
  while (n < 3 && lua_type(L, n + 1) == LUA_TNUMBER) n++;
  double start = 0, step = 1, stop = cn_lua_check_number(L, n > 1 ? 2 : 1);
  if (n > 1) start = cn_lua_check_number(L, 1);
  if (n > 2) step = cn_lua_check_number(L, 3);
  if (n == 2 && lua_isnil(L, 3)) n = 3;
  cornu_dtype dtype = opt_dtype(L, n + 1, CORNU_FLOAT32);
  double count = ceil((stop - start) / step);
  if (step == 0) cn_lua_arg_error(L, 3, "the step is 0");
  if (!(count < 9e15)) cn_lua_arg_error(L, 2, "too many elements");
  return ramp(L, start, step, count > 0 ? (int64_t)count : 0, dtype);
}

/* linspace(first, last, n [, dtype]): both ends are part of it */
static int linspace(lua_State *L) {
  double first = cn_lua_check_number(L, 1), last = cn_lua_check_number(L, 2);
  int64_t n = cn_lua_check_int(L, 3);
  cornu_dtype dtype = opt_dtype(L, 4, CORNU_FLOAT32);
  if (n < 0) cn_lua_arg_error(L, 3, "a count is not negative");
  cornu_tensor *t = new_filled(L, 1, &n, CORNU_FLOAT64);
  double *data = cornu_tensor_data(t);
  for (int64_t i = 0; i < n; i++) data[i] = n > 1 ? first + (last - first) * (double)i / (double)(n - 1) : first;
  if (n > 1) data[n - 1] = last;
  convert_top(L, dtype);
  return 1;
}

/* eye(n [, m] [, dtype]) */
static int eye(lua_State *L) {
  int64_t shape[2] = {cn_lua_check_int(L, 1), cn_lua_check_int(L, 1)};
  int next = 2;
  if (lua_type(L, 2) == LUA_TNUMBER) shape[1] = cn_lua_check_int(L, next++);
  else if (lua_isnil(L, 2)) next = 3;
  cornu_tensor *t = new_filled(L, 2, shape, opt_dtype(L, next, CORNU_FLOAT32));
  for (int64_t i = 0; i < shape[0] && i < shape[1]; i++) cornu_tensor_set_int(t, (int64_t[]){i, i}, 1);
  return 1;
}

/* ---- random ---- */

/* Half floats are drawn as float32. */
static int draw(lua_State *L, bool normal) {
  cornu_error e;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  int next = cn_lua_check_shape(L, 1, &rank, shape);
  cornu_dtype dtype = opt_dtype(L, next, CORNU_FLOAT32);
  cornu_tensor *t = new_filled(L, rank, shape, dtype == CORNU_FLOAT64 ? dtype : CORNU_FLOAT32);
  cornu_random *r = &cn_lua_state_of(L)->random;
  cn_lua_check(L, normal ? cornu_random_normal(r, t, 0, 1, &e) : cornu_random_uniform(r, t, 0, 1, &e), &e);
  convert_top(L, dtype);
  return 1;
}

static int rand_uniform(lua_State *L) { return draw(L, false); }
static int rand_normal(lua_State *L) { return draw(L, true); }

static int manual_seed(lua_State *L) {
  cornu_random_seed(&cn_lua_state_of(L)->random, (uint64_t)cn_lua_check_int(L, 1));
  return 0;
}

/* ---- bytes ---- */

/* frombytes(s, dtype, shape…): raw elements in this machine's order, row-major; the shape may hold one -1 */
static int frombytes(lua_State *L) {
  size_t length;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  cn_lua_check_string(L, 1);
  const char *s = lua_tolstring(L, 1, &length);
  cornu_dtype dtype = cn_lua_check_dtype(L, 2);
  if (dtype == CORNU_TEXT) return cn_lua_error(L, "strings are no raw elements: cornu.tensor makes a tensor of them");
  int64_t have = (int64_t)(length / cornu_dtype_bytes(dtype)), known = 1;
  cn_lua_check_shape(L, 3, &rank, shape);
  if (rank == 0 && !lua_istable(L, 3)) shape[rank++] = -1;
  int infer = -1;
  for (int i = 0; i < rank; i++) {
    if (shape[i] == -1 && infer < 0) infer = i;
    else if (shape[i] < 0) cn_lua_arg_error(L, 3, "size %d is negative", i + 1);
    else if (known && shape[i] > INT64_MAX / known) cn_lua_arg_error(L, 3, "the sizes are too large");
    else known *= shape[i];
  }
  if (infer >= 0) {
    shape[infer] = known ? have / known : 0;
    known *= shape[infer];
  }
  if (known != have || length % cornu_dtype_bytes(dtype)) {
    char text[200];
    cn_lua_shape_text(rank, shape, text, sizeof text);
    cn_lua_error(L, "%d bytes do not make %s of %s", (int)length, text, cornu_dtype_name(dtype));
  }
  cornu_tensor *t = new_filled(L, rank, shape, dtype);
  uint8_t *data = cornu_tensor_data(t);
  if (length) memcpy(data, s, length);
  for (size_t i = 0; dtype == CORNU_BOOL8 && i < length; i++) data[i] = data[i] != 0;
  return 1;
}

const luaL_Reg cn_lua_tensor_makers[] = {
  {"tensor", make}, {"zeros", zeros}, {"empty", zeros}, {"ones", ones}, {"full", full}, {"arange", arange},
  {"linspace", linspace}, {"eye", eye}, {"rand", rand_uniform}, {"randn", rand_normal}, {"manual_seed", manual_seed},
  {"frombytes", frombytes}, {NULL, NULL}};
