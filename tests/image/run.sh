#!/usr/bin/env bash
# Whether the image that `make image` built works as a pod would run it: the program out of the image's own
# file system, read-only, as the image's user, in a network of its own. `make image-test`.
#
#   SIZE_LIMIT  in bytes; default: 16 MB, for builds with profile image
#
# Needs root, for mounts and networks; they end with the process that made them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/common.sh

limit=${SIZE_LIMIT:-16000000}
work=$STAGE/test
root=$work/root
user=65532:65532
# What the servers of the test are called: one by the name server, one by /etc/hosts.
by_dns=sts.dns.test
by_hosts=sts.hosts.test
# AWS's published example.
key=(AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY AWS_REGION=us-east-1)
passed=0

ok() {
  passed=$((passed + 1))
  printf 'ok %s\n' "$1"
}

# Fails with what was seen, unless the two are equal.
same() {
  [ "$2" = "$3" ] || fail "$1: expected $3, saw $2"
  ok "$1: $3"
}

for tool in buildah python3 openssl unshare setpriv chroot; do
  command -v "$tool" >/dev/null || fail "$tool is missing"
done
[ "$(id -u)" = 0 ] || fail "needs root: mounts and networks of its own"

# --- What the image is.

unpack() {
  local container
  container=$(own_buildah from --pull=never --signature-policy "$STAGE/policy.json" "$1")
  cp -a "$(own_buildah mount "$container")" "$root"
  own_buildah rm "$container" >/dev/null
}

configured() {
  own_buildah inspect --type image --format "$1" "$image"
}

looks_right() {
  same "user" "$(configured '{{.OCIv1.Config.User}}')" "$user"
  # `kubectl exec` finds the program by its name.
  same "search path" "$(configured '{{.OCIv1.Config.Env}}')" "[PATH=/]"
  same "entrypoint" "$(configured '{{.OCIv1.Config.Entrypoint}}')" "[/ses-smtp-operator]"
  same "files" "$(cd "$root" && find . -type f -printf '%m %U %p\n' | sort | tr '\n' ' ')" \
    "644 0 ./LICENSE 644 0 ./etc/ssl/certs/ca-certificates.crt 755 0 ./ses-smtp-operator "
  local size
  size=$(du -sb "$root" | cut -f 1)
  [ "$size" -le "$limit" ] || fail "the image has $size bytes, more than $limit"
  ok "size: $size bytes of $limit"
  local place
  for place in "$PWD" "${CARGO_HOME:-$HOME/.cargo}" "$HOME/"; do
    ! grep -q -a -F "$place" "$root/ses-smtp-operator" || fail "the program holds $place, a path of the machine that built it"
  done
  ok "no path of this machine in the program"
}

# --- What the program does in there. From here on: inside namespaces of our own.

# The program as a container runtime starts it: nothing writable, no rights. Takes the shell's place, so call
# it where a shell is to spare: in the background, a pipe or a substitution.
operator() {
  local environment=()
  while [ "$1" != -- ]; do environment+=("$1") && shift; done
  shift
  exec env -i "${key[@]}" "${environment[@]}" "$(command -v setpriv)" --no-new-privs -- \
    "$(command -v chroot)" --userspec="$user" --groups= "$root" /ses-smtp-operator "$@"
}

