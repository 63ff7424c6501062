-- Writes the small library as one file: OUT/cornu.c, beside it OUT/cornu.h.
-- usage: cornu scripts/amalgamate.lua OUT REGISTRY.c SOURCES…     (kernels/isa/ among them: once for each instruction set)
--
-- Headers stand where they are first needed. What a file keeps to itself (static functions and data, types, constants)
-- gets a prefix of its own where it stands, "f12_": names that begin with cn_ belong to all and stay; members behind "."
-- and "->", and those declared within a struct, are no names of the file. Macros of a file are undefined at its end. The
-- kernels of one instruction set stand between pragmas that choose it, with the headers of kernels, once more.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local files = require "files"

local x86 = "defined(__x86_64__) || defined(__i386__)"
local avx = "(" .. x86 .. ") && !defined(CORNU_SSE2)"
local isas = {
  { name = "sse2", when = x86, target = "sse2" },
  { name = "avx2", when = avx, target = "avx2,fma,f16c" },
  { name = "avx512", when = avx, target = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c",
    gcc = ",prefer-vector-width=512" },
  { name = "neon", when = "defined(__aarch64__)" },
  { name = "simd128", when = "defined(__wasm_simd128__)" },
  { name = "generic", when = "!defined(__x86_64__) && !defined(__i386__) && !defined(__aarch64__) && "
    .. "!defined(__wasm_simd128__)" },
}

-- ---- Tokens ----

-- { kind, text }: "name", "text" (strings, characters, numbers, other signs), "blank", "line" (the end of a line),
-- "#" (the beginning of a directive). Comments are left out.
local function tokens_of(source)
  local out, at, line_start = {}, 1, true
  local function add(kind, text)
    out[#out + 1] = { kind = kind, text = text }
    line_start = kind == "line" or (line_start and kind == "blank")
  end
  while at <= #source do
    local c = source:sub(at, at)
    local text = source:match("^\\\n", at)
    if text then add("blank", text)
    elseif c == "\n" then text = c; add("line", text)
    elseif source:find("^[ \t]", at) then text = source:match("^[ \t]+", at); add("blank", text)
    elseif source:find("^/%*", at) then
      local _, stop = source:find("*/", at, true)
      text = source:sub(at, stop)
      add("blank", " ")
    elseif source:find("^//", at) then text = source:match("^[^\n]*", at)
    elseif c == '"' or c == "'" then
      local stop = at + 1
      while source:sub(stop, stop) ~= c do stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1) end
      text = source:sub(at, stop)
      add("text", text)
    elseif source:find("^[%a_]", at) then text = source:match("^[%w_]+", at); add("name", text)
    elseif source:find("^%.?%d", at) then
      local stop = at
      while source:find("^[%w_.]", stop + 1) or source:find("^[eEpP][+-]", stop) do stop = stop + 1 end
      text = source:sub(at, stop)
      add("text", text)
    elseif c == "#" and line_start then text = c; add("#", text)
    else text = source:match("^%->", at) or source:match("^##", at) or c; add("text", text) end
    at = at + #text
  end
  return out
end

-- ---- A file ----

local function is_shared(name) return name:find "^[cC][nN]_" or name:find "^cornu_" or name:find "^CORNU_" end

