#!/usr/bin/env bash
# Builds images and tells the operator's story on a real node: `make node-test`.
#
#   KEEP  1: the node stays at the end, until Ctrl-C
#   HELM  a helm to install the chart with; default: the one that `make chart` builds as well
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

programs=$target/node
mkdir -p "$programs"

# The project's own image, of a program whose overlaps don't take hours. It is taken away again from where
# `make image-push` looks.
program=$(PROFILE=dev FEATURES=scaled-time deploy/image/program.sh)
strip -o "$programs/ses-smtp-operator" "$program"
BINARY=$programs/ses-smtp-operator IMAGE=localhost/ses-smtp-operator TAG=node ALLOW_SCALED_TIME=1 deploy/image/build.sh
mv target/image/image.tar "$programs/operator.tar"
rm -f target/image/name target/image/digest

# The machine's own triple is named so that the flags reach no build script and no macro.
triple=$(rustc -vV | sed -n 's/^host: //p')
flags=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUSTFLAGS
env "$flags=-C target-feature=+crt-static" cargo build --target "$triple" --package mailer
strip -o "$programs/mailer" "$target/$triple/debug/mailer"

if [ -z "${HELM:-}" ]; then
  export HELM=$PWD/target/tools/deploy/helm4
  (cd deploy/tools && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$HELM" helm.sh/helm/v4/cmd/helm)
fi

NODE_PROGRAMS=$programs exec "$story"
