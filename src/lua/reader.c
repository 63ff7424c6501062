/* What the datasets of lua/cornu/data.lua are made of: orders of rows. */
#include "lua/binding.h"

/* order(n, seed, epoch [, block [, in_order]]) → the positions 1 … n in another order: an int64 vector; see
 * cornu_random_order */
static int order(lua_State *L) {
  cornu_error e;
  cornu_random r;
  const int64_t n = cn_lua_check_int(L, 1), seed = cn_lua_check_int(L, 2), epoch = cn_lua_check_int(L, 3);
  const int64_t block = lua_isnoneornil(L, 4) ? 0 : cn_lua_check_int(L, 4);
  const bool in_order = cn_lua_opt_bool(L, 5, false);
  if (n < 0) return cn_lua_arg_error(L, 1, "a number of rows is not negative");
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_new(CORNU_INT64, 1, &n, &b->t, &e), &e);
  cn_lua_count(L, b);
  cornu_random_seed(&r, (uint64_t)seed ^ (uint64_t)epoch * 0xD1342543DE82EF95u); /* odd: each epoch is another seed */
  cn_lua_check(L, cornu_random_order(&r, b->t, block, in_order, &e), &e);
  int64_t *v = cornu_tensor_data(b->t);
  for (int64_t i = 0; i < n; i++) v[i]++;
  return 1;
}

const luaL_Reg cn_lua_reader_functions[] = {{"order", order}, {NULL, NULL}};
