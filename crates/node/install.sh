#!/bin/sh
# The Debian packages of a real node (README, "Development"). Asks nothing; does nothing where they are there.
set -eu
packages="containerd runc containernetworking-plugins buildah iproute2 util-linux mount"
# shellcheck disable=SC2086 # a list of words
if ! dpkg -s $packages >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $packages
fi
