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

/* The same as a hostile modder would go about it: everything that can be reached, odd objects, coroutines, memory. */
static const char *const more_walls[] = {
    "local bad = {}; for n in ('execute popen dump getinfo sethook gethook getregistry upvalueid loadlib searchpath exit getenv '\n"
    "  .. 'tmpname newproxy getfenv setfenv ptr set_threads own mark gcinfo loadstring warn'):gmatch '%S+' do bad[n] = true end\n"
    "local seen = {}; local function crawl(v, path)\n"
    "  if type(v) ~= 'table' or seen[v] then return end seen[v] = true\n"
    "  for k, x in next, v do assert(not bad[k], path .. '.' .. tostring(k)); crawl(x, path .. '.' .. tostring(k)); crawl(k, path) end\n"
    "  crawl(getmetatable(v), path) end crawl(_G, '_G')",
    "for _, n in ipairs { 'ptr', 'own', 'mark', 'close_' } do assert(not pcall(function() return cornu.ones(1)[n](cornu.ones(1)) end)) end",
    "for _, v in ipairs { true, {}, print, coroutine.create(print), cornu.ones(1), cornu.null } do\n"
    "  local ok, e = pcall(error, v); assert(not ok and rawequal(e, v)) end",
    "local t = setmetatable({}, { __tostring = function() return {} end }); assert(not pcall(tostring, t) and not pcall(print, t))",
    "local t = setmetatable({}, { __name = {}, __metatable = false }); assert(getmetatable(t) == false and not pcall(setmetatable, t, nil))",
    "for _, f in ipairs { '%', '%y', '%1000d', '%.1000f', '%99999s', '%' } do assert(not pcall(string.format, f, 1, 2, 3)) end",
    "assert(not pcall(string.byte, ('x'):rep(2 ^ 21), 1, -1) and not pcall(string.char, -1) and not pcall(string.char, 256))\n"
    "assert(#string.rep('x', -2 ^ 31) == 0); pcall(string.rep, 'x', 0 / 0); pcall(string.rep, 'x', -1e300); assert(not pcall(string.rep, 'x', 1 / 0))",
    "if string.pack then for _, f in ipairs { '!17i4', 'i17', 's17', '!3i8', 'c99999999999999' } do assert(not pcall(string.pack, f, 1), f) end\n"
    "assert(not pcall(string.unpack, 'i8', 'x') and not pcall(string.unpack, 'i1', 'xx', 2 ^ 53) and not pcall(string.unpack, 's8', ('\\255'):rep(16))) end",
    "if utf8 then assert(not pcall(utf8.char, 2 ^ 40) and not pcall(utf8.codepoint, '\\255', 1) and not pcall(utf8.codepoint, ('x'):rep(2 ^ 21), 1, -1)) end",
    /* coroutines */
    "local main = coroutine.running(); if main then assert(not coroutine.resume(main)) end; assert(not pcall(coroutine.yield))",
    "local co; co = coroutine.wrap(function() return pcall(co) end); assert(co() == false)",
    "local co = coroutine.create(function() error {} end); coroutine.resume(co); assert(coroutine.status(co) == 'dead' and not coroutine.resume(co))",
    "for i = 1, 1000 do pcall(coroutine.wrap(function() error 'x' end)) end\n"
    "assert(coroutine.wrap(function() return coroutine.wrap(function() return 5 end)() end)() == 5)",
    "local n = 0; local function f() n = n + 1; return coroutine.wrap(f)() end; assert(not pcall(f) and n <= 101)\n"
    "assert(coroutine.wrap(function() return 1 end)() == 1)",
    "local co = coroutine.create(function() return pcall(string.gsub, 'x', 'x', function() coroutine.yield() end) end)\n"
    "local ok, a = coroutine.resume(co); assert(ok and a == false)",
    "local co = coroutine.create(function() return pcall(table.sort, { 3, 2, 1 }, function() coroutine.yield() end) end)\n"
    "local ok, a = coroutine.resume(co); assert(ok and a == false)",
    "local co = coroutine.create(function() local t = cornu.ones(3); return pcall(t.map, t, function() coroutine.yield() end) end)\n"
    "local ok, a = coroutine.resume(co); assert(ok and (a == false or coroutine.status(co) == 'suspended'))",
    "local co = coroutine.create(function() return pcall(cornu.load, { size = 3, read = function() return coroutine.yield() end }) end)\n"
    "coroutine.resume(co); local ok, good = coroutine.resume(co, 'abc'); assert(not (ok and good == true))",
    /* files in memory */
    "assert(cornu.load { data = archive }(cornu.ones(1, 8, 8, 1)):shape()[2] == 10)\n"
    "local source = { size = #archive, read = function(at, n) return archive:sub(at + 1, at + n) end }\n"
    "assert(cornu.load(source, { exact = true })(cornu.ones(1, 8, 8, 1)):shape()[2] == 10)",
    "assert(not pcall(cornu.load, { data = archive, name = '/etc/passwd' }, '/etc/passwd') and not pcall(cornu.load, { data = archive }, 'digits.keras'))",
    "local m = cornu.load { data = archive, name = '/etc/passwd' }\n"
    "assert(not pcall(m.load_weights, m, '/etc/passwd') and not pcall(m.load_weights, m, m.path) and not pcall(m.save, m, m.path))\n"
    "m:load_weights { data = archive }; assert(not pcall(m.load_weights, m, { data = archive:sub(1, 100) }))",
    "assert(not pcall(cornu.load, { data = archive:sub(1, -2) })); for i = 1, #archive, 997 do assert(not pcall(cornu.load, { data = archive:sub(1, i) })) end",
    "for _, s in ipairs { '', '{', '[', 'PK\\3\\4', '\\137HDF\\r\\n\\26\\n', ('\\255'):rep(100), '%YAML', '\\8\\0\\0\\0\\0\\0\\0\\0{}' } do\n"
    "  assert(not pcall(cornu.load, { data = s }), s) end",
    "assert(not pcall(cornu.load, setmetatable({}, { __index = { data = archive } })))\n"
    "assert(not pcall(cornu.load, { data = archive, trusted = true }) and not pcall(cornu.load, { data = archive }, { trusted = true })\n"
    "  and not pcall(cornu.load, { data = archive }, { custom_objects = {} }) and not pcall(cornu.load, { data = archive, name = {} }))",
    "local function r() return cornu.load { read = r, size = 1 } end; assert(not pcall(r))\n"
    "assert(not pcall(cornu.load, { read = function() return archive end, size = 1 }) and not pcall(cornu.load, { read = error, size = 1 }))",
    "for _, p in ipairs { '{/../../etc/passwd', ' {}', '\\n{', '{', '{}', ('{'):rep(10000) } do assert(not pcall(cornu.load, p), p) end",
    "assert(not pcall(cornu.load, 'digits.keras', '/etc/passwd') and not pcall(cornu.load, 'digits.keras', '../lenet/lenet.lua'))",
    "cornu.load('digits.keras', setmetatable({}, { __index = function(_, k) return k == 'trusted' or nil end }))",
    /* objects of Cornu */
    "local m = cornu.load 'digits.keras'; local r = m:runner { batch = 1 }; m:close(); assert(not pcall(m.predict, m, cornu.ones(1, 8, 8, 1)))\n"
    "pcall(r.run, r); r:close(); assert(not pcall(r.run, r) and not pcall(r.input, r))",
    "local m = cornu.load 'digits.keras'; for _, f in ipairs { m.predict, m.close, m.runner, m.save, m.load_weights, m.layer, m.clone, m.plan } do\n"
    "  for _, v in ipairs { 1, 'x', {}, cornu.ones(1), cornu.null, print, coroutine.create(print) } do assert(not pcall(f, v, v, v)) end end",
    "local m = cornu.load 'digits.keras'; assert(not pcall(m.save, m, 'm.keras', { training_config = {} }) and not pcall(m.save, m, '/tmp/x.keras')\n"
    "  and not pcall(m.save_weights, m, 'link') and not pcall(m.save, m) and not pcall(m.save_weights, m, '../x.h5'))",
    "assert(not pcall(cornu.frombytes, ('\\0'):rep(16), 'string', { 1 }) and not pcall(cornu.bitcast, cornu.tensor({ 1, 2 }, 'int64'), { dtype = 'string' })\n"
    "  and not pcall(cornu.frombytes, 'abcd', 'float32', { 2 ^ 40 }))",
    "local x = cornu.ones(3); for _, i in ipairs { 0, -2 ^ 53, 2 ^ 53, 2 ^ 40, -4, 4 } do pcall(x.get, x, i); pcall(x.set, x, i, 1)\n"
    "  pcall(cornu.take, x, cornu.tensor({ i }, 'int64')); pcall(cornu.slice, x, 1, i, -i) end; assert(x:sum():item() <= 4)",
    "for name, f in pairs(cornu) do if type(f) == 'function' and not name:find '^save' and name ~= 'load' then\n"
    "  for _, a in ipairs { {}, { cornu.ones(0) }, { cornu.ones(2, 3), -1 }, { cornu.ones(2, 3), { axis = 2 ^ 40 } }, { 2 ^ 53 }, { -1, -1 }, { 'x', 'y' },\n"
    "    { cornu.tensor { 'a' }, cornu.tensor { 'b' } }, { cornu.ones(2), cornu.ones(3, 2), cornu.ones(1), {} }, { print, print }, { 0 / 0 } } do\n"
    "    pcall(f, (table.unpack or unpack)(a)) end end end; cornu.manual_seed(1)",
    /* the host's Lua */
    "local f = load('x = 5; return _G', 'c', 't', {}); assert(f() == nil and x == nil)",
    "if bit then local f = load 'return 1LL'; local v = f and f(); if v then assert(type(getmetatable(v)) ~= 'table' and not pcall(require, 'ffi'))\n"
    "  assert(not pcall(function() return v.x end)); for _, g in pairs { cornu.tensor, cornu.ones, cornu.full, string.rep, tostring, table.concat, cornu.exp } do pcall(g, v, v) end end end",
    "for _, n in ipairs { '...', '.etc.passwd', '..', '%2e%2e', 'a/b', 'x\\0y', ('a'):rep(5000), '' } do assert(not pcall(require, n), n) end",
    "local t = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v) end, __len = function() return -1 end })\n"
    "pcall(table.insert, t, 1); pcall(table.insert, t, 5, 1); pcall(table.remove, t); pcall(table.concat, t); pcall(table.sort, t); pcall(table.unpack or unpack, t)",
    "for _, n in ipairs { 'x', 0.5, {}, true } do local t = setmetatable({}, { __len = function() return n end })\n"
    "  for _, f in ipairs { table.insert, table.remove, table.concat, table.sort } do pcall(f, t, 1) end end",
    "local t = {}; for i = 1, 20 do t = setmetatable({}, { __index = t, __newindex = t, __call = t }) end; assert(t.x == nil and not pcall(t))",
    "math.randomseed(0 / 0); math.random(); assert(not pcall(math.random, 0) and not pcall(math.random, 2, 1) and not pcall(math.random, {})); math.random(1, 2 ^ 53)",
    "local kept = {}; for n, v in pairs(cornu) do if type(v) == 'table' then kept[n] = {}; for k, x in pairs(v) do kept[n][k] = x end end end\n"
    "for n in pairs(kept) do for k in pairs(kept[n]) do pcall(function() cornu[n][k] = false end) end end\n"
    "local y = cornu.load 'digits.keras'(cornu.ones(1, 8, 8, 1)); for n, t in pairs(kept) do for k, x in pairs(t) do pcall(function() cornu[n][k] = x end) end end\n"
    "assert(y:shape()[2] == 10)",
};

