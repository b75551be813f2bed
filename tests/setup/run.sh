#!/usr/bin/env bash
# The ways to set the operator's rights up, by the tools that read them: the template by cfn-lint, Terraform's
# configuration by HCL's own parser, the script's calls by the AWS CLI against moto.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.9 or newer with its venv module" >&2; exit 1; }
tools=$PWD/target/tools
venv=$tools/iam
wanted=$(cat tests/setup/requirements.txt tests/moto/requirements.txt)
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv "$venv" || { echo "python3 has no venv module: install it (Debian: python3-venv)" >&2; exit 1; }
  "$venv/bin/pip" install --quiet --requirement tests/setup/requirements.txt
  printf '%s\n' "$wanted" >"$venv/installed.txt"
fi

echo "CloudFormation: cfn-lint"
"$venv/bin/cfn-lint" deploy/iam/cloudformation/template.yaml

echo "Terraform: HCL, and the documents of all three"
(cd tests/setup/terraform && "${GO:-go}" build -trimpath -o "$tools/setup" .)
SETUP_PROGRAM="$tools/setup" cargo test -p ses-smtp-operator --features scaled-time --test setup -- --include-ignored

echo "AWS CLI: the script against moto"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$venv/bin/moto_server" --host 127.0.0.1 --port "$port" >"$venv/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for _ in $(seq 1 300); do
  python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$venv/server.log" >&2; exit 1; }
  sleep 0.1
done
# Nothing of whoever runs this: neither credentials nor settings.
aws_at_moto=(env -i PATH="$venv/bin:$PATH" AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_DEFAULT_REGION=eu-central-1
  AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY)
"${aws_at_moto[@]}" bash deploy/iam/cli/setup.sh prod irsa oidc.example.com/id/1 >/dev/null
attached=$("${aws_at_moto[@]}" aws iam list-attached-role-policies --role-name ses-smtp-operator \
  --query 'AttachedPolicies[].PolicyArn' --output text)
case $attached in
  arn:aws:iam::*:policy/ses-smtp-operator) echo "$attached is attached" ;;
  *) echo "the role has '$attached' attached, not the operator's policy" >&2; exit 1 ;;
esac
