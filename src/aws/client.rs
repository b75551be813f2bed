//! The SDK's IAM client as an [`Iam`].
//!
//! Owns the shape of requests and the reading of replies. An answer that lacks what it must hold is
//! unclear, never a guess. The SDK's own retries are off for every call, because the limiter repeats
//! throttled calls where metrics see them and nothing else may be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::operation::create_access_key::CreateAccessKeyOutput;
use aws_sdk_iam::operation::get_user::GetUserOutput;
use aws_sdk_iam::operation::list_access_keys::ListAccessKeysOutput;
use aws_sdk_iam::operation::list_users::ListUsersOutput;
use aws_sdk_iam::types::{AccessKeyMetadata, EntityType, ReportStateType, StatusType, Tag};
use k8s_openapi::jiff::Timestamp;
use ses_smtp_core::iam::{Failure, KeyList, KeyStatus, ListedKey, UserFacts, UserSpec};
use ses_smtp_core::inventory::{CredentialReport, NamePage, ReportState, UserPage};
use ses_smtp_core::key::KeyId;
use ses_smtp_core::password::SecretAccessKey;
use zeroize::Zeroize as _;

use super::reply::{Call, HeaderTap, following, timestamp};
use super::{Action, Activity, CallRecorder, Iam, MintedKey, Reply, Session, details, errors, report};

/// Keys that a list may hold. A user holds two, and a race at IAM has been seen to make eight.
const MAX_KEYS: usize = 100;
/// Pages that a list may have; IAM's pages may come back short with more to follow.
const MAX_PAGES: usize = 20;
/// Users that a page of the account's details is asked to hold: IAM's maximum.
const USERS_PER_PAGE: i32 = 1000;
/// What a call is about that is about no user, as policies write it.
const ACCOUNT: &str = "*";

/// IAM by the AWS SDK.
pub struct Client {
    iam: aws_sdk_iam::Client,
    /// The account that the credentials are of.
    account: String,
    recorder: Arc<dyn CallRecorder>,
}

impl Client {
    /// A client with the session's credentials, which are of `account`, that reports each call to `recorder`.
    pub fn new(session: &Session, account: &str, recorder: Arc<dyn CallRecorder>) -> Self {
        Self { iam: aws_sdk_iam::Client::new(session.config()), account: account.to_owned(), recorder }
    }

    fn call<'a>(&'a self, action: Action, user: &'a str) -> Call<'a> {
        Call::new(action, &self.account, user)
    }

    /// The same by way of an SDK client. For suites.
    #[cfg(any(test, feature = "scaled-time"))]
    pub(super) fn by_way_of(iam: aws_sdk_iam::Client, recorder: Arc<dyn CallRecorder>) -> Self {
        Self { iam, account: String::new(), recorder }
    }

    async fn list_page(&self, user: &str, marker: Option<String>) -> Result<Page, Failure> {
        let call = self.call(Action::ListAccessKeys, user);
        let list = self.iam.list_access_keys().user_name(user).set_marker(marker);
        let sent = list.customize().interceptor(call.tap.clone()).send().await;
        call.end(&*self.recorder, sent, Page::read)
    }
}

/// Sends a call whose reply holds nothing, and ends it.
macro_rules! send {
    ($client:expr, $call:expr, $request:expr) => {{
        let call = $call;
        let sent = $request.customize().interceptor(call.tap.clone()).send().await;
        call.end(&*$client.recorder, sent, |_, _| Some(()))
    }};
}

