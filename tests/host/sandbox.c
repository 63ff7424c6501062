/* Sandboxes: what scripts may do, what they may not, and that the host comes back from whatever they try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include <lauxlib.h>
#include <lua.h>

#include "cornu_lua.h"

static char folder[] = "/tmp/cornu-sandbox-XXXXXX";
static char said[4096]; /* what scripts print */

static void hear(void *user, cornu_log_level level, const char *message) {
  (void)user;
  if (level == CORNU_LOG_INFO) snprintf(said, sizeof said, "%s", message);
}

static cornu_sandbox *new_sandbox(double seconds, int64_t instructions) {
  cornu_error e = {0};
  cornu_sandbox *s;
  const char *read[] = {"lua/examples/digits"}, *write[] = {folder};
  const cornu_context_options c = {.struct_size = sizeof c, .max_memory = 48 << 20, .log = hear};
  const cornu_sandbox_options o = {.struct_size = sizeof o, .context = &c, .max_seconds = seconds,
                                   .max_instructions = instructions, .folders = read, .n_folders = 1,
                                   .writable = write, .n_writable = 1};
  if (cornu_sandbox_new(&o, &s, &e)) fail_msg("%s", e.message);
  return s;
}

static cornu_status run(cornu_sandbox *s, const char *text, cornu_error *e) {
  *e = (cornu_error){0};
  return cornu_sandbox_run(s, text, strlen(text), "mod.lua", e);
}

static void works(cornu_sandbox *s, const char *text) {
  cornu_error e;
  if (run(s, text, &e)) fail_msg("%s\n%s", e.message, text);
}

/* ---- what there is ---- */

static const char *const good[] = {
    "local model = cornu.load 'digits.keras'\n"
    "local want = cornu.load_npz 'expected.npz'\n"
    "assert(model:predict(want.inputs):allclose(want.outputs, 1e-4, 1e-5))\n"
    "assert(not model.fit and not cornu.Layer and not cornu.data and not cornu.callbacks)",
    "local t = cornu.ones(3, 4) * 2; assert(t:sum():item() == 24 and tostring(t):find '2')",
    "cornu.save_npz('x.npz', { x = cornu.ones(3) }); assert(cornu.load_npz('x.npz').x:sum():item() == 3)",
    "local m = cornu.Sequential { cornu.Input { shape = { 3 } }, cornu.layers.Dense { 2 } }\n"
    "m:save 'm.keras'; assert(cornu.load('m.keras')(cornu.ones(1, 3)):shape()[2] == 2)",
    "assert(cornu.load(cornu.Sequential { cornu.Input { shape = { 3 } }, cornu.layers.Dense { 2 } }:to_json()))",
    "assert(('a,b,,c'):gsub(',', ';') == 'a;b;;c'); assert(('key = value'):match '^(%w+)%s*=%s*(%w+)$' == 'key')",
    "assert(('THE (quick) fox'):find '%((%a+)%)' == 5); assert(('x'):rep(3, ',') == (_VERSION == 'Lua 5.1' and #('x'):rep(3) == 3 "
    "and ('x'):rep(3, ',') or 'x,x,x'))",
    "local n = {}; for k, v in ('a=1, b=2'):gmatch '(%w+)=(%w+)' do n[#n + 1] = k .. v end; assert(table.concat(n, ' ') == 'a1 b2')",
    "assert(('hello world'):gsub('o', { o = '0' }) == 'hell0 w0rld' and ('abc'):gsub('%w', '%0%0') == 'aabbcc')",
    "assert(('abc'):gsub('', '-') == '-a-b-c-' and ('f(a(b)c)d'):match '%b()' == '(a(b)c)' and ('THE (q)'):find('%f[%a]%a+') == 1)",
    "assert(('abc'):find('b', 1, true) == 2 and ('a.c'):find('.', 1, true) == 2 and not ('abc'):find('b', 3) and ('aXb'):match '()X' == 2)",
    "assert(('abcabc'):match '(%a)%a%a%1' == 'a' and ('x]'):match '[]]' == ']' and ('a-b'):match '[a%-]+' == 'a-' and ('  x'):match '^%s*(.-)$' == 'x')",
    "local t = { 3, 1, 2 }; table.sort(t); assert(t[1] == 1 and t[3] == 3); table.sort(t, function(a, b) return a > b end); assert(t[1] == 3)\n"
    "table.insert(t, 1, 9); table.insert(t, 8); assert(table.remove(t, 1) == 9 and table.remove(t) == 8 and #t == 3)\n"
    "assert(select('#', (table.unpack or unpack)(t)) == 3)",
    "local p = setmetatable({}, { __index = function(_, k) return k <= 3 and k or nil end, __len = function() return 3 end })\n"
    "assert(table.concat(p, ',', 1, 3) == '1,2,3')",
    "local co = coroutine.wrap(function(a) for i = 1, 3 do a = a + coroutine.yield(a) end return 'end' end)\n"
    "assert(co(1) == 1 and co(1) == 2 and co(1) == 3 and co(1) == 'end'); assert(not pcall(co))",
    "assert(xpcall(error, function(m) return m .. '!' end, 'x') == false); local _, m = xpcall(error, function(m) return m .. '!' end, 'x'); assert(m == 'x!')",
    "assert(load 'return 1 + 1'() == 2 and load('return x', 'c', 't', { x = 5 })() == 5 and not load 'x =')",
    "assert(math.random(3) <= 3 and math.random() < 1); math.randomseed(1); local a = math.random(); math.randomseed(1); assert(a == math.random())",
    "assert(os.time() > 0 and os.clock() >= 0 and not os.execute and not os.getenv)",
    "local Class = {}; Class.__index = Class; local o = setmetatable({}, Class); assert(getmetatable(o) == Class)",
    "print('one', 2, nil)",
};

