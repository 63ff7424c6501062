#!/bin/sh
# The public header: strict C99 and C++, and just what the shared library exports. usage: tests/header.sh BUILD
build=${1:-build}
header=src/cornu.h
passed=0 failed=0
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT

check() { # NAME COMMAND…
  name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $name"; fi
}

strict="-pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only"
check "C99" ${CC:-gcc} -std=c99 $strict -x c "$header"
check "C++11" ${CXX:-g++} -std=c++11 $strict -x c++ "$header"

# A name that is declared ends before its parenthesis; bodies of structs have none of ours.
tr '\n' ' ' <"$header" | sed 's/CORNU_API/\n&/g' | sed -n 's/^CORNU_API [^(]*[ *]\(cornu_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$lists/declared"
nm -D --defined-only "$build/libcornu.so" | awk '$2 ~ /[A-Z]/ {print $3}' | sort -u >"$lists/exported"
check "exports what it declares, and nothing else" diff "$lists/declared" "$lists/exported"
check "declares anything" test "$(wc -l <"$lists/declared")" -gt 150

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
