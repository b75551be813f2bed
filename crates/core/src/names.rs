//! Every name that the operator writes into a cluster or an account. One home for each.

/// API group, and the prefix of all labels, annotations and tags.
pub const GROUP: &str = "ses-smtp.dev";
/// Field manager, event reporter and the value of `managed-by`.
pub const MANAGER: &str = "ses-smtp-operator";
/// Finalizer on the custom resource: its IAM user still has to be dealt with.
pub const FINALIZER: &str = "ses-smtp.dev/iam-user";
/// Annotation on the custom resource: the account that the user is in (invariant S10).
pub const AWS_ACCOUNT: &str = "ses-smtp.dev/aws-account";
/// Annotation on a Namespace, set by an admin: Regions that its objects may use.
pub const ALLOWED_REGIONS: &str = "ses-smtp.dev/allowed-regions";
/// Annotation on a Namespace, set by an admin: senders that its objects may have.
pub const ALLOWED_FROM_ADDRESSES: &str = "ses-smtp.dev/allowed-from-addresses";
/// Annotation on a Namespace, set by an admin: the role by which its users are made in another account.
pub const ROLE_ARN: &str = "ses-smtp.dev/role-arn";
/// Managed policies that AWS attaches to a user whose key it found in public.
pub const QUARANTINE_POLICIES: [&str; 3] =
    ["AWSCompromisedKeyQuarantineV3", "AWSCompromisedKeyQuarantineV2", "AWSCompromisedKeyQuarantine"];
/// ARNs of those policies in a partition.
pub fn quarantine_arns(partition: &str) -> [String; 3] {
    QUARANTINE_POLICIES.map(|name| format!("arn:{partition}:iam::aws:policy/{name}"))
}

/// Name of the user's one inline policy.
pub const POLICY_NAME: &str = "ses-smtp-send";

/// Label on the target Secret: who manages it.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label on the target Secret: the credential it belongs to.
pub const LABEL_CREDENTIAL: &str = "ses-smtp.dev/credential";

/// Label that the owner of a Secret puts on it: derive-only objects of its namespace may use the access
/// key in it.
pub const LABEL_SOURCE: &str = "ses-smtp.dev/access-key-source";
/// Value of that label.
pub const CONSENT: &str = "true";

/// Annotations on the target Secret: the operator's record.
pub mod record {
    /// UID of the custom resource.
    pub const UID: &str = "ses-smtp.dev/uid";
    /// IAM user name.
    pub const USER_NAME: &str = "ses-smtp.dev/user-name";
    /// The published key.
    pub const ACCESS_KEY_ID: &str = "ses-smtp.dev/access-key-id";
    /// When the published key was issued.
    pub const ISSUED_AT: &str = "ses-smtp.dev/issued-at";
    /// The key published before; empty if there is none.
    pub const PREVIOUS: &str = "ses-smtp.dev/previous-access-key-id";
    /// When the previous key was superseded.
    pub const SUPERSEDED_AT: &str = "ses-smtp.dev/superseded-at";
    /// When the previous key was made Inactive.
    pub const DEACTIVATED_AT: &str = "ses-smtp.dev/deactivated-at";
    /// Nonce of an attempt to replace the published key: the fence.
    pub const ATTEMPT: &str = "ses-smtp.dev/attempt";
    /// Keys that were found while no Secret named any.
    pub const FOUND_KEYS: &str = "ses-smtp.dev/found-keys";
    /// The spec's `rotation.trigger` when the published key was issued; empty if it had none.
    pub const ROTATION_TRIGGER: &str = "ses-smtp.dev/rotation-trigger";
    /// When the quarantine was first seen that the published key answers, until it is lifted.
    pub const QUARANTINED_AT: &str = "ses-smtp.dev/quarantined-at";
    /// SHA-256 of the inline policy in force.
    pub const POLICY_HASH: &str = "ses-smtp.dev/policy-hash";
    /// SHA-256 of the user's tags in force.
    pub const TAGS_HASH: &str = "ses-smtp.dev/tags-hash";
    /// ARN of the permissions boundary in force; empty if there is none.
    pub const BOUNDARY: &str = "ses-smtp.dev/boundary";
    /// Region and SHA-256 of each password in the data; `<region>/url-encoded` for its percent-encoded form.
    pub const PASSWORD_DIGESTS: &str = "ses-smtp.dev/password-digests";
    /// SHA-256 of the rendered data, with each password replaced by its digest.
    pub const DATA_HASH: &str = "ses-smtp.dev/data-hash";
    /// Data keys that the operator wrote.
    pub const RENDERED_KEYS: &str = "ses-smtp.dev/rendered-keys";
    /// Name of the Secret that the published key comes from, if it is not one of the operator's own.
    pub const SOURCE: &str = "ses-smtp.dev/source";
    /// `true`, written by a person who may edit the Secret: an object of another UID may take it over.
    pub const ADOPT: &str = "ses-smtp.dev/adopt";
    /// What a person writes to say yes.
    pub const YES: &str = "true";
    /// Labels from the spec that the operator wrote.
    pub const RENDERED_LABELS: &str = "ses-smtp.dev/rendered-labels";
    /// Annotations from the spec that the operator wrote.
    pub const RENDERED_ANNOTATIONS: &str = "ses-smtp.dev/rendered-annotations";
}

/// Tags on the IAM user.
pub mod tag {
    /// Always [`super::MANAGER`].
    pub const MANAGED_BY: &str = "ses-smtp.dev/managed-by";
    /// Cluster id.
    pub const CLUSTER: &str = "ses-smtp.dev/cluster";
    /// Hash of the kube-system namespace's UID: tells two clusters with one id apart.
    pub const INSTALL: &str = "ses-smtp.dev/install";
    /// UID of the custom resource.
    pub const UID: &str = "ses-smtp.dev/uid";
    /// Namespace of the custom resource.
    pub const NAMESPACE: &str = "ses-smtp.dev/namespace";
    /// Name of the custom resource.
    pub const NAME: &str = "ses-smtp.dev/name";
    /// What is to become of the user if the custom resource vanishes without its finalizer.
    pub const DELETION_POLICY: &str = "ses-smtp.dev/deletion-policy";
    /// When the user was let go on purpose.
    pub const RELEASED: &str = "ses-smtp.dev/released";
    /// When the sweep found that the user's custom resource is gone.
    pub const ORPHANED_SINCE: &str = "ses-smtp.dev/orphaned-since";
}