static void scripts_do_what_they_may(void **unused) {
  (void)unused;
  cornu_sandbox *s = new_sandbox(60, 0);
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) works(s, good[i]);
  assert_string_equal(said, "one\t2\tnil");
  cornu_sandbox_free(s);
}

static void hosts_call_functions(void **unused) {
  (void)unused;
  cornu_error e = {0};
  cornu_sandbox *s = new_sandbox(60, 0);
  lua_State *L = cornu_sandbox_lua(s);
  works(s, "function add(a, b) return a + b, 'more' end function broken() error 'on purpose' end");
  lua_pushnumber(L, 2);
  lua_pushnumber(L, 3);
  assert_int_equal(cornu_sandbox_call(s, "add", 2, 2, &e), CORNU_OK);
  assert_true(lua_tonumber(L, -2) == 5);
  lua_settop(L, 0);
  assert_int_equal(cornu_sandbox_call(s, "broken", 0, 0, &e), CORNU_ERR_CALLBACK);
  assert_non_null(strstr(e.message, "mod.lua:1: on purpose"));
  assert_int_equal(cornu_sandbox_call(s, "missing", 0, 0, &e), CORNU_ERR_CALLBACK);
  assert_int_equal(run(s, "\n\nlocal x = nil; x()", &e), CORNU_ERR_CALLBACK);
  assert_non_null(strstr(e.message, "mod.lua:3:"));
  assert_int_equal(run(s, "x = = 1", &e), CORNU_ERR_CALLBACK);
  assert_int_equal(run(s, "error(setmetatable({}, { __tostring = function() return 'an object' end }))", &e), CORNU_ERR_CALLBACK);
  assert_string_equal(e.message, "an object");
  assert_int_equal(lua_gettop(L), 0);
  cornu_sandbox_free(s);
}

/* ---- what there is not: each of these must hold within the sandbox ---- */

