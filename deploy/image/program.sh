#!/usr/bin/env bash
# Builds the operator as one static program, without any path of this machine in it, and prints where it is.
#
#   LIBC     musl or gnu. Default: musl, if Rust's target for it is there or rustup can add it, else gnu.
#            musl resolves names by /etc/resolv.conf and /etc/hosts alone; glibc, linked statically, does
#            so too as long as nothing asks it for more.
#   PROFILE  the cargo profile; default: image, which takes many minutes. For work on this: dev.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

profile=${PROFILE:-image}

triple_of() {
  echo "$(uname -m)-unknown-linux-$1"
}

has_target() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/$(triple_of "$1")/lib" ]
}

can_have_target() {
  has_target "$1" || { command -v rustup >/dev/null && rustup target add "$(triple_of "$1")" >&2 && has_target "$1"; }
}

libc=${LIBC:-}
if [ -z "$libc" ]; then
  libc=musl
  can_have_target musl || { libc=gnu; echo "${0##*/}: no musl target and no way to add it; with static glibc instead" >&2; }
fi
can_have_target "$libc" || fail "Rust's target $(triple_of "$libc") is missing: \`rustup target add $(triple_of "$libc")\`"
triple=$(triple_of "$libc")

# The commit, said by --version and by a label; with -dirty when the checkout isn't what the commit says.
commit() {
  git rev-parse HEAD >/dev/null 2>&1 || return 0
  printf '%s%s' "$(git rev-parse HEAD)" "$([ -z "$(git status --porcelain)" ] || echo -dirty)"
}

# rustc's flags, apart by the byte that cargo wants between them. Paths of sources end up in messages of
# panics: each is given a name that is the same everywhere.
flags() {
  local flags=("-Ctarget-feature=+crt-static" "--remap-path-prefix=$PWD=/build")
  local sources
  for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=("--remap-path-prefix=${sources%/}=/crates")
  done
  case $TARGET in /*) flags+=("--remap-path-prefix=$TARGET=/build/target") ;; esac
  local IFS=$'\x1f'
  printf '%s' "${flags[*]}"
}

cargo fetch --locked --target "$triple" >&2
# ring has some C and needs no library but C's: the machine's compiler will do. Fortified functions are
# glibc's, and some distributions' compilers turn to them unasked.
under=${triple//-/_}
env -u RUSTFLAGS -u CFLAGS \
  "CC_$under=${CC:-cc}" "CFLAGS_$under=-U_FORTIFY_SOURCE" \
  CARGO_ENCODED_RUSTFLAGS="$(flags)" CARGO_INCREMENTAL=0 SES_SMTP_COMMIT="$(commit)" \
  cargo build --locked --package ses-smtp-operator ${FEATURES:+--features "$FEATURES"} --profile "$profile" --target "$triple" >&2
folder=$profile
[ "$profile" != dev ] || folder=debug
echo "$TARGET/$triple/$folder/ses-smtp-operator"
