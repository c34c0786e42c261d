#!/usr/bin/env bash
# Builds, runs the tests and counts them: tests/run.sh [unit|threads|fuzz|e2e|PART OF A NAME]... Called by ./dev test, which
# installs first. Some tests run at a time (JOBS=2); each has a time limit, and fails when a process that it started outlives
# it: every such process carries VARVE_TEST in its environment. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=halt_on_error=1:exitcode=98:suppressions=$PWD/tests/tsan.supp
logs=$(mktemp -d)
results=$logs/results
what=("${@:-all}")
jobs_max=${JOBS:-2}
: >"$results"

# The processes whose VARVE_TEST matches: PATTERN of grep, for the whole value.
marked() {
  local pid
  for pid in $(grep -lzsx "VARVE_TEST=$1" /proc/[0-9]*/environ); do
    pid=${pid#/proc/}
    echo "${pid%/environ}"
  done
}

# The same once those had a moment to leave that are just leaving.
left_behind() {
  local pids
  for _ in $(seq 300); do
    pids=$(marked "$1")
    [ -n "$pids" ] || return 0
    sleep 0.1
  done
  echo "$pids"
}

end_leftovers() {
  local pid
  for pid in $1; do
    printf 'left behind: %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    kill -KILL "$pid" 2>/dev/null
  done
}

# Also behind Ctrl-C: what runs in the background does not hear of it.
finish() {
  trap '' INT TERM HUP
  end_leftovers "$(marked "$logs .*")" >/dev/null
  wait
  rm -rf "$logs"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# What a test that was not run says: reasons are the test's.
skipped() { grep -hE '^\[  SKIPPED \]|﹣ .*#' "$1" | grep -v 'test(s)' | sort -u | sed 's,^,      ,'; }

# In the background, where bash ignores INT and QUIT: a test shall not inherit that.
run_one() {
  local name=$1 limit=$2 log="$logs/${1//[\/ ]/_}.log" verdict=ok start=$SECONDS left
  local mark="$logs $name"
  shift 2
  env --default-signal=INT,QUIT VARVE_TEST="$mark" timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
  case $? in
  0) ;;
  124 | 137) verdict=FAIL; echo "not done after $limit s" >>"$log" ;;
  *) verdict=FAIL ;;
  esac
  left=$(left_behind "$mark")
  [ -z "$left" ] || { verdict=FAIL; end_leftovers "$left" >>"$log"; }
  if [ $verdict = ok ]; then left=$(skipped "$log"); else left=$(grep -v '^\[ *[0-9]*%\]' "$log" | tail -n 80 | sed 's,^,      ,'); fi
  printf '%-5s %s (%ss)\n%s' "$verdict" "$name" $((SECONDS - start)) "${left:+$left$'\n'}"
  echo "$verdict $name" >>"$results"
}

# run NAME SECONDS COMMAND...: one test, beside others
run() {
  while [ "$(jobs -pr | wc -l)" -ge "$jobs_max" ]; do wait -n; done
  run_one "$@" &
}

# build KIND TARGET...: counts as a test; nothing else runs meanwhile.
build() {
  wait
  run_one "build $1" 3600 ./dev build "$@" &
  wait
  [ "$(tail -n 1 "$results")" = "ok build $1" ]
}

# Is the test PHASE NAME asked for?
wants() {
  local word
  for word in "${what[@]}"; do
    case $word in
    all | "$1") return ;;
    unit | threads | fuzz | e2e) ;;
    *) [[ $2 != *"$word"* ]] || return 0 ;;
    esac
  done
  return 1
}

# wanted PHASE NAMES ON STDIN → those asked for, in the array `names`
wanted() {
  local name
  names=()
  while read -r name; do
    [ -n "$name" ] && [[ $name != \#* ]] && wants "$1" "$name" && names+=("$name")
  done
  [ ${#names[@]} -gt 0 ]
}

release() {
  wanted release <<<release && build release varve
}

unit() {
  wanted unit < <(printf '%s\n' includes.sh committed.sh) && for name in "${names[@]}"; do run "$name" 300 "tests/unit/$name"; done
  wanted unit < <(for test in tests/unit/*/*_test.c; do test=${test#tests/unit/} && echo "unit_${test//\//_}"; done | sed 's/\.c$//') || return
  if wants unit unit; then build asan unit_tests; else build asan "${names[@]}"; fi || return
  for name in "${names[@]}"; do run "$name" 900 "build-asan/$name"; done
}

# What several threads share, once more under ThreadSanitizer.
threads() {
  wanted threads <tests/unit/threaded.txt || return
  build tsan "${names[@]}" || return
  for name in "${names[@]}"; do run "tsan $name" 900 "build-tsan/$name"; done
}

# Each fuzzer over its corpus, the same in every run. To look for more: tests/fuzz/run.
fuzz() {
  wanted fuzz < <(for file in tests/fuzz/*/*_fuzz.c; do basename "$file" .c; done) || return
  build fuzz "${names[@]}" || return
  for name in "${names[@]}"; do
    run "$name" 600 "build-fuzz/$name" -runs=0 -timeout=25 -rss_limit_mb=4096 "tests/fuzz/corpus/${name%_fuzz}"
  done
}

# The longest first.
e2e() {
  wanted e2e < <(cd tests/e2e && ls oracle.test.mjs 2>/dev/null; ls ./*.test.mjs | sed 's,^./,,' | grep -v '^oracle\.') || return
  build asan varve || return
  for name in "${names[@]}"; do
    run "e2e ${name%.test.mjs}" 900 env VARVE=build-asan/varve node --test --test-reporter=spec "tests/e2e/$name"
  done
}

release
unit
threads
fuzz
e2e
wait
passed=$(grep -c '^ok ' "$results")
failed=$(grep -c '^FAIL ' "$results")
sed -n 's/^FAIL /failed: /p' "$results"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