static const char *const walls[] = {
    "assert(not io and not debug and not package and not string.dump and not newproxy and not getfenv and not setfenv)",
    "assert(not os.execute and not os.remove and not os.getenv and not os.exit and not os.rename and not os.tmpname)",
    "assert(not jit and not ffi and not module and not coroutine.close and not _LOADED)",
    /* bytecode: the header of each Lua */
    "for _, head in ipairs { '\\27Lua', '\\27LJ', '\\27' } do assert(not load(head .. ('\\0'):rep(100))) end",
    "assert(not load('return 1', 'x', 'b')); assert(not load(function() return nil end) or true)",
    "local parts = { '\\27', 'Lua' }; local i = 0; assert(not load(function() i = i + 1; return parts[i] end))",
    /* metatables */
    "local m = getmetatable ''; assert(m == false); assert(not pcall(function() getmetatable('').__index.rep = nil end))",
    "local rep = string.rep; string.rep = nil; assert(('x'):rep(2) == 'xx'); string.rep = rep",
    "for _, v in ipairs { cornu.ones(1), cornu.null, cornu.load('digits.keras'), cornu.load('digits.keras')[1], 1, print } do\n"
    "  local m = getmetatable(v); assert(type(m) ~= 'table', type(v)) end",
    "assert(type(getmetatable(cornu.load('digits.keras').layers)) ~= 'table')",
    "assert(not pcall(setmetatable, {}, { __gc = function() end })); assert(not pcall(setmetatable, {}, { __gc = true }))",
    "assert(not pcall(setmetatable, cornu.ones(1), {})); assert(not pcall(setmetatable, 'x', {}))",
    "local t = setmetatable({}, { __metatable = 'mine' }); assert(not pcall(setmetatable, t, {})); assert(getmetatable(t) == 'mine')",
    /* what the module itself uses is out of reach */
    "local names = { 'pcall', 'error', 'type', 'ipairs', 'pairs', 'tostring', 'select', 'table', 'math', 'next', 'rawget' }\n"
    "local kept = {}; for _, n in ipairs(names) do kept[n] = _G[n] end\n"
    "local function evil() return false end\n"
    "for _, n in kept.ipairs(names) do _G[n] = n == 'table' and { concat = evil, sort = evil } or evil end\n"
    "local t = cornu.ones(2, 3):topk(2); local s = kept.tostring(t)\n"
    "for n, f in kept.pairs(kept) do _G[n] = f end; assert(#t == 2 and t[1][1].value == 1)",
    "setmetatable(_G, { __index = function(_, k) return k end }); assert(nowhere == 'nowhere'); setmetatable(_G, nil)",
    /* files */
    "for _, p in ipairs { '/etc/passwd', '../../../README.md', 'images/../../lenet/lenet.lua', '/proc/self/environ', 'link',\n"
    "    'images', '.', '', 'digits.keras\\0.txt', 'lua/examples/digits/digits.keras' } do\n"
    "  for _, f in ipairs { cornu.load, cornu.load_npz, cornu.load_npy, dofile } do\n"
    "    local ok, m = pcall(f, p); assert(not ok and m:find 'no such file in the folders', p .. ': ' .. tostring(m)) end\n"
    "  assert(not loadfile(p)) end",
    "for _, p in ipairs { 'digits.keras', '/tmp/x.npy', '../x.npy', 'link', 'a/b.npy', '..', '.', '' } do\n"
    "  if p ~= 'digits.keras' then local ok, m = pcall(cornu.save_npy, p, cornu.ones(1)); assert(not ok and m:find 'may not write', p .. tostring(m)) end end",
    "for _, n in ipairs { 'os', 'io', 'debug', 'cornu.core', 'ffi', '../x', '/etc/passwd', 'digits.keras' } do assert(not pcall(require, n), n) end",
    "assert(not pcall(cornu.load, 'digits.keras', { trusted = true })); assert(not pcall(cornu.load, 'digits.keras', { custom_objects = {} }))",
    "assert(not cornu.image and not cornu.load_idx and not cornu.set_threads and not cornu.help and not cornu.check_modeltype)",
    "local m = cornu.load 'digits.keras'; assert(not m.fit and not m.compile and not m.profile and not m.evaluate and not m.optimizer_weights)",
    /* amounts that are refused at once */
    "assert(not pcall(string.rep, 'x', 2 ^ 40)); assert(#string.rep('', 2 ^ 30) == 0); assert(not pcall(string.rep, 'xxxx', 2 ^ 26))",
    "assert(not pcall(string.format, '%99999999d', 1)); assert(not pcall(string.format, '%.99999f', 1))",
    "assert(not pcall((table.unpack or unpack), {}, 1, 2 ^ 24)); assert(not pcall(string.char, (table.unpack or unpack)({}, 1, 10)))",
    "assert(not pcall(cornu.json.decode, ('['):rep(100000))); assert(not pcall(cornu.json.decode, ('{\"a\":'):rep(100000)))",
    "local t = {}; t.t = t; assert(not pcall(cornu.json.encode, t))",
    "assert(not pcall(cornu.zeros, 2 ^ 31)); assert(not pcall(cornu.zeros, 2 ^ 20, 2 ^ 20, 2 ^ 20))",
    "local f = load(('('):rep(10000)); assert(not f); assert(not load('x = ' .. ('{'):rep(10000)))",
    "assert(not load(('x = 1 '):rep(200000)))", /* more than 1 MiB */
    "local function f() return f() + 1 end; assert(not pcall(f))",
    "local function f() return { f() } end; assert(not pcall(f))",
    "local t = setmetatable({}, {}); getmetatable(t).__index = function(t, k) return t[k + 1] end; assert(not pcall(function() return t[1] end))",
    "local function f() return (('x'):gsub('x', f)) end; assert(not pcall(f))",
    "local function f(n) return coroutine.wrap(f)(n + 1) end; assert(not pcall(f, 1))",
    "local function f() table.sort({ 1, 2, 3 }, f) end; pcall(f)",
    "assert(not pcall(string.find, 'x', ('()'):rep(40))); assert(not pcall(string.find, ('x'):rep(300), ('x?'):rep(300) .. 'y'))",
    "local ok, m = pcall(string.find, 'x', '%'); assert(not ok); assert(not pcall(string.find, 'x', '[')); assert(not pcall(string.find, 'x', '(')); "
    "assert(not pcall(string.find, 'x', '%1')); assert(not pcall(string.find, 'x', '%b')); assert(not pcall(string.find, 'x', '[%')); "
    "assert(not pcall(string.find, 'x', '%f'));  assert(not pcall(string.find, 'x', '[^')); assert(not pcall(string.gsub, 'x', 'x', '%2'))",
    "assert(collectgarbage 'count' > 0); assert(collectgarbage() == 0 and collectgarbage('stop') == 0 and collectgarbage('setpause', 1e9) == 0)",
};

