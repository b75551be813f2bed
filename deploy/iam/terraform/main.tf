# The operator's role, its policy, and the permissions boundary of the users that it makes.
# The documents are the files beside this folder: copy deploy/iam as a whole.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.30"
    }
  }
}

variable "cluster_id" {
  description = "Cluster id: SES_SMTP_CLUSTER_ID, or what the operator's log says at its start."
  type        = string
}

variable "oidc_provider" {
  description = "For IRSA: the cluster's OIDC issuer without https://. Empty: EKS Pod Identity."
  type        = string
  default     = ""
}

variable "eks_cluster_name" {
  description = "For EKS Pod Identity: the cluster's name at EKS, whose service account gets the role."
  type        = string
  default     = ""
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = "arn:${data.aws_partition.current.partition}:"

  operator_policy = replace(replace(replace(
    file("${path.module}/../operator-policy.json"),
  "arn:aws:", local.partition), "ACCOUNT", local.account), "CLUSTER", var.cluster_id)

  boundary_policy = file("${path.module}/../boundary-policy.json")

  irsa_trust = replace(replace(replace(
    file("${path.module}/../irsa-trust-policy.json"),
  "arn:aws:", local.partition), "ACCOUNT", local.account), "OIDC_PROVIDER", var.oidc_provider)

  pod_identity_trust = file("${path.module}/../pod-identity-trust-policy.json")
}

resource "aws_iam_policy" "boundary" {
  name   = "ses-smtp-boundary"
  policy = local.boundary_policy
}

resource "aws_iam_policy" "operator" {
  name   = "ses-smtp-operator"
  policy = local.operator_policy
}

resource "aws_iam_role" "operator" {
  name               = "ses-smtp-operator"
  assume_role_policy = var.oidc_provider == "" ? local.pod_identity_trust : local.irsa_trust
}

resource "aws_iam_role_policy_attachment" "operator" {
  role       = aws_iam_role.operator.name
  policy_arn = aws_iam_policy.operator.arn
}

resource "aws_eks_pod_identity_association" "operator" {
  count           = var.eks_cluster_name == "" ? 0 : 1
  cluster_name    = var.eks_cluster_name
  namespace       = "ses-smtp-operator"
  service_account = "ses-smtp-operator"
  role_arn        = aws_iam_role.operator.arn
}

output "role_arn" {
  description = "For IRSA: annotate the service account with it (eks.amazonaws.com/role-arn)."
  value       = aws_iam_role.operator.arn
}