/* A global of the scripts: the bytes of a model. */
static void give_archive(cornu_sandbox *s) {
  lua_State *L = cornu_sandbox_lua(s);
  char *bytes = malloc(1 << 20);
  FILE *f = fopen("lua/examples/digits/digits.keras", "rb");
  assert_true(f && bytes);
  lua_pushlstring(L, bytes, fread(bytes, 1, 1 << 20, f));
  lua_setglobal(L, "archive");
  fclose(f);
  free(bytes);
}

static void scripts_stay_within_their_walls(void **unused) {
  (void)unused;
  cornu_sandbox *s = new_sandbox(60, INT64_MAX);
  give_archive(s);
  for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) works(s, walls[i]);
  for (size_t i = 0; i < sizeof more_walls / sizeof *more_walls; i++) works(s, more_walls[i]);
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
    "while true do cornu.load { data = archive } end",
    "local m = cornu.load { data = archive } while true do pcall(m, cornu.ones(64, 8, 8, 1), { training = true }) end",
    "cornu.load { size = 10, read = function() while true do end end }",
    "local t = {} for i = 1, 500 do t[i] = cornu.layers.Dense { 4 } end table.insert(t, 1, cornu.Input { shape = { 4 } }) t = cornu.Sequential(t):to_json()\n"
    "while true do pcall(cornu.load, t) end",
    /* long calls that ask within */
    "local x = cornu.rand(400, 400) while true do pcall(cornu.svd, x) end",
    "local x = cornu.rand(800, 800) while true do pcall(cornu.inverse, x) end",
    "local x = cornu.rand(800, 800) while true do pcall(cornu.qr, x) end",
    "local x = cornu.rand(500, 500) while true do pcall(cornu.eigh, x) end",
    "local x = cornu.eye(800, 800) while true do pcall(cornu.cholesky_inverse, x) end",
    "local x = cornu.rand(800000) while true do pcall(cornu.sort, x) end",
    "local x = cornu.rand(800000) while true do pcall(cornu.quantile, x, 0.5) end",
    "local x = cornu.rand(2000000) while true do pcall(cornu.sparsemax, x) end",
    "local x = cornu.rand(400001) while true do pcall(cornu.rfft, x) end",
    "while true do pcall(cornu.rand, 2000000) end",
    "local x = cornu.rand(1500, 1500) while true do pcall(function() x:transpose():contiguous() end) end",
    "local j = '[' .. ('0,'):rep(50000) .. '0]' while true do pcall(cornu.json.decode, j) end",
    /* of Lua */
    "string.find(('b'):rep(100000), '%f[' .. ('a'):rep(1000000) .. ']') while true do end",
    "string.find(('b'):rep(100000), '[' .. ('a'):rep(1000000) .. ']c') while true do end",
    "string.gsub(('b'):rep(100000), '[^' .. ('a'):rep(1000000) .. ']', '') while true do end",
    "local s = ('1'):rep(2 ^ 23) while true do local _ = tonumber(s) end",
    "local s = ('1'):rep(2 ^ 23) while true do local _ = s + 0 end",
    "local a, b = ('x'):rep(2 ^ 22) .. 'a', ('x'):rep(2 ^ 22) .. 'b' while true do local _ = a < b end",
    "local a, b = ('x'):rep(2 ^ 22) .. 'a', ('x'):rep(2 ^ 22) .. 'b' while true do local _ = a == b end",
    "table.move = table.move or error pcall(table.move, {}, 1, 2 ^ 53, 2) while true do end",
    "table.insert(setmetatable({}, { __len = function() return 1 / 0 end }), 1, 1) while true do end",
    "local t = setmetatable({}, { __lt = function() while true do end end }) table.sort({ t, t, t })",
    "local t t = setmetatable({}, { __concat = function() return t end, __unm = function() while true do end end }) return -(t .. t)",
    "local s = ('x'):rep(2 ^ 20) while true do pcall(string.byte, s, 1, 7000) end",
    "while true do pcall(string.pack or error, 'c10000000', '') end",
    "while true do pcall(string.format, ('%s'):rep(10000), 1) end",
    "local s = ('a,'):rep(200000) while true do for w in s:gmatch '[^,]+' do end end",
    "coroutine.wrap(function() for i = 1, math.huge do pcall(coroutine.yield) end end)() while true do end",
    "while true do local f = load '::a:: goto a' if f then f() end end",
    "local function f(...) return f(1, ...) end while true do pcall(f) end",
    "local t = {} for i = 1, 90 do t = setmetatable({}, { __index = t }) end while true do local _ = t.x end",
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
  give_archive(s);
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
    "local t = {} while true do t = { t } end",
    "cornu.json.decode('[' .. ('0,'):rep(2000000) .. '0]')",
    "cornu.json.decode('[' .. ('[],'):rep(2000000) .. '0]')",
    "local t = {} for i = 1, 40 do t = { t, t } end cornu.json.encode(t)",
    "cornu.load { size = 2 ^ 40, read = function(at) return ('x'):rep(2 ^ 20) .. at end }",
    "cornu.Sequential { cornu.Input { shape = { 10000 } }, cornu.layers.Dense { 10000 } }",
    "local l = {} while true do l[#l + 1] = cornu.layers.Dense { 8 } end",
    "local t = {} for i = 1, 2 ^ 19 do t[i] = ('x'):rep(100) end return table.concat(t)",
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
