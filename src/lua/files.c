/* npy, npz and images. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lua/binding.h"

/* Arrays on their way from a file into Lua: no Lua call is made while the library reads. */
typedef struct entry { char *name; cornu_tensor *t; } entry;
typedef struct bag { const void *tag; entry *items; size_t count, room; } bag;

static const char bag_key = 0;

static int free_bag(lua_State *L) {
  bag *b = lua_touserdata(L, 1);
  for (size_t i = 0; i < b->count; i++) {
    free(b->items[i].name);
    cornu_tensor_release(b->items[i].t);
  }
  free(b->items);
  b->items = NULL;
  b->count = 0;
  return 0;
}

static cornu_status no_memory(cornu_error *e) {
  if (e) *e = (cornu_error){CORNU_ERR_MEMORY, "out of memory"};
  return CORNU_ERR_MEMORY;
}

static cornu_status collect(void *user, const char *name, cornu_tensor *t, cornu_error *e) {
  bag *b = user;
  if (b->count == b->room) {
    size_t room = b->room ? b->room * 2 : 8;
    entry *items = realloc(b->items, room * sizeof *items);
    if (!items) return no_memory(e);
    b->items = items;
    b->room = room;
  }
  size_t length = strlen(name) + 1;
  char *copy = malloc(length);
  if (!copy) return no_memory(e);
  memcpy(copy, name, length);
  b->items[b->count++] = (entry){copy, cornu_tensor_retain(t)};
  return CORNU_OK;
}

/* Pushes the bag's arrays as {name = tensor}. */
static int push_bag(lua_State *L, bag *b) {
  lua_createtable(L, 0, (int)b->count);
  for (size_t i = 0; i < b->count; i++) {
    cn_lua_push_tensor(L, b->items[i].t);
    cornu_tensor_release(b->items[i].t);
    b->items[i].t = NULL;
    lua_setfield(L, -2, b->items[i].name);
  }
  return 1;
}

/* load_npz(path) → {name = tensor} */
static int load_npz(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  bag *b = cn_lua_box(L, &bag_key, sizeof *b);
  cn_lua_check(L, cornu_npz_load(path, collect, b, &e), &e);
  return push_bag(L, b);
}

/* model:optimizer_weights() → {name = tensor} */
int cn_lua_optimizer_weights(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  bag *b = cn_lua_box(L, &bag_key, sizeof *b);
  cn_lua_check(L, cornu_model_optimizer_weights(m, collect, b, &e), &e);
  return push_bag(L, b);
}

/* Pushes the bag's arrays as {{name =, value =}, …}. */
static int push_list(lua_State *L, bag *b) {
  lua_createtable(L, (int)b->count, 0);
  for (size_t i = 0; i < b->count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, b->items[i].name);
    lua_setfield(L, -2, "name");
    cn_lua_push_tensor(L, b->items[i].t);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* core.optimizer_list(model) → {{name =, value =}, …} in the file's order */
static int optimizer_list(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  bag *b = cn_lua_box(L, &bag_key, sizeof *b);
  cn_lua_check(L, cornu_model_optimizer_weights(m, collect, b, &e), &e);
  return push_list(L, b);
}

/* A copy: the trainer goes on with its own. */
static cornu_status collect_copy(void *user, const char *name, cornu_tensor *t, cornu_error *e) {
  cornu_tensor *copy;
  cornu_status status = cornu_tensor_new(cornu_tensor_dtype(t), cornu_tensor_rank(t), cornu_tensor_shape(t), &copy, e);
  if (!status) status = cornu_tensor_copy(copy, t, e);
  if (!status) status = collect(user, name, copy, e);
  cornu_tensor_release(copy);
  return status;
}

/* trainer:state([keras]) → {{name =, value =}, …} */
int cn_lua_trainer_state(lua_State *L, cornu_trainer *t, int keras) {
  cornu_error e;
  bag *b = cn_lua_box(L, &bag_key, sizeof *b);
  cn_lua_check(L, cornu_trainer_state(t, keras, collect_copy, b, &e), &e);
  return push_list(L, b);
}

/* core.save_npz(path, names, tensors, compress): the Lua part sorts the names */
static int save_npz(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  if (!lua_istable(L, 2)) cn_lua_type_error(L, 2, "table");
  if (!lua_istable(L, 3)) cn_lua_type_error(L, 3, "table");
  bool compress = cn_lua_opt_bool(L, 4, false);
  int n = (int)cn_lua_rawlen(L, 2);
  luaL_checkstack(L, 2 * n + 20, "too many arrays");
  const char **names = lua_newuserdata(L, ((size_t)n + 1) * sizeof *names);
  cornu_tensor **tensors = lua_newuserdata(L, ((size_t)n + 1) * sizeof *tensors);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    names[i] = cn_lua_check_string(L, lua_gettop(L));
    lua_rawgeti(L, 3, i + 1);
    tensors[i] = cn_lua_to_tensor(L, -1, NULL);
    if (cornu_tensor_is_symbolic(tensors[i]))
      return cn_lua_error(L, "\"%s\" is a symbolic tensor: it has no data to save", names[i]);
  }
  cn_lua_check(L, cornu_npz_save(path, names, tensors, n, compress, &e), &e);
  return 0;
}

