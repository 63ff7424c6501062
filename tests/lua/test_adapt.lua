-- layer:adapt against what real Keras learns of the same data (scripts/make_adapt.py), and vocabularies by hand.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local L = cornu.layers

TestAdapt = {}
TestAdapt.tearDown = support.clean

local dtypes = { Discretization = "float32", IntegerLookup = "int64", StringLookup = "string",
  TextVectorization = "string" }

local function cases()
  local list = cornu.json.decode(support.read("tests/training/adapt.json"))
  return list
end

local function learned(case, arrays)
  local layer, dtype = L[case.class](case.config), dtypes[case.class]
  if not case.stream then return layer:adapt(arrays[case.batches[1]]) end
  local i = 0
  return layer:adapt(function()
    i = i + 1
    return case.batches[i] and cornu.tensor(arrays[case.batches[i]], dtype)
  end)
end

function TestAdapt:testAsKeras()
  local all = cases()
  for i, case in ipairs(all.cases) do
    local what = ("case %d, %s %s"):format(i, case.class, cornu.json.encode(case.config))
    local layer = learned(case, all.arrays)
    local probe = cornu.tensor(all.arrays[case.probe], dtypes[case.class])
    local y, want = layer(probe), cornu.tensor(case.output)
    lu.assertEquals(y:dtype(), case.dtype, what)
    lu.assertEquals(y:shape(), want:shape(), what)
    lu.assertTrue(y:cast "float32":allclose(want, 1e-6, 0), what)
    if case.vocabulary then
      lu.assertEquals(layer:get_vocabulary(), case.vocabulary, what)
      lu.assertEquals(layer:get_vocabulary(false), case.words, what)
      lu.assertEquals(layer:vocabulary_size(), case.size, what)
    end
  end
end

-- What was learned is in each kind of file, and in copies.
function TestAdapt:testSaved()
  local all = cases()
  for i, case in ipairs(all.cases) do
    local layer = learned(case, all.arrays)
    local probe = cornu.tensor(all.arrays[case.probe], dtypes[case.class])
    local shape = probe:shape()
    table.remove(shape, 1)
    local x = cornu.Input { shape = shape, dtype = dtypes[case.class] }
    local m = cornu.Model { inputs = x, outputs = layer(x) }
    local want = m(probe)
    lu.assertTrue(want:eq(layer(probe)):all():item())
    for _, ending in ipairs { ".keras", ".h5", ".cornu" } do
      local path = support.file(nil, ending)
      m:save(path)
      local again = cornu.load(path)
      lu.assertTrue(again(probe):cast "float32":allclose(want:cast "float32", 1e-6, 0), i .. case.class .. ending)
    end
    lu.assertTrue(m:clone()(probe):eq(want):all():item())
  end
end

-- A model may be made first, and adapted again; its plans follow.
function TestAdapt:testLater()
  local x = cornu.Input { shape = { 2 }, dtype = "string" }
  local lookup = L.StringLookup {}
  local m = cornu.Model { inputs = x, outputs = lookup(x) }
  local words = cornu.tensor { { "a", "b" } }
  support.fails("layer:adapt(data) learns one", m, words)
  lookup:adapt { "b", "a", "b" }
  lu.assertEquals(m(words):totable(), { { 2, 1 } })
  lookup:adapt { "a" }
  lu.assertEquals(m(words):totable(), { { 1, 0 } })
  local n = cornu.Input { shape = { 2 } }
  local bins = L.Discretization { num_bins = 2, output_mode = "one_hot" }
  local second = cornu.Model { inputs = n, outputs = bins(n) }
  support.fails("layer:adapt(data) learns them", second, cornu.zeros(1, 2))
  bins:adapt { 1, 2, 3, 4 }
  lu.assertEquals(second(cornu.tensor { { 0, 9 } }):totable(), { { { 1, 0 }, { 0, 1 } } })
  bins:adapt { 11, 12, 13, 14 }
  lu.assertEquals(second(cornu.tensor { { 0, 9 } }):totable(), { { { 1, 0 }, { 1, 0 } } })
end

function TestAdapt:testSetVocabulary()
  local lookup = L.StringLookup { vocabulary = { "x", "y" } }
  lookup:set_vocabulary { "[UNK]", "b", "a" }
  lu.assertEquals(lookup:get_vocabulary(), { "[UNK]", "b", "a" })
  lu.assertEquals(lookup(cornu.tensor { "a", "x" }):totable(), { 2, 0 })
  lu.assertEquals(lookup.config.vocabulary, { "[UNK]", "b", "a" })
  support.fails("the same", lookup.set_vocabulary, lookup, { "b", "b" })
  lu.assertEquals(lookup:get_vocabulary(false), { "b", "a" })
  local weighted = L.IntegerLookup { output_mode = "tf_idf" }
  support.fails("weights of the words are needed", weighted.set_vocabulary, weighted, { 7, 8 })
  weighted:set_vocabulary(cornu.tensor({ 7, 8 }, "int64"), { 0.5, 1.5 })
  support.same(weighted(cornu.tensor({ { 7, 7, 9 } }, "int64")), { { 1, 1, 0 } })
  support.fails("pad_to_max_tokens", weighted.set_vocabulary, weighted, { 7 }, { 1 })
  support.fails("has no vocabulary", L.Dense { 2 }.set_vocabulary, L.Dense { 2 }, { "a" })
end

function TestAdapt:testRefusals()
  local function fails(text, layer, ...) support.fails(text, layer.adapt, layer, ...) end
  fails("was given its vocabulary", L.StringLookup { vocabulary = { "a" } }, { "a" })
  fails('"num_bins"', L.Discretization { bin_boundaries = { 1 } }, { 1 })
  fails("learns nothing", L.Dense { 2 }, { 1 })
  fails("expected strings", L.StringLookup {}, cornu.zeros(3))
  fails("expected numbers", L.IntegerLookup {}, cornu.tensor { "a" })
  fails("no words", L.StringLookup {}, function() end)
  fails('"epsilon" is 1.5', L.Discretization { num_bins = 2, epsilon = 1.5 }, { 1, 2, 3 })
  fails('"epsilon" is 0', L.Discretization { num_bins = 2, epsilon = 0 }, { 1, 2, 3 })
  lu.assertEquals(L.Discretization { num_bins = 1, epsilon = 1 }:adapt { 1, 2 }(cornu.tensor { 5 }):totable(), { 0 })
  fails("no values", L.Discretization { num_bins = 2 }, function() end)
  fails("texts that are split", L.TextVectorization {}, { { "a", "b" } })
  fails('no option "step"', L.StringLookup {}, { "a" }, { step = 2 })
  fails("pad_to_max_tokens", L.StringLookup { output_mode = "count" }:adapt { "a" }, { "a", "b" })
  local some = { cornu.tensor { "a" }, cornu.tensor { "b" } }
  lu.assertEquals(L.StringLookup {}:adapt(some, { steps = 1 }):get_vocabulary(false), { "a" })
end
