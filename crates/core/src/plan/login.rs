//! Logins: in a rotation the new key proves itself before it is published, any other one after.
//!
//! SES answers 535 alike for a wrong Region, a dead key and a key that it doesn't know yet, so a
//! refusal counts only once SES had its time.

use k8s_openapi::jiff::Timestamp;

use crate::desired::{Desired, VerifyLogin};
use crate::endpoint::Endpoint;
use crate::key::KeyId;
use crate::login::Login;
use crate::reason::Reason;
use crate::step::{Probe, Step};
use crate::time::{Durations, after};
use crate::world::{KeyLogin, Logins, Rejected, Reported, World};

use super::attempt::backoff;
use super::view::{Need, View};
use super::{AGAIN, blocked, retire, wait};

/// One more cause of a refusal, where somebody else put the key together.
const MISMATCH: &str = "; id and secret access key in the source are not of one key";

/// What was answered so far means this for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works, or nobody can be asked and it had its time.
    Trusted,
    /// Not known yet.
    Open,
    /// SES refuses it for good.
    Refused,
    /// The account doesn't use SES in the Region.
    NotSubscribed,
    /// Nobody can be asked, and a login is required.
    Unreachable,
}

/// The verdict on a key that was made at `made`.
fn verdict(desired: &Desired, login: Option<&KeyLogin>, made: Timestamp, now: Timestamp) -> Verdict {
    let durations = &desired.identity.durations;
    let Some(login) = login else { return Verdict::Open };
    let had_its_time = login.at >= after(made, durations.login_window);
    match login.answer {
        Login::Accepted => Verdict::Trusted,
        Login::NotSubscribed => Verdict::NotSubscribed,
        Login::Unreachable(_) if login.refused && had_its_time => Verdict::Refused,
        Login::Unreachable(_) if login.refused => Verdict::Open,
        Login::Unreachable(_) if desired.verify_login == VerifyLogin::Required => {
            if had_its_time {
                Verdict::Unreachable
            } else {
                Verdict::Open
            }
        }
        Login::Unreachable(_) if now >= after(made, durations.key_settle) => Verdict::Trusted,
        Login::Refused if had_its_time => Verdict::Refused,
        Login::Refused | Login::Unreachable(_) => Verdict::Open,
    }
}

/// When a login with a key made at `made` is tried next: after growing pauses, but not later than
/// a verdict can be given.
fn next_try(durations: &Durations, login: Option<&KeyLogin>, made: Timestamp) -> Timestamp {
    let tries = login.map_or(0, |login| login.tries.min(16));
    let pauses = 2_i32.saturating_pow(tries.saturating_add(1)).saturating_sub(1);
    let regular = after(made, durations.first_login.saturating_mul(pauses));
    let last = after(made, durations.login_window);
    let settled = after(made, durations.key_settle);
    match login {
        Some(KeyLogin { answer: Login::Unreachable(_), refused: false, at, .. }) if *at < settled => {
            regular.min(settled)
        }
        _ => regular.min(last),
    }
}

/// What is known of a key at one endpoint.
struct Tried<'a> {
    endpoint: &'a Endpoint,
    login: Option<&'a KeyLogin>,
    verdict: Verdict,
}

/// What is known of a key that was made at `made`, at every endpoint.
fn tried<'a>(view: &View<'a>, logins: &'a Logins, key: &KeyId, made: Timestamp) -> Vec<Tried<'a>> {
    let at = |endpoint: &'a Endpoint| {
        let login = logins.get(key, &endpoint.place());
        Tried { endpoint, login, verdict: verdict(view.desired, login, made, view.now) }
    };
    view.desired.endpoints.iter().map(at).collect()
}

/// Protocol step 7: the replaced key works, so nothing is lost by waiting for proof of the new one,
/// in every Region.
pub fn proven(view: &View, need: Need) -> Option<Step> {
    let minted = view.world.attempt.minted.as_ref().filter(|_| need.is_rotation())?;
    let durations = &view.desired.identity.durations;
    if view.desired.verify_login == VerifyLogin::Off {
        let until = after(minted.at, durations.key_settle);
        return (view.now < until)
            .then(|| waiting(until, "waiting until Amazon SES knows the new access key"));
    }
    let tried = tried(view, &view.world.attempt.logins, &minted.id, minted.at);
    let fails = |it: &&Tried| !matches!(it.verdict, Verdict::Trusted | Verdict::Open);
    let failed = tried.iter().find(|it| fails(it) && !is_no_worse(view, it));
    if let Some(failed) = failed {
        return Some(Step::Reject { key: minted.id.clone(), place: failed.endpoint.place() });
    }
    let open = tried.iter().filter(|it| it.verdict == Verdict::Open);
    let next = open.map(|it| (next_try(durations, it.login, minted.at), it.endpoint));
    let (at, endpoint) = next.min_by_key(|(at, _)| *at)?;
    Some(try_at(view, &minted.id, endpoint, at))
}

