#!/bin/sh
# Runs the programs of a cross-build and ends with a line `N passed, N failed`. usage: tests/cross/run.sh BUILD
# CASES, from the project's root. CASES: files of scripts/plain_cases.lua; PORT_CASES are the
# programs that run models, PORT_RUN is what runs a program, EXE the end of
# their names.
set -u
build=$1 cases=$2 passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for t in "$build"/port/*"${EXE:-}"; do
  case $t in *.d) continue ;; esac
  $PORT_RUN "$t" >"$log" 2>&1 </dev/null
  status=$?
  n=$(awk '/^\[  PASSED  \]/ { n += $4 } END { print n + 0 }' "$log")
  [ $status -eq 0 ] && [ "$n" -gt 0 ] && passed=$((passed + n)) && continue
  failed=$((failed + 1))
  echo "FAILED $(basename "$t") (status $status)"
  tail -n 5 "$log"
done
for t in $PORT_CASES; do
  $PORT_RUN "$build/$t${EXE:-}" "$cases" "$(ls "$cases"/*.txt | wc -l)" >"$log" 2>&1 </dev/null
  grep -v '^FAILED' "$log" | tail -n 1
  grep '^FAILED' "$log"
  set -- $(awk '/ passed, .* failed\r?$/ { p += $2; f += $4 } END { print p + 0, f + 0 }' "$log")
  passed=$((passed + $1)) failed=$((failed + $2 + ($1 + $2 == 0)))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
