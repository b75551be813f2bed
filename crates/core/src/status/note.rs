//! The event that a pass gives rise to: at most one, and only when something changed.

use crate::api::SesSmtpCredentialStatus;
use crate::desired::{Goal, Identity};
use crate::key::KeyId;
use crate::plan::still_in_use;
use crate::reason::Reason;
use crate::record::Record;
use crate::step::{End, SecretWrite, Step};
use crate::time::{after, seconds};
use crate::world::World;

use super::ours;

/// Longest note of an event, in bytes.
const MAX_NOTE: usize = 1_024;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True for a Warning.
    pub warning: bool,
    /// Reason, a word.
    pub reason: &'static str,
    /// What was being done, a word.
    pub action: &'static str,
    /// What happened, at most 1,024 bytes.
    pub text: String,
}

/// The event of a pass: a Warning when a blocking reason appears, else a summary of what was done,
/// if anything was.
pub fn note(goal: &Goal, world: &World, end: &End, before: &SesSmtpCredentialStatus) -> Option<Note> {
    let stalled = match end {
        End::Blocked { reason, message } => stalled(*reason, message, before),
        End::Done { .. } | End::Wait { .. } => None,
    };
    let scene = Scene { identity: goal.identity(), world };
    let note = stalled
        .or_else(|| RULES.iter().find_map(|rule| rule(&scene)).map(|note| cautious(note, goal, &scene)))?;
    Some(Note { text: note.text.chars().scan(0, fits).collect(), ..note })
}

/// Makes a Warning of what the pass has to tell, if it put a policy with which mail may fail that is expected to pass. A
/// policy that is only restored says it no second time.
fn cautious(note: Note, goal: &Goal, scene: &Scene) -> Note {
    let caution = match goal {
        Goal::Serve(desired) if scene.did(|step| *step == Step::PutPolicy) && !scene.world.drift => {
            desired.caution.as_str()
        }
        _ => "",
    };
    if caution.is_empty() {
        return note;
    }
    Note {
        warning: true,
        text: format!("{}. SES answers 554 Access denied to more than may be meant: {caution}", note.text),
        ..note
    }
}

fn stalled(reason: Reason, message: &str, before: &SesSmtpCredentialStatus) -> Option<Note> {
    let known = before.conditions.iter().any(|old| old.type_ == "Stalled" && old.reason == reason.as_str());
    let text = message.to_owned();
    (!known).then_some(Note { warning: true, reason: reason.as_str(), action: "Reconcile", text })
}

/// Cuts at the last character that is within the limit in bytes.
fn fits(length: &mut usize, next: char) -> Option<char> {
    *length += next.len_utf8();
    (*length <= MAX_NOTE).then_some(next)
}

/// What a pass did, and to what.
struct Scene<'a> {
    identity: &'a Identity,
    world: &'a World,
}

/// What there is to tell, the weightiest first.
const RULES: [fn(&Scene) -> Option<Note>; 10] = [
    derived,
    quarantined,
    provisioned,
    replaced,
    in_use,
    deactivated,
    deleted,
    drifted,
    repaired,
    policy_updated,
];

fn normal(reason: &'static str, action: &'static str, text: String) -> Note {
    Note { warning: false, reason, action, text }
}

impl Scene<'_> {
    fn did(&self, wanted: impl Fn(&Step) -> bool) -> bool {
        self.world.did.iter().any(wanted)
    }

    fn published(&self) -> bool {
        self.did(|step| matches!(step, Step::WriteSecret(SecretWrite::Create(_) | SecretWrite::Publish(_))))
    }

    fn record(&self) -> Option<&Record> {
        ours(self.identity, self.world)
    }

    fn key(&self) -> String {
        self.record().and_then(|record| record.key.as_ref()).map(ToString::to_string).unwrap_or_default()
    }

    /// Keys that were deleted.
    fn deleted(&self) -> String {
        let deleted = self.world.did.iter().filter_map(|step| match step {
            Step::DeleteKey(key) => Some(key.as_str()),
            _ => None,
        });
        deleted.collect::<Vec<_>>().join(", ")
    }
}

fn derived(scene: &Scene) -> Option<Note> {
    let (key, secret) = (scene.key(), &scene.identity.secret_name);
    let source = scene.record().and_then(|record| record.source.clone()).unwrap_or_default();
    let text = || {
        format!(
            "Secret {secret} holds the SMTP password of access key {key}, which Secret {source} holds: pods that mount it as \
             a volume follow by themselves, pods that read it as environment variables or by subPath must restart"
        )
    };
    scene
        .did(|step| matches!(step, Step::WriteSecret(SecretWrite::Derive(_))))
        .then(|| normal("Derived", "Derive", text()))
}

