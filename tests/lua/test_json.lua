local lu = require "luaunit"
local cornu = require "cornu"
local fails = require("support").fails
local json = cornu.json

TestJson = {}

function TestJson:test_decode()
  local v = json.decode '{"a": [1, 2.5, "x\\u00e9", true, null], "b": {"c": {}}, "n": NaN}'
  lu.assertEquals({ v.a[1], v.a[2], v.a[3], v.a[4] }, { 1, 2.5, "x\195\169", true })
  lu.assertTrue(v.a[5] == cornu.null)
  lu.assertEquals(#v.a, 5)
  lu.assertNotNil(v.b.c)
  lu.assertTrue(v.n ~= v.n)
  lu.assertEquals(getmetatable(v.a), json.array)
  lu.assertNil(getmetatable(v.b))
  lu.assertEquals(tostring(cornu.null), "null")
  if math.type then lu.assertEquals(math.type(v.a[1]), "integer") end
end

function TestJson:test_decode_errors()
  for _, text in ipairs { "", "{", "[1,]", '{"a"}', "nul", "[1] x" } do
    lu.assertFalse((pcall(json.decode, text)), text)
  end
  fails("string expected, got table", json.decode, {})
  fails("string expected, got no value", json.decode)
end

function TestJson:test_encode()
  lu.assertEquals(json.encode { 1, 2, 3 }:gsub("%s", ""), "[1,2,3]")
  lu.assertEquals(json.encode({ b = true, a = "x" }):gsub("%s", ""), '{"a":"x","b":true}')
  lu.assertEquals(json.encode {}:gsub("%s", ""), "{}")
  lu.assertEquals(json.encode(json.list {}):gsub("%s", ""), "[]")
  lu.assertEquals(json.encode { cornu.null }:gsub("%s", ""), "[null]")
  lu.assertEquals(json.encode(0.5), "0.5")
  lu.assertStrContains(json.encode({ a = { 1 } }, 2), "\n")
end

function TestJson:test_encode_errors()
  local loop = {}
  loop.loop = loop
  fails("nested more than", json.encode, loop)
  fails("a function cannot go into JSON", json.encode, { print })
  fails("key in a table that is not a list", json.encode, { [1] = 1, [3] = 2, x = 1 })
  fails("cornu.tensor cannot go into JSON", json.encode, cornu.zeros(1))
end

function TestJson:test_round_trip()
  local text = '{"list": [], "dict": {}, "deep": [[1], [[2]]], "s": "\\"\\\\\\n"}'
  lu.assertEquals(json.decode(json.encode(json.decode(text))), json.decode(text))
  lu.assertEquals(getmetatable(json.decode(json.encode(json.decode(text))).list), json.array)
end
