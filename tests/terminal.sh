#!/bin/sh
# The prompt in a terminal, which `script` of util-linux plays, and how it goes without one. usage: tests/terminal.sh BUILD
cornu=$(realpath "$1/cornu")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
escape=$(printf '\033')
HOME=$dir XDG_STATE_HOME=$dir/state LC_ALL=C.UTF-8 TERM=xterm
export HOME XDG_STATE_HOME LC_ALL TERM
unset NO_COLOR

check() { # WHAT TEXT: $dir/out holds the text; "not:TEXT": it does not
  case $2 in
    not:*) if grep -qF -- "${2#not:}" "$dir/out"; then good=no; else good=yes; fi ;;
    *) if grep -qF -- "$2" "$dir/out"; then good=yes; else good=no; fi ;;
  esac
  if [ $good = yes ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  printf '%s: expected %s in:\n' "$1" "$2"
  cat "$dir/out"
}

# Types lines (or keys, by printf's escapes) into COMMAND within a terminal; what the screen shows goes to $dir/out.
terminal() { # COMMAND KEYS…
  command=$1
  shift
  {
    sleep 0.3
    for keys; do printf "$keys"; sleep 0.15; done
  } | timeout 30 script -qec "$command" /dev/null 2>&1 | tr -d '\r' >"$dir/out"
}

terminal "$cornu" '1234 + 4321\n' 'x = {a = 1111}\n' 'x.a * 7\n' '\004'
check "a result" "5555"
check "a field" "7777"
check "the banner" "Ctrl-D to leave"

terminal "$cornu" 'for i = 1, 2 do\n' 'print("line " .. i * 7)\n' 'end\n' '\004'
check "many lines" "line 14"

terminal "$cornu" 'print("gr\303\274n \342\200\246")\n' '\004'
check "letters beyond ASCII" "$(printf 'gr\303\274n \342\200\246')"

terminal "$cornu" 'error("bro" .. "ken")\n' '20 * 21\n' '\004'
check "an error" "broken"
check "after an error" "420"

terminal "$cornu" 'cornu.check_mo\t"lua/exa\tdig\tdigits.h\t\n' '\004'
check "completion of names" 'Sequential'
terminal "$cornu" 'cornu.load "lua/examples/digits/digits.k\t\n' '\004'
check "completion of files, a printed model" 'conv1 (Conv2D)'
terminal "$cornu" 't = cornu.zeros(2)\n' 't:resh\t(2, 1)\n' '\004'
check "completion of methods" 'float32 (2, 1)'

terminal "$cornu" 'while true do end\n' '\003' '1000 + 11\n' '\004'
check "Ctrl-C in a loop" "1011"
terminal "$cornu" 'a = cornu.rand(900, 900)\n' 'while true do b = a:matmul(a) end\n' '\003' '1000 + 12\n' '\004'
check "Ctrl-C in the engine" "1012"
terminal "$cornu" 'half a line\003' '1000 + 13\n' '\004'
check "Ctrl-C on a line" "1013"

terminal "$cornu" '1000 + 14\n' '\004'
terminal "$cornu" '\033[A' '\n' '\004'
check "history across starts" "1014"

# ---- Colours ----

terminal "$cornu" 'error "broken"\n' '\004'
check "a coloured error" "${escape}[31m"
NO_COLOR=1
export NO_COLOR
terminal "$cornu" 'error "broken"\n' '{1, "text"}\n' '\004'
check "NO_COLOR" "not:${escape}[31m"
check "NO_COLOR, results" "not:${escape}[3"
unset NO_COLOR
TERM=dumb
terminal "$cornu" 'error "broken"\n' '\004'
check "a dumb terminal" "not:${escape}["
TERM=xterm

printf 'error "broken"\n{1, "text"}\nhelp "conv"\n' | "$cornu" -i -e 'print(cornu.version)' >"$dir/out" 2>&1
check "a pipe" "broken"
check "a pipe without colours" "not:$escape"
for command in "lua/examples/digits/demo.lua" "info lua/examples/digits/digits.keras" "--help" "predict none.h5"; do
  "$cornu" $command >"$dir/out" 2>&1 </dev/null
  check "$command without colours" "not:$escape"
done

# ---- A folder of pictures ----

"$cornu" lua/examples/digits/folder.lua >"$dir/out" 2>&1 </dev/null
check "folder" "19 of 20 right"
check "folder without a bar" "not:20/20 ["
terminal "$cornu lua/examples/digits/folder.lua"
check "folder with a bar" "20/20 [==============================]"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
