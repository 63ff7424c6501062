#!/bin/sh
# What the libraries weigh, by group: code, constants and tables, in kB; and what a program weighs that is linked with the
# small one. usage: scripts/sizes.sh BUILD CC
set -eu
build=$1 cc=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
weigh() { # OBJECTS: kB
  [ $# -gt 0 ] || { echo 0; return; }
  size "$@" | awk 'NR > 1 { n += $1 + $2 } END { printf "%.0f", n / 1000 }'
}
objects() { find "$@" -name '*.o' | grep -vE '/(lua|cli|luajit|rock)/|gen/lua' || true; }
row() { # NAME PATTERN: of the paths of objects below obj/
  whole=$(objects "$build/obj" | grep -E "/obj/$2" || true)
  lite=$(objects "$build/lite/obj" | grep -E "/obj/$2" || true)
  printf '| %s | %s | %s |\n' "$1" "$(weigh $whole)" "$(weigh $lite)"
}
echo '| kB | whole | small |'
echo '|---|---|---|'
for isa in sse2 avx2 avx512; do row "kernels, $isa" "kernels/isa/.*\.$isa\.o"; done
row "operations" "(ops|kernels/[a-z_]*\.o)"
row "plans and models" "(graph|model)/"
row "layers" "layers/"
row "files" "(formats|lite)/"
row "training" "train/"
row "the rest" "(base|tensor|gen)/"
row "**all**" ""
smaller=-Wl,--gc-sections,-z,pack-relative-relocs
$cc -O2 -Isrc -o "$dir/host" tests/lite/answers.c "$build/libcornu-lite.a" -lm -pthread $smaller -s
echo "a program with the small one, stripped: $(($(wc -c <"$dir/host") / 1000)) kB; it needs" \
  $(readelf -d "$dir/host" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
