//! STS: who am I, and may I be somebody else. No I/O.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use crate::account::{ApiError, View};
use crate::clock::{Clock, iso};
use crate::iam::{Done, Params, Xml};
use crate::policy::{Context, Question, allows};
use crate::sessions::{Wish, denied};
use crate::world::{Identity, World};

/// The API version of STS.
pub(crate) const VERSION: &str = "2011-06-15";
/// The name space of STS's replies.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// How long a session lasts unless the caller says otherwise, in seconds.
const USUAL: u64 = 3_600;
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
    let seconds = seconds(params.get("DurationSeconds"), who)?;
    let may = Question { action: "sts:AssumeRole", resource: role, context: &Context::default() };
    let forbids = |document: &str| !allows(&[document], None, &may);
    if who.minted || world.policy_of(&who.key_id).is_some_and(forbids) {
        return Err(denied(who, role));
    }
    let lasts = SignedDuration::try_from(clock.scaled(Duration::from_secs(seconds))).unwrap_or_default();
    let ends = view.now.checked_add(lasts).unwrap_or(view.now);
    let wish = Wish { role, name, external_id, ends };
    let session = world.sessions.begin(&wish, who, &mut world.ids)?;
    let credentials = Xml::new()
        .text("AccessKeyId", &session.identity.key_id)
        .text("SecretAccessKey", &session.secret)
        .text("SessionToken", &session.token)
        .text("Expiration", iso(session.ends));
    let user = Xml::new().text("AssumedRoleId", &session.identity.user_id).text("Arn", &session.identity.arn);
    Ok(Done::with(Xml::new().element("Credentials", &credentials).element("AssumedRoleUser", &user)))
}

fn checked(text: &str, field: &str, most: usize, marks: &str) -> Result<(), ApiError> {
    let good = (2..=most).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
    let pattern = format!("have 2 to {most} letters, digits and {marks}");
    if good { Ok(()) } else { Err(ApiError::constraint(text, field, &pattern)) }
}

/// How long the session is to last. One that is begun by a session lasts an hour at most.
fn seconds(asked: Option<&str>, who: &Identity) -> Result<u64, ApiError> {
    let Some(text) = asked else { return Ok(USUAL) };
    let range = format!("have value between {SHORTEST} and {LONGEST}");
    let wrong = || ApiError::constraint(text, "durationSeconds", &range);
    let seconds: u64 = text.parse().map_err(|_| wrong())?;
    if !(SHORTEST..=LONGEST).contains(&seconds) {
        return Err(wrong());
    }
    if seconds > LONGEST_CHAINED && who.arn.contains(":assumed-role/") {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(ApiError::validation(text));
    }
    Ok(seconds)
}
