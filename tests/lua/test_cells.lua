-- Cells of recurrent layers, written in Lua.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails

TestCells = {}

function TestCells:tearDown() support.clean() end

-- One RNN layer over serialized cells, steps of 2 numbers.
local function load(cell, options, objects)
  local config = { cell = cell }
  for k, v in pairs(options or {}) do config[k] = v end
  local path = support.sequential({ options and options.steps or 3, 2 }, { { "RNN", config } })
  config.steps = nil
  return cornu.load(path, { custom_objects = objects })
end

local function cell(class, config) return { class_name = class, config = config or { units = 2 } } end

-- The state adds the steps up.
local sum = { state_size = 2, call = function(x, states) return states[1] + x, { states[1] + x } end }
local x = { { { 1, 10 }, { 2, 20 }, { 3, 30 } } }

function TestCells:test_steps()
  same(load(cell "Sum", {}, { Sum = sum }) (x), { { 6, 60 } })
  same(load(cell "Sum", { return_sequences = true }, { Sum = sum }) (x), { { { 1, 10 }, { 3, 30 }, { 6, 60 } } })
  same(load(cell "Sum", { return_sequences = true, go_backwards = true }, { Sum = sum }) (x),
    { { { 3, 30 }, { 5, 50 }, { 6, 60 } } })
end

function TestCells:test_states_of_other_sizes()
  local seen
  local two = { state_size = function(layer) return { layer.config.units, { 1, 3 } } end,
    call = function(x, states, layer)
      seen = { states[1]:shape(), states[2]:shape(), layer.class_name }
      return x:sum(2, true), { states[1], states[2] + 1 }
    end }
  same(load(cell "Two", {}, { Two = two }) (x), { { 33 } })
  lu.assertEquals(seen, { { 1, 2 }, { 1, 1, 3 }, "Two" })
end

function TestCells:test_weights_and_stacks()
  local scaled = { state_size = 2,
    build = function(layer, shape) layer:add_weight("scale", { shape[2] }) end,
    call = function(x, states, layer) local y = x * layer:weights()[1]; return y, states[1] end }
  local model = load({ cell "Scaled", cell "Sum" }, {}, { Scaled = scaled, Sum = sum })
  lu.assertEquals(#model[1]:weights(), 1)
  model[1]:set_weights { { 2, -1 } }
  same(model(x), { { 12, -60 } })
end

function TestCells:test_stateful()
  local path = support.sequential({ 3, 2 }, { { "RNN", { cell = cell "Sum", stateful = true,
    batch_input_shape = { 1, 3, 2 } } } })
  local model = cornu.load(path, { custom_objects = { Sum = sum } })
  same(model(x), { { 6, 60 } })
  same(model(x), { { 12, 120 } })
  model:reset_states()
  same(model(x), { { 6, 60 } })
end

function TestCells:test_errors()
  fails("state_size = ", load, cell "Sum", {}, { Sum = function(x) return x end })
  fails("state_size has 1", load, cell "Sum", {}, { Sum = { state_size = 2, call = function(x) return x, { x, x } end } })
  fails("for its output: a tensor expected", load, cell "Sum", {}, { Sum = { state_size = 2, call = function(x) return 1, x end } })
  for _, size in ipairs { 0, "2", 1.5, {}, { { 0 } } } do
    fails("state_size of \"Sum\": a number", load, cell "Sum", {}, { Sum = { state_size = size, call = sum.call } })
  end
  fails("a cell cannot be eager", load, cell "Sum", {}, { Sum = { state_size = 2, eager = true, call = sum.call } })
  fails("boom", load, cell "Sum", {}, { Sum = { state_size = 2, call = function() error "boom" end } })
  fails("unknown layer class", load, cell "Sum", {}, {})
  fails("1 of them constants", load, cell "Sum", { num_constants = 1 }, { Sum = sum })
end