/// True if the account doesn't use SES there, for the published key either: that is no ground to keep an
/// old key for ever.
fn is_no_worse(view: &View, it: &Tried) -> bool {
    let published = known(it.endpoint, view.world).map(|login| login.answer);
    it.verdict == Verdict::NotSubscribed && published == Some(Login::NotSubscribed)
}

fn waiting(until: Timestamp, message: &str) -> Step {
    Step::Pause { until, reason: Reason::WaitingForLogin, message: message.to_owned() }
}

fn try_at(view: &View, key: &KeyId, endpoint: &Endpoint, at: Timestamp) -> Step {
    if view.now < at {
        waiting(at, "waiting until Amazon SES accepts the new access key")
    } else {
        Step::ProbeLogin(Probe { key: key.clone(), endpoint: endpoint.clone() })
    }
}

/// A key of this pass that will not be published because it does not log in.
pub fn rejected<'a>(view: &View<'a>) -> Option<&'a Rejected> {
    let minted = view.world.attempt.minted.as_ref()?;
    view.world.memo.rejected.as_ref().filter(|rejected| rejected.key == minted.id)
}

/// No key after key is made in vain: the next one waits, longer each time.
pub fn held_back(view: &View, need: Need) -> Option<Step> {
    let rejected = view.world.memo.rejected.as_ref()?;
    let next = after(rejected.at, backoff(view, rejected.count));
    // Another place is tried at once, but not one after the other.
    let again = view.desired.endpoints.at(&rejected.place).is_some() || rejected.count > 1;
    let same = again && need.is_rotation();
    let begun = view.world.attempt.fence.is_some() || view.world.attempt.minted.is_some();
    (same && !begun && view.now < next)
        .then(|| retire::previous_key(view).unwrap_or_else(|| refusal(view, rejected)))
}

/// How a pass ends whose key did not log in.
pub fn refusal(view: &View, rejected: &Rejected) -> Step {
    let kept = "the key in the Secret was left as it was and still works";
    let endpoints = &view.desired.endpoints;
    let endpoint = endpoints.at(&rejected.place).unwrap_or(&endpoints.primary);
    of_answer(view.desired, endpoint, rejected.answer, &rejected.key, kept)
}

fn of_answer(desired: &Desired, endpoint: &Endpoint, answer: Login, key: &KeyId, then: &str) -> Step {
    let Endpoint { host, port, region, .. } = endpoint;
    match answer {
        Login::NotSubscribed => blocked(
            Reason::AccountNotSubscribed,
            format!(
                "{} is not subscribed to Amazon SES in Region {region}; {then}. Open SES there once",
                account(desired)
            ),
        ),
        Login::Unreachable(trouble) => wait(
            Reason::WaitingForLogin,
            None,
            format!(
                "{host}:{port} can't be asked whether access key {key} logs in ({}), and --verify-login is required; \
                 {then}. Allow the operator to connect there",
                trouble.as_str()
            ),
        ),
        Login::Accepted | Login::Refused => blocked(
            Reason::LoginRejected,
            format!(
                "{host}:{port} refuses the login of access key {key} (535); {then}. Possible causes: the host is of another \
                 Region than {region}, or of another account; the key was made Inactive; SES is slow to learn of it{}. Mend \
                 whichever it is",
                if desired.identity.derives { MISMATCH } else { "" }
            ),
        ),
    }
}

/// Somebody else's key may be of any account.
fn account(desired: &Desired) -> String {
    if desired.identity.derives {
        "the account of the access key".to_owned()
    } else {
        format!("account {}", desired.identity.account)
    }
}

/// What is known of logins with the published key at an endpoint.
pub fn known<'a>(endpoint: &Endpoint, world: &'a World) -> Option<&'a KeyLogin> {
    world.memo.logins.get(world.secret()?.published()?, &endpoint.place())
}

/// What was reported of logins with the published key at an endpoint, by an earlier process.
fn reported<'a>(endpoint: &Endpoint, world: &'a World) -> Option<&'a Reported> {
    let (published, place) = (world.secret()?.published()?, endpoint.place());
    world.object.logins.iter().find(|reported| reported.key == *published && reported.place == place)
}

