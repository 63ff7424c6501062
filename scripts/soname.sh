#!/bin/sh
# soname.sh CC WORD LIBS…: the name by which programs that are linked with LIBS ask for the library with WORD in its name.
cc=$1 word=$2
shift 2
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
$cc -shared -o "$out" -x c /dev/null -x none -Wl,--no-as-needed "$@" && objdump -p "$out" | awk -v w="$word" '$1 == "NEEDED" && index($2, w) { print $2; exit }'
