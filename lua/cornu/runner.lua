-- runner:run_in: a run that a coroutine waits for, frame by frame.
local core = require "cornu.core"

function core.runner_methods.run_in(runner, microseconds)
  while not runner:run_for(microseconds) do coroutine.yield() end
  return runner
end
