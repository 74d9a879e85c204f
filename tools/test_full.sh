# The part of tools/test.sh that only --full runs; sourced by it.
# shellcheck shell=bash

step "format"
git ls-files '*.c' '*.h' | grep -v '^tests/data/' >"$logs/c-files"
quiet format xargs -a "$logs/c-files" clang-format --dry-run --Werror

step "build and tests (clang)"
build build/clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRYZ_TESTS=ON -DCMAKE_C_COMPILER=clang -DRYZ_CUDA=OFF
quiet ctest-clang ctest --test-dir build/clang -LE e2e --output-on-failure --no-tests=error -j 2
tail -n 5 "$logs/ctest-clang.log"

step "clang-tidy"
# Tests are left out: Criterion's macros trip most checks.
grep -v '^tests/' "$logs/c-files" | grep '\.c$' >"$logs/tidy-files"
# A file a run: with several, version 14 sees uninitialised va_lists that are not there.
quiet tidy xargs -a "$logs/tidy-files" -P 2 -n 1 clang-tidy -p build/clang --quiet

step "address and undefined-behaviour sanitizers"
# Criterion reports a leak and passes all the same, so reports go to files, and any file fails.
build build/asan -DCMAKE_BUILD_TYPE=Debug -DRYZ_TESTS=ON -DCMAKE_C_COMPILER=gcc -DRYZ_CUDA=OFF \
  -DRYZ_SANITIZE=address,undefined -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
rm -rf "$logs/asan" && mkdir -p "$logs/asan"
ASAN_OPTIONS="log_path=$PWD/$logs/asan/report:detect_leaks=1" \
UBSAN_OPTIONS="log_path=$PWD/$logs/asan/report:print_stacktrace=1" RYZ_TEST_SLOW=1 \
  quiet ctest-asan ctest --test-dir build/asan --output-on-failure --no-tests=error -j 2 --timeout 900
tail -n 5 "$logs/ctest-asan.log"
if find "$logs/asan" -type f -size +0 -print -quit | grep -q .; then
  head -n 60 "$logs"/asan/* >&2
  echo "FAILED: sanitizer reports in $logs/asan" >&2
  exit 1
fi

step "thread sanitizer (plain programs)"
build build/tsan -DCMAKE_BUILD_TYPE=Debug -DRYZ_TESTS=ON -DCMAKE_C_COMPILER=gcc -DRYZ_CUDA=OFF \
  -DRYZ_SANITIZE=thread -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
quiet ctest-tsan ctest --test-dir build/tsan -L threads --output-on-failure --no-tests=error
tail -n 4 "$logs/ctest-tsan.log"

step "Valgrind (reference and AVX2 kernels)"
# Criterion swallows Valgrind's exit code and runs each test in a process of its own: trace them
# all, but not the shells and tools they call, and fail on any log that is not empty. Valgrind hides
# AVX-512, so dispatch falls back. Rooms whose tests abort on purpose are left to the sanitizers.
rm -rf "$logs/valgrind" && mkdir -p "$logs/valgrind"
for label in base kernels obs record; do
  for program in build/bin/tests/unit_"$label"*; do
    [ -x "$program" ] || continue
    RYZ_TEST_SLOW=1 quiet "valgrind-$(basename "$program")" valgrind -q --trace-children=yes \
      --trace-children-skip='*/sh,*/bash,*/dash,*python*,*gnuplot*' \
      --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
      --log-file="$PWD/$logs/valgrind/%p.log" "$program" --jobs 1 --timeout 600
  done
done
if find "$logs/valgrind" -type f -size +0 -print -quit | grep -q .; then
  cat "$logs"/valgrind/*.log | head -n 80 >&2
  echo "FAILED: Valgrind reports in $logs/valgrind" >&2
  exit 1
fi

step "CUDA module"
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
  build build/cuda -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRYZ_TESTS=OFF -DRYZ_CUDA=ON
  test -f build/cuda/bin/libryz_cuda.so || { echo "FAILED: no CUDA module" >&2; exit 1; }
  build/cuda/bin/ryz devices
else
  echo "no nvcc here: the CUDA module is not built"
fi

step "the official OpenAI client"
source tools/test_clients.sh
