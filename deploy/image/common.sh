# What the scripts for the image share: where things are, and buildah with a storage of its own. Sourced
# with the checkout's root as working folder.

TARGET=${CARGO_TARGET_DIR:-target}
# Dockerfile and .dockerignore name the folder below it: it doesn't move with CARGO_TARGET_DIR.
STAGE=target/image
# Nothing of the machine may get in by way of the environment.
export LC_ALL=C
umask 022

fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# The machine's own images and settings are neither read nor changed.
own_buildah() {
  buildah --root "$PWD/$STAGE/storage" --runroot "$PWD/$STAGE/run" --storage-driver vfs "$@"
}

# Which program builds images here: the first that is there and works.
engine() {
  if command -v buildah >/dev/null; then echo buildah
  elif command -v podman >/dev/null; then echo podman
  elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then echo docker
  else fail "nothing that builds images: install buildah (Debian: apt-get install --no-install-recommends buildah), podman or docker"
  fi
}
