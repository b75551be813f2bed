#!/usr/bin/env bash
# Builds the operator's image and prints its name, size, user and digest: `make image`.
#
#   IMAGE, TAG         its name; default: ses-smtp-operator and the program's version
#   BINARY             a program that was built before; default: what program.sh builds
#   LIBC, PROFILE      see program.sh
#   ALLOW_SCALED_TIME  1: take a program whose durations can be scaled, for tests
#
# buildah keeps all that it makes under target/image. podman and docker use their own storage.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

engine=$(engine)
binary=${BINARY:-$(deploy/image/program.sh)}

said=$("$binary" --version | head -n 1) || fail "$binary doesn't run on this machine"
# ses-smtp-operator 0.1.0 (4fd0e59..., scaled time)
read -r name version notes <<<"$said"
[ "$name" = ses-smtp-operator ] || fail "$binary is not the operator; it says: $said"
case $said in *"scaled time"*)
  [ "${ALLOW_SCALED_TIME:-}" = 1 ] || fail "$binary is a build for tests (feature scaled-time), which keeps none of the promised times; ALLOW_SCALED_TIME=1 takes it all the same" ;;
esac
# A program that wants a loader has one named in its headers.
! readelf --program-headers --wide "$binary" | grep -q 'Requesting program interpreter' \
  || fail "$binary is linked dynamically and can't start in an empty image; deploy/image/program.sh builds a static one"
revision=$(sed -E 's/^\(|, .*|\)$|scaled time//g' <<<"$notes")
image=${IMAGE:-ses-smtp-operator}:${TAG:-$version}

stage() {
  rm -rf "$STAGE/root"
  install -d -m 755 "$STAGE/root/etc/ssl/certs"
  install -m 755 "$binary" "$STAGE/root/ses-smtp-operator"
  install -m 644 LICENSE "$STAGE/root/LICENSE"
  cargo run --locked --quiet --package ca-bundle >"$STAGE/root/etc/ssl/certs/ca-certificates.crt"
  # buildah asks whom to believe about images that it pulls. It pulls none.
  echo '{"default": [{"type": "reject"}], "transports": {"containers-storage": {"": [{"type": "insecureAcceptAnything"}]}}}' >"$STAGE/policy.json"
}

arguments=(--tag "$image" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" .)

with_buildah() {
  # Nothing is run in the image, so no isolation is needed that a machine may lack. Times are left out,
  # so that equal files make an equal image.
  own_buildah build --quiet --isolation chroot --pull=never --timestamp 0 --identity-label=false \
    --format oci --signature-policy "$STAGE/policy.json" "${arguments[@]}" >/dev/null
  rm -f "$STAGE/image.tar"
  own_buildah push --quiet --format oci --signature-policy "$STAGE/policy.json" --digestfile "$STAGE/digest" \
    "$image" "oci-archive:$STAGE/image.tar:$image"
  echo "$image" >"$STAGE/name"
  printf 'image    %s\n' "$image"
  printf 'user     %s\n' "$(own_buildah inspect --type image --format '{{.OCIv1.Config.User}}' "$image")"
  printf 'size     %s bytes, %s as %s\n' "$(du -sb "$STAGE/root" | cut -f 1)" "$(stat -c %s "$STAGE/image.tar")" "$STAGE/image.tar"
  printf 'digest   %s\n' "$(cat "$STAGE/digest")"
}

stage
case $engine in
  buildah) with_buildah ;;
  podman) podman build --isolation chroot --pull=never --timestamp 0 --format oci "${arguments[@]}" && podman images --digests "$image" ;;
  docker) docker build --pull=false "${arguments[@]}" && docker images --digests "$image" ;;
esac
