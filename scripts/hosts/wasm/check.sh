#!/bin/sh
# Opens the page in Chromium without a screen: it must answer as the program outside does. usage: check.sh PAGE
set -u
said=$(chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=20000 --dump-dom "file://$(realpath "$1")/index.html" 2>/dev/null |
  sed -n 's/.*<p id="check">\(.*\)<\/p>.*/\1/p')
echo "$said"
echo "$said" | awk '{ fine = $1 == $3 && $3 > 0 } END { print fine + 0 " passed, " 1 - fine " failed"; exit !fine }'
