#!/usr/bin/env bash
# Presets against the consumers that they are for: each reads a rendered Secret with its own code.
# Installs what the lock files pin; the checks themselves need no network.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v npm >/dev/null || { echo "npm is missing: install Node.js 20.11 or newer with npm" >&2; exit 1; }
command -v go >/dev/null || { echo "go is missing: install Go 1.26 or newer" >&2; exit 1; }
work=$PWD/target/consumers
mkdir -p "$work"

if ! cmp -s tests/consumers/node/package-lock.json "$work/node/installed.json"; then
  rm -rf "$work/node"
  mkdir -p "$work/node"
  cp tests/consumers/node/package.json tests/consumers/node/package-lock.json "$work/node"
  (cd "$work/node" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  cp tests/consumers/node/package-lock.json "$work/node/installed.json"
fi
cp tests/consumers/node/check.mjs "$work/node"
(cd tests/consumers/alertmanager && go build -mod=readonly -o "$work/alertmanager" .)

cargo run --quiet -p ses-smtp-core --example rendered >"$work/rendered.json"
node "$work/node/check.mjs" <"$work/rendered.json"
"$work/alertmanager" <"$work/rendered.json"