fn quarantined(scene: &Scene) -> Option<Note> {
    let (user, key, deleted) = (&scene.identity.user.name, scene.key(), scene.deleted());
    scene.did(|step| matches!(step, Step::DetachPolicy(_))).then(|| Note {
        warning: true,
        reason: "Quarantined",
        action: "Replace",
        text: format!(
            "AWS found an access key of IAM user {user} in public and quarantined the user: {key} is published, \
             earlier keys are deleted{}, the quarantine is lifted. Find out where the key leaked",
            if deleted.is_empty() { String::new() } else { format!(" ({deleted})") }
        ),
    })
}

fn provisioned(scene: &Scene) -> Option<Note> {
    let (user, key, secret) = (&scene.identity.user.name, scene.key(), &scene.identity.secret_name);
    (scene.published() && scene.did(|step| *step == Step::CreateUser)).then(|| {
        let text = format!("IAM user {user} with access key {key}; credential in Secret {secret}");
        normal("Provisioned", "Provision", text)
    })
}

fn replaced(scene: &Scene) -> Option<Note> {
    let (key, secret) = (scene.key(), &scene.identity.secret_name);
    let rotated = scene.record().is_some_and(|record| record.previous_key().is_some());
    let reason = if rotated { "Rotated" } else { "KeyReplaced" };
    let text = || format!("access key {key} is in Secret {secret}; {}", earlier(scene));
    scene.published().then(|| normal(reason, "Replace", text()))
}

/// What becomes of the key before, and who has to act until when.
fn earlier(scene: &Scene) -> String {
    let deleted = scene.deleted();
    let Some(previous) = scene.record().and_then(Record::previous_key) else {
        return if deleted.is_empty() {
            "no earlier key is left".to_owned()
        } else {
            format!(
                "the earlier key {deleted} was deleted: restart now whatever reads the Secret as environment variables, by \
                 subPath, or once at its start"
            )
        };
    };
    let until = after(previous.superseded_at, scene.identity.durations.overlap);
    format!(
        "the earlier key {} works until {}. What reads a mounted volume at each connection follows by itself; what reads \
         the Secret as environment variables, by subPath, or once at its start has to be restarted by then",
        previous.key,
        seconds(until)
    )
}

fn in_use(scene: &Scene) -> Option<Note> {
    let (key, used) = still_in_use(scene.identity, scene.world)?;
    (!scene.did(|step| *step == Step::DeactivateKey(KeyId::clone(key)))).then(|| Note {
        warning: true,
        reason: "OldKeyStillInUse",
        action: "Retire",
        text: format!(
            "access key {key} was replaced and its overlap is over, but it was used at {used}: somebody still holds it. \
             Restart what reads the Secret as environment variables, by subPath, or once at its start; the key stays for at \
             most three overlaps in all"
        ),
    })
}

fn deactivated(scene: &Scene) -> Option<Note> {
    let user = &scene.identity.user.name;
    let text = || {
        format!(
            "the previous access key of IAM user {user} was made Inactive; it is deleted after a soak. What still uses it \
             gets 535 from now on: restart it, or make the key Active again in IAM to win time"
        )
    };
    scene
        .did(|step| matches!(step, Step::DeactivateKey(_)))
        .then(|| normal("KeyDeactivated", "Retire", text()))
}

fn deleted(scene: &Scene) -> Option<Note> {
    let (user, deleted) = (&scene.identity.user.name, scene.deleted());
    let text = || {
        format!(
            "access key {deleted} of IAM user {user} was deleted: it was revoked, is no longer in use, or goes with its object"
        )
    };
    (!deleted.is_empty()).then(|| normal("KeyDeleted", "Retire", text()))
}

fn drifted(scene: &Scene) -> Option<Note> {
    let user = &scene.identity.user.name;
    let what = scene.world.did.iter().filter_map(|step| match step {
        Step::CreateUser => Some("user"),
        Step::PutBoundary => Some("permissions boundary"),
        Step::TagUser => Some("tags"),
        Step::PutPolicy => Some("policy"),
        _ => None,
    });
    let what: Vec<&str> = what.collect();
    let text = || format!("IAM user {user} had been changed by somebody: {} restored", what.join(", "));
    (scene.world.drift && !what.is_empty()).then(|| normal("DriftRepaired", "Repair", text()))
}

fn repaired(scene: &Scene) -> Option<Note> {
    let secret = &scene.identity.secret_name;
    let text = || format!("Secret {secret} was brought back to what the spec asks for");
    scene
        .did(|step| matches!(step, Step::WriteSecret(SecretWrite::Repair { .. })))
        .then(|| normal("SecretRepaired", "Repair", text()))
}

fn policy_updated(scene: &Scene) -> Option<Note> {
    let user = &scene.identity.user.name;
    let text = || format!("the sending policy of IAM user {user} was updated");
    scene.did(|step| *step == Step::PutPolicy).then(|| normal("PolicyUpdated", "Update", text()))
}
