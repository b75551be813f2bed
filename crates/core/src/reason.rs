//! Reasons: one list, used by conditions, events, metrics and logs alike.

/// What a reason means for the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The credential works.
    Good,
    /// It is being worked on, or will be by itself.
    Progress,
    /// Somebody has to act.
    Blocked,
}

/// Who has to act where a reason blocks. The runbook's two parts, and a label for alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Who wrote the object, or owns the Secret or the namespace that it is about.
    Author,
    /// Who runs the operator or the AWS account.
    Admin,
}

impl Who {
    /// As a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }
}

macro_rules! reasons {
    ($($name:ident $kind:ident $meaning:literal $action:literal;)*) => {
        /// Why a credential is in its state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The reason as written in conditions, events and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// What the reason means for the object.
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind),* }
            }

            /// What happened, for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// Who has to do what, for the documentation.
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => $action),* }
            }
        }
    };
}

reasons! {
    Provisioned Good "The Secret holds a credential that matches the spec." "Nothing to do.";
    Provisioning Progress "User, policy, key or Secret are being made or repaired." "Wait.";
    WaitingForLogin Progress "SES does not accept the key yet, or can't be asked." "Wait; if it lasts, allow the operator to connect to the SMTP endpoint.";
    WaitingForKeySlot Progress "The user holds two keys that may both be in use, and IAM allows no third. The message says until when." "Wait; or delete the previous key if nothing uses it.";
    Throttled Progress "AWS or the API server asked to slow down." "Wait; raise nothing, the limit is the account's.";
    AwsUnavailable Progress "AWS gave no clear answer." "Wait; look at the AWS status page and the network path if it lasts.";
    ApiServerUnavailable Progress "The API server gave no clear answer." "Wait; look at the control plane if it lasts.";
    Deleting Progress "The object is being deleted; its IAM user is being removed." "Wait.";
    LoginVerified Good "SES accepts a login with the key." "Nothing to do.";
    EndpointUnreachable Progress "The SMTP endpoint can't be asked whether it accepts the key; the credential is trusted after a while." "Nothing, if the operator is not meant to connect there; else open the network path.";
    InvalidSpec Blocked "The spec asks for something that can't be." "The object's author: change the field that the message names.";
    NotAllowed Blocked "The spec asks for something that the operator's admin doesn't allow, or what is allowed in the namespace can't be read." "The object's author: use one of the values in the message; or the admin: allow it, or correct the annotation of the Namespace.";
    RegionHasNoSmtpEndpoint Blocked "SES has no SMTP endpoint in the Region." "The object's author: choose another Region.";
    RegionUnknown Blocked "Nothing is known of an SMTP endpoint in the Region." "Check the spelling; or the admin: list the Region in the endpoints file.";
    PartitionMismatch Blocked "The Region, or an ARN in `spec.policy`, is in another AWS partition than the account that the namespace works in." "Use a Region and ARNs of the account's partition, or another operator.";
    AccountMismatch Blocked "The operator's AWS credentials, or the role of the namespace, are of another account than the one where the user was made." "The admin: give the operator credentials of the account that the message names, or the Namespace its former role.";
    SecretNotOwned Blocked "A Secret of that name exists and is not this object's. It is left untouched, and nothing is done in AWS." "Rename one of the two, or delete the Secret.";
    SecretImmutable Blocked "The Secret is marked immutable, so its data can't be changed." "Delete the Secret; it is made again with a new key.";
    SecretRefused Blocked "The API server refused the Secret: a quota, an admission rule, or a namespace that is being deleted." "The namespace's owner: make room, or change the rule.";
    UserNotOwned Blocked "An IAM user of that name exists and its path or tags are not this object's. It is left untouched." "The AWS admin: delete or rename that user, or restore its tags.";
    OwnershipContested Blocked "The IAM user was made for this object by another installation that uses the same cluster id." "The admin: give each cluster an id of its own.";
    AccessDenied Blocked "AWS or the API server denies a right that the message names." "The admin: grant it. It is tried again by itself.";
    BoundaryMissing Blocked "The permissions boundary that the operator is set to use doesn't exist in the account." "The AWS admin: create the policy, or correct the operator's setting.";
    KeyQuotaExceeded Blocked "IAM refuses another key, or the user holds more keys than IAM allows." "The AWS admin: delete the keys that nothing uses, of those that the message names.";
    KeyDeactivated Blocked "Somebody made the published key Inactive. It isn't replaced by itself, because this may be the response to an incident." "Make the key Active again, or delete it: then it is replaced.";
    SourceSecretInvalid Blocked "The Secret that `accessKeyFrom` names is missing, lacks its owner's consent, or holds no access key in the form of one. The credential that was derived before stays." "The owner of that Secret: do what the message says. A change is seen at once.";
    TemporaryAccessKey Blocked "The Secret that `accessKeyFrom` names holds a temporary access key, and SES takes no SMTP password made from one. The credential that was derived before stays." "The owner of that Secret: put the access key of an IAM user into it. A change is seen at once.";
    LoginRejected Blocked "SES refuses the login of a key, although it had time to learn of it. In a rotation the new key is deleted again and the old one stays." "Look at the causes that the message lists; it is tried again by itself.";
    AccountNotSubscribed Blocked "The AWS account doesn't use SES in the Region." "The AWS admin: open SES in that Region.";
    AccountLimitExceeded Blocked "The AWS account holds as many users as it may." "The AWS admin: delete users or raise the quota.";
    PolicyTooLarge Blocked "The policy would be larger than IAM allows." "The object's author: list fewer or shorter entries in the fields that the message names.";
    ForeignAttachment Blocked "Something that the operator didn't make keeps the IAM user from being deleted. It is left untouched." "The AWS admin: remove what the message names.";
}

impl Reason {
    /// Who has to act; `None` if nobody has to.
    pub fn who(self) -> Option<Who> {
        if self.kind() != Kind::Blocked {
            return None;
        }
        Some(match self {
            Self::InvalidSpec
            | Self::NotAllowed
            | Self::RegionHasNoSmtpEndpoint
            | Self::RegionUnknown
            | Self::PartitionMismatch
            | Self::PolicyTooLarge
            | Self::SourceSecretInvalid
            | Self::TemporaryAccessKey
            | Self::SecretNotOwned
            | Self::SecretImmutable
            | Self::SecretRefused => Who::Author,
            _ => Who::Admin,
        })
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_has_to_act_exactly_where_a_reason_blocks() {
        for reason in Reason::ALL {
            assert_eq!(reason.who().is_some(), reason.kind() == Kind::Blocked, "{}", reason.as_str());
            assert_eq!(Reason::named(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::named("Invented"), None);
    }

    #[test]
    fn every_reason_is_explained() {
        for reason in Reason::ALL {
            assert!(reason.meaning().ends_with('.') && reason.action().ends_with('.'), "{}", reason.as_str());
            assert!(reason.as_str().starts_with(|c: char| c.is_ascii_uppercase()));
        }
    }
}
