# Runs real clients against `ryz serve`; sourced by tools/test_full.sh.
# shellcheck shell=bash

venv=build/venv-clients
if [ ! -x $venv/bin/python ] || ! $venv/bin/python -c 'import openai' 2>/dev/null; then
  python3 -m venv $venv
  quiet pip $venv/bin/pip install --quiet openai
fi
build/bin/ryz serve --model models/ryz-tiny.gguf --port 18731 2>"$logs/serve.log" &
server=$!
for _ in $(seq 100); do
  curl -fsS http://127.0.0.1:18731/healthz >/dev/null 2>&1 && break
  sleep 0.1
done
client_status=0
$venv/bin/python tests/api/openai_client.py http://127.0.0.1:18731/v1 || client_status=$?
kill -TERM $server
wait $server || client_status=$?
if [ $client_status -ne 0 ]; then
  tail -n 40 "$logs/serve.log" >&2
  echo "FAILED: the official client" >&2
  exit 1
fi
