#!/bin/sh
# Kills processes while they save, and lets the disk be full: the old file or the new one is there whole. Kills trainings
# that are backed up: begun again, they end with the numbers of one that was left alone.
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

# A training is killed again and again, each time a little later, until one comes to its end.
resume() { # SAVE_FREQ
  SAVE_FREQ=$1
  export SAVE_FREQ
  rm -rf "$dir/backup"
  "$build/cornu" tests/backup.lua "$dir/backup" "$dir/whole.npz" || return 1
  i=0
  while [ $i -lt 200 ]; do
    "$build/cornu" tests/backup.lua "$dir/backup" "$dir/parts.npz" &
    pid=$!
    sleep "0.$(printf %03d $((40 + i * 4)))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null && break
    killed=$((killed + 1)) i=$((i + 1))
  done
  "$build/cornu" tests/kills.lua same "$dir/whole.npz" "$dir/parts.npz"
}
killed=0
for frequency in epoch 3; do
  if resume $frequency >"$dir/log" 2>&1; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAILED backup ($frequency): $(cat "$dir/log")"
  fi
done
echo "$killed kills of trainings"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
