//! What is reported of logins: the outcome at each endpoint, and the condition `LoginVerified`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{EndpointStatus, LoginStatus, SesSmtpCredentialStatus};
use crate::desired::{Desired, Goal, VerifyLogin};
use crate::key::KeyId;
use crate::login::Login;
use crate::plan::known_login;
use crate::reason::Reason;
use crate::step::place;
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

/// Where the published credential can be used, and what logins there have shown.
pub fn endpoints(
    goal: &Goal,
    world: &World,
    before: &SesSmtpCredentialStatus,
    now: Timestamp,
) -> Vec<EndpointStatus> {
    let Goal::Serve(desired) = goal else { return Vec::new() };
    let facts = world.secret().filter(|facts| facts.is_controlled_by(&desired.identity.owner.uid));
    let region = desired.region.to_string();
    let Some(facts) = facts.filter(|facts| facts.record.password_digests.contains_key(&region)) else {
        return Vec::new();
    };
    let reported = facts.published().and_then(|key| reported(before, key, &desired.place()));
    let login =
        known_login(desired, world).map(|login| told(desired, login, facts.record.issued_at, reported, now));
    let login = login.or_else(|| reported.cloned()).filter(|_| desired.verify_login != VerifyLogin::Off);
    vec![EndpointStatus { region, host: desired.host.clone(), port: i32::from(desired.port), login }]
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

/// What `status` reports of a login with the published key, if that was final.
pub fn reported_login(status: &SesSmtpCredentialStatus) -> Option<Reported> {
    let endpoint = status.endpoints.first()?;
    let accepted = match endpoint.login.as_ref()?.outcome.as_str() {
        ACCEPTED => true,
        REFUSED | NOT_SUBSCRIBED => false,
        _ => return None,
    };
    Some(Reported {
        key: KeyId::parse(status.access_key_id.as_ref()?)?,
        place: place(&endpoint.region, &endpoint.host, u16::try_from(endpoint.port).ok()?),
        accepted,
    })
}

/// `LoginVerified`, unless logins are switched off or there is nothing to log in with.
pub fn condition(goal: &Goal, endpoints: &[EndpointStatus]) -> Option<Condition> {
    let Goal::Serve(desired) = goal else { return None };
    let endpoint = endpoints.first().filter(|_| desired.verify_login != VerifyLogin::Off)?;
    let at = format!("{}:{}", endpoint.host, endpoint.port);
    let outcome = endpoint.login.as_ref().map(|login| login.outcome.as_str());
    let (status, reason, message) = match outcome {
        Some(ACCEPTED) => ("True", Reason::LoginVerified, format!("{at} accepts the credential")),
        Some(UNSETTLED) => {
            ("False", Reason::WaitingForLogin, format!("{at} does not accept the credential yet (535)"))
        }
        Some(REFUSED) => ("False", Reason::LoginRejected, format!("{at} refuses the credential (535)")),
        Some(NOT_SUBSCRIBED) => {
            ("False", Reason::AccountNotSubscribed, "the account is not subscribed to Amazon SES".to_owned())
        }
        Some(_) => ("Unknown", Reason::EndpointUnreachable, format!("{at} could not be asked")),
        None => ("Unknown", Reason::WaitingForLogin, format!("{at} was not asked yet")),
    };
    Some(super::condition("LoginVerified", status, reason.as_str(), &message))
}
