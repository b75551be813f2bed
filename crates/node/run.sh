#!/usr/bin/env bash
# Builds static programs and tells the operator's story on a real node: `make node-test`.
#
#   KEEP  1: the node stays at the end, until Ctrl-C
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

cargo build --package node
story=$target/debug/node-test
if ! missing=$("$story" machine); then
  echo "skipped: a real node: $missing"
  exit 0
fi

# The machine's own triple is named so that the flags reach no build script and no macro.
triple=$(rustc -vV | sed -n 's/^host: //p')
flags=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUSTFLAGS
env "$flags=-C target-feature=+crt-static" cargo build --target "$triple" \
  --package ses-smtp-operator --package mailer --features ses-smtp-operator/scaled-time
export NODE_PROGRAMS=$target/node
for program in ses-smtp-operator mailer; do
  install -D --strip --mode 755 "$target/$triple/debug/$program" "$NODE_PROGRAMS/$program"
done

exec "$story"