impl Iam for Client {
    fn create_user<'a>(&'a self, user: &'a UserSpec) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.create_user().user_name(&user.name).path(&user.path);
            let request = request.set_tags(Some(tags(&user.tags)?));
            let request = request.set_permissions_boundary(user.boundary.clone());
            send!(self, self.call(Action::CreateUser, &user.name), request)
        })
    }

    fn get_user<'a>(&'a self, user: &'a str) -> Reply<'a, UserFacts> {
        Box::pin(async move {
            let call = self.call(Action::GetUser, user);
            let request = self.iam.get_user().user_name(user);
            let sent = request.customize().interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| read_user(output))
        })
    }

    fn put_user_policy<'a>(&'a self, user: &'a str, policy: &'a str, document: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.put_user_policy().user_name(user).policy_name(policy);
            let request = request.policy_document(document);
            send!(self, self.call(Action::PutUserPolicy, user), request)
        })
    }

    fn tag_user<'a>(&'a self, user: &'a str, add: &'a BTreeMap<String, String>) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.tag_user().user_name(user).set_tags(Some(tags(add)?));
            send!(self, self.call(Action::TagUser, user), request)
        })
    }

    fn put_user_permissions_boundary<'a>(&'a self, user: &'a str, boundary: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.put_user_permissions_boundary().user_name(user);
            let request = request.permissions_boundary(boundary);
            send!(self, self.call(Action::PutUserPermissionsBoundary, user), request)
        })
    }

    fn list_access_keys<'a>(&'a self, user: &'a str) -> Reply<'a, KeyList> {
        Box::pin(async move {
            let mut page = self.list_page(user, None).await?;
            let mut keys = std::mem::take(&mut page.keys);
            for _ in 1..MAX_PAGES {
                let Some(marker) = page.next.take().filter(|_| keys.len() < MAX_KEYS) else { break };
                page = self.list_page(user, Some(marker)).await?;
                keys.append(&mut page.keys);
            }
            // So many keys are too many in any case; fewer that go on for ever are no list.
            if page.next.is_some() && keys.len() < MAX_KEYS {
                return Err(Failure::Unclear);
            }
            keys.truncate(MAX_KEYS);
            Ok(KeyList { keys, server_time: page.server_time })
        })
    }

    fn create_access_key<'a>(&'a self, user: &'a str) -> Reply<'a, MintedKey> {
        Box::pin(async move {
            let call = self.call(Action::CreateAccessKey, user);
            // Said again at the call itself: a repeated mint leaves a key that nobody knows (R5).
            let once = aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled());
            let request = self.iam.create_access_key().user_name(user).customize();
            let sent = request.interceptor(call.tap.clone()).config_override(once).send().await;
            call.end_mint(&*self.recorder, sent, read_minted)
        })
    }

    fn get_access_key_last_used<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, Option<Timestamp>> {
        Box::pin(async move {
            let call = self.call(Action::GetAccessKeyLastUsed, user).about(key);
            let request = self.iam.get_access_key_last_used().access_key_id(key.as_str());
            let sent = request.customize().interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| {
                let last = output.access_key_last_used?.last_used_date;
                last.as_ref().map_or(Some(None), |time| timestamp(time).map(Some))
            })
        })
    }

    fn update_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId, to: Activity) -> Reply<'a, ()> {
        Box::pin(async move {
            let status = match to {
                Activity::Active => StatusType::Active,
                Activity::Inactive => StatusType::Inactive,
            };
            let request = self.iam.update_access_key().user_name(user).access_key_id(key.as_str());
            send!(self, self.call(Action::UpdateAccessKey, user).about(key), request.status(status))
        })
    }

    fn delete_access_key<'a>(&'a self, user: &'a str, key: &'a KeyId) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.delete_access_key().user_name(user).access_key_id(key.as_str());
            send!(self, self.call(Action::DeleteAccessKey, user).about(key), request)
        })
    }

    fn delete_user_policy<'a>(&'a self, user: &'a str, policy: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.delete_user_policy().user_name(user).policy_name(policy);
            send!(self, self.call(Action::DeleteUserPolicy, user), request)
        })
    }

    fn delete_user<'a>(&'a self, user: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.delete_user().user_name(user);
            send!(self, self.call(Action::DeleteUser, user), request)
        })
    }

    fn detach_user_policy<'a>(&'a self, user: &'a str, policy_arn: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.iam.detach_user_policy().user_name(user).policy_arn(policy_arn);
            send!(self, self.call(Action::DetachUserPolicy, user), request)
        })
    }

    fn list_users<'a>(&'a self, path: &'a str, marker: Option<&'a str>) -> Reply<'a, NamePage> {
        Box::pin(async move {
            let call = self.call(Action::ListUsers, ACCOUNT);
            let request = self.iam.list_users().path_prefix(path).max_items(USERS_PER_PAGE);
            let request = request.set_marker(marker.map(str::to_owned)).customize();
            let sent = request.interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| read_names(output, marker))
        })
    }

    fn get_account_authorization_details<'a>(&'a self, marker: Option<&'a str>) -> Reply<'a, UserPage> {
        Box::pin(async move {
            let call = self.call(Action::GetAccountAuthorizationDetails, ACCOUNT);
            let request = self.iam.get_account_authorization_details().filter(EntityType::User);
            let request = request.max_items(USERS_PER_PAGE).set_marker(marker.map(str::to_owned));
            let sent = request.customize().interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| details::read(output, marker))
        })
    }

    fn generate_credential_report(&self) -> Reply<'_, ReportState> {
        Box::pin(async move {
            let call = self.call(Action::GenerateCredentialReport, ACCOUNT);
            let request = self.iam.generate_credential_report().customize();
            let sent = request.interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| read_state(&output.state?))
        })
    }

    fn get_credential_report(&self) -> Reply<'_, CredentialReport> {
        Box::pin(async move {
            let call = self.call(Action::GetCredentialReport, ACCOUNT);
            let request = self.iam.get_credential_report().customize();
            let sent = request.interceptor(call.tap.clone()).send().await;
            call.end(&*self.recorder, sent, |output, _| report::read(&output))
        })
    }
}

