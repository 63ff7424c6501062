#!/bin/sh
# run.sh BUILD [FRAMES]: the game plays by itself on a screen that nobody sees; what it tells is judged.
set -e
out=$1/hosts/love
mkdir -p "$out"
LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$1/luajit/lib/?.so;;" HOME=$(realpath "$out")
export LUA_PATH LUA_CPATH HOME
timeout 600 xvfb-run -a -s "-screen 0 1024x768x24" love scripts/hosts/love --frames "${2:-300}" \
  --screenshot "$out/screenshot.png" > "$out/output" 2> "$out/errors" || { cat "$out/output" "$out/errors"; exit 1; }
unset LUA_PATH LUA_CPATH
"$1/cornu" scripts/hosts/love/check.lua "$out/output" "$out/screenshot.png"
