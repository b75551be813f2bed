//! STS: who am I, and may I be somebody else. No I/O.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::account::{ApiError, View};
use crate::clock::{Clock, iso};
use crate::iam::{Done, Params, Xml};
use crate::policy::{Context, Question};
use crate::sessions::{Asker, Session, Sessions, Wish, account_of, denied};
use crate::web_identity;
use crate::world::{Identity, World};

/// The API version of STS.
pub(crate) const VERSION: &str = "2011-06-15";
/// The name space of STS's replies.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The action that nobody signs: its caller brings a token instead of a key.
pub(crate) const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";
/// The shortest session, in seconds.
const SHORTEST: u64 = 900;
/// The longest session that a session may begin, in seconds.
const LONGEST_CHAINED: u64 = 3_600;
/// The longest session, in seconds.
const LONGEST: u64 = 43_200;

/// Carries out one action of STS.
pub(crate) fn call(
    world: &mut World,
    clock: &Clock,
    action: &str,
    params: &Params,
    (who, view): (&Identity, View),
) -> Result<Done, ApiError> {
    match action {
        "GetCallerIdentity" => Ok(caller(who)),
        "AssumeRole" => assume(world, clock, params, who, view),
        WEB_IDENTITY => assume_with_token(world, clock, params, view),
        _ => {
            let text = format!("Could not find operation {action} for version {VERSION}");
            Err(ApiError::new(400, "InvalidAction", text))
        }
    }
}

fn caller(who: &Identity) -> Done {
    Done::with(Xml::new().text("Arn", &who.arn).text("UserId", &who.user_id).text("Account", &who.account))
}

fn assume(
    world: &mut World,
    clock: &Clock,
    params: &Params,
    who: &Identity,
    view: View,
) -> Result<Done, ApiError> {
    let (role, name) = (params.need("RoleArn")?, params.need("RoleSessionName")?);
    checked(name, "roleSessionName", 64, "_+=,.@-")?;
    let external_id = params.get("ExternalId");
    external_id.map_or(Ok(()), |id| checked(id, "externalId", 1_224, "_+=,.@:/-"))?;
    let seconds = seconds(params.get("DurationSeconds"), &world.sessions)?;
    chained(seconds, who)?;
    let may = Question { action: "sts:AssumeRole", resource: role, context: &Context::default() };
    if !world.may(who, &may) {
        return Err(denied(who, role));
    }
    let wish = Wish { role, name, ends: ends(clock, view, seconds) };
    let session = world.sessions.begin(&wish, &Asker::caller(who, external_id), &mut world.ids);
    Ok(Done::with(session_xml(session.ok_or_else(|| denied(who, role))?)))
}

/// `AssumeRoleWithWebIdentity`: a token of a provider that the role's account knows.
fn assume_with_token(
    world: &mut World,
    clock: &Clock,
    params: &Params,
    view: View,
) -> Result<Done, ApiError> {
    let (role, name) = (params.need("RoleArn")?, params.need("RoleSessionName")?);
    checked(name, "roleSessionName", 64, "_+=,.@-")?;
    let seconds = seconds(params.get("DurationSeconds"), &world.sessions)?;
    let subject = web_identity::verify(&world.providers, params.need("WebIdentityToken")?, view.now)?;
    let wish = Wish { role, name, ends: ends(clock, view, seconds) };
    let session = world.sessions.begin(&wish, &subject.asker(account_of(role)), &mut world.ids);
    let refused =
        || ApiError::new(403, "AccessDenied", format!("Not authorized to perform sts:{WEB_IDENTITY}"));
    let xml = session_xml(session.ok_or_else(refused)?)
        .text("SubjectFromWebIdentityToken", &subject.name)
        .text("Audience", &subject.audience)
        .text("Provider", subject.provider_arn(account_of(role)));
    Ok(Done::with(xml))
}

fn session_xml(session: &Session) -> Xml {
    let credentials = Xml::new()
        .text("AccessKeyId", &session.identity.key_id)
        .text("SecretAccessKey", &session.secret)
        .text("SessionToken", &session.token)
        .text("Expiration", iso(session.ends));
    let user = Xml::new().text("AssumedRoleId", &session.identity.user_id).text("Arn", &session.identity.arn);
    Xml::new().element("Credentials", &credentials).element("AssumedRoleUser", &user)
}

/// When a session ends that begins now and lasts so long at AWS.
pub(crate) fn ends(clock: &Clock, view: View, seconds: u64) -> Timestamp {
    let lasts = SignedDuration::try_from(clock.scaled(Duration::from_secs(seconds))).unwrap_or_default();
    view.now.checked_add(lasts).unwrap_or(view.now)
}

fn checked(text: &str, field: &str, most: usize, marks: &str) -> Result<(), ApiError> {
    let good = (2..=most).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
    let pattern = format!("have 2 to {most} letters, digits and {marks}");
    if good { Ok(()) } else { Err(ApiError::constraint(text, field, &pattern)) }
}

/// How long the session is to last.
fn seconds(asked: Option<&str>, sessions: &Sessions) -> Result<u64, ApiError> {
    let Some(text) = asked else { return Ok(sessions.usual.as_secs()) };
    let range = format!("have value between {SHORTEST} and {LONGEST}");
    let seconds = text.parse().ok().filter(|seconds| (SHORTEST..=LONGEST).contains(seconds));
    seconds.ok_or_else(|| ApiError::constraint(text, "durationSeconds", &range))
}

/// A session that is begun by a session lasts an hour at most.
fn chained(seconds: u64, who: &Identity) -> Result<(), ApiError> {
    if seconds > LONGEST_CHAINED && who.arn.contains(":assumed-role/") {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(ApiError::validation(text));
    }
    Ok(())
}
