#!/usr/bin/env bash
# The stand-in for AWS against moto, an independent one: starts moto's server on a free port of
# loopback and runs the tests that need it.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.9 or newer with its venv module" >&2; exit 1; }
venv=target/moto
if ! cmp -s tests/moto/requirements.txt "$venv/installed.txt"; then
  python3 -m venv "$venv" || { echo "python3 has no venv module: install it (Debian: python3-venv)" >&2; exit 1; }
  "$venv/bin/pip" install --quiet --requirement tests/moto/requirements.txt
  cp tests/moto/requirements.txt "$venv/installed.txt"
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$venv/bin/moto_server" --host 127.0.0.1 --port "$port" >"$venv/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

export MOTO_URL="http://127.0.0.1:$port"
for _ in $(seq 1 300); do
  python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$venv/server.log" >&2; exit 1; }
  sleep 0.1
done
# In order: once a user was deleted with its keys, moto can no longer show its data.
cargo test --workspace --features ses-smtp-operator/scaled-time --test moto -- --ignored --test-threads 1