# Waits until the file $2 has a line that matches $3.
wait_for() {
  local deadline=$((SECONDS + 60))
  until grep -q -E -- "$3" "$2" 2>/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || { tail -n 20 "$work"/*.log "$work/seen" >&2; fail "$1: no '$3' in $2 within a minute"; }
    sleep 0.1
  done
  ok "$1"
}

certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=image-test-authority \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=sts \
    -keyout "$work/sts.key" -out "$work/sts.csr" 2>/dev/null
  openssl x509 -req -in "$work/sts.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=DNS:$by_dns,DNS:$by_hosts") -out "$work/sts.crt" 2>/dev/null
}

# What the kubelet lays over an image: names, and the search list of a pod.
furnish() {
  mkdir -p "$root/proc"
  printf '127.0.0.1 localhost %s\n' "$by_hosts" >"$root/etc/hosts"
  printf 'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n' >"$root/etc/resolv.conf"
  cat "$root/etc/ssl/certs/ca-certificates.crt" "$work/ca.crt" >"$work/more-authorities"
  cp "$work/ca.crt" "$root/etc/authorities.crt"
  mount --bind "$root" "$root"
  mount -o remount,bind,ro "$root"
}

# Runs `run` against the STS of name $2, with $4 in its environment, and waits for line $3 in its log.
run_waits() {
  local log=$work/run.log
  operator "AWS_ENDPOINT_URL_STS=https://$2" ${4:+"$4"} -- run --http-address 127.0.0.1:8080 >"$log" 2>&1 &
  last_pid=$!
  wait_for "$1" "$log" "$3"
}

ended() {
  kill "$last_pid" 2>/dev/null || true
  wait "$last_pid" 2>/dev/null || true
}

page() {
  python3 - "$1" <<'PY'
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
connection.request("GET", sys.argv[1])
answer = connection.getresponse()
print(answer.status, answer.read().decode().strip())
PY
}

works() {
  mount --make-rprivate /
  certificate
  furnish
  python3 tests/image/servers.py "$by_dns" "$work/sts.crt" "$work/sts.key" "$work/seen" >"$work/servers.log" 2>&1 &
  wait_for "name server and STS of the test" "$work/seen" "sts ready"

  [[ $(operator -- --version) == "ses-smtp-operator "* ]] || fail "--version says: $(operator -- --version)"
  ok "--version: $(operator -- --version)"
  ! touch "$root/anything" 2>/dev/null || fail "the file system is writable: the test itself is wrong"
  operator -- regions | grep -q email-smtp.eu-central-1.amazonaws.com || fail "regions lacks eu-central-1"
  ok "regions"

  run_waits "an authority that the image doesn't hold is refused" "$by_dns" "UnknownIssuer"
  same "/readyz tells what is waited for" "$(page /readyz)" "503 waiting for an answer from AWS STS: the log says what failed. Look at the network path and at AWS_REGION"
  same "/livez" "$(page /livez | cut -d ' ' -f 1)" 200
  same "uid, gid and rights of the process" "$(awk '/^(Uid|Gid|CapEff):/ { printf "%s ", $2 }' "/proc/$last_pid/status")" \
    "65532 65532 0000000000000000 "
  ended
  wait_for "the name was asked for along the pod's search list" "$work/seen" "^dns $by_dns.shop.svc.cluster.local$"
  wait_for "and as it is" "$work/seen" "^dns $by_dns$"
  same "requests that the STS saw" "$(grep -c '^sts sts' "$work/seen")" 0

  # The same server, once the bundle where the image has it holds its authority.
  mount --bind "$work/more-authorities" "$root/etc/ssl/certs/ca-certificates.crt"
  run_waits "authorities are read where the image has them; a name by DNS" "$by_dns" "AWS credentials work"
  ended
  run_waits "a name by /etc/hosts" "$by_hosts" "AWS credentials work"
  ended
  umount "$root/etc/ssl/certs/ca-certificates.crt"
  run_waits "authorities of SSL_CERT_FILE" "$by_dns" "AWS credentials work" SSL_CERT_FILE=/etc/authorities.crt
  ended
  same "requests that the STS saw" "$(grep -c '^sts sts' "$work/seen")" 3
}

if [ "${1:-}" = inside ]; then
  works
  printf 'image: %d passed, 0 failed\n' "$((passed + $2))"
  exit
fi

image=$(cat "$STAGE/name" 2>/dev/null) || fail "no image: run \`make image\` first"
rm -rf "$work"
mkdir -p "$work"
unpack "$image"
looks_right
exec unshare --mount --net --pid --fork --kill-child=KILL --mount-proc "$0" inside "$passed"
