#!/usr/bin/env bash
# Writes target/image/sbom.cdx.json, a list of everything that is in the image in the form of CycloneDX, and
# checks it: `make sbom`. Equal commits give equal lists.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

version=0.5.9
tool=target/tools/bin/cargo-cyclonedx
triple=$(uname -m)-unknown-linux-${LIBC:-musl}
source=$STAGE/sbom-source

# Any profile of its own is ignored: it is a program for this machine.
[ "$("$tool" cyclonedx --version 2>/dev/null)" = "cargo-cyclonedx-cyclonedx $version" ] \
  || cargo install cargo-cyclonedx --locked --version "$version" --root target/tools

# The tool writes beside each Cargo.toml, so it gets a copy of the sources.
rm -rf "$source"
mkdir -p "$source"
cp -R Cargo.toml Cargo.lock src crates tests "$source"
# With a set time it leaves out what is random.
SOURCE_DATE_EPOCH=0 "$tool" cyclonedx --manifest-path "$source/Cargo.toml" --format json --describe binaries \
  --no-build-deps --target "$triple" --quiet
python3 deploy/image/sbom.py "$source/ses-smtp-operator_bin.cdx.json" "$PWD/$source" >"$STAGE/sbom.cdx.json"
python3 tests/image/sbom.py "$STAGE/sbom.cdx.json" "$triple"