/// Tags in the SDK's form.
fn tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, Failure> {
    // A tag fails to build without key or value only, and both are given.
    let tag = |(key, value)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect::<Result<_, _>>().map_err(|_| errors::not_sent())
}

fn read_user(output: GetUserOutput) -> Option<UserFacts> {
    let user = output.user?;
    let tags = user.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    let boundary = user.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
    Some(UserFacts { user_id: user.user_id, arn: user.arn, path: user.path, tags, boundary })
}

fn read_state(state: &ReportStateType) -> Option<ReportState> {
    match state {
        ReportStateType::Complete => Some(ReportState::Complete),
        ReportStateType::Started | ReportStateType::Inprogress => Some(ReportState::InProgress),
        _ => None,
    }
}

fn read_names(output: ListUsersOutput, marker: Option<&str>) -> Option<NamePage> {
    let next = following(output.is_truncated, output.marker, marker)?;
    Some(NamePage { names: output.users.into_iter().map(|user| user.user_name).collect(), next })
}

/// A page of a list of keys.
struct Page {
    keys: Vec<ListedKey>,
    next: Option<String>,
    server_time: Timestamp,
}

impl Page {
    fn read(output: ListAccessKeysOutput, tap: &HeaderTap) -> Option<Self> {
        let next = if output.is_truncated { Some(output.marker?) } else { None };
        let keys = output.access_key_metadata.iter().map(read_key).collect::<Option<_>>()?;
        // Without the server's clock no age of a key can be told.
        Some(Self { keys, next, server_time: tap.server_time()? })
    }
}

fn read_key(key: &AccessKeyMetadata) -> Option<ListedKey> {
    let status = match key.status {
        Some(StatusType::Active) => KeyStatus::Active,
        Some(StatusType::Inactive) => KeyStatus::Inactive,
        _ => KeyStatus::Other,
    };
    let id = KeyId::parse(key.access_key_id()?)?;
    Some(ListedKey { id, status, created: timestamp(key.create_date()?)? })
}

fn read_minted(output: CreateAccessKeyOutput, tap: &HeaderTap) -> Option<MintedKey> {
    let mut key = output.access_key?;
    let secret = SecretAccessKey::new(&key.secret_access_key);
    key.secret_access_key.zeroize();
    let created = timestamp(key.create_date()?)?;
    let id = KeyId::parse(&key.access_key_id)?;
    Some(MintedKey { id, secret: secret?, created, server_time: tap.server_time().unwrap_or(created) })
}
