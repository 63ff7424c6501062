#!/bin/sh
# What `make install` puts somewhere is found and works: by pkg-config, by CMake, by LuaRocks; and the amalgamation at full
# speed, with each compiler that is here. usage: tests/packaging.sh BUILD. Needs cmake and luarocks beside the build's packages.
set -u
build=$1 passed=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # WHAT COMMAND…
  what=$1
  shift
  if "$@" >"$dir/log" 2>&1; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  echo "$what: $*"
  tail -n 20 "$dir/log"
}
same() { "$@" tests/formats/two.cornu >"$dir/answer" && cmp "$dir/wanted" "$dir/answer"; } # COMMAND…: the right answer
"$build/lite/answers" tests/formats/two.cornu >"$dir/wanted"
prefix=$dir/usr
check install ${MAKE:-make} -s BUILD="$build" PREFIX="$prefix" install
PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH

program() { # NAME FLAGS…
  name=$1
  shift
  check "$name, built" cc -o "$dir/$name" tests/lite/answers.c "$@"
  check "$name, run" same "$dir/$name"
}
program shared $(pkg-config --cflags --libs cornu)
program static $(pkg-config --cflags cornu) "$prefix/lib/libcornu.a" $(pkg-config --static --libs cornu | sed 's/-lcornu//')
program lite $(pkg-config --cflags --libs cornu-lite)
for cc in gcc clang; do
  command -v $cc >/dev/null || continue
  check "amalgamation, $cc" $cc -O2 -c -o "$dir/$cc.o" "$build/amalgamation/cornu.c"
  program "amalgamated-$cc" -I"$build/amalgamation" "$dir/$cc.o" -lm -pthread
done
printf '#include "cornu.h"\nint main() { cornu_set_threads(1); return cornu_get_threads() != 1; }\n' >"$dir/host.cpp"
check "in C++, built" g++ -o "$dir/cpp" -I"$build/amalgamation" "$dir/host.cpp" "$dir/gcc.o" -lm -pthread
check "in C++, run" "$dir/cpp"

check cmake cmake -S tests/packaging -B "$dir/cmake" -DCMAKE_PREFIX_PATH="$prefix"
check "cmake, built" cmake --build "$dir/cmake"
check "cmake, whole" same "$dir/cmake/whole"
check "cmake, lite" same "$dir/cmake/lite"
sed 's/cornu 0.1/cornu 0.2/' tests/packaging/CMakeLists.txt >"$dir/CMakeLists.txt"
check "cmake, another version" sh -c '! cmake -S "$1" -B "$1/other" -DCMAKE_PREFIX_PATH="$2"' sh "$dir" "$prefix"

check rock luarocks --lua-version 5.4 --tree "$dir/rock" make cornu-scm-1.rockspec
eval "$(luarocks --lua-version 5.4 --tree "$dir/rock" path)"
cat >"$dir/use.lua" <<'LUA'
local cornu = require "cornu"
assert(package.loaded["cornu.core"])
print(cornu.load "tests/formats/two.cornu"(cornu.ones(1, 3)))
LUA
check "rock, used" lua5.4 "$dir/use.lua"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
