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

# Without optimisation: it runs for a second and would take minutes to build.
[ "$("$tool" cyclonedx --version 2>/dev/null)" = "cargo-cyclonedx-cyclonedx $version" ] \
  || cargo install cargo-cyclonedx --debug --locked --version "$version" --root target/tools

# The tool writes beside each Cargo.toml, so it gets a copy of the sources.
rm -rf "$source"
mkdir -p "$source"
cp -R Cargo.toml Cargo.lock src crates tests "$source"
# With a set time it leaves out what is random.
list_for() {
  SOURCE_DATE_EPOCH=0 "$tool" cyclonedx --manifest-path "$source/Cargo.toml" --format json --spec-version 1.5 --describe binaries \
    --no-build-deps --target "$1" --quiet
  mv "$source/ses-smtp-operator_bin.cdx.json" "$source/$2"
}

list_for "$triple" program.json
list_for "$(rustc --print host-tuple)" builder.json
python3 deploy/image/sbom.py "$source/program.json" "$source/builder.json" "$PWD/$source" \
  "$(rustc --version | cut -d ' ' -f 2)" "$triple" >"$STAGE/sbom.cdx.json"
python3 tests/image/sbom.py "$STAGE/sbom.cdx.json" "$triple"
