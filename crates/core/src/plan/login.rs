//! Logins: in a rotation the new key proves itself before it is published, any other one after.
//!
//! SES answers 535 alike for a wrong Region, a dead key and a key that it doesn't know yet, so a
//! refusal counts only once SES had its time.

use k8s_openapi::jiff::Timestamp;

use crate::desired::{Desired, VerifyLogin};
use crate::key::KeyId;
use crate::login::Login;
use crate::reason::Reason;
use crate::step::{Probe, Step};
use crate::time::{Durations, after};
use crate::world::{KeyLogin, Rejected, Reported, World};

use super::attempt::backoff;
use super::view::{Need, View};
use super::{blocked, retire, wait};

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

fn probe(view: &View, key: &KeyId) -> Step {
    Step::ProbeLogin(Probe {
        key: key.clone(),
        region: view.desired.region.to_string(),
        host: view.desired.host.clone(),
        port: view.desired.port,
        implicit_tls: view.desired.implicit_tls,
    })
}

/// Protocol step 7: the replaced key works, so nothing is lost by waiting for proof of the new one.
pub fn proven(view: &View, need: Need) -> Option<Step> {
    let minted = view.world.attempt.minted.as_ref().filter(|_| need.is_rotation())?;
    let durations = &view.desired.identity.durations;
    if view.desired.verify_login == VerifyLogin::Off {
        let until = after(minted.at, durations.key_settle);
        return (view.now < until)
            .then(|| waiting(until, "waiting until Amazon SES knows the new access key"));
    }
    let login = view.world.attempt.login.as_ref();
    match verdict(view.desired, login, minted.at, view.now) {
        Verdict::Trusted => None,
        Verdict::Open => Some(try_at(view, &minted.id, next_try(durations, login, minted.at))),
        _ => Some(Step::Reject(minted.id.clone())),
    }
}

fn waiting(until: Timestamp, message: &str) -> Step {
    Step::Pause { until, reason: Reason::WaitingForLogin, message: message.to_owned() }
}

fn try_at(view: &View, key: &KeyId, at: Timestamp) -> Step {
    if view.now < at {
        waiting(at, "waiting until Amazon SES accepts the new access key")
    } else {
        probe(view, key)
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
    let same = rejected.place == view.desired.place() && need.is_rotation();
    let begun = view.world.attempt.fence.is_some() || view.world.attempt.minted.is_some();
    (same && !begun && view.now < next)
        .then(|| retire::previous_key(view).unwrap_or_else(|| refusal(view, rejected)))
}

/// How a pass ends whose key did not log in.
pub fn refusal(view: &View, rejected: &Rejected) -> Step {
    let kept = "the key in the Secret was left as it was and still works";
    of_answer(view.desired, rejected.answer, &rejected.key, kept)
}

fn of_answer(desired: &Desired, answer: Login, key: &KeyId, then: &str) -> Step {
    let (host, port, region) = (&desired.host, desired.port, &desired.region);
    match answer {
        Login::NotSubscribed => blocked(
            Reason::AccountNotSubscribed,
            format!(
                "account {} is not subscribed to Amazon SES in Region {region}: open SES there once; {then}",
                desired.identity.account
            ),
        ),
        Login::Unreachable(trouble) => wait(
            Reason::WaitingForLogin,
            None,
            format!(
                "{host}:{port} can't be asked whether access key {key} logs in ({}), and --verify-login is required: \
                 allow the operator to connect there; {then}",
                trouble.as_str()
            ),
        ),
        Login::Accepted | Login::Refused => blocked(
            Reason::LoginRejected,
            format!(
                "{host}:{port} refuses the login of access key {key} (535). Possible causes: the host is of another \
                 Region than {region}, or of another account; the key was made Inactive; SES is slow to learn of it. {then}"
            ),
        ),
    }
}

/// What is known of logins with the published key.
pub fn known<'a>(desired: &Desired, world: &'a World) -> Option<&'a KeyLogin> {
    let published = world.secret()?.published()?;
    let login = world.memo.login.as_ref()?;
    (login.key == *published && login.place == desired.place()).then_some(login)
}

/// What was reported of logins with the published key, by an earlier process.
fn reported<'a>(desired: &Desired, world: &'a World) -> Option<&'a Reported> {
    let published = world.secret()?.published()?;
    let reported = world.object.login.as_ref()?;
    (reported.key == *published && reported.place == desired.place()).then_some(reported)
}

/// True if the published key is known to log in, or is trusted to.
pub fn is_trusted(desired: &Desired, world: &World, now: Timestamp) -> bool {
    if desired.verify_login == VerifyLogin::Off {
        return true;
    }
    let Some(facts) = world.secret() else { return false };
    let made = facts.record.issued_at.unwrap_or(now);
    match known(desired, world) {
        None => match reported(desired, world) {
            Some(reported) => reported.accepted,
            None => {
                desired.verify_login == VerifyLogin::Auto
                    && now >= after(made, desired.identity.durations.login_window)
            }
        },
        login => verdict(desired, login, made, now) == Verdict::Trusted,
    }
}

/// The published key is tried out once, and until SES accepts it. After a restart the report of an
/// earlier login spares another.
pub fn verified(view: &View) -> Option<Step> {
    let key = view.published().filter(|_| view.need().is_none())?;
    if view.desired.verify_login == VerifyLogin::Off {
        return None;
    }
    let login = known(view.desired, view.world);
    if login.is_none() && reported(view.desired, view.world).is_some_and(|reported| reported.accepted) {
        return None;
    }
    let made = view.secret()?.record.issued_at.unwrap_or(view.world.began);
    match verdict(view.desired, login, made, view.now) {
        Verdict::Trusted if !is_stale(view, login) => None,
        Verdict::Open => {
            let next = next_try(&view.desired.identity.durations, login, made);
            Some(try_published(view, key, next))
        }
        _ if login.is_none_or(|login| login.at < view.world.began) => {
            Some(try_published(view, key, view.now))
        }
        // While SES refuses the successor, the key before it may be the one that still works.
        Verdict::Refused => Some(unverified(view, login?)),
        _ => retire::previous_key(view).or_else(|| Some(unverified(view, login?))),
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

fn try_published(view: &View, key: &KeyId, at: Timestamp) -> Step {
    let ours = view.world.attempt.minted.as_ref().is_some_and(|minted| minted.id == *key);
    // The password is in the data or still in hand.
    if view.now >= at && !ours && view.live().is_none() {
        return Step::ReadSecret;
    }
    try_at(view, key, at)
}

fn unverified(view: &View, login: &KeyLogin) -> Step {
    let answer = if login.refused { Login::Refused } else { login.answer };
    of_answer(view.desired, answer, &login.key, "it is tried again by itself")
}

/// When an endpoint that couldn't be asked is asked again.
pub fn due_at(view: &View) -> Option<Timestamp> {
    asked_again_at(view, known(view.desired, view.world))
}