static void scripts_stay_within_their_walls(void **unused) {
  (void)unused;
  cornu_sandbox *s = new_sandbox(60, INT64_MAX);
  for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) works(s, walls[i]);
  cornu_sandbox_free(s);
}

/* ---- what would not end ---- */

static const char *const runaways[] = {
    "while true do end",
    "repeat until false",
    "for i = 1, math.huge do end",
    "local function f() return f() end f()",
    "while true do pcall(error) end",
    "while true do pcall(function() while true do end end) end",
    "local function f() pcall(f) while true do end end f()",
    "xpcall(function() while true do end end, function() while true do end end)",
    "while true do xpcall(error, function() error() end) end",
    "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "coroutine.wrap(function() while true do end end)()",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "local all = {} for i = 1, 200 do all[i] = coroutine.create(function() while true do coroutine.yield() end end) end\n"
    "while true do for i = 1, 200 do coroutine.resume(all[i]) end end",
    "local co = coroutine.wrap(function() pcall(function() while true do end end) while true do end end) co()",
    "setmetatable(_G, { __index = function() while true do end end }) return nowhere",
    "local t = setmetatable({}, { __index = function(t, k) while true do end end }) return t.x",
    "local t = setmetatable({}, { __eq = function() while true do end end, __lt = function() while true do end end }) return t < t",
    "string.gsub(('x'):rep(1000), 'x', function() while true do end end)",
    "while true do string.gsub('x', 'x', { x = 'y' }) end",
    "for _ in string.gmatch(('x'):rep(1000), 'x') do while true do end end",
    /* patterns */
    "string.find(('a'):rep(5000), ('a*'):rep(20) .. 'b')",
    "string.match(('a'):rep(30000), '.-.-.-.-.-b')",
    "string.gsub(('a'):rep(100000), 'a*a*a*a*b', '')",
    "string.find(('a'):rep(200000), ('a'):rep(100000) .. 'b', 1, true)",
    "string.find(('a'):rep(200000), '(a*)(%1)b')",
    "string.find(('('):rep(100000), ('%b()'):rep(3))",
    "while true do string.find(('a'):rep(100000), 'b') end",
    /* functions of C */
    "table.concat(setmetatable({}, { __index = getmetatable, __metatable = '' }), '', 1, 2 ^ 52)",
    "table.insert(setmetatable({}, { __len = function() return 2 ^ 52 end }), 1, 1) while true do end",
    "table.remove(setmetatable({}, { __len = function() return 2 ^ 52 end, __index = rawget, __newindex = rawget }), 1) while true do end",
    "local t = {} for i = 1, 100000 do t[i] = i % 7 end while true do table.sort(t) end",
    "table.sort({ 1, 2, 3, 4 }, function() while true do end end)",
    "local t = {} for i = 1, 1000 do t[i] = i end pcall(table.sort, t, function(a, b) return true end) while true do end",
    "while true do load(('x = 1 '):rep(100000)) end",
    "local function f() return f end for x in f do end",
    "while true do pcall(tostring, setmetatable({}, { __tostring = tostring })) end",
    "load(function() return ' ' end) while true do end",
    "while true do pcall(pairs, setmetatable({}, { __pairs = pairs, __ipairs = ipairs, __index = rawget })) pcall(ipairs, {}) end",
    "local t = {} setmetatable(t, { __call = t }) while true do pcall(t) end",
    "local t = setmetatable({}, { __call = pcall, __index = pcall }) while true do pcall(t) pcall(rawget, t, t.x) end",
    "local t = setmetatable({}, { __tostring = string.format }) while true do pcall(tostring, t) pcall(print, t) pcall(error, t) end",
    "local s = ('x'):rep(2 ^ 22) while true do local t = s .. 'y' end",
    "local s = ('x'):rep(2 ^ 22) while true do s:upper() end",
    "while true do pcall(string.rep, 'x', 2 ^ 24) end",
    "local t = {} for i = 1, 200000 do t[i] = { i } end while true do pcall(string.rep, 'xx', 2 ^ 23) end",
    "while true do pcall(coroutine.wrap(function() error 'x' end)) end",
    /* tensors */
    "local x = cornu.ones(1200, 1200) while true do x = cornu.matmul(x, x) end",
    "while true do pcall(function() local x = cornu.ones(1000, 1000) x = cornu.matmul(x, x) end) end",
    "local m = cornu.Sequential { cornu.Input { shape = { 512, 512, 1 } }, cornu.layers.Conv2D { 1, 512, padding = 'same' } }\n"
    "m(cornu.ones(1, 512, 512, 1))",
    "local m = cornu.load 'digits.keras' while true do m(cornu.ones(64, 8, 8, 1)) end",
    "local m = cornu.load 'digits.keras' while true do pcall(m.predict, m, cornu.ones(64, 8, 8, 1)) end",
    "cornu.rand(100):map(function() while true do end end)",
    "while true do cornu.load 'digits.keras' end",
};

