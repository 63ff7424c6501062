#!/bin/sh
# Runs one fuzz target: seeds its corpus the first time, then libFuzzer. New inputs stay in FUZZ/TARGET/corpus, one that
# fails goes to FUZZ/TARGET/found-…
# usage: scripts/fuzz.sh BUILD FUZZ TARGET CASES LIBFUZZER-OPTIONS…
set -eu
build=$1 dir=$2/$3 program=$2/fuzzer/$3 target=$3 cases=$4
shift 4
if [ ! -s "$dir/words" ]; then
  mkdir -p "$dir/corpus"
  "$build/cornu" scripts/fuzz_corpus.lua "$target" "$cases" "$dir"
fi
for old in tests/fuzz/regressions/"$target"/*; do [ -e "$old" ] && cp "$old" "$dir/corpus/"; done
set -- -dict="$dir/words" -artifact_prefix="$dir/found-" "$@"
ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 exec "$program" "$@" "$dir/corpus"