/// True if the published key is known to log in everywhere, or is trusted to.
pub fn is_trusted(desired: &Desired, world: &World, now: Timestamp) -> bool {
    if desired.verify_login == VerifyLogin::Off {
        return true;
    }
    let Some(facts) = world.secret() else { return false };
    let made = facts.record.issued_at.unwrap_or(now);
    let untold = || {
        desired.verify_login == VerifyLogin::Auto
            && now >= after(made, desired.identity.durations.login_window)
    };
    desired.endpoints.iter().all(|endpoint| match known(endpoint, world) {
        None => reported(endpoint, world).map_or_else(untold, |reported| reported.accepted),
        login => verdict(desired, login, made, now) == Verdict::Trusted,
    })
}

/// What is to be done about the published key at one endpoint.
enum Look<'a> {
    /// Nothing, for now.
    Settled,
    /// It is tried out, at this time.
    Try(Timestamp, &'a Endpoint),
    /// It doesn't work there, as far as is known.
    Fails(&'a Endpoint, &'a KeyLogin, Verdict),
}

/// The published key is tried out once in each Region, and until SES accepts it. After a restart the
/// report of an earlier login spares another.
pub fn verified(view: &View) -> Option<Step> {
    let key = view.published().filter(|_| view.need().is_none())?;
    if view.desired.verify_login == VerifyLogin::Off {
        return None;
    }
    let looks: Vec<Look> = view.desired.endpoints.iter().map(|endpoint| look(view, endpoint)).collect();
    let tries = looks.iter().filter_map(|look| match look {
        Look::Try(at, endpoint) => Some((*at, *endpoint)),
        _ => None,
    });
    if let Some((at, endpoint)) = tries.min_by_key(|(at, _)| *at) {
        return Some(try_published(view, key, endpoint, at));
    }
    let is_refused = |look: &&Look| matches!(look, Look::Fails(_, _, Verdict::Refused));
    let fails = |look: &&Look| matches!(look, Look::Fails(..));
    match looks.iter().find(is_refused).or_else(|| looks.iter().find(fails))? {
        // While SES refuses the successor, the key before it may be the one that still works.
        Look::Fails(endpoint, login, Verdict::Refused) => Some(unverified(view, endpoint, login)),
        Look::Fails(endpoint, login, _) => {
            retire::previous_key(view).or_else(|| Some(unverified(view, endpoint, login)))
        }
        _ => None,
    }
}

fn look<'a>(view: &View<'a>, endpoint: &'a Endpoint) -> Look<'a> {
    let login = known(endpoint, view.world);
    if login.is_none() && reported(endpoint, view.world).is_some_and(|reported| reported.accepted) {
        return Look::Settled;
    }
    let made = view.secret().and_then(|facts| facts.record.issued_at).unwrap_or(view.world.began);
    match (verdict(view.desired, login, made, view.now), login) {
        (Verdict::Trusted, login) if !is_stale(view, login) => Look::Settled,
        (Verdict::Open, login) => {
            Look::Try(next_try(&view.desired.identity.durations, login, made), endpoint)
        }
        (verdict, Some(login)) if login.at >= view.world.began => Look::Fails(endpoint, login, verdict),
        _ => Look::Try(view.now, endpoint),
    }
}

/// An endpoint that couldn't be asked is asked again now and then.
fn is_stale(view: &View, login: Option<&KeyLogin>) -> bool {
    asked_again_at(view, login).is_some_and(|at| view.now >= at)
}

fn asked_again_at(view: &View, login: Option<&KeyLogin>) -> Option<Timestamp> {
    let login = login.filter(|login| matches!(login.answer, Login::Unreachable(_)))?;
    Some(after(login.at, view.desired.identity.durations.login_again))
}

fn try_published(view: &View, key: &KeyId, endpoint: &Endpoint, at: Timestamp) -> Step {
    let ours = view.world.attempt.minted.as_ref().is_some_and(|minted| minted.id == *key);
    // The password is in the data or still in hand.
    if view.now >= at && !ours && view.live().is_none() {
        return Step::ReadSecret;
    }
    try_at(view, key, endpoint, at)
}

fn unverified(view: &View, endpoint: &Endpoint, login: &KeyLogin) -> Step {
    let answer = if login.refused { Login::Refused } else { login.answer };
    of_answer(view.desired, endpoint, answer, &login.key, AGAIN)
}

/// When an endpoint that couldn't be asked is asked again.
pub fn due_at(view: &View) -> Option<Timestamp> {
    let again = |endpoint| asked_again_at(view, known(endpoint, view.world));
    view.desired.endpoints.iter().filter_map(again).min()
}
