#!/bin/sh
# run.sh BUILD [FRAMES]: the game plays by itself on a screen that nobody sees, from its folder and packed as a .love
# archive; what it tells is judged.
set -e
out=$1/hosts/love
mkdir -p "$out"
LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$1/luajit/lib/?.so;;" HOME=$(realpath "$out")
export LUA_PATH LUA_CPATH HOME

play() { # GAME FRAMES
  timeout 600 xvfb-run -a -s "-screen 0 1024x768x24" love "$1" --frames "$2" --screenshot "$out/screenshot.png" \
    > "$out/output" 2> "$out/errors" || { cat "$out/output" "$out/errors"; exit 1; }
  env -u LUA_PATH -u LUA_CPATH "$build/cornu" scripts/hosts/love/check.lua "$out/output" "$out/screenshot.png"
}

build=$1
rm -f "$out/game.love" "$out/screenshot.png"
(cd scripts/hosts/love && zip -q -X "$HOME/game.love" *.lua policy.keras)
play scripts/hosts/love "${2:-300}"
rm -f "$out/screenshot.png"
play "$out/game.love" "${2:-300}"
