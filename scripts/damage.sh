#!/bin/sh
# Loads and runs damaged variants of model files (scripts/damage.lua makes them): each must end in an error or a result,
# never in a crash, a leak or a hang. usage: scripts/damage.sh [OPTION…] [FOLDER|FILE…] (default ../shared/cases)
#   --build DIR    where cornu is (build/asan, from `make asan`); leaks and the places of crashes need sanitizers
#   --state FILE   keeps what is done; a second run with it goes on from there
#   --share I/N    every N-th file, from the I-th on
#   --limit N      at most N files
#   --cuts N, --flips N, --edits N   variants a file (20, 50, 30)
#   --keep DIR     keeps the guilty variants and what was said when they died
# Files of the same content (and, for a pair of JSON and weights, the same other file) are run once. All variants of a
# file run in one process; when it dies they run in smaller parts until the guilty ones are alone. What dies within the
# system's libraries (HDF5, zlib, …) is listed, what dies in Cornu's own code fails. The last line is
# `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/asan state='' share=1/1 limit=1000000000 cuts=20 flips=50 edits=30 keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --build | --state | --share | --limit | --cuts | --flips | --edits | --keep)
      [ $# -gt 1 ] || { echo "damage.sh: $1 takes a value" >&2; exit 2; }
      case $1 in
        --build) build=$2 ;; --state) state=$2 ;; --share) share=$2 ;; --limit) limit=$2 ;;
        --cuts) cuts=$2 ;; --flips) flips=$2 ;; --edits) edits=$2 ;; --keep) keep=$2 ;;
      esac
      shift 2 ;;
    --*) echo "damage.sh: no option $1" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || set -- ../shared/cases
cornu=$build/cornu
[ -x "$cornu" ] || { echo "damage.sh: no $cornu: make it with make asan" >&2; exit 2; }

second=20         # a variant that takes longer hangs (seconds)
together=60       # for all variants of a file, before they are run in parts
memory=1000       # MB
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
[ -n "$state" ] || state=$dir/state
touch "$state"
[ -z "$keep" ] || mkdir -p "$keep"

export LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;;"
export CORNU_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS="detect_leaks=1:handle_abort=1:allocator_may_return_null=1"
ASAN_OPTIONS=$ASAN_OPTIONS:max_allocation_size_mb=$memory:hard_rss_limit_mb=$memory
sanitized=no
grep -q __asan_init "$cornu" && sanitized=yes

# ---- What to run: FILE, MODEL, WEIGHTS, key; tab between ----

tab=$(printf '\t')
for place; do
  if [ -d "$place" ]; then "$cornu" scripts/damage.lua --list "$place" || exit 2
  elif [ -f "$place" ]; then printf '%s\t-\t-\n' "$place"
  else echo "damage.sh: no $place" >&2; exit 2; fi
done >"$dir/all"
cut -f1 "$dir/all" | tr '\n' '\0' | xargs -0 sha256sum | awk '{ print $1 }' >"$dir/sums"
paste "$dir/sums" "$dir/all" | awk -F '\t' -v OFS='\t' -v share="$share" -v limit="$limit" '
  { sum[$2] = $1; row[NR] = $2 OFS $3 OFS $4 }
  END {
    split(share, s, "/")
    for (i = 1; i <= NR; i++) {
      split(row[i], f, "\t")
      key = sum[f[1]]
      if (f[2] != "-") key = key (f[1] == f[2] ? "+" sum[f[3]] : "-" sum[f[2]])
      if (seen[key]++) continue
      if (n++ % s[2] == s[1] - 1 && ++taken <= limit) print row[i]
    }
  }' >"$dir/todo"

# ---- One process ----

