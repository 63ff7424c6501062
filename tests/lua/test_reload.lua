-- Hot reload: weights that change in place, structures that do not, files and scripts that are broken.
local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local L = cornu.layers

TestReload = {}

function TestReload:tearDown() support.clean() end

local function small(units) return cornu.Sequential { cornu.Input { shape = { 3 } }, L.Dense { units or 2, name = "a" }, L.Dense { 2, name = "b" } } end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

function TestReload:test_weights_in_place()
  local path, x = support.file(nil, ".keras"), cornu.rand(4, 3)
  small():save(path)
  local model, other = cornu.load(path), cornu.load(path)
  local watch = cornu.watch(path)
  lu.assertNil(watch:poll())
  other:set_weights { ["a/kernel"] = cornu.rand(3, 2) }
  other:save(path)
  local before = model(x)
  lu.assertEquals(watch:poll(), { path })
  lu.assertNil(watch:poll())
  local again, in_place = cornu.reload(model)
  lu.assertTrue(in_place)
  lu.assertTrue(rawequal(again, model))
  lu.assertTrue(model(x):allclose(other(x), 0, 0))
  lu.assertFalse(model(x):allclose(before))
end

-- What was made before has the new weights, too: plans, runners whole and in slices, with layers of Lua as well.
function TestReload:test_plans_and_runners_in_place()
  local custom = { Scale = { build = function(layer) layer:add_weight("k", { 2 }) end,
    call = function(x, layer) return x * layer:weights()[1] end } }
  local path, x = support.file(nil, ".keras"), cornu.rand(4, 3)
  local function scaled()
    local layer = custom.Scale
    return cornu.Sequential { cornu.Input { shape = { 3 } }, L.Dense { 2, name = "a" },
      cornu.Layer { class_name = "Scale", name = "s", build = layer.build, call = layer.call } }
  end
  for _, make in ipairs { small, scaled } do
    make():save(path)
    local options = { custom_objects = custom }
    local model, other = cornu.load(path, options), cornu.load(path, options)
    local plan, runner, sliced, ready = model:plan { batch = 4 }, model:runner { batch = 4 },
      model:runner { batch = 4 }, model:runner { batch = 4 }
    for _, r in ipairs { runner, sliced, ready } do r:input():copy(x) end
    runner:run()
    local before = runner:output():clone()
    other:set_weights { ["a/kernel"] = cornu.rand(3, 2), [make == small and "b/bias" or "s/k"] = cornu.rand(2) }
    other:save(path)
    lu.assertTrue(select(2, cornu.reload(model, options)))
    lu.assertTrue(plan(x):allclose(other(x), 0, 0))
    lu.assertTrue(runner:run():output():allclose(other(x), 0, 0))
    repeat until sliced:run_for(0)
    lu.assertTrue(sliced:output():allclose(other(x), 0, 0))
    lu.assertTrue(ready:refresh():start():wait():output():allclose(other(x), 0, 0))
    plan:refresh()
    lu.assertFalse(before:allclose(other(x)))
    small(5):save(path)
    lu.assertFalse(select(2, cornu.reload(model, options)))
    lu.assertTrue(runner:run():output():allclose(other(x), 0, 0)) -- of the model as it was
  end
end

function TestReload:test_runners_follow_training()
  local model, x = small(), cornu.rand(4, 3)
  local runner = model:runner { batch = 4 }
  runner:input():copy(x)
  local before = runner:run():output():clone()
  model:compile { optimizer = "sgd", loss = "mse" }
  for _ = 1, 2 do
    model:fit(x, cornu.rand(4, 2), { verbose = 0, epochs = 1 })
    lu.assertTrue(runner:run():output():allclose(model(x), 0, 0))
    lu.assertFalse(runner:output():allclose(before))
  end
end

function TestReload:test_another_structure_is_another_model()
  local path, x = support.file(nil, ".keras"), cornu.rand(4, 3)
  small():save(path)
  local model = cornu.load(path)
  local before = model(x)
  small(5):save(path)
  local other, in_place = cornu.reload(model)
  lu.assertFalse(in_place)
  lu.assertEquals(other:count_params(), small(5):count_params())
  lu.assertTrue(model(x):allclose(before, 0, 0))
  local relu = cornu.Sequential { cornu.Input { shape = { 3 } }, L.Dense { 2, "relu", name = "a" }, L.Dense { 2, name = "b" } }
  relu:save(path) -- the same weights, another function
  lu.assertFalse(select(2, cornu.reload(model)))
end

function TestReload:test_a_broken_file_changes_nothing()
  local path, x = support.file(nil, ".keras"), cornu.rand(4, 3)
  small():save(path)
  local model = cornu.load(path)
  local before = model(x)
  local watch = cornu.watch({ path }, function() model = cornu.reload(model) end)
  write(path, "PK nothing of the kind")
  local changed, problems = watch:poll()
  lu.assertEquals(changed, { path })
  lu.assertStrContains(problems[path], path)
  lu.assertTrue(model(x):allclose(before, 0, 0))
  os.remove(path)
  lu.assertNil(watch:poll()) -- on its way
  small(7):save(path)
  changed, problems = watch:poll()
  lu.assertEquals(changed, { path })
  lu.assertNil(problems)
  lu.assertEquals(model:count_params(), small(7):count_params())
  support.fails("comes from no file", cornu.reload, small())
end

function TestReload:test_modules()
  local path = support.file("return { answer = function() return 1 end, old = true }", ".lua")
  local name = path:match "([^/]+)%.lua$"
  local search = package.path
  package.path = path:gsub("[^/]+$", "?.lua")
  local module = require(name)
  write(path, "return { answer = function() return 2 end }")
  lu.assertTrue(rawequal(cornu.reload(name), module))
  lu.assertEquals(module.answer(), 2)
  lu.assertNil(module.old)
  for _, broken in ipairs { "return {", "error 'on purpose'" } do
    write(path, broken)
    lu.assertFalse((pcall(cornu.reload, name)))
    lu.assertTrue(rawequal(require(name), module))
    lu.assertEquals(module.answer(), 2)
  end
  package.loaded[name], package.path = nil, search
end