static int load_npy(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_npy_load(path, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

static int load_idx(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_idx_load(path, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

static int save_npy(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  luaL_checkany(L, 2);
  cornu_tensor *t = cn_lua_to_tensor(L, 2, NULL);
  cn_lua_check_data(L, 2);
  cn_lua_check(L, cornu_npy_save(path, t, &e), &e);
  return 0;
}

/* image_load(path or {name =, data =} [, channels]) → uint8 (height, width, channels) */
static int image_load(lua_State *L) {
  cornu_error e;
  cornu_source source;
  const bool given = cn_lua_given_file(L, 1, &source);
  const char *path = given ? source.name : cn_lua_check_string(L, 1);
  int channels = lua_isnoneornil(L, 2) ? 0 : (int)cn_lua_check_int(L, 2);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, given ? cornu_image_load_source(&source, channels, &b->t, &e)
                        : cornu_image_load(path, channels, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

static int image_save(lua_State *L) {
  cornu_error e;
  const char *path = cn_lua_check_string(L, 1);
  cornu_tensor *t = cn_lua_check_data(L, 2);
  cn_lua_check(L, cornu_image_save(path, t, &e), &e);
  return 0;
}

/* make_folder(path): the folder and those above it, where they are missing */
static int make_folder(lua_State *L) {
  const char *path = cn_lua_check_string(L, 1);
  char copy[4096];
  const size_t n = strlen(path);
  if (!n || n >= sizeof copy) return cn_lua_error(L, "a folder's path of up to %d bytes expected", (int)sizeof copy - 1);
  memcpy(copy, path, n + 1);
  for (size_t i = 1; i <= n; i++) {
    if (copy[i] && copy[i] != '/') continue;
    copy[i] = 0;
    if (mkdir(copy, 0777) && errno != EEXIST) return cn_lua_error(L, "%s: %s", copy, strerror(errno));
    copy[i] = i < n ? '/' : 0;
  }
  return 0;
}

/* file_state(path) → time of its last change, size; nothing when it is not there */
static int file_state(lua_State *L) {
  struct stat s;
  if (stat(cn_lua_check_string(L, 1), &s)) return 0;
#ifdef st_mtime /* nanoseconds are told */
  lua_pushnumber(L, (lua_Number)s.st_mtim.tv_sec + (lua_Number)s.st_mtim.tv_nsec * 1e-9);
#else
  lua_pushnumber(L, (lua_Number)s.st_mtime);
#endif
  lua_pushnumber(L, (lua_Number)s.st_size);
  return 2;
}

/* crc32c(text) → number: Castagnoli's polynomial, as TFRecord files have it */
static int crc32c(lua_State *L) {
  size_t n;
  const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &n);
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= text[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  lua_pushnumber(L, (lua_Number)(crc ^ 0xffffffffu));
  return 1;
}

const luaL_Reg cn_lua_file_functions[] = {
  {"optimizer_list", optimizer_list},
  {"load_npz", load_npz}, {"save_npz", save_npz}, {"load_npy", load_npy}, {"save_npy", save_npy},
  {"image_load", image_load}, {"image_save", image_save}, {"make_folder", make_folder}, {"crc32c", crc32c}, {"file_state", file_state},
  {"load_idx", load_idx},
  {NULL, NULL}};

void cn_lua_open_files(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, free_bag);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &bag_key);
}
