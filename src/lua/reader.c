/* What the datasets of lua/cornu/data.lua are made of: orders of rows, and rows of files. */
#include <stdlib.h>
#include <string.h>

#include "lua/binding.h"

static const char rows_key = 0, rows_methods = 0, listing_key = 0;

/* order(first, n, seed, epoch [, block [, in_order]]) → the positions first … first+n-1 in another order: an int64
 * vector; see cornu_random_order */
static int order(lua_State *L) {
  cornu_error e;
  cornu_random r;
  const int64_t first = cn_lua_check_int(L, 1), n = cn_lua_check_int(L, 2);
  const int64_t seed = cn_lua_check_int(L, 3), epoch = cn_lua_check_int(L, 4);
  const int64_t block = lua_isnoneornil(L, 5) ? 0 : cn_lua_check_int(L, 5);
  const bool in_order = cn_lua_opt_bool(L, 6, false);
  if (n < 0) return cn_lua_arg_error(L, 2, "a number of rows is not negative");
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(CORNU_INT64, 1, &n, &b->t, &e), &e);
  cn_lua_count(L, b);
  cornu_random_seed(&r, (uint64_t)seed ^ (uint64_t)epoch * 0xD1342543DE82EF95u); /* odd: each epoch is another seed */
  cn_lua_check(L, cornu_random_order(&r, b->t, first - 1, block, in_order, &e), &e);
  int64_t *v = cornu_tensor_data(b->t);
  for (int64_t i = 0; i < n; i++) v[i]++;
  return 1;
}

/* ---- the class cornu.rows ---- */

typedef struct rows_box { const void *tag; cornu_rows *r; } rows_box;

static cornu_rows *check_rows(lua_State *L, int arg) {
  rows_box *b = cn_lua_test(L, arg, &rows_key, sizeof *b);
  if (!b) cn_lua_type_error(L, arg, "cornu.rows");
  if (!b->r) cn_lua_arg_error(L, arg, "the rows are closed");
  return b->r;
}

static int close_rows(lua_State *L) {
  rows_box *b = cn_lua_test(L, 1, &rows_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.rows");
  cornu_rows_release(b->r);
  b->r = NULL;
  return 0;
}

/* open_rows(path, name or nil, trusted) → rows */
static int open_rows(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1), *name = lua_isnoneornil(L, 2) ? NULL : cn_lua_check_string(L, 2);
  const bool trusted = cn_lua_opt_bool(L, 3, false);
  rows_box *b = cn_lua_box(L, &rows_key, sizeof *b);
  cn_lua_check(L, cornu_rows_open(path, name, trusted, &b->r, &e), &e);
  return 1;
}

/* rows:read(first, last) → tensor */
static int read_rows(lua_State *L) {
  cornu_error e;
  cornu_rows *r = check_rows(L, 1);
  const int64_t first = cn_lua_check_int(L, 2), last = cn_lua_check_int(L, 3);
  if (first < 1 || last < first - 1) return cn_lua_error(L, "rows %d to %d", (int)first, (int)last);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_rows_read(r, first - 1, last - first + 1, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

/* The positions in a vector of int64, from 0 on: pushes what holds them. */
static int64_t *check_order(lua_State *L, int arg, int64_t *n) {
  cornu_tensor *t = cn_lua_check_data(L, arg);
  if (cornu_tensor_dtype(t) != CORNU_INT64 || cornu_tensor_rank(t) != 1)
    cn_lua_arg_error(L, arg, "positions are an int64 vector");
  *n = cornu_tensor_size(t);
  int64_t *out = cn_lua_newuserdata(L, (size_t)*n * sizeof *out + 1);
  for (int64_t i = 0; i < *n; i++) out[i] = cornu_tensor_get_int(t, &i) - 1;
  return out;
}

/* rows:pick(positions) → tensor */
static int pick_rows(lua_State *L) {
  cornu_error e;
  int64_t n;
  cornu_rows *r = check_rows(L, 1);
  const int64_t *order = check_order(L, 2, &n);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_rows_pick(r, order, n, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

/* rows:port() → {name =, shape =, dtype =}, stretch, in_order */
static int rows_port(lua_State *L) {
  cornu_port port;
  bool in_order;
  const cornu_rows *r = check_rows(L, 1);
  cornu_rows_port(r, &port);
  cn_lua_push_port(L, &port);
  cn_lua_push_int(L, cornu_rows_stretch(r, &in_order));
  lua_pushboolean(L, in_order);
  return 3;
}

static int rows_index(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* ---- listing ---- */

/* What is found, copied: no Lua call is made while the library reads. */
typedef struct listing { const void *tag; cornu_port *items; size_t count, room; } listing;

static int free_listing(lua_State *L) {
  listing *l = lua_touserdata(L, 1);
  for (size_t i = 0; i < l->count; i++) free((char *)l->items[i].name);
  free(l->items);
  l->items = NULL;
  l->count = 0;
  return 0;
}

static cornu_status list_array(void *user, const cornu_port *port, cornu_error *e) {
  listing *l = user;
  const size_t length = strlen(port->name ? port->name : "") + 1;
  char *name = malloc(length);
  if (l->count == l->room) {
    const size_t room = l->room ? 2 * l->room : 16;
    cornu_port *items = realloc(l->items, room * sizeof *items);
    if (items) l->items = items, l->room = room;
  }
  if (!name || l->count == l->room) {
    free(name);
    *e = (cornu_error){CORNU_ERR_MEMORY, "out of memory"};
    return CORNU_ERR_MEMORY;
  }
  memcpy(name, port->name ? port->name : "", length);
  l->items[l->count] = *port;
  l->items[l->count++].name = name;
  return CORNU_OK;
}

/* list_rows(path, trusted) → {{name =, shape =, dtype =}, …} */
static int list_rows(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  const bool trusted = cn_lua_opt_bool(L, 2, false);
  listing *l = cn_lua_box(L, &listing_key, sizeof *l);
  cn_lua_check(L, cornu_rows_list(path, trusted, list_array, l, &e), &e);
  lua_createtable(L, (int)l->count, 0);
  for (size_t i = 0; i < l->count; i++) {
    cn_lua_push_port(L, &l->items[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

const luaL_Reg cn_lua_reader_functions[] = {
  {"order", order}, {"open_rows", open_rows}, {"list_rows", list_rows}, {NULL, NULL}};

void cn_lua_open_reader(lua_State *L) {
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  static const luaL_Reg methods[] = {{"read", read_rows}, {"pick", pick_rows}, {"port", rows_port}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.rows", .key = &rows_key,
                                     .methods_key = &rows_methods, .metamethods = metamethods,
                                     .methods = methods, .index = rows_index, .close = close_rows};
  cn_lua_open_class(L, &class);
  lua_newtable(L);
  lua_pushcfunction(L, free_listing);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &listing_key);
}
