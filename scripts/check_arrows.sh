#!/bin/sh
# Checks from #include lines that the rooms of src/ use only those before them, and that foreign headers stay in their
# rooms. Prints each violation as file:line; the last line is `N passed, N failed` (files).
cd "$(dirname "$0")/../src" || exit 2
awk '
  BEGIN {
    n = split("base tensor kernels ops graph layers model formats train", order, " ")
    for (i = 1; i <= n; i++) place[order[i]] = i
    place["lite"] = place["formats"] # stands in for parts of it
    home["hdf5.h"] = home["zip.h"] = home["cJSON.h"] = home["png.h"] = home["jpeglib.h"] = "formats"
    home["lua.h"] = home["lauxlib.h"] = home["lualib.h"] = "lua cli"
    home["cblas.h"] = "kernels"; home["histedit.h"] = "cli"
  }
  FNR == 1 { files++; split(FILENAME, part, "/"); room = part[1]; wrong = 0 }
  /^#include/ {
    file = $2; gsub(/[<>"]/, "", file)
    base = file; sub(/.*\//, "", base); sub(/^cjson\//, "", base)
    if (base in home && $2 ~ /^</ && index(" " home[base] " ", " " room " ") == 0) bad("belongs to " home[base])
    if ($2 !~ /^"/ || file == "cornu.h" || (file == "cornu_lua.h" && (room == "lua" || room == "cli"))) next
    split(file, to, "/"); target = to[1]
    if (room == "lua" && target != "lua") bad("the binding sees cornu.h alone")
    else if (room == "cli" && target != "cli" && file != "lua/core.h") bad("the program sees cornu.h alone")
    else if (room in place && !(target in place && place[target] <= place[room])) bad("points upward")
    else if (room == "cornu.h") bad("the public header stands alone")
  }
  function bad(why) { printf "src/%s:%d: %s: %s\n", FILENAME, FNR, file, why; if (!wrong++) failed++ }
  END { printf "%d passed, %d failed\n", files - failed, failed; exit failed > 0 }
' cornu.h */*.c */*.h */*/*.c
