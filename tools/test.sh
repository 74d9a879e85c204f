#!/usr/bin/env bash
# Builds and runs all tests. At most 10 minutes on two cores; with --full (format, tidy, both
# compilers, sanitizers, Valgrind, CUDA module, official clients) at most 40.
set -euo pipefail
cd "$(dirname "$0")/.."
full=0
case "${1:-}" in
  "") ;;
  --full) full=1 ;;
  *) echo "usage: tools/test.sh [--full]" >&2; exit 64 ;;
esac
start=$SECONDS
logs=build/test-logs
mkdir -p "$logs"

step() { printf '\n== %s  (%d s so far)\n' "$*" $((SECONDS - start)); }
# quiet NAME COMMAND...: runs a command with its output in a log that is shown only on failure.
quiet() {
  local name=$1
  shift
  if ! "$@" >"$logs/$name.log" 2>&1; then
    tail -n 120 "$logs/$name.log" >&2
    echo "FAILED: $* (whole log: $logs/$name.log)" >&2
    exit 1
  fi
}
build() { # build DIR CMAKE-OPTIONS...
  local dir=$1
  shift
  quiet "configure-${dir//\//-}" cmake -S . -B "$dir" -G Ninja "$@"
  quiet "build-${dir//\//-}" cmake --build "$dir"
}

step "set-up"
if [ $full -eq 1 ]; then
  tools/setup.sh --full
  # Tests on the real model skip themselves where it is absent.
  tools/get-model.sh smollm2 || echo "SmolLM2 is not to be had here: its tests are skipped"
else
  tools/setup.sh
fi
# Public traces and texts that lie beside the checkout are used where nothing else is said.
if [ -z "${RYZ_DATA:-}" ] && [ -d ../shared/traces ]; then
  RYZ_DATA=$(cd ../shared && pwd)
  export RYZ_DATA
fi

step "build (gcc, RelWithDebInfo)"
build build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRYZ_TESTS=ON -DCMAKE_C_COMPILER=gcc

step "tests"
ctest --test-dir build --output-on-failure --no-tests=error -j 2 --output-junit test-logs/ctest.xml |
  tee "$logs/ctest.log"

step "smoke scenario"
if [ -f scenarios/smoke.ini ]; then
  quiet smoke build/bin/ryz run scenarios/smoke.ini --set output.dir="$PWD/build/smoke"
  tail -n 25 "$logs/smoke.log"
fi

if [ $full -eq 1 ]; then source tools/test_full.sh; fi
step "done"
