#!/usr/bin/env bash
# Builds the image of the checked-out commit twice, in two checkouts of different names with nothing in
# common but cargo's downloads, and compares what came of it: `make image-reproducible`. Takes twice as
# long as `make image`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

[ "$(engine)" = buildah ] || fail "needs buildah, which can leave times out of an image"
[ -z "$(git status --porcelain)" ] || fail "the checkout has changes that aren't committed, and only a commit can be built twice"
work=$PWD/$STAGE/reproducible
# Once: a commit that is made meanwhile must not get into the second build.
commit=$(git rev-parse HEAD)
trap 'rm -rf "$work"' EXIT
rm -rf "$work"

build() {
  git clone --quiet --no-hardlinks "$PWD" "$work/$1"
  git -C "$work/$1" checkout --quiet --detach "$commit"
  local said
  said=$(env -u CARGO_TARGET_DIR -u BINARY "$work/$1/deploy/image/build.sh")
  printf '%s\n' "--- in a checkout called $1" "$said" "program  $(sha256sum <"$work/$1/$STAGE/root/ses-smtp-operator" | cut -d ' ' -f 1)"
}

build one
build a/longer/way/to/another
a=$work/one/$STAGE b=$work/a/longer/way/to/another/$STAGE
cmp "$a/root/ses-smtp-operator" "$b/root/ses-smtp-operator" || fail "the two programs differ"
cmp "$a/digest" "$b/digest" || fail "the programs are equal and the digests of the images differ"
echo "--- one digest: $(cat "$a/digest")"
