//! A page of `GetAccountAuthorizationDetails` in the core's words.
//!
//! Owns the reading of the reply. A page with one unreadable user is unreadable: what is missing from
//! it would pass for a user that was deleted.

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput;
use aws_sdk_iam::types::{PolicyDetail, UserDetail};
use percent_encoding::percent_decode_str;
use ses_smtp_core::iam::UserFacts;
use ses_smtp_core::inventory::{UserPage, UserRow};

use super::reply::{following, timestamp};

/// The page that was asked for with `marker`; `None` if any part of it can't be read.
pub(super) fn read(output: GetAccountAuthorizationDetailsOutput, marker: Option<&str>) -> Option<UserPage> {
    let next = following(output.is_truncated, output.marker, marker)?;
    let users = output.user_detail_list.unwrap_or_default().into_iter();
    Some(UserPage { users: users.map(row).collect::<Option<_>>()?, next })
}

fn row(user: UserDetail) -> Option<UserRow> {
    let attached = user.attached_managed_policies.unwrap_or_default().into_iter();
    let tags = user.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    let boundary = user.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
    let facts = UserFacts { user_id: user.user_id?, arn: user.arn?, path: user.path?, tags, boundary };
    Some(UserRow {
        name: user.user_name?,
        facts,
        created: timestamp(&user.create_date?)?,
        inline: user.user_policy_list.unwrap_or_default().into_iter().map(policy).collect::<Option<_>>()?,
        attached: attached.map(|policy| policy.policy_arn).collect::<Option<_>>()?,
        groups: user.group_list.unwrap_or_default(),
    })
}

/// Name and text of an inline policy. IAM shows the text percent-encoded (RFC 3986).
fn policy(policy: PolicyDetail) -> Option<(String, String)> {
    let document = policy.policy_document?;
    let text = percent_decode_str(&document).decode_utf8().ok()?.into_owned();
    Some((policy.policy_name?, text))
}
