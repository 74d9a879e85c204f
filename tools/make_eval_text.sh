#!/usr/bin/env bash
# Makes scenarios/data/kjv_mark.txt, the evaluation text of the bundled scenarios: the Gospel of
# Mark in the King James Version (public domain), from Debian's packages bible-kjv and
# bible-kjv-text. One paragraph a chapter, verse numbers removed.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v bible >/dev/null || { echo "apt-get install bible-kjv bible-kjv-text" >&2; exit 1; }
for chapter in $(seq 1 16); do
  bible -f "mark ${chapter}:1-99" | sed -E 's/^[A-Za-z]+[0-9]*:?[0-9]+:?[0-9]* +//' | tr '\n' ' ' |
    sed -E 's/ +/ /g; s/ $//'
  printf '\n\n'
done >scenarios/data/kjv_mark.txt
