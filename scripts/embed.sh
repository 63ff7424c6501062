#!/bin/sh
# Prints the C source that holds Lua modules: embed.sh FILE.lua…  Lines of comments and indentation are left out, but
# within long strings; the numbers of lines stay as they are.
set -eu
echo '#include "lua/embedded.h"'
for file; do
  name=$(basename "$file" .lua)
  echo "static const char text_$name[] ="
  awk '
    BEGIN { long = 0 }
    {
      if (!long) { sub(/^[ \t]+/, ""); if ($0 ~ /^--($|[^[])/) $0 = "" }
      rest = $0
      while (1) {
        mark = long ? "]]" : "[["
        at = index(rest, mark)
        if (!at) break
        rest = substr(rest, at + 2)
        long = !long
      }
      gsub(/\\/, "&&"); gsub(/["?]/, "\\\\&")
      printf "  \"%s\\n\"\n", $0
    }
    END { if (long) { print "a long string does not end" > "/dev/stderr"; exit 1 } }' "$file"
  echo "  ;"
done
echo 'const cn_lua_source cn_lua_sources[] = {'
for file; do
  name=$(basename "$file" .lua)
  echo "  {\"$name\", text_$name, sizeof text_$name - 1},"
done
echo '  {0, 0, 0}'
echo '};'
