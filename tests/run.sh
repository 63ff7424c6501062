#!/bin/sh
# Runs every test and ends with a line `N passed, N failed`. usage: tests/run.sh [BUILD [WHICH…]], from the project's root.
# WHICH: arrows header unit lite lua lua54 luajit host models kills damage fuzz cli terminal readme demo (all by default). UNIT_ISAS adds runs of the unit tests with other kernels.
set -u
build=${1:-build}
[ $# -gt 0 ] && shift
which=${*:-arrows header unit lite lua lua54 luajit host models kills damage fuzz cli terminal readme demo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# Adds what a runner printed: cmocka's, LuaUnit's or our own closing lines. A runner that failed without a count counts one.
count() { # NAME STATUS
  set -- "$1" "$2" $(awk '
    /^\[  PASSED  \]/ { p += $4 } /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
    /^Ran [0-9]+ tests/ { for (i = 1; i <= NF; i++) { if ($i ~ /^success/) p += $(i - 1); if ($i ~ /^(failure|error)/) f += $(i - 1) } }
    /^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 }
    END { print p + 0, f + 0 }' "$log")
  [ "$2" -ne 0 ] && [ "$4" -eq 0 ] && set -- "$1" "$2" "$3" 1
  passed=$((passed + $3)) failed=$((failed + $4))
  printf '%-32s %5d passed, %d failed\n' "$1" "$3" "$4"
  [ "$2" -ne 0 ] && grep -vE '^\[ +(RUN|OK) +\]' "$log" | tail -n "${TAIL:-40}"
}

run() { # NAME COMMAND…
  name=$1
  shift
  "$@" >"$log" 2>&1 </dev/null
  count "$name" $?
}

unit() { for t in "$build"/unit/*; do [ -x "$t" ] && [ -f "$t" ] && case $t in *.d) ;; *) run "$1$(basename "$t")" "$t" ;; esac; done; }

for suite in $which; do
  case $suite in
    arrows) run arrows sh scripts/check_arrows.sh ;;
    header) run header sh tests/header.sh "$build" ;;
    unit)
      unit "unit/"
      for isa in ${UNIT_ISAS:-}; do CORNU_ISA=$isa; export CORNU_ISA; unit "$isa unit/"; unset CORNU_ISA; done ;;
    lite)
      for t in formats_flat formats_json; do run "lite/$t" "$build/lite/unit/$t"; done
      run lite sh tests/lite.sh "$build" tests/models ;;
    lua) run "lua (cornu)" "$build/cornu" tests/lua/run.lua ;;
    lua54) run "lua (lua5.4)" sh -c 'eval "$("$1/cornu" env)" && exec lua5.4 tests/lua/run.lua' sh "$build" ;;
    luajit)
      run "lua (luajit)" sh -c 'LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;;" LUA_CPATH="$PWD/$1/luajit/lib/?.so;;" exec luajit tests/lua/run.lua' sh "$build" ;;
    host) for t in "$build"/host/*; do [ -x "$t" ] && case $t in *.d) ;; *) run "host/$(basename "$t")" "$t" ;; esac; done ;;
    models) run models "$build/cornu" scripts/conformance.lua tests/models ;;
    kills) run "kills while saving" sh tests/kills.sh "$build" 40 ;;
    damage) run damage sh scripts/damage.sh --build "$build" --cuts 8 --flips 20 tests/formats/two.h5 \
      tests/formats/two.json tests/formats/two.cornu lua/examples/digits/digits.keras ;;
    fuzz)
      for t in "$build"/replay/*; do
        [ -x "$t" ] && set -- tests/fuzz/regressions/"$(basename "$t")"/* && [ -e "$1" ] && run "fuzz/$(basename "$t")" "$t" "$@"
      done ;;
    cli) run cli sh tests/cli.sh "$build" ;;
    terminal) run terminal sh tests/terminal.sh "$build" ;;
    demo) run demo "$build/cornu" lua/examples/digits/check.lua ;;
    readme) run "README" "$build/cornu" tests/readme.lua README.md ;;
  esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
