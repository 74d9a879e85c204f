#!/usr/bin/env bash
# Installs what the build and the tests need, in one apt call, and only what is missing.
# Sourced or called by quickstart.sh and test.sh; does nothing (and needs no network) once all is
# there. Options: --full adds what `tools/test.sh --full` needs.
set -euo pipefail

build_packages=(
  gcc clang cmake ninja-build pkg-config git
  libcriterion-dev libcurl4-openssl-dev libhdf5-dev libinih-dev libjansson-dev libmicrohttpd-dev
  libpcre2-dev libsodium-dev libutf8proc-dev libxxhash-dev
  gnuplot-nox fonts-dejavu-core hdf5-tools
)
test_packages=(python3 python3-h5py python3-pip python3-venv curl)
full_packages=(clang-format clang-tidy libclang-rt-14-dev libc6-dbg valgrind prometheus)

wanted=("${build_packages[@]}" "${test_packages[@]}")
for option in "$@"; do
  case "$option" in
    --full) wanted+=("${full_packages[@]}") ;;
    --build-only) wanted=("${build_packages[@]}") ;;
    *) echo "usage: tools/setup.sh [--full | --build-only]" >&2; exit 64 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  cat >&2 <<TXT
This is not a Debian or Ubuntu system. Install what these Debian packages contain, then run CMake:
  ${wanted[*]}
TXT
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Run as root: apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# RUNLEVEL=1 keeps a package's daemon (prometheus) from being started.
if ! { "${as_root[@]}" apt-get update -qq &&
       "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
         apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "The installation failed; the packages are: ${missing[*]}" >&2
  exit 1
fi
