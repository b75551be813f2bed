//! Which action of the operator's policy is needed for what, and the test that withdraws it.
//!
//! The table of docs/iam.md and the tests in `each_action` both come from here, so neither can name an action
//! that the other doesn't know.

/// An action of the policy.
pub struct Need {
    pub action: &'static str,
    /// What the operator does with it.
    pub why: &'static str,
    /// What the suite has the operator do while the action is withdrawn.
    pub deed: Deed,
}

/// What makes the operator use an action.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A new object.
    Make,
    /// Other senders in the spec.
    Senders,
    /// The permissions boundary taken off by hand, which the next look at the account finds.
    Strip,
    /// A rotation.
    Rotate,
    /// The user deleted by hand, then a change of the spec.
    Vanish,
    /// The object's deletion.
    Delete,
    /// The object's deletion after AWS quarantined its user.
    DeleteQuarantined,
    /// A look at the whole account.
    Look,
}

impl Deed {
    /// The test of `tests/iam_policy/each_action.rs` that does it.
    pub fn test(self) -> &'static str {
        match self {
            Self::Make => "what_a_new_credential_needs",
            Self::Senders | Self::Strip | Self::Vanish => "what_a_change_needs",
            Self::Rotate => "what_a_rotation_needs",
            Self::Delete | Self::DeleteQuarantined => "what_a_deletion_needs",
            Self::Look => "what_a_look_needs",
        }
    }
}

const fn need(action: &'static str, deed: Deed, why: &'static str) -> Need {
    Need { action, why, deed }
}

pub const NEEDS: [Need; 17] = [
    need("iam:CreateUser", Deed::Make, "make the user, with path, tags and boundary in one call"),
    need(
        "iam:TagUser",
        Deed::Make,
        "the tags of that call need it; later to restore them, to follow `deletionPolicy`, and to mark a user as released",
    ),
    need("iam:PutUserPolicy", Deed::Senders, "give the user the right to send, and follow `spec.policy`"),
    need("iam:DeleteUserPolicy", Deed::Delete, "without it the user can't be deleted"),
    need("iam:PutUserPermissionsBoundary", Deed::Strip, "put the boundary back where somebody took it off"),
    need(
        "iam:GetUser",
        Deed::Strip,
        "read whose a user is, and how it is, when there is cause: a look that found something, or a name that is taken",
    ),
    need("iam:DeleteUser", Deed::Delete, "the last step of a deletion"),
    need("iam:CreateAccessKey", Deed::Make, "make a key, whose secret gives the SMTP password"),
    need("iam:UpdateAccessKey", Deed::Rotate, "make the previous key Inactive before it is deleted"),
    need("iam:DeleteAccessKey", Deed::Rotate, "delete the previous key, and all keys at a deletion"),
    need("iam:ListAccessKeys", Deed::Rotate, "know every key before one is made or deleted"),
    need("iam:GetAccessKeyLastUsed", Deed::Rotate, "keep a previous key that is still used"),
    need(
        "iam:DetachUserPolicy",
        Deed::DeleteQuarantined,
        "lift AWS's quarantine, which would keep the user from being deleted",
    ),
    need("iam:ListUsers", Deed::Vanish, "tell a user that is gone from one that may not be read"),
    need(
        "iam:GetAccountAuthorizationDetails",
        Deed::Look,
        "compare all users with their specs, and find users whose object is gone",
    ),
    need("iam:GenerateCredentialReport", Deed::Look, "have IAM say how all keys are"),
    need("iam:GetCredentialReport", Deed::Look, "read what it says"),
];