#if LUA_VERSION_NUM >= 504
static const char *const closers[] = {
    "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
    "while true do pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) error() end) end",
    "coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end end)()",
    "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
    "  coroutine.yield() end) coroutine.resume(co) co = nil while true do end",
    "for _ in next, {}, nil, setmetatable({}, { __close = function() while true do end end }) do end",
};
#endif

/* Each is stopped soon after its time, and the sandbox goes on. */
static void stops(cornu_sandbox *s, const char *text) {
  cornu_error e;
  const double start = cornu_clock();
  const cornu_status status = run(s, text, &e);
  const double took = cornu_clock() - start;
  if (status != CORNU_ERR_LIMIT) fail_msg("%s: %s\n%s", cornu_status_name(status), e.message, text);
  if (took > 20) fail_msg("stopped after %g seconds\n%s", took, text);
  if (getenv("CORNU_SHOW")) fprintf(stderr, "%8.3f  %.100s\n          %s\n", took, text, e.message);
  int tries = 0; /* a busy machine may take the little time away */
  while (run(s, "setmetatable(_G, nil) assert(1 + 1 == 2 and cornu.ones(2):sum():item() == 2)", &e) && tries < 100) tries++;
  assert_true(tries < 100);
}

static void runaways_are_stopped(void **unused) {
  (void)unused;
  cornu_sandbox *s = new_sandbox(0.05, INT64_MAX);
  for (size_t i = 0; i < sizeof runaways / sizeof *runaways; i++) stops(s, runaways[i]);
#if LUA_VERSION_NUM >= 504
  for (size_t i = 0; i < sizeof closers / sizeof *closers; i++) stops(s, closers[i]);
#endif
  cornu_sandbox_free(s);
}

