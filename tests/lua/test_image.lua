local lu = require "luaunit"
local cornu = require "cornu"
local support = require "support"
local same, fails = support.same, support.fails
local image = cornu.image

TestImage = {}

function TestImage:setUp()
  self.img = cornu.tensor({ { { 255, 0, 0 }, { 0, 255, 0 } }, { { 0, 0, 255 }, { 255, 255, 255 } } }, "uint8")
end

function TestImage:tearDown() support.clean() end

function TestImage:test_save_and_load()
  local path = support.file(nil, ".png")
  image.save(path, self.img)
  same(image.load(path), self.img:totable(), "uint8")
  lu.assertEquals(image.load(path, { channels = 1 }):shape(), { 2, 2, 1 })
  lu.assertEquals(image.load(path, { channels = 4 }):shape(), { 2, 2, 4 })
  local x = image.load(path, { mode = "unit" })
  lu.assertEquals({ x:dtype(), x:shape() }, { "float32", { 1, 2, 2, 3 } })
  image.save(path, cornu.tensor { { 0, 0.5 }, { 1, 2 } })
  same(image.load(path), { { { 0 }, { 128 } }, { { 255 }, { 255 } } })
  image.save(path, cornu.tensor { { -1, 3 } }, { range = "auto" })
  same(image.load(path), { { { 0 }, { 255 } } })
  fails("no-such", image.load, "no-such.png")
  fails('did you mean "channels"', image.load, path, { chanels = 1 })
end

function TestImage:test_modes()
  local x = image.to_tensor(self.img, { mode = "tf" })
  lu.assertEquals(x:shape(), { 1, 2, 2, 3 })
  same(x[{ 1, 1, 1 }], { 1, -1, -1 })
  same(image.to_tensor(self.img, { mode = "none", batch = false })[{ 1, 1 }], { 255, 0, 0 })
  same(image.to_tensor(self.img, { invert = true })[{ 1, 1, 1 }], { 0, 1, 1 })
  same(image.to_tensor(self.img, { mode = "caffe" })[{ 1, 1, 1 }], { -103.939, -116.779, 255 - 123.68 })
  same(image.to_tensor(self.img, { mode = "torch" })[{ 1, 1, 1 }], { (1 - 0.485) / 0.229, -0.456 / 0.224,
    -0.406 / 0.225 })
  fails('no mode "x"', image.to_tensor, self.img, { mode = "x" })
  fails("needs 3 channels", image.to_tensor, self.img, { mode = "caffe", channels = 1 })
end

function TestImage:test_grey_and_resize()
  same(image.grey(self.img), { { { 76 }, { 150 } }, { { 29 }, { 255 } } }, "uint8")
  local big = image.resize(self.img, { 4, 2 }, "nearest")
  lu.assertEquals({ big:dtype(), big:shape() }, { "uint8", { 4, 2, 3 } })
  same(big[{ 2, 1 }], { 255, 0, 0 })
  same(image.resize(self.img:float(), 1)[{ 1, 1 }], { 127.5, 127.5, 127.5 })
  fails("the size is", image.resize, self.img, "big")
  fails("an image expected, got string", image.grey, "x")
end

function TestImage:test_text()
  local text = image.text(cornu.tensor { { 0, 1 }, { 1, 0 } }, { colour = false })
  lu.assertEquals(text, "  \226\150\136\226\150\136\n\226\150\136\226\150\136  ")
  lu.assertStrContains(image.text(self.img, { colour = true }), "\27[38;2;255;0;0m")
  local lines = select(2, image.text(cornu.rand(100, 200), { width = 20, colour = false }):gsub("\n", "\n")) + 1
  lu.assertEquals(lines, 5)
end
