#!/bin/sh
# The program: commands, scripts, exit statuses. usage: tests/cli.sh BUILD
cornu=$1/cornu
model=lua/examples/digits/digits.keras
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
expect() { # WHAT STATUS TEXT COMMAND…: the exit status, and text within standard output and error
  what=$1 status=$2 text=$3
  shift 3
  out=$("$@" 2>&1 </dev/null)
  got=$?
  if [ $got -eq "$status" ] && case $out in *"$text"*) true ;; *) false ;; esac; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  printf '%s: status %s (expected %s), said: %s\n' "$what" $got "$status" "$out"
}
echo 'print(#arg, arg[1]) return' >"$dir/args.lua"
printf '#!%s\nos.exit(7)\n' "$(realpath "$cornu")" >"$dir/exit"
chmod +x "$dir/exit"
echo 'error "broken"' >"$dir/error.lua"
expect version 0 "Cornu" "$cornu" --version
expect help 0 "usage: cornu" "$cornu" --help
expect "command help" 0 "usage: cornu bench" "$cornu" bench --help
expect code 0 "3" "$cornu" -e 'print(1 + 2)'
expect arguments 0 "2	one" "$cornu" "$dir/args.lua" one two
expect shebang 7 "" "$dir/exit"
expect "script error" 1 "cornu: " "$cornu" "$dir/error.lua"
expect "no script" 1 "cornu: " "$cornu" "$dir/none.lua"
expect "no option" 2 "--nothing" "$cornu" --nothing
printf 'print(cornu.load("digits.keras").name, io, os.exit)' >"$dir/mod.lua"
printf '\nwhile true do pcall(error) end' >"$dir/runaway.lua"
expect "sandbox" 0 "	nil	nil" "$cornu" --sandbox "$dir/mod.lua" lua/examples/digits
expect "sandbox, no folder" 1 "mod.lua:1: " "$cornu" --sandbox "$dir/mod.lua"
expect "sandbox, a runaway" 1 "runaway.lua:2: stopped after 1 seconds" "$cornu" --sandbox "$dir/runaway.lua"
expect info 0 "Sequential" "$cornu" info $model
expect "info json" 0 '"type"' "$cornu" info $model --json
expect "info, no file" 1 "none.h5" "$cornu" info "$dir/none.h5"
expect "predict top" 0 "nine" "$cornu" predict $model -i lua/examples/digits/images/03_label9.png --invert --top 3 --labels lua/examples/digits/labels.txt
expect "predict usage" 2 "usage" "$cornu" predict $model
expect bench 0 '"median_ms"' "$cornu" bench $model --seconds 0.1 --json
expect "bench layers" 0 "GFLOP/s" "$cornu" bench $model --seconds 0.1 --layers --sort time
expect "bench layers json" 0 '"minimum"' "$cornu" bench $model --seconds 0.1 --layers --json
expect "bench picture" 0 "" "$cornu" bench $model --seconds 0.1 --svg "$dir/plan.svg"
expect "the picture" 0 "</svg>" cat "$dir/plan.svg"
expect "bench sort" 2 "usage" "$cornu" bench $model --layers --sort name
expect "unknown kernels" 1 "CORNU_ISA=avx9: no such instruction set here: it is one of sse2 avx2 avx512" env CORNU_ISA=avx9 "$cornu" predict $model -i lua/examples/digits/images/03_label9.png
expect "unknown kernels, one operation" 1 "CORNU_ISA=avx9" env CORNU_ISA=avx9 "$cornu" -e 'print(cornu.exp(1))'
expect "forced kernels" 0 "sse2" env CORNU_ISA=sse2 "$cornu" -e 'print(cornu.isa(), cornu.exp(1))'
expect convert 0 "" "$cornu" convert $model "$dir/digits.cornu"
expect "what was converted" 0 "nine" "$cornu" predict "$dir/digits.cornu" -i lua/examples/digits/images/03_label9.png --invert --top 3 --labels lua/examples/digits/labels.txt
expect "convert usage" 2 "usage: cornu convert" "$cornu" convert $model
expect "convert to what" 1 ".cornu" "$cornu" convert $model "$dir/digits.onnx"
expect layers 0 "operations of keras.ops" "$cornu" layers
expect "layers, one" 0 "units (required)" "$cornu" layers Dense
expect "layers, a word" 0 "Convolution2D" "$cornu" layers conv
expect "layers json" 0 '"required": true' "$cornu" layers Dense --json
expect "layers, none" 1 "Denzo" "$cornu" layers Denzo
expect "layers, refused" 1 "PyTorch" "$cornu" layers TorchModuleWrapper
expect env 0 "LUA_CPATH" "$cornu" env
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
