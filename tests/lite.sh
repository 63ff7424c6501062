#!/bin/sh
# The small library: flat files of all cases give the same bits as with the whole library, and a program that is linked
# with it needs nothing beside libc, libm and threads.
# usage: tests/lite.sh BUILD CASES
set -u
build=$1 passed=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # WHAT STATUS
  if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$1"; fi
}
"$build/cornu" scripts/round_trip.lua "$2" --formats cornu --keep "$dir" >"$dir/log"
check "$(tail -n 3 "$dir/log")" $?
find "$dir" -name '*.cornu' | sort >"$dir/files"
xargs "$build/lite/answers" <"$dir/files" >"$dir/lite"
xargs "$build/lite/answers-whole" <"$dir/files" >"$dir/whole"
while IFS= read -r line; do
  grep -qxF "$line" "$dir/lite"
  check "$line, but: $(grep "^${line%% *} " "$dir/lite")" $?
done <"$dir/whole"
answered=$(grep -c ' [0-9a-f]\{16\}$' "$dir/lite")
[ "$answered" -gt 0 ] && [ $((answered * 10)) -gt $(($(wc -l <"$dir/files") * 9)) ]
check "only $answered models answer" $?
needed=$(readelf -d "$build/lite/answers" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
others=$(echo "$needed" | grep -vE '^(libc|libm|libpthread|ld-linux.*)\.so')
[ -z "$others" ]
check "the program needs $others" $?
"$build/lite/answers" tests/formats/two.h5 | grep -q 'reads .cornu files alone'
check "two.h5 is refused" $?
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
