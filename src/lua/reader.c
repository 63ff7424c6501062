/* What the datasets of lua/cornu/data.lua are made of: orders of rows, rows of files and pictures, loaders. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lua/binding.h"

static const char rows_key = 0, rows_methods = 0, loader_key = 0, loader_methods = 0, listing_key = 0, folder_key = 0;

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

static int method(lua_State *L) {
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

/* ---- pictures, tensors, loaders ---- */

/* rows_of_tensor(t) → rows */
static int rows_of_tensor(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_data(L, 1);
  rows_box *b = cn_lua_box(L, &rows_key, sizeof *b);
  cn_lua_check(L, cornu_rows_of_tensor(t, &b->r, &e), &e);
  return 1;
}

static double option(lua_State *L, int arg, const char *name, double standard) {
  lua_getfield(L, arg, name);
  const double v = lua_isnil(L, -1) ? standard : cn_lua_check_number(L, lua_gettop(L));
  lua_pop(L, 1);
  return v;
}

static void four(lua_State *L, int arg, const char *name, float standard, float out[4]) {
  lua_getfield(L, arg, name);
  for (int i = 0; i < 4; i++) {
    out[i] = standard;
    if (!lua_istable(L, -1)) continue;
    lua_rawgeti(L, -1, i + 1);
    if (!lua_isnil(L, -1)) out[i] = (float)cn_lua_check_number(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* rows_of_pictures(paths, {height =, width =, channels =, interpolation =, crop =, pad =, bgr =, skip =,
 * scale =, shift =}) → rows */
static int rows_of_pictures(lua_State *L) {
  cornu_error e;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  const size_t n = cn_lua_rawlen(L, 1);
  const char **paths = cn_lua_newuserdata(L, (n + 1) * sizeof *paths);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    paths[i] = cn_lua_check_string(L, lua_gettop(L)); /* the list keeps it */
    lua_pop(L, 1);
  }
  cornu_picture_options o = {.struct_size = sizeof o, .height = (int)option(L, 2, "height", 0),
                             .width = (int)option(L, 2, "width", 0), .channels = (int)option(L, 2, "channels", 3)};
  four(L, 2, "scale", 1, o.scale);
  four(L, 2, "shift", 0, o.shift);
  lua_getfield(L, 2, "crop");
  o.crop_to_aspect_ratio = lua_toboolean(L, -1);
  lua_getfield(L, 2, "pad");
  o.pad_to_aspect_ratio = lua_toboolean(L, -1);
  lua_getfield(L, 2, "bgr");
  o.bgr = lua_toboolean(L, -1);
  lua_getfield(L, 2, "skip");
  o.skip_errors = lua_toboolean(L, -1);
  lua_getfield(L, 2, "interpolation");
  o.interpolation = lua_isnil(L, -1) ? NULL : cn_lua_check_string(L, lua_gettop(L));
  rows_box *b = cn_lua_box(L, &rows_key, sizeof *b);
  cn_lua_check(L, cornu_rows_of_pictures(paths, (int64_t)n, &o, &b->r, &e), &e);
  return 1;
}

#define MAX_SOURCES 64

typedef struct loader_box { const void *tag; cornu_loader *l; int sources; } loader_box;

static int close_loader(lua_State *L) {
  loader_box *b = cn_lua_test(L, 1, &loader_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.loader");
  cornu_loader *l = b->l;
  b->l = NULL;
  cornu_loader_free(l);
  return 0;
}

/* new_loader({rows, …}, positions or nil, first, n, batch_size, ahead) → loader; positions nil: first … first+n-1 */
static int new_loader(lua_State *L) {
  cornu_error e;
  cornu_rows *sources[MAX_SOURCES];
  luaL_checktype(L, 1, LUA_TTABLE);
  const int count = (int)cn_lua_rawlen(L, 1);
  if (count > MAX_SOURCES) return cn_lua_arg_error(L, 1, "more than %d sources", MAX_SOURCES);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 1, i + 1);
    sources[i] = check_rows(L, lua_gettop(L)); /* the list keeps it */
    lua_pop(L, 1);
  }
  int64_t have = 0;
  const int64_t first = cn_lua_check_int(L, 3), n = cn_lua_check_int(L, 4), batch = cn_lua_check_int(L, 5);
  const int64_t ahead = cn_lua_check_int(L, 6);
  const int64_t *order = lua_isnil(L, 2) ? NULL : check_order(L, 2, &have);
  if (order && have < n) return cn_lua_arg_error(L, 2, "fewer than %d positions", (int)n);
  if (ahead < 1 || ahead > INT32_MAX) return cn_lua_arg_error(L, 6, "a number from 1 on expected");
  loader_box *b = cn_lua_box(L, &loader_key, sizeof *b);
  b->sources = count;
  cn_lua_check(L, cornu_loader_new(sources, count, order, first - 1, n, batch, (int)ahead, cornu_get_threads(), &b->l, &e),
               &e);
  return 1;
}

/* loader:next() → {tensor, …}, or nil at the end */
static int next_batch(lua_State *L) {
  cornu_error e;
  cornu_tensor *out[MAX_SOURCES];
  cn_lua_tensor *boxes[MAX_SOURCES];
  bool more;
  loader_box *b = cn_lua_test(L, 1, &loader_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.loader");
  if (!b->l) return cn_lua_arg_error(L, 1, "the loader is closed");
  lua_createtable(L, b->sources, 0);
  for (int i = 0; i < b->sources; i++) { /* before there is anything to put in: no result can get lost */
    boxes[i] = cn_lua_new_tensor(L);
    lua_rawseti(L, -2, i + 1);
  }
  cornu_status status = cornu_loader_next(b->l, out, &more, &e);
  for (int i = 0; i < b->sources && more && !status; i++) boxes[i]->t = out[i];
  cn_lua_check(L, status, &e);
  if (!more) return 0;
  for (int i = 0; i < b->sources; i++) cn_lua_count(L, boxes[i]);
  return 1;
}

/* ---- folders ---- */

/* folder(path) → {{name =, folder = true | false}, …}, in no order; an error when it cannot be read */
typedef struct folder_box { const void *tag; DIR *d; } folder_box;

static int close_folder(lua_State *L) {
  folder_box *b = lua_touserdata(L, 1);
  if (b->d) closedir(b->d);
  b->d = NULL;
  return 0;
}

static int folder(lua_State *L) {
  const char *path = cn_lua_check_string(L, 1);
  folder_box *b = cn_lua_box(L, &folder_key, sizeof *b);
  b->d = opendir(path);
  if (!b->d) return cn_lua_error(L, "%s: %s", path, strerror(errno));
  lua_newtable(L);
  int n = 0;
  for (struct dirent *entry; (entry = readdir(b->d));) {
    struct stat s;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    lua_createtable(L, 0, 2);
    lua_pushstring(L, entry->d_name);
    lua_setfield(L, -2, "name");
    lua_pushboolean(L, fstatat(dirfd(b->d), entry->d_name, &s, 0) == 0 && S_ISDIR(s.st_mode));
    lua_setfield(L, -2, "folder");
    lua_rawseti(L, -2, ++n);
  }
  closedir(b->d);
  b->d = NULL;
  return 1;
}

/* ---- Keras's shuffle ---- */

/* The Mersenne Twister, MT19937 (Matsumoto and Nishimura 1998), as numpy.random.RandomState(seed) has it. */
typedef struct twister { uint32_t state[624]; int at; } twister;

static uint32_t twist(twister *t) {
  if (t->at == 624) {
    for (int i = 0; i < 624; i++) {
      const uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
      t->state[i] = t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->at = 0;
  }
  uint32_t y = t->state[t->at++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

/* numpy_order(n, seed) → {1 … n} as RandomState(seed).shuffle orders a list: the same files are for validation in Keras */
static int numpy_order(lua_State *L) {
  const int64_t n = cn_lua_check_int(L, 1), seed = cn_lua_check_int(L, 2);
  if (n < 0 || n > INT32_MAX) return cn_lua_arg_error(L, 1, "a number of files expected");
  if (seed < 0 || seed > UINT32_MAX) return cn_lua_arg_error(L, 2, "NumPy's seeds are from 0 to 4294967295");
  twister t = {{(uint32_t)seed}, 624};
  for (uint32_t i = 1; i < 624; i++) t.state[i] = 1812433253u * (t.state[i - 1] ^ t.state[i - 1] >> 30) + i;
  int32_t *v = cn_lua_newuserdata(L, (size_t)n * sizeof *v + 1);
  for (int64_t i = 0; i < n; i++) v[i] = (int32_t)i + 1;
  for (uint32_t i = (uint32_t)n; i-- > 1;) {
    uint32_t mask = i, k;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    while ((k = twist(&t) & mask) > i) continue;
    const int32_t other = v[k];
    v[k] = v[i];
    v[i] = other;
  }
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, v[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

const luaL_Reg cn_lua_reader_functions[] = {
  {"order", order}, {"numpy_order", numpy_order}, {"open_rows", open_rows}, {"list_rows", list_rows},
  {"rows_of_tensor", rows_of_tensor}, {"rows_of_pictures", rows_of_pictures}, {"new_loader", new_loader},
  {"folder", folder}, {NULL, NULL}};

/* The metatable of what only its __gc knows. */
static void open_plain(lua_State *L, const void *key, lua_CFunction collect) {
  lua_newtable(L);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, key);
}

void cn_lua_open_reader(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg of_rows[] = {{"read", read_rows}, {"pick", pick_rows}, {"port", rows_port}, {NULL, NULL}};
  static const luaL_Reg of_loaders[] = {{"next", next_batch}, {NULL, NULL}};
  static const cn_lua_class rows = {.name = "cornu.rows", .key = &rows_key, .methods_key = &rows_methods,
                                    .metamethods = none, .methods = of_rows, .index = method, .close = close_rows};
  static const cn_lua_class loader = {.name = "cornu.loader", .key = &loader_key, .methods_key = &loader_methods,
                                      .metamethods = none, .methods = of_loaders, .index = method,
                                      .close = close_loader};
  cn_lua_open_class(L, &rows);
  cn_lua_open_class(L, &loader);
  open_plain(L, &listing_key, free_listing);
  open_plain(L, &folder_key, close_folder);
}
