#!/usr/bin/env bash
# Pushes the image that `make image` built to the registry that is part of its name, and prints what to
# write into a kustomization: `make image-push`. Log in before with `buildah login REGISTRY`.
#
#   PUSH_OPTIONS  more options of `buildah push`, such as --tls-verify=false for a registry on loopback
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

[ -s "$STAGE/name" ] || fail "no image of buildah's: run \`make image IMAGE=registry.example.com/team/ses-smtp-operator\` first"
image=$(cat "$STAGE/name")
case $image in */*) ;; *) fail "the image is called $image, which names no registry: build it with \`make image IMAGE=registry.example.com/team/ses-smtp-operator\`" ;; esac

# shellcheck disable=SC2086 # several options
own_buildah push --quiet --format oci --signature-policy "$STAGE/policy.json" ${PUSH_OPTIONS:-} \
  --digestfile "$STAGE/pushed" "$image" "docker://$image"
cat <<YAML
images:
- name: ses-smtp-operator
  newName: ${image%:*}
  digest: $(cat "$STAGE/pushed")
YAML
