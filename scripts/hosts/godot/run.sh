#!/bin/sh
# run.sh BUILD: the scene in Godot's server, without a screen, and what it printed beside the same models in build/cornu.
set -e
here=$(dirname "$0") out=$1/hosts/godot
digits=lua/examples/digits/digits.keras policy=scripts/hosts/sdl/policy.keras
cp "$here"/project/* "$out"
"$1/cornu" convert $digits "$out/digits.cornu"
"$1/cornu" convert $policy "$out/policy.cornu"
status=0
HOME=$(realpath "$out") timeout 120 godot3-server --path "$out" > "$out/output" 2> "$out/errors" || status=$?
[ $status = 0 ] || { cat "$out/output" "$out/errors"; exit $status; }
"$1/cornu" "$here/check.lua" "$out/output" $digits $policy
