#!/bin/sh
# run.sh BUILD [FRAMES]: the host without a screen; the model's file changes meanwhile; what it tells is judged.
set -e
out=$1/hosts/sdl here=scripts/hosts/sdl
mkdir -p "$out"
cp $here/policy.keras "$out/policy.keras"
"$1/cornu" $here/mirror.lua "$out/policy.keras" "$out/mirror.keras"
head -c 9000 $here/policy.keras > "$out/half.keras"
SDL_VIDEODRIVER=dummy timeout 300 "$out/forage" "$out/policy.keras" $here/mods --frames "${2:-1200}" \
  --swap 330 "$out/half.keras" --swap 630 "$out/mirror.keras" --screenshot "$out/screenshot.png" > "$out/output" || { cat "$out/output"; exit 1; }
"$1/cornu" $here/check.lua "$out/output"
