//! What is reported of logins: the outcome at each endpoint, and the condition `LoginVerified`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{EndpointStatus, LoginStatus, SesSmtpCredentialStatus};
use crate::desired::{Desired, Goal, VerifyLogin};
use crate::endpoint::{Endpoint, place};
use crate::key::KeyId;
use crate::login::Login;
use crate::plan::{AGAIN, known_login};
use crate::reason::Reason;
use crate::secret::SecretFacts;
use crate::time::{after, seconds};
use crate::world::{KeyLogin, Reported, World};

/// SES accepts the key.
const ACCEPTED: &str = "Accepted";
/// SES refuses the key, but may not know it yet.
const UNSETTLED: &str = "Unsettled";
/// SES refuses the key.
const REFUSED: &str = "Refused";
/// The account doesn't use SES in the Region.
const NOT_SUBSCRIBED: &str = "NotSubscribed";
/// Nobody could be asked.
const UNREACHABLE: &str = "Unreachable";

/// The way out where nobody answers.
const UNASKED: &str =
    "the operator's log says why; allow it to connect there, or set its --verify-login to off";

/// Where the published credential can be used, and what logins there have shown.
pub fn endpoints(
    goal: &Goal,
    world: &World,
    before: &SesSmtpCredentialStatus,
    now: Timestamp,
) -> Vec<EndpointStatus> {
    let Some(desired) = goal.desired() else { return Vec::new() };
    let facts = world.secret().filter(|facts| facts.is_controlled_by(&desired.identity.owner.uid));
    let Some(facts) = facts else { return Vec::new() };
    let served = |endpoint: &&Endpoint| facts.record.password_digests.contains_key(endpoint.region.as_str());
    let endpoints = desired.endpoints.iter().filter(served);
    endpoints.map(|endpoint| status_of(desired, endpoint, world, facts, before, now)).collect()
}

fn status_of(
    desired: &Desired,
    endpoint: &Endpoint,
    world: &World,
    facts: &SecretFacts,
    before: &SesSmtpCredentialStatus,
    now: Timestamp,
) -> EndpointStatus {
    let reported = facts.published().and_then(|key| reported(before, key, &endpoint.place()));
    let login =
        known_login(endpoint, world).map(|login| told(desired, login, facts.record.issued_at, reported, now));
    EndpointStatus {
        region: endpoint.region.to_string(),
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        login: login.or_else(|| reported.cloned()).filter(|_| desired.verify_login != VerifyLogin::Off),
    }
}

/// What was reported of the same key at the same place.
fn reported<'a>(before: &'a SesSmtpCredentialStatus, key: &KeyId, at: &str) -> Option<&'a LoginStatus> {
    let same_key = before.access_key_id.as_deref() == Some(key.as_str());
    let here = |endpoint: &&EndpointStatus| {
        let port = u16::try_from(endpoint.port).unwrap_or_default();
        same_key && place(&endpoint.region, &endpoint.host, port) == at
    };
    before.endpoints.iter().find(here)?.login.as_ref()
}

fn told(
    desired: &Desired,
    login: &KeyLogin,
    issued: Option<Timestamp>,
    reported: Option<&LoginStatus>,
    now: Timestamp,
) -> LoginStatus {
    let settled = after(issued.unwrap_or(now), desired.identity.durations.login_window);
    let outcome = match login.answer {
        Login::Accepted => ACCEPTED,
        Login::Refused if login.at < settled => UNSETTLED,
        Login::Refused => REFUSED,
        Login::NotSubscribed => NOT_SUBSCRIBED,
        Login::Unreachable(_) => UNREACHABLE,
    };
    let same = reported.filter(|reported| reported.outcome == outcome);
    let time = same.map_or_else(|| Time(seconds(login.at)), |reported| reported.time.clone());
    LoginStatus { outcome: outcome.to_owned(), time }
}

/// What `status` reports of logins with the published key, of those that were final.
pub fn reported_logins(status: &SesSmtpCredentialStatus) -> Vec<Reported> {
    let Some(key) = status.access_key_id.as_deref().and_then(KeyId::parse) else { return Vec::new() };
    status.endpoints.iter().filter_map(|endpoint| reported_login(endpoint, &key)).collect()
}

fn reported_login(endpoint: &EndpointStatus, key: &KeyId) -> Option<Reported> {
    let accepted = match endpoint.login.as_ref()?.outcome.as_str() {
        ACCEPTED => true,
        REFUSED | NOT_SUBSCRIBED => false,
        _ => return None,
    };
    Some(Reported {
        key: key.clone(),
        place: place(&endpoint.region, &endpoint.host, u16::try_from(endpoint.port).ok()?),
        accepted,
    })
}

/// `LoginVerified`, unless logins are switched off or there is nothing to log in with: true if every
/// endpoint accepts the credential, else what the first says of those that are worst.
pub fn condition(goal: &Goal, endpoints: &[EndpointStatus]) -> Option<Condition> {
    let desired = goal.desired()?;
    if desired.verify_login == VerifyLogin::Off {
        return None;
    }
    // Of equals the first, which is the last one from behind.
    let worst = endpoints.iter().rev().max_by_key(|endpoint| badness(endpoint))?;
    let alike = endpoints.iter().filter(|it| badness(it) == badness(worst));
    let at: Vec<String> = alike.map(|it| format!("{}:{}", it.host, it.port)).collect();
    let at = at.join(", ");
    let (status, reason, message) = match outcome(worst) {
        Some(ACCEPTED) => ("True", Reason::LoginVerified, accepted_by(endpoints)),
        Some(UNSETTLED) => {
            let message = format!("{at} does not accept the credential yet (535): {AGAIN}");
            ("False", Reason::WaitingForLogin, message)
        }
        Some(REFUSED) => {
            let message = format!("{at} refuses the credential (535): do what condition Stalled says");
            ("False", Reason::LoginRejected, message)
        }
        Some(NOT_SUBSCRIBED) => {
            let region = &worst.region;
            let message = format!(
                "the account is not subscribed to Amazon SES in Region {region}: open SES there once"
            );
            ("False", Reason::AccountNotSubscribed, message)
        }
        Some(_) => ("Unknown", Reason::EndpointUnreachable, format!("{at} could not be asked: {UNASKED}")),
        None => ("Unknown", Reason::WaitingForLogin, format!("{at} was not asked yet: it is, by itself")),
    };
    Some(super::condition("LoginVerified", status, reason.as_str(), &message))
}

fn accepted_by(endpoints: &[EndpointStatus]) -> String {
    let all: Vec<String> = endpoints.iter().map(|it| format!("{}:{}", it.host, it.port)).collect();
    let verb = if all.len() == 1 { "accepts" } else { "accept" };
    format!("{} {verb} the credential", all.join(", "))
}

fn outcome(endpoint: &EndpointStatus) -> Option<&str> {
    Some(endpoint.login.as_ref()?.outcome.as_str())
}

/// A refusal is worse than not knowing.
fn badness(endpoint: &EndpointStatus) -> u8 {
    match outcome(endpoint) {
        Some(ACCEPTED) => 0,
        None => 1,
        Some(UNSETTLED) => 3,
        Some(NOT_SUBSCRIBED) => 4,
        Some(REFUSED) => 5,
        Some(_) => 2,
    }
}