-- The tokens of directives, and the others without blanks.
local function take_apart(tokens)
  local code, directives, i = {}, {}, 1
  while i <= #tokens do
    local t = tokens[i]
    if t.kind == "#" then
      local d = {}
      while tokens[i] and tokens[i].kind ~= "line" do
        tokens[i].directive = true
        if tokens[i].kind ~= "blank" then d[#d + 1] = tokens[i] end
        i = i + 1
      end
      directives[#directives + 1] = d
    elseif t.kind ~= "blank" and t.kind ~= "line" then code[#code + 1] = t end
    i = i + 1
  end
  return code, directives
end

local closing = { ["("] = ")", ["{"] = "}", ["["] = "]" }
-- How deep it is behind a token.
local change = setmetatable({ ["("] = 1, ["{"] = 1, ["["] = 1, [")"] = -1, ["}"] = -1, ["]"] = -1 },
  { __index = function() return 0 end })

-- The place behind the bracket that closes the one at i.
local function skip(code, i)
  local depth = 0
  repeat
    local text = code[i] and code[i].text
    if not text then return i end
    depth = depth + change[text]
    i = i + 1
  until depth == 0
  return i
end

local aggregate = { struct = true, union = true, enum = true }

-- Marks members that are declared in code[first … last], a struct's body; they are no names.
local function mark_members(code, first, last)
  for i = first, last do
    local t, before, behind = code[i], code[i - 1].text, code[i + 1].text
    local after_type = code[i - 1].kind == "name" and not aggregate[before] or before == "*" or before == ","
      or before == "}"
    local ends = behind == ";" or behind == "," or behind == "[" or behind == ":"
    local pointer = before == "*" and code[i - 2].text == "(" and (behind == ")" or behind == "[") -- to functions
    if t.kind == "name" and ((after_type and ends) or pointer) then t.member = true end
  end
end

-- Bodies of structs and enums anywhere.
local function mark_bodies(code, names)
  for i, t in ipairs(code) do
    if aggregate[t.text] and t.kind == "name" then
      local open = i + 1
      if code[open] and code[open].text == "__attribute__" then open = skip(code, open + 1) end
      if code[open] and code[open].kind == "name" then
        local defined = code[open + 1] and code[open + 1].text == "{"
        if defined and not is_shared(code[open].text) and t.file_scope then names[code[open].text] = true end
        open = open + 1
      end
      if code[open] and code[open].text == "{" then
        local last = skip(code, open) - 1
        if t.text ~= "enum" then mark_members(code, open + 1, last - 1)
        elseif t.file_scope then
          for k = open + 1, last - 1 do
            local before = code[k - 1].text
            if code[k].kind == "name" and (before == "{" or before == ",") then names[code[k].text] = true end
          end
        end
      end
    end
  end
end

local function mark_scope(code, macros)
  local depth, start, stop = 0, true, 0
  local body = false
  for i, t in ipairs(code) do
    if depth == 0 then t.file_scope = true; t.first = start or i == stop end
    if t.first and macros[t.text] and code[i + 1] and code[i + 1].text == "(" then
      t.invoked = true -- a macro that declares something
      stop = skip(code, i + 1)
    end
    start = false
    if t.text == "{" then
      if depth == 0 then body = code[i - 1].text == ")" end
      depth = depth + 1
    elseif t.text == "}" then
      depth = depth - 1
      if depth == 0 and body then start = true end
    elseif t.text == ";" and depth == 0 then start = true end
  end
end

-- The names that the declaration at i declares: functions, variables, types.
local function declared(code, i, names)
  local typedef = code[i].text == "typedef"
  local last_name
  while code[i] do
    local t = code[i]
    if t.text == ";" then
      if last_name then names[last_name] = true end
      return
    elseif t.text == "__attribute__" or t.text == "_Alignas" then i = skip(code, i + 1)
    elseif t.text == "{" then
      local before = code[i - 1].text
      i = skip(code, i)
      if before == ")" then return end -- a function's body
    elseif t.text == "(" then
      if code[i + 1].text == "*" then -- a pointer to functions
        local k = i + 1
        while code[k].kind ~= "name" or code[k].text == "const" do k = k + 1 end
        names[code[k].text] = true
        last_name = nil
        i = skip(code, i)
        if code[i].text == "(" then i = skip(code, i) end
      else
        if last_name then names[last_name] = true end
        last_name = nil
        i = skip(code, i)
      end
    elseif t.text == "[" then
      if last_name then names[last_name] = true end
      last_name = nil
      i = skip(code, i)
    elseif t.text == "=" or t.text == "," then
      if last_name then names[last_name] = true end
      last_name = nil
      i = i + 1
      if t.text == "=" then
        while code[i].text ~= ";" and code[i].text ~= "," do i = closing[code[i].text] and skip(code, i) or i + 1 end
      end
    else
      if t.kind == "name" then last_name = t.text end
      i = i + 1
    end
    if typedef and code[i] and code[i].text == "{" then i = skip(code, i) end
  end
end

local words = {}
for word in ("const enum struct union static inline void char int float double bool unsigned long short"):gmatch "%S+" do
  words[word] = true
end

local starts = { static = true, inline = true, V_FN = true, V_ACT_FN = true, typedef = true, enum = true, struct = true,
  union = true }

local function is_literal(macro, argument)
  return macro.literal[macro.rest and math.min(argument, macro.rest) or argument]
end

-- Macros that paste or write down a parameter: what stands in its place is no name of the file.
local function literal_parameters(macros)
  local changed = true
  while changed do
    changed = false
    for _, m in pairs(macros) do
      local body = m.body
      local function mark(text)
        local at = m.place[text]
        if at and not m.literal[at] then m.literal[at] = true; changed = true end
      end
      local i = 1
      while i <= #body do
        local text = body[i].text
        if text == "##" then
          mark(body[i - 1].text)
          if body[i + 1] then mark(body[i + 1].text) end
        elseif text == "#" and body[i + 1] then mark(body[i + 1].text)
        elseif text == "." and body[i + 1] then mark(body[i + 1].text)
        elseif text == "offsetof" then
          local stop = skip(body, i + 1)
          for k = i + 4, stop - 2 do mark(body[k].text) end
        end
        local inner = macros[text]
        if inner and body[i + 1] and body[i + 1].text == "(" then
          local argument, depth, k = 1, 0, i + 2
          local stop = skip(body, i + 1)
          while k < stop - 1 do
            local s = body[k].text
            depth = depth + change[s]
            if s == "," and depth == 0 then argument = argument + 1
            elseif is_literal(inner, argument) then mark(s) end
            k = k + 1
          end
        end
        i = i + 1
      end
    end
  end
end

local function define(d, macros)
  if d[2].text ~= "define" then return end
  local m = { name = d[3].text, place = {}, literal = {}, body = {} }
  local i = 4
  local open = d[4] and d[4].text == "(" and d[4].joined
  if open then
    local n = 1
    i = 5
    while d[i].text ~= ")" do
      if d[i].kind == "name" then m.place[d[i].text] = n; d[i].parameter = true
      elseif d[i].text == "," then n = n + 1
      elseif d[i].text == "." then m.place.__VA_ARGS__ = n; m.rest = n end
      i = i + 1
    end
    i = i + 1
  end
  for k = i, #d do m.body[#m.body + 1] = d[k] end
  macros[m.name] = m
  return m
end

local known_macros = {} -- of headers

local function mark_joined(tokens)
  for i = 2, #tokens do tokens[i].joined = tokens[i - 1].kind ~= "blank" and tokens[i - 1].kind ~= "line" end
end

-- Arguments of macros that are pasted, written down or members.
local function mark_literals(code, macros, names)
  for i, t in ipairs(code) do
    local m = t.kind == "name" and macros[t.text]
    if m and next(m.literal) and code[i + 1] and code[i + 1].text == "(" then
      local stop, argument, depth = skip(code, i + 1), 1, 0
      for k = i + 2, stop - 2 do
        local s = code[k].text
        depth = depth + change[s]
        if s == "," and depth == 0 then argument = argument + 1
        elseif depth == 0 and is_literal(m, argument) then
          code[k].member = true
          if names then names[s] = nil end
        end
      end
    elseif t.text == "offsetof" then
      for k = i + 3, skip(code, i + 1) - 2 do
        if code[k].kind == "name" and code[k - 1].text ~= "(" then code[k].member = true end
      end
    end
  end
end

local function is_guarded(path) return path == "cornu.h" or files.read("src/" .. path):find "\n#ifndef CN_" ~= nil end

-- Headers without a guard are bodies that a file takes in several times.
local function source_of(path)
  return (files.read(path):gsub('#include "([^"]+)"[^\n]*', function(inner)
    return not is_guarded(inner) and files.read("src/" .. inner) or nil
  end))
end

local function parse(path)
  local file = { names = {}, macros = {}, prefixes = {}, suffixes = {}, tokens = tokens_of(source_of(path)) }
  mark_joined(file.tokens)
  local code, directives = take_apart(file.tokens)
  file.guarded = path:find "%.h$" and directives[1] and directives[1][2].text == "ifndef"
  file.code, file.directives = code, directives
  local macros = setmetatable({}, { __index = known_macros })
  for _, d in ipairs(directives) do
    local m = define(d, macros)
    if m then
      file.macros[m.name] = m
      for _, t in ipairs(m.body) do t.parameter = m.place[t.text] ~= nil end
      for k, t in ipairs(m.body) do
        local own, behind = t.kind == "name" and not t.parameter and t.text ~= "_", m.body[k + 1]
        if own and not is_shared(t.text) and behind and behind.text == "##" then
          file.prefixes[#file.prefixes + 1] = t.text
        end
        local before = m.body[k - 1] and m.body[k - 1].text == "##" and m.body[k - 2]
        if own and before and before.parameter then
          file.suffixes[#file.suffixes + 1] = t.text
        end
      end
    end
  end
  mark_scope(code, file.macros)
  mark_bodies(code, file.names)
  local all = {}
  for name, m in pairs(known_macros) do all[name] = m end
  for name, m in pairs(file.macros) do all[name] = m end
  literal_parameters(all)
  for _, m in pairs(file.macros) do
    table.insert(m.body, { kind = "text", text = "" })
    mark_bodies(m.body, {})
    mark_literals(m.body, all)
    m.declares = {}
    for i, t in ipairs(m.body) do
      local before = i > 1 and m.body[i - 1].text
      if starts[t.text] and (not before or before == ";" or before == "}") then declared(m.body, i, m.declares) end
    end
  end
  for i, t in ipairs(code) do
    if t.first and starts[t.text] then declared(code, i, file.names) end
    if t.invoked then -- parameters that become names
      local m, argument = file.macros[t.text], 1
      local declares = {}
      for name in pairs(m.declares) do if m.place[name] then declares[m.place[name]] = true end end
      for k = i + 2, skip(code, i + 1) - 2 do
        if code[k].text == "," then argument = argument + 1
        elseif declares[argument] and code[k].kind == "name" then file.names[code[k].text] = true end
      end
    end
  end
  for _, m in pairs(file.macros) do file.names[m.name] = nil end
  mark_literals(code, all, file.names)
  for _, suffix in ipairs(file.suffixes) do -- what macros make by pasting stays as it is
    for name in pairs(file.names) do
      if name:sub(-#suffix) == suffix then file.names[name] = nil end
    end
  end
  for name in pairs(file.names) do
    if is_shared(name) or words[name] then file.names[name] = nil end
  end
  return file
end

-- ---- Writing ----

local function prefixed(file, name)
  if is_shared(name) or file.macros[name] then return false end
  if file.names[name] then return true end
  for _, prefix in ipairs(file.prefixes) do
    if #name >= #prefix and name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- rename(name) -> the new one, or nil
local function text_of(file, rename, include)
  local out, tokens, i = {}, file.tokens, 1
  local before = ""
  local depth = file.guarded and -1 or 0 -- of conditions, but for the guard of a header
  while i <= #tokens do
    local t = tokens[i]
    if t.kind == "#" then
      local first = i
      local d = {}
      local k = i
      while tokens[k] and tokens[k].kind ~= "line" do
        if tokens[k].kind ~= "blank" then d[#d + 1] = tokens[k] end
        k = k + 1
      end
      local word = d[2] and d[2].text or ""
      if word:find "^if" then depth = depth + 1 elseif word == "endif" then depth = depth - 1 end
      if word == "include" and depth > 0 and d[3].text == "<" then
        out[#out + 1] = "#pragma GCC visibility push(default)\n"
        for n = first, k - 1 do out[#out + 1] = tokens[n].text end
        out[#out + 1] = "\n#pragma GCC visibility pop"
        i = k
        goto continue
      end
      if word == "include" then
        local line = {}
        for n = first, k - 1 do line[#line + 1] = tokens[n].text end
        out[#out + 1] = include(table.concat(line))
        i = k
        goto continue
      end
    end
    if t.kind == "name" then
      local member = t.member or before == "." or before == "->"
      local pasted = before == "##"
      out[#out + 1] = not member and not t.parameter and not pasted and rename(t.text) or t.text
    else
      out[#out + 1] = t.text
    end
    if t.kind ~= "blank" and t.kind ~= "line" then before = t.text end
    i = i + 1
    ::continue::
  end
  return (table.concat(out):gsub("[ \t]+\n", "\n"):gsub("\n\n+", "\n"))
end

local function undefine(list)
  local out = {}
  for name in pairs(list) do out[#out + 1] = "#undef " .. name .. "\n" end
  table.sort(out)
  return table.concat(out)
end

-- ---- All ----

local last = "src/base/system_windows.c" -- windows.h has macros of common names
local out, registry = arg[1], arg[2]
local sources, isa_sources = {}, {}
for i = 3, #arg do
  if arg[i]:find "kernels/isa/" then isa_sources[#isa_sources + 1] = arg[i] else sources[#sources + 1] = arg[i] end
end
sources[#sources + 1] = registry

local system, system_seen = {}, {}
local included, pieces, parsed = { ["cornu.h"] = true }, {}, {}
local of_kernels = {} -- headers that are compiled for an instruction set

local function depends_on_isa(path)
  if of_kernels[path] == nil then
    of_kernels[path] = false
    local text = files.read("src/" .. path)
    local yes = path == "kernels/simd.h"
    for inner in text:gmatch '\n#include "([^"]+)"' do yes = depends_on_isa(inner) or yes end
    of_kernels[path] = yes
  end
  return of_kernels[path]
end

local function add(text) pieces[#pieces + 1] = text end

local emit_header

-- An include line: what takes its place. own: { seen =, rename =, files = } of an instruction set, or nil
local function included_text(line, own)
  local foreign = line:match "<([^>]+)>"
  if foreign then
    if not system_seen[foreign] then system_seen[foreign] = true; system[#system + 1] = foreign end
    return ""
  end
  local path = line:match '"([^"]+)"'
  if own and depends_on_isa(path) then
    if own.seen[path] then return "" end
    own.seen[path] = true
    return emit_header(path, own)
  end
  if included[path] then return "" end
  included[path] = true
  return emit_header(path, nil)
end

function emit_header(path, own)
  local file = parse("src/" .. path)
  if own then
    for name in pairs(file.names) do own.names[name] = true end
    for name in pairs(file.macros) do own.macros[name] = true end
  else
    for name, m in pairs(file.macros) do known_macros[name] = m end
  end
  local rename = function(name) return own and own.names[name] and own.prefix .. name or nil end
  return text_of(file, rename, function(line) return included_text(line, own) end)
end

local number = 0
local function emit(path, own)
  number = number + 1
  local head = {}
  -- headers first, so that their macros and names are known when the file is taken apart
  for line in files.read(path):gmatch "[^\n]+" do
    local path = line:match '^#include "([^"]+)"'
    if line:find "^#include <" or (path and is_guarded(path)) then head[#head + 1] = included_text(line, own) end
    if line:find "^#if" then break end
  end
  local file = parse(path)
  local prefix = ("f%d_"):format(number)
  local rename = function(name)
    if prefixed(file, name) then return prefix .. name end
    return own and own.names[name] and own.prefix .. name or nil
  end
  local text = text_of(file, rename, function(line) return included_text(line, own) end)
  add(("\n/* %s */\n"):format(path:gsub("^src/", "")))
  add(table.concat(head))
  add(text)
  add(undefine(file.macros))
end

for _, path in ipairs(sources) do
  if path ~= registry and path ~= last then emit(path) end
end
for _, isa in ipairs(isas) do
  local own = { names = {}, macros = {}, seen = {}, prefix = isa.name .. "_" }
  add(("\n/* ---- %s ---- */\n#if %s\n"):format(isa.name, isa.when))
  if isa.target then
    add(("#if defined(__clang__)\n"
         .. "#pragma clang attribute push(__attribute__((target(\"%s\"))), apply_to = function)\n#else\n"
         .. "#pragma GCC push_options\n#pragma GCC target(\"%s\")\n#endif\n")
        :format(isa.target, isa.target .. (isa.gcc or "")))
  end
  add(("#define CN_ISA %s\n#define CN_ISA_%s\n"):format(isa.name, isa.name))
  for _, path in ipairs(isa_sources) do emit(path, own) end
  add(undefine(own.macros))
  add(("#undef CN_ISA\n#undef CN_ISA_%s\n"):format(isa.name))
  if isa.target then
    add "#if defined(__clang__)\n#pragma clang attribute pop\n#else\n#pragma GCC pop_options\n#endif\n"
  end
  add "#endif\n"
end
emit(registry)
emit(last)

local head = { [[
/* Cornu's small library in one file: made by `make amalgamation`, see cornu.h. cc -O2 -c cornu.c
 * gcc and clang, as C99 or later. The kernels are those of the machine: SSE2, AVX2 and AVX-512, which of them is
 * decided at run time; NEON (aarch64); SIMD of WebAssembly (-msimd128); else plain ones. */
#define CORNU_LITE
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#define _FILE_OFFSET_BITS 64
#define __USE_MINGW_ANSI_STDIO 1
/* MinGW's gcc moves vectors of AVX as if the stack were aligned for them, which it is not under Windows. An assembler
 * that is told to make unaligned moves puts that right: -DCORNU_AVX -Wa,-muse-unaligned-vector-move */
#if defined(__MINGW32__) && !defined(__clang__) && !defined(CORNU_AVX)
#define CORNU_SSE2
#endif
#if defined(__clang__)
#pragma clang fp contract(off)
#pragma clang diagnostic ignored "-Wunused-function"
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* which it guesses wrong across files */
#endif
]] }
for _, name in ipairs(system) do head[#head + 1] = "#include <" .. name .. ">\n" end
head[#head + 1] = "#if " .. x86 .. "\n#include <immintrin.h>\n#elif defined(__aarch64__)\n#include <arm_neon.h>\n"
  .. "#elif defined(__wasm_simd128__)\n#include <wasm_simd128.h>\n#endif\n"
head[#head + 1] = '#include "cornu.h"\n#pragma GCC visibility push(hidden)\n'
add "\n#pragma GCC visibility pop\n"
files.write(out .. "/cornu.c", table.concat(head) .. table.concat(pieces))
files.write(out .. "/cornu.h", files.read "src/cornu.h")
