-- The command line: options, commands, scripts and the way into the REPL.
local host = require "cornu.host"

local usage = [==[
usage: cornu [OPTIONS] [SCRIPT [ARGS…]]
       cornu COMMAND [ARGS…]
       cornu --sandbox SCRIPT [FOLDER…]

Without a script: the REPL, or Lua from standard input where that is no terminal.

options
  -e CODE       run CODE
  -l MODULE     require MODULE into a global of its name
  -i            the REPL after the script or CODE
  -v --version  print the version
  -h --help     print this
  -             run standard input
  --            the script's name follows
  --sandbox     run a script that nobody vouches for: it may read those folders, for a second, in 64 MiB

commands (cornu COMMAND --help tells more)
  info          what a model file holds
  predict       run a model on .npz, .npy or image files
  bench         time a model
  convert       a model file into another kind of file
  layers        which layers and operations of Keras there are, with their arguments
  env           print LUA_PATH and LUA_CPATH, so that a plain lua finds the module

exit status: 0 done, 1 failed (one line on stderr), 2 wrong usage
CORNU_TRACEBACK=1 adds where in a script an error happened.
]==]

local function say(...)
  io.stderr:write("cornu: ", ...)
  io.stderr:write "\n"
end

local function wrong_usage(...)
  say(...)
  return 2
end

-- Runs f(…); prints a failure. -> exit status
local function attempt(f, ...)
  local ok, message = host.call(f, ...)
  if ok then return type(message) == "number" and message or 0 end
  say((tostring(message)))
  return 1
end

local function set_arg(argv, at)
  arg = {}
  for i = 0, #argv do arg[i - at] = argv[i] end
  return table.unpack(argv, at + 1)
end

local function run_script(argv, at)
  local name = argv[at]
  local chunk, message
  if name == "-" then chunk, message = loadfile(nil) else chunk, message = loadfile(name) end
  if not chunk then
    say(message)
    return 1
  end
  local status = attempt(chunk, set_arg(argv, at))
  io.stdout:flush()
  return status
end

local function env(folder)
  local exe = folder:match "^(.*)/lua$" or folder
  local library = exe .. "/build/lib/?.so"
  local f = io.open(exe .. "/build/lib/cornu/core.so", "rb")
  if f then f:close() else library = folder:gsub("/share/cornu/lua$", "") .. "/lib/lua/5.4/?.so" end
  print(("export LUA_PATH='%s/?.lua;%s/?/init.lua;;'"):format(folder, folder))
  print(("export LUA_CPATH='%s;;'"):format(library))
  return 0
end

local function command(name, argv, folder)
  if name == "env" then return env(folder) end
  local rest = table.move(argv, 2, #argv, 1, {})
  return attempt(function() return require("cornu.commands")[name](rest) end)
end

local commands = { info = true, predict = true, bench = true, convert = true, layers = true, env = true }

-- Reads the options before the script's name. -> settings, or nil and an exit status
local function parse(argv)
  local at, settings = 1, { code = {} }
  local needs = { ["-e"] = "CODE", ["-l"] = "a module's name" }
  while argv[at] and argv[at]:sub(1, 1) == "-" and argv[at] ~= "-" do
    local option = argv[at]
    if option == "--" then
      at = at + 1
      break
    elseif needs[option] then
      at = at + 1
      if not argv[at] then return nil, wrong_usage(option, " needs ", needs[option]) end
      table.insert(settings.code, { option, argv[at] })
    elseif option == "-i" then
      settings.interactive = true
    elseif option == "-v" or option == "--version" then
      settings.version = true
    elseif option == "-h" or option == "--help" then
      settings.help = true
    else
      return nil, wrong_usage("no option ", option, " (cornu --help lists them)")
    end
    at = at + 1
  end
  settings.script = argv[at] and at
  return settings
end

local function run_code(pieces)
  for _, piece in ipairs(pieces) do
    local status = attempt(function()
      if piece[1] == "-l" then
        _G[piece[2]] = require(piece[2])
        return
      end
      local chunk, message = load(piece[2], "=-e")
      if not chunk then error(message, 0) end
      chunk()
    end)
    if status ~= 0 then return status end
  end
  return 0
end

return function(argv, folder)
  if commands[argv[1]] then return command(argv[1], argv, folder) end
  local settings, status = parse(argv)
  if not settings then return status end
  if settings.help then
    io.write(usage)
    return 0
  end
  if settings.version then
    local cornu = require "cornu"
    print(("Cornu %s, %s, %s kernels"):format(cornu.version, _VERSION, cornu.isa()))
    return 0
  end
  cornu = require "cornu" -- in scripts and at the prompt the module is there without a require
  set_arg(argv, settings.script or 0)
  status = run_code(settings.code)
  if status == 0 and settings.script then status = run_script(argv, settings.script) end
  local terminal = host.isatty "stdin"
  local nothing_said = not settings.script and #settings.code == 0
  if settings.interactive or (nothing_said and terminal) then
    require("cornu.repl")()
  elseif nothing_said then
    argv[1] = "-"
    status = run_script(argv, 1)
  end
  return status
end
