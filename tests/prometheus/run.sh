#!/usr/bin/env bash
# Metrics, alert rules and dashboard against the programs that read them: promtool, Grafana's schema, and a real
# Prometheus that scrapes the operator at work.
#
# Without prometheus and promtool in the PATH, Debian's package is fetched and unpacked under target: that needs no
# root for it, installs nothing and starts no service.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v go >/dev/null || { echo "go is missing: install Go 1.26 or newer" >&2; exit 1; }
work=$PWD/target/metrics
mkdir -p "$work"

fetch() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  rm -rf "$work/package" "$work/root"
  mkdir -p "$work/package" "$work/root"
  cd "$work/package"
  apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; } || return 1
  dpkg-deb -x prometheus_*.deb "$work/root"
} >"$work/fetch.log" 2>&1

go build -C tests/grafana -o "$work/grafana" .
"$work/grafana" <deploy/grafana/dashboard.json

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  bin=$(dirname "$(command -v prometheus)")
else
  bin=$work/root/usr/bin
  [ -x "$bin/promtool" ] || (fetch) \
    || { echo "skipped: Prometheus is not installed and apt can't fetch it; rules and queries are not tried"; exit 0; }
fi
"$bin/promtool" check rules deploy/prometheus/rules.yaml
"$bin/promtool" test rules tests/prometheus/rules_test.yaml
PROMETHEUS="$bin/prometheus" cargo test -p ses-smtp-operator --features ses-smtp-operator/scaled-time \
  --test prometheus -- --include-ignored
