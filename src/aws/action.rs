//! The IAM actions that the operator calls, under their one name for logs, metrics and errors.

/// An IAM action that the operator calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `iam:CreateUser`
    CreateUser,
    /// `iam:GetUser`
    GetUser,
    /// `iam:PutUserPolicy`
    PutUserPolicy,
    /// `iam:TagUser`
    TagUser,
    /// `iam:PutUserPermissionsBoundary`
    PutUserPermissionsBoundary,
    /// `iam:ListAccessKeys`
    ListAccessKeys,
    /// `iam:CreateAccessKey`
    CreateAccessKey,
    /// `iam:GetAccessKeyLastUsed`
    GetAccessKeyLastUsed,
    /// `iam:UpdateAccessKey`
    UpdateAccessKey,
    /// `iam:DeleteAccessKey`
    DeleteAccessKey,
    /// `iam:DeleteUserPolicy`
    DeleteUserPolicy,
    /// `iam:DeleteUser`
    DeleteUser,
    /// `iam:DetachUserPolicy`
    DetachUserPolicy,
    /// `iam:ListUsers`
    ListUsers,
    /// `iam:GetAccountAuthorizationDetails`
    GetAccountAuthorizationDetails,
    /// `iam:GenerateCredentialReport`
    GenerateCredentialReport,
    /// `iam:GetCredentialReport`
    GetCredentialReport,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 17] = [
        Self::CreateUser,
        Self::GetUser,
        Self::PutUserPolicy,
        Self::TagUser,
        Self::PutUserPermissionsBoundary,
        Self::ListAccessKeys,
        Self::CreateAccessKey,
        Self::GetAccessKeyLastUsed,
        Self::UpdateAccessKey,
        Self::DeleteAccessKey,
        Self::DeleteUserPolicy,
        Self::DeleteUser,
        Self::DetachUserPolicy,
        Self::ListUsers,
        Self::GetAccountAuthorizationDetails,
        Self::GenerateCredentialReport,
        Self::GetCredentialReport,
    ];

    /// The right as a policy names it, such as `iam:CreateUser`.
    pub fn right(self) -> &'static str {
        match self {
            Self::CreateUser => "iam:CreateUser",
            Self::GetUser => "iam:GetUser",
            Self::PutUserPolicy => "iam:PutUserPolicy",
            Self::TagUser => "iam:TagUser",
            Self::PutUserPermissionsBoundary => "iam:PutUserPermissionsBoundary",
            Self::ListAccessKeys => "iam:ListAccessKeys",
            Self::CreateAccessKey => "iam:CreateAccessKey",
            Self::GetAccessKeyLastUsed => "iam:GetAccessKeyLastUsed",
            Self::UpdateAccessKey => "iam:UpdateAccessKey",
            Self::DeleteAccessKey => "iam:DeleteAccessKey",
            Self::DeleteUserPolicy => "iam:DeleteUserPolicy",
            Self::DeleteUser => "iam:DeleteUser",
            Self::DetachUserPolicy => "iam:DetachUserPolicy",
            Self::ListUsers => "iam:ListUsers",
            Self::GetAccountAuthorizationDetails => "iam:GetAccountAuthorizationDetails",
            Self::GenerateCredentialReport => "iam:GenerateCredentialReport",
            Self::GetCredentialReport => "iam:GetCredentialReport",
        }
    }

    /// The API's name of the action, such as `CreateUser`.
    pub fn name(self) -> &'static str {
        self.right().trim_start_matches("iam:")
    }

    /// False for the calls that change nothing. A credential report is made of what there is.
    pub fn mutates(self) -> bool {
        !matches!(
            self,
            Self::GetUser
                | Self::ListAccessKeys
                | Self::GetAccessKeyLastUsed
                | Self::ListUsers
                | Self::GetAccountAuthorizationDetails
                | Self::GenerateCredentialReport
                | Self::GetCredentialReport
        )
    }
}