static void instructions_are_counted(void **unused) {
  (void)unused;
  cornu_error e;
  cornu_sandbox *s = new_sandbox(1e6, 1000000);
  for (int i = 0; i < 3; i++) {
    works(s, "for i = 1, 100000 do end"); /* each call has its own */
    assert_int_equal(run(s, "\nwhile true do pcall(error) end", &e), CORNU_ERR_LIMIT);
    assert_string_equal(e.message, "mod.lua:2: stopped after 1000000 instructions");
    assert_int_equal(run(s, "string.find(('a'):rep(1000), ('a*'):rep(20) .. 'b')", &e), CORNU_ERR_LIMIT);
  }
  cornu_sandbox_free(s);
}

/* ---- memory ---- */

static const char *const floods[] = {
    "local t = {} for i = 1, math.huge do t[i] = i end",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "local t = {} while true do t[#t + 1] = function() return t end end",
    "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    "local t = {} while true do t[#t + 1] = cornu.ones(1000) end",
    "local t = cornu.ones(1000) while true do t = cornu.concat { t, t } end",
    "return cornu.ones(2 ^ 20, 16)",
    "local t = { cornu.ones(2 ^ 20), cornu.ones(2 ^ 20), cornu.ones(2 ^ 20), ('x'):rep(2 ^ 23), ('y'):rep(2 ^ 23), ('z'):rep(2 ^ 23),\n"
    "  ('a'):rep(2 ^ 23), ('b'):rep(2 ^ 23), ('c'):rep(2 ^ 23) }",
};

static void memory_has_a_limit(void **unused) {
  (void)unused;
  cornu_error e;
  cornu_sandbox *s = new_sandbox(60, INT64_MAX);
  for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
    const cornu_status status = run(s, floods[i], &e);
    if (status != CORNU_ERR_MEMORY && !strstr(e.message, "memory")) fail_msg("%s: %s\n%s", cornu_status_name(status), e.message, floods[i]);
    assert_true(cornu_sandbox_memory(s) <= 48 << 20);
    works(s, "local t = {} for i = 1, 1000 do t[i] = { i } end");
  }
  works(s, "for i = 1, 300 do local t = cornu.ones(2 ^ 18) end"); /* garbage does not count */
  cornu_sandbox_free(s);
}

