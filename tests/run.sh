#!/usr/bin/env bash
# Runs the tests and counts them: tests/run.sh [unit|threads|fuzz|e2e|NAME]. Called by ./dev test, which installs and builds first.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0 failures=()
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=halt_on_error=1:exitcode=98:suppressions=$PWD/tests/tsan.supp
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
what=${1:-all}

wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }

# run NAME COMMAND...: one test; its output is shown only when it fails
run() {
  local name=$1 log="$logs/${1//\//_}" start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    printf 'ok    %s (%ss)\n' "$name" $((SECONDS - start))
  else
    failed=$((failed + 1)) failures+=("$name")
    printf 'FAIL  %s (%ss)\n' "$name" $((SECONDS - start))
    tail -n 60 "$log" | sed 's/^/      /'
  fi
}

compile() {
  local dir=$1 options=$2
  shift 2
  # shellcheck disable=SC2086
  [ -e "$dir/CMakeCache.txt" ] || cmake -S . -B "$dir" $options >/dev/null || exit 1
  cmake --build "$dir" -j "$(nproc)" --target "$@" -- --no-print-directory -s || exit 1
}

unit() {
  compile build-asan "-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=address" unit_tests varve
  run includes tests/unit/includes.sh
  for test in build-asan/unit_*; do [ -x "$test" ] && run "$(basename "$test")" timeout 300 "$test"; done
}

# What several threads share, once more under ThreadSanitizer.
threads() {
  compile build-tsan "-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=thread" unit_tests
  while read -r test; do
    run "tsan $test" timeout 300 "build-tsan/$test"
  done < <(grep -v '^#' tests/unit/threaded.txt)
}

# Each fuzzer over its corpus, and 3 seconds beyond.
fuzz() {
  CC=clang compile build-fuzz "-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=address -DVARVE_FUZZ=ON -DCMAKE_C_COMPILER=clang" fuzzers
  for fuzzer in build-fuzz/*_fuzz; do
    local name corpus
    name=$(basename "$fuzzer")
    corpus=tests/fuzz/corpus/${name%_fuzz}
    mkdir -p "$logs/$name.new"
    run "$name" timeout 120 "$fuzzer" -max_total_time=3 -timeout=10 -rss_limit_mb=4096 \
      -artifact_prefix="$logs/" "$logs/$name.new" "$corpus"
  done
}

e2e() {
  compile build-asan "-DCMAKE_BUILD_TYPE=Debug -DVARVE_SANITIZE=address" varve
  for test in tests/e2e/*.test.mjs; do
    [ "$what" = all ] || [ "$what" = e2e ] || [[ $test == *"$what"* ]] || continue
    run "e2e $(basename "$test" .test.mjs)" env VARVE=build-asan/varve timeout 300 node --test --test-reporter=spec "$test"
  done
}

wants unit && unit
wants threads && threads
wants fuzz && fuzz
case $what in unit | threads | fuzz) ;; *) e2e ;; esac
[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
