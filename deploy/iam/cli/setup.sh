#!/usr/bin/env bash
# Makes the operator's role, its policy and the permissions boundary with the AWS CLI.
#
#   setup.sh CLUSTER_ID pod-identity EKS_CLUSTER_NAME
#   setup.sh CLUSTER_ID irsa OIDC_PROVIDER    (the cluster's issuer without https://)
#
# Run it with credentials that may write IAM in the account of the users. It stops at the first failure.
set -euo pipefail

if [ $# -ne 3 ] || { [ "$2" != pod-identity ] && [ "$2" != irsa ]; }; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
cluster=$1 identity=$2 at=$3
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

caller=$(aws sts get-caller-identity --query '[Account,Arn]' --output text)
account=$(cut -f1 <<<"$caller")
partition=$(cut -f2 <<<"$caller" | cut -d: -f2)
provider=""
if [ "$identity" = irsa ]; then provider=$at; fi

for document in operator-policy boundary-policy "$identity-trust-policy"; do
  sed "s|arn:aws:|arn:$partition:|g; s|ACCOUNT|$account|g; s|CLUSTER|$cluster|g; s|OIDC_PROVIDER|$provider|g" \
    "$here/$document.json" >"$work/$document.json"
done

aws iam create-policy --policy-name ses-smtp-boundary --policy-document "file://$work/boundary-policy.json"
aws iam create-policy --policy-name ses-smtp-operator --policy-document "file://$work/operator-policy.json"
aws iam create-role --role-name ses-smtp-operator \
  --assume-role-policy-document "file://$work/$identity-trust-policy.json"
aws iam attach-role-policy --role-name ses-smtp-operator \
  --policy-arn "arn:$partition:iam::$account:policy/ses-smtp-operator"

if [ "$identity" = pod-identity ]; then
  aws eks create-pod-identity-association --cluster-name "$at" --namespace ses-smtp-operator \
    --service-account ses-smtp-operator --role-arn "arn:$partition:iam::$account:role/ses-smtp-operator"
else
  echo "Annotate the service account: eks.amazonaws.com/role-arn: arn:$partition:iam::$account:role/ses-smtp-operator"
fi