/* ---- the host ---- */

static size_t out;
static long calls, first_failure = INT32_MAX, last_failure = INT32_MAX;
static void *count_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  calls++;
  if (calls >= first_failure && calls <= last_failure) return NULL;
  if (posix_memalign(&p, align, size)) return NULL;
  out += size;
  return p;
}
static void count_free(void *user, void *p, size_t size) {
  (void)user;
  out -= size;
  free(p);
}

static void all_memory_is_the_hosts_and_goes_back(void **unused) {
  (void)unused;
  cornu_error e = {0};
  cornu_sandbox *s;
  const char *read[] = {"lua/examples/digits"};
  const cornu_context_options c = {.struct_size = sizeof c, .allocator = {NULL, count_alloc, count_free}};
  const cornu_sandbox_options o = {.struct_size = sizeof o, .context = &c, .folders = read, .n_folders = 1, .max_seconds = 60};
  const size_t others = cornu_memory_used();
  assert_int_equal(cornu_sandbox_new(&o, &s, &e), CORNU_OK);
  assert_true(out > 0);
  works(s, "m = cornu.load 'digits.keras' y = m(cornu.ones(4, 8, 8, 1)) r = coroutine.wrap(function() coroutine.yield(m) end) r()");
  assert_null(cornu_context_use(NULL));
  assert_int_equal(cornu_memory_used(), others);
  cornu_sandbox_free(s);
  assert_int_equal(out, 0);
  const char *nowhere[] = {"/no/such/folder"};
  const cornu_sandbox_options wrong = {.struct_size = sizeof wrong, .folders = nowhere, .n_folders = 1};
  assert_int_equal(cornu_sandbox_new(&wrong, &s, &e), CORNU_ERR_NOT_FOUND);
  assert_null(s);
}

static void any_allocation_may_fail(void **unused) {
  (void)unused;
  const char *read[] = {"lua/examples/digits"};
  const cornu_context_options c = {.struct_size = sizeof c, .allocator = {NULL, count_alloc, count_free}};
  const cornu_sandbox_options o = {.struct_size = sizeof o, .context = &c, .folders = read, .n_folders = 1, .max_seconds = 60};
  const char text[] = "assert(cornu.load 'digits.keras'(cornu.ones(2, 8, 8, 1)):shape()[1] == 2)";
  cornu_status status = CORNU_ERR_MEMORY;
  for (long k = 1; status; k += 1 + k / 6)
    for (int once = 1; once >= 0; once--) {
      cornu_error e = {0};
      cornu_sandbox *s;
      calls = 0;
      first_failure = k;
      last_failure = once ? k : INT32_MAX;
      status = cornu_sandbox_new(&o, &s, &e);
      if (!status) status = cornu_sandbox_run(s, text, strlen(text), NULL, &e);
      if (status) assert_non_null(strstr(e.message, "memory"));
      cornu_sandbox_free(s);
      assert_int_equal(out, 0);
    }
  first_failure = INT32_MAX;
}

static int set_up(void **unused) {
  (void)unused;
  char path[256];
  if (!mkdtemp(folder)) return 1;
  snprintf(path, sizeof path, "%s/link", folder);
  return symlink("/etc/passwd", path);
}

static int clean(void **unused) {
  (void)unused;
  const char *names[] = {"link", "x.npz", "m.keras"};
  char path[256];
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scripts_do_what_they_may), cmocka_unit_test(hosts_call_functions),
      cmocka_unit_test(scripts_stay_within_their_walls), cmocka_unit_test(runaways_are_stopped),
      cmocka_unit_test(instructions_are_counted), cmocka_unit_test(memory_has_a_limit),
      cmocka_unit_test(all_memory_is_the_hosts_and_goes_back), cmocka_unit_test(any_allocation_may_fail)};
  return cmocka_run_group_tests(tests, set_up, clean);
}
