-- Stateful layers: what one run leaves the next one begins with.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"

TestStateful = {}

-- A model of one recurrent layer over sequences of two features, two of them in a batch.
local function recurrent(class, config)
  local keys = { units = 3, stateful = true, return_sequences = true, batch_input_shape = { 2, cornu.null, 2 } }
  for k, v in pairs(config or {}) do keys[k] = v end
  local layer = { class_name = class, config = keys }
  if class == "Bidirectional" then
    keys.units, keys.stateful, keys.return_sequences = nil, nil, nil
    keys.layer = { class_name = "GRU", config = { name = "gru", units = 3, stateful = true, return_sequences = true } }
  end
  local text = cornu.json.encode { class_name = "Sequential", config = { name = "m", layers = { layer } },
                                   keras_version = "2.3.1", backend = "tensorflow" }
  return cornu.load(support.file(text, ".json"), { seed = 7 })
end

function TestStateful:tearDown() support.clean() end

-- tanh(0.5 x + 0.25 h) by hand
function TestStateful:testSimpleRNN()
  local model = recurrent("SimpleRNN", { units = 1, return_sequences = false, use_bias = false })
  model[1]:set_weights { { { 0.5 }, { 0 } }, { { 0.25 } } }
  local function tanh(v) return (math.exp(2 * v) - 1) / (math.exp(2 * v) + 1) end
  local h1 = tanh(0.5)
  local h2 = tanh(1 + 0.25 * h1)
  local x = cornu.tensor { { { 1, 9 } }, { { 0, 9 } } }
  support.same(model(x), { { h1 }, { 0 } })
  support.same(model(x * 2), { { h2 }, { 0 } })
  support.same(model[1]:states()[1], { { h2 }, { 0 } })
  model:reset_states()
  lu.assertEquals(#model[1]:states(), 0)
  support.same(model(x), { { h1 }, { 0 } })
end

-- Two runs of two steps are one run of four.
function TestStateful:testRunsJoin()
  for _, class in ipairs { "SimpleRNN", "GRU", "LSTM" } do
    local model = recurrent(class)
    local x = cornu.linspace(-1, 1, 16):reshape { 2, 4, 2 }
    local whole = model(x)
    model:reset_states()
    local first, second = model(x[{ {}, { 1, 2 } }]), model(x[{ {}, { 3, 4 } }])
    lu.assertTrue(first:allclose(whole[{ {}, { 1, 2 } }], 0, 1e-6), class)
    lu.assertTrue(second:allclose(whole[{ {}, { 3, 4 } }], 0, 1e-6), class)
    lu.assertFalse(model(x):allclose(whole, 0, 1e-3), class .. " forgot its states")
    lu.assertEquals(#model[1]:states(), class == "LSTM" and 2 or 1)
  end
end

function TestStateful:testBidirectional()
  local model = recurrent("Bidirectional")
  local x = cornu.linspace(-1, 1, 16):reshape { 2, 4, 2 }
  local once = model(x)
  local twice = model(x)
  lu.assertEquals(#model[1]:states(), 2)
  lu.assertFalse(twice:allclose(once, 0, 1e-3))
  model[1]:reset_states()
  lu.assertTrue(model(x):allclose(once, 0, 0))
end

function TestStateful:testStatesCanBeSet()
  local model = recurrent("LSTM")
  local x = cornu.ones { 2, 1, 2 }
  model(x)
  local kept = model[1]:states()
  local after = model(x)
  model[1]:reset_states(kept)
  lu.assertTrue(model(x):allclose(after, 0, 0))
  support.fails("has 2 states, not 1", model[1].reset_states, model[1], { kept[1] })
  support.fails("state 1 has shape (2, 3), not (1, 3)", model[1].reset_states, model[1],
                { cornu.zeros { 1, 3 }, cornu.zeros { 2, 3 } })
end

-- A plan has its own states; those of the model stay as they are.
function TestStateful:testPlans()
  local model = recurrent("GRU")
  local x = cornu.ones { 2, 1, 2 }
  local first, second = model(x), model(x)
  local a, b = model:plan { shapes = { { 2, 1, 2 } } }, model:plan { shapes = { { 2, 1, 2 } } }
  for _ = 1, 2 do
    lu.assertTrue(a(x):allclose(first, 0, 0))
    lu.assertTrue(a(x):allclose(second, 0, 0))
    a:reset_states()
  end
  lu.assertTrue(b(x):allclose(first, 0, 0))
end

-- Another batch size cannot go on where the last run ended.
function TestStateful:testOtherBatch()
  local model = recurrent("GRU", { batch_input_shape = { cornu.null, cornu.null, 2 } })
  model(cornu.ones { 2, 1, 2 })
  support.fails("state 1 has shape (2, 3) from the last run, this one needs (4, 3): reset the states", model,
                cornu.ones { 4, 1, 2 })
  model:reset_states()
  lu.assertEquals(model(cornu.ones { 4, 1, 2 }):shape(), { 4, 1, 3 })
end
