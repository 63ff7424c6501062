-- Runs the Lua blocks of a Markdown file, each on its own.
-- usage: cornu tests/readme.lua README.md
local passed, failed = 0, 0
local f = assert(io.open(arg[1] or "README.md"))
local text = f:read "a"
f:close()
local output = print
for block in text:gmatch "```lua\n(.-)\n```" do
  print = function() end
  local chunk, message = load(block, "=block " .. passed + failed + 1)
  local ok = chunk ~= nil
  if ok then ok, message = pcall(chunk) end
  print = output
  if ok then passed = passed + 1 else failed = failed + 1 end
  if not ok then print(message) end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
