#!/usr/bin/env bash
# From a fresh clone to a verdict: installs, builds, and runs the main job on the default model.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --build-only
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRYZ_TESTS=OFF >build.log 2>&1 ||
  { cat build.log >&2; exit 1; }
cmake --build build
rm -f build.log
exec build/bin/ryz run scenarios/quickstart.ini "$@"
