//! The control endpoint: state, journal and mail to read; faults, time, buckets, edits and reset to write. JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Message, Reply, run_unsigned};
use crate::by_hand::ByHand;
use crate::config::{ACCOUNT, Bucket};
use crate::fault::Fault;
use crate::iam::Params;
use crate::snapshot;
use crate::world::Shared;

/// `POST /_double/time`.
#[derive(Deserialize)]
struct Advance {
    /// Seconds of the double's time to skip.
    advance_seconds: f64,
}

/// `POST /_double/buckets`: no bucket lifts the limit.
#[derive(Deserialize)]
struct SetBucket {
    action: String,
    bucket: Option<Bucket>,
}

/// `POST /_double/edits`: a call behind the operator's back.
#[derive(Deserialize)]
struct Edit {
    account: Option<String>,
    params: std::collections::BTreeMap<String, String>,
}

/// `POST /_double/quarantine`: what AWS does to a user whose key has leaked.
#[derive(Deserialize)]
struct Quarantine {
    account: Option<String>,
    user: String,
}

/// Answers a request under `/_double/`.
pub(super) fn answer(shared: &Shared, message: &Message) -> Reply {
    let (status, body) = match route(shared, message) {
        Ok(Some(value)) => (200, value),
        Ok(None) => (404, json!({"error": "no such control path"})),
        Err(error) => (400, json!({"error": error})),
    };
    let request_id = shared.lock().ids.request_id();
    Reply { status, content_type: "application/json", body: body.to_string(), request_id }
}

fn route(shared: &Shared, message: &Message) -> Result<Option<Value>, String> {
    let path = message.path.trim_start_matches("/_double/");
    match (message.method.as_str(), path) {
        ("GET", "state") => Ok(Some(state(shared))),
        ("GET", "journal") => Ok(Some(json!(shared.lock().journal.records()))),
        ("GET", "mails") => Ok(Some(json!(shared.lock().mails))),
        ("GET", "logins") => Ok(Some(json!(shared.lock().logins))),
        ("POST", "faults") => {
            parse(message).map(|fault: Fault| shared.lock().faults.add(fault)).map(done).map(Some)
        }
        ("POST", "time") => {
            parse(message).and_then(|a: Advance| advance(shared, a.advance_seconds)).map(done).map(Some)
        }
        ("POST", "buckets") => parse(message).map(|b: SetBucket| set_bucket(shared, &b)).map(done).map(Some),
        ("POST", "edits") => parse(message).and_then(|edit: Edit| carry_out(shared, edit)).map(Some),
        ("POST", "quarantine") => {
            parse(message).and_then(|q: Quarantine| quarantine(shared, &q)).map(done).map(Some)
        }
        ("POST", "reset") => Ok(Some(reset(shared))),
        _ => Ok(None),
    }
}

fn done((): ()) -> Value {
    json!({"ok": true})
}

fn parse<T: serde::de::DeserializeOwned>(message: &Message) -> Result<T, String> {
    serde_json::from_slice(&message.body).map_err(|error| error.to_string())
}

fn state(shared: &Shared) -> Value {
    let world = shared.lock();
    let accounts: serde_json::Map<String, Value> =
        world.accounts.iter().map(|(id, account)| (id.clone(), json!(snapshot::users(account)))).collect();
    json!({
        "now": shared.now(),
        "accounts": accounts,
        "faults": world.faults.pending(),
        "counts": world.journal.counts(),
    })
}

fn advance(shared: &Shared, seconds: f64) -> Result<(), String> {
    let by = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    shared.clock.advance(by);
    Ok(())
}

fn set_bucket(shared: &Shared, set: &SetBucket) {
    shared.lock().buckets.set(&set.action, set.bucket);
}

fn carry_out(shared: &Shared, edit: Edit) -> Result<Value, String> {
    let account = edit.account.unwrap_or_else(|| ACCOUNT.to_owned());
    let result = run_unsigned(shared, &account, Params::from_pairs(edit.params));
    result.map(|xml| json!({"result": xml})).map_err(|error| error.to_string())
}

fn quarantine(shared: &Shared, quarantine: &Quarantine) -> Result<(), String> {
    let account = quarantine.account.as_deref().unwrap_or(ACCOUNT);
    ByHand::new(shared, account).quarantine(&quarantine.user).map_err(|error| error.to_string())
}

/// Forgets journal, mail, logins and faults. Users and keys stay.
fn reset(shared: &Shared) -> Value {
    let world = &mut *shared.lock();
    world.journal.clear();
    world.mails.clear();
    world.logins.clear();
    world.faults.clear();
    done(())
}
