#!/bin/sh
# Kills processes while they save, and lets the disk be full: the old file or the new one is there whole.
# usage: tests/kills.sh BUILD [COUNT]; ends with `N passed, N failed`
set -u
build=$1 count=${2:-40}
dir=$(mktemp -d) passed=0 failed=0
trap 'rm -rf "$dir"' EXIT

check() { # WHAT
  if "$build/cornu" tests/kills.lua check "$dir" >"$dir/log" 2>&1; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAILED $1: $(cat "$dir/log")"
  fi
}

"$build/cornu" tests/kills.lua save "$dir" 1 || exit 1
i=0
while [ $i -lt "$count" ]; do
  "$build/cornu" tests/kills.lua save "$dir" 1000000 2>/dev/null &
  pid=$!
  sleep "0.$(printf %03d $((40 + i * 7919 % 160)))"
  kill -9 $pid
  wait $pid 2>/dev/null
  rm -f "$dir"/*.tmp "$dir"/*.tmp.* # what a killed process leaves behind
  check "kill $i"
  i=$((i + 1))
done

# No file may be longer than 8 kB: each save fails, tells it, leaves the old file and nothing else.
for kind in keras h5 weights.h5 npz; do
  (trap '' XFSZ; ulimit -f 16; exec "$build/cornu" tests/kills.lua full "$dir" $kind) >"$dir/full" 2>&1 && check "full disk ($kind)" || {
    failed=$((failed + 1))
    echo "FAILED full disk ($kind): $(cat "$dir/full")"
  }
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
