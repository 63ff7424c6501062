package = "cornu"
version = "scm-1"
source = { url = "." }
description = {
  summary = "A Lua-scriptable runtime for Keras models",
  detailed = "Loads what Keras 1, 2, tf.keras and 3 saved, without Python, runs it on an engine in C, trains and saves it.",
  license = "MIT",
}
dependencies = { "lua >= 5.1, < 5.5" }
build = {
  type = "make",
  build_target = "rock",
  build_variables = { LUA_INCDIR = "$(LUA_INCDIR)" },
  install_target = "rock-install",
  install_variables = { LIBDIR = "$(LIBDIR)", LUADIR = "$(LUADIR)" },
}