# Runs variants $1 to $2 within $3 seconds; out: what damage.lua printed, err: what the sanitizers said.
attempt() {
  (
    [ $sanitized = yes ] || ulimit -v $((memory * 1000 + 500000))
    ulimit -c 0
    exec timeout -s ABRT -k 10 "$3" nice -n 10 "$cornu" scripts/damage.lua "$file" "$model" "$weights" \
      --from "$1" --to "$2" --cuts "$cuts" --flips "$flips" --edits "$edits" --folder "$dir"
  ) >"$dir/out" 2>"$dir/err" </dev/null || return
  [ "$(grep -c "^end$tab" "$dir/out")" -eq $(($2 - $1 + 1)) ] # else something left the process early
}

# Which variant was under way when the process died; nothing when all had ended.
under_way() { awk '$1 == "begin" { n = $2 } $1 == "end" { n = "" } END { print n }' "$dir/out"; }

# What the process said, in one line: WHO, KIND, first frames; tab between. WHO is a library or "cornu". Frames of the C
# library and of the sanitizers themselves do not count; of several leaks the first one that is Cornu's own does.
diagnose() { # STATUS
  awk -v status="$1" '
    function finish() { # a block of frames ends
      if (kind == "" || frames == 0) return
      if (best == "" || (best_who != "cornu" && who == "cornu" && best_leak)) {
        best = who "\t" kind "\t" text
        best_who = who
        best_leak = kind == "leak"
      }
      kind = ""
    }
    function start(k) { finish(); kind = k; frames = 0; text = ""; who = "" }
    /ERROR: AddressSanitizer/ && !fatal {
      fatal = 1; k = $0; sub(/.*AddressSanitizer: /, "", k); sub(/( on|:| \().*/, "", k); start(k)
    }
    /runtime error:/ {
      k = $0; sub(/.*runtime error: /, "", k); sub(/ cannot be represented.*/, "", k); where = $1; start(k)
    }
    /^(Direct|Indirect) leak/ && !fatal { start("leak") }
    /^HDF5: infinite loop/ && !loop { loop = 1; other = "libhdf5\tinfinite loop when closing the library\t" }
    /hard rss limit/ { other = "cornu\tmemory beyond the limit\t" }
    /^ *#[0-9]+ / && kind != "" {
      if (frames >= 6 || $0 ~ /libsanitizer|lib[a-z]san\.so|libc\.so|libm\.so|libpthread|ld-linux|sysdeps|nptl|<null>/)
        next
      lib = "cornu"
      if (match($0, /lib(hdf5|z|png16|jpeg|zip|cjson)(_serial)?\.so/)) {
        lib = substr($0, RSTART, RLENGTH)
        sub(/(_serial)?\.so/, "", lib)
      }
      name = $3 == "in" ? $4 : "?"
      if ($5 ~ /\.[ch]:/) { place = $5; sub(/.*\/src\//, "", place); name = name " (" place ")" }
      if (frames++ == 0) who = lib
      text = text (frames > 1 ? " < " : "") name
    }
    /^$/ { if (frames) finish() }
    END {
      finish()
      if (best == "" && other != "") best = other
      if (best == "" && k != "") best = "cornu\t" k "\t" where
      if (best == "") best = "cornu\t" (status == 124 || status == 137 ? "hang" : "died with status " status) "\t"
      if (status == 124 || status == 137) sub(/\t[^\t]*\t/, "\thang\t", best)
      print best
    }' "$dir/err"
}

# ---- A file ----

errors=0 results=0 own=0 inside=0 refused=0

record() { # VARIANT WHO KIND FRAMES
  if [ "$2" = cornu ]; then own=$((own + 1)); else inside=$((inside + 1)); fi
  printf 'death\t%s\t%s\t%s\t%s\t%s\n' "$file" "$1" "$2" "$3" "$4" >>"$state"
  [ "$2" = cornu ] && printf '%s: variant %s: %s: %s\n' "$file" "$1" "$3" "$4"
  [ -n "$keep" ] || return 0
  name=$keep/$(echo "$file" | sed 's|^[./]*||; s|.*/cases/||; s|/|_|g').$1
  [ "$1" = all ] || "$cornu" scripts/damage.lua "$file" --from "$1" --cuts "$cuts" --flips "$flips" --edits "$edits" \
    --write "$name" 2>/dev/null
  cp "$dir/err" "$name.txt"
}

# Counts the variants of a process that ended well. Messages that Lua itself made tell a bug of ours.
count() {
  errors=$((errors + $(grep -c "^end${tab}[0-9]*${tab}error" "$dir/out")))
  results=$((results + $(grep -c "^end${tab}[0-9]*${tab}result" "$dir/out")))
  refused=$((refused + $(grep -c 'AddressSanitizer failed to allocate' "$dir/err")))
  grep "^end${tab}[0-9]*${tab}bug" "$dir/out" >"$dir/bugs" &&
    while IFS=$tab read -r _ number _ _ message; do record "$number" cornu "Lua error" "$message"; done <"$dir/bugs"
}

blame() { # VARIANT STATUS
  diagnose "$2" >"$dir/diagnosis"
  while IFS=$tab read -r who kind frames; do record "$1" "$who" "$kind" "$frames"; done <"$dir/diagnosis"
}

# Runs variants $1 to $2, in parts when the process dies.
sweep() {
  limit_now=$together
  [ "$1" -eq "$2" ] && limit_now=$second
  attempt "$1" "$2" "$limit_now"
  set -- "$1" "$2" $?
  if [ "$3" -eq 0 ]; then count; return; fi
  if [ "$1" -eq "$2" ]; then
    # a hang counts when it happens again: the computer may have been busy
    if [ "$3" -eq 124 ] || [ "$3" -eq 137 ]; then
      attempt "$1" "$2" "$second"
      set -- "$1" "$2" $?
      if [ "$3" -eq 0 ]; then count; return; fi
    fi
    blame "$1" "$3"
    return
  fi
  [ -e "$dir/first" ] || { cp "$dir/err" "$dir/first"; first_status=$3; }
  set -- "$1" "$2" "$(under_way)"
  if [ -n "$3" ]; then
    [ "$3" -gt "$1" ] && sweep "$1" $(($3 - 1))
    sweep "$3" "$3"
    [ "$3" -lt "$2" ] && sweep $(($3 + 1)) "$2"
  else
    sweep "$1" $((($1 + $2) / 2))
    sweep $((($1 + $2) / 2 + 1)) "$2"
  fi
}

while IFS=$tab read -r file model weights; do
  grep -qF "file$tab$file$tab" "$state" && continue
  errors=0 results=0 own=0 inside=0 refused=0 first_status=0
  rm -f "$dir/first"
  sweep 0 $((cuts + flips + 1 + edits))
  # died in company, but nothing alone: one variant leaves something behind that harms a later one
  if [ -e "$dir/first" ] && [ $((own + inside)) -eq 0 ] && [ $first_status -ne 124 ] && [ $first_status -ne 137 ]; then
    cp "$dir/first" "$dir/err"
    blame all "$first_status"
  fi
  printf 'file\t%s\t%d\t%d\t%d\t%d\t%d\n' "$file" "$errors" "$results" "$own" "$inside" "$refused" >>"$state"
done <"$dir/todo"

# ---- Summary, of all that the state tells ----

awk -F '\t' '
  $1 == "file" { files++; errors += $3; results += $4; own += $5; inside += $6; refused += $7 }
  $1 == "death" && $4 != "cornu" {
    split($6, f, " < ")
    where[$4 ": " $5 (f[1] == "" ? "" : " in " f[1])]++
  }
  END {
    for (w in where) printf "inside %s (%d)\n", w, where[w]
    printf "%d files, %d variants: %d errors, %d results\n", files, errors + results + own + inside, errors, results
    if (refused) printf "%d times more than '$memory' MB were asked for at once, and refused\n", refused
    printf "%d died inside libraries\n", inside
    printf "%d passed, %d failed\n", errors + results, own
    exit own > 0 || errors + results == 0
  }' "$state"
