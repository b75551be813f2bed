//! Every reason, by a pass that ends with it, and what its message tells people to do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::derive;
use super::process::{Operator, Outcome, Progress, Running};
use super::sim::{Fault, Sim};
use crate::api::{EndpointSpec, PolicySpec, RotationSpec, SesSmtpCredentialStatus};
use crate::desired::VerifyLogin;
use crate::iam::{Blocker, Failure, KeyStatus};
use crate::login::{Login, Trouble};
use crate::names::tag;
use crate::reason::{Kind, Reason};
use crate::status::compute;
use crate::step::{Effect, End, Refusal};
use crate::test::key;

/// What a message may end with: what somebody has to do, or that nobody has to do anything.
const WAYS_OUT: [&str; 60] = [
    // Nobody has to do anything.
    "it is tried again by itself",
    "it is tried again by itself; if it lasts, look at the AWS status page and the network path",
    "it is tried again by itself; if it lasts, look at the control plane",
    "it is tried again by itself; if it lasts, look the code up",
    "it is made again afterwards",
    "it goes on in the next",
    "starting over",
    "nothing is to be done, this object goes with it",
    "waiting until a Secret naming it can no longer land",
    // Somebody has.
    "set it to the 12-digit id of the account that the user is in",
    "give each cluster an id of its own",
    "Delete or rename it, or restore path /ses-smtp/c1/ and tags",
    "make it Active again, or delete it to have it replaced",
    "Delete it, or give this object another spec.secret.name",
    "annotate it with ses-smtp.dev/adopt=true",
    "delete it, it is made again with a new key",
    "grant it",
    "grant it in account 123456789012",
    "look at quotas and admission rules",
    "delete users that nothing needs, or raise the quota",
    "name the role in account 123456789012 again",
    "list fewer or shorter entries in spec.policy",
    "list fewer or shorter entries in spec.policy.fromAddresses (about 4330), or use *@domain",
    "list 20 at most",
    "list each Region once",
    "delete those that nothing uses",
    "Delete those that nothing uses",
    "create it, or set the operator's --permissions-boundary-name to a policy that exists",
    "remove that, the deletion then goes on by itself",
    "find out who does it",
    "Open SES there once",
    "Allow the operator to connect there",
    "Mend whichever it is",
    "If nothing uses that one any more, delete it in IAM to go on sooner",
    "use one such as eu-central-1",
    "use user@domain, *@domain, *@*.domain or *, with a domain as DNS or IDNA knows it",
    "use an ARN like arn:aws:ses:eu-central-1:123456789012:identity/example.com, without wildcards",
    "use one of aws",
    "add one, or leave identities empty",
    "use CIDR form, such as 192.0.2.0/24 or 2001:db8::/32",
    "write 192.0.2.0/24 for the network, or 192.0.2.7/32 for the one address",
    "use a Region of aws",
    "an admin can add Regions with the endpoints file",
    "or have an admin list the host in the endpoints file",
    "25, 587, 2587, 465, 2465",
    "correct or remove it",
    "shorten it",
    "such as 2160h",
    // The owner of a source has.
    "ses-smtp.dev/access-key-source=true",
    "or name another one in spec.accessKeyFrom.secretRef",
    "fill it in",
    "correct it",
    "use an access key of an IAM user, whose id begins with AKIA",
    "delete it, it is made again from Secret vault",
    "and leave spec.deletionPolicy at Delete",
    "give the object another spec.secret.name",
    // Of conditions beside Ready.
    "do what condition Stalled says",
    "open SES there once",
    "allow it to connect there, or set its --verify-login to off",
    "set spec.suspend to false",
];

/// The messages of a pass that doesn't end well end with a way out.
#[track_caller]
pub fn tells_a_way_out(outcome: &Outcome) {
    if let Some(End::Wait { message, .. } | End::Blocked { message, .. }) = &outcome.end {
        ends_with_a_way_out(message);
    }
}

#[track_caller]
fn ends_with_a_way_out(message: &str) {
    let ways = WAYS_OUT.iter().filter(|way| {
        let before = message.strip_suffix(*way);
        before.is_some_and(|before| before.ends_with([' ', '"']))
    });
    assert!(ways.count() > 0, "no way out: {message}");
}

/// A pass, and what is reported after it.
fn reported(sim: &mut Sim, operator: &mut Operator) -> SesSmtpCredentialStatus {
    let before = SesSmtpCredentialStatus::default();
    let (running, end) = ended(sim, operator);
    compute(&sim.goal(), &running.world, &end, Some(1), &before, sim.now)
}

fn ended(sim: &mut Sim, operator: &mut Operator) -> (Running, End) {
    sim.passes += 1;
    let mut running = operator.begin(sim);
    loop {
        match running.advance(sim) {
            Progress::Went => {}
            Progress::Paused(until) => sim.wait_until(until),
            Progress::Ended(end) => {
                operator.memo = running.world.memo.clone();
                return (running, end);
            }
            Progress::Crashed => panic!("nothing crashes here"),
        }
    }
}

type Scene = fn() -> (Sim, Operator);

fn fresh() -> (Sim, Operator) {
    (Sim::new(), Operator::default())
}

/// An object whose first call of this name is answered so.
fn answered(call: &str, effect: Effect) -> (Sim, Operator) {
    let (mut sim, operator) = fresh();
    sim.broken = Some((call.to_owned(), effect));
    (sim, operator)
}

fn of_iam(call: &str, failure: Failure) -> (Sim, Operator) {
    answered(call, Effect::Iam(failure))
}

fn spec(change: impl FnOnce(&mut Sim)) -> (Sim, Operator) {
    let (mut sim, operator) = fresh();
    change(&mut sim);
    (sim, operator)
}

/// The same of an object that is provisioned.
fn later(change: impl FnOnce(&mut Sim)) -> (Sim, Operator) {
    let (mut sim, operator) = Sim::provisioned();
    change(&mut sim);
    (sim, operator)
}

fn trigger(sim: &mut Sim) {
    let trigger = Some("1".to_owned());
    sim.object.spec.rotation = Some(RotationSpec { interval: None, overlap: None, trigger });
}

/// SES answers a first key so.
fn logs_in(verify: VerifyLogin, answer: Option<Login>) -> (Sim, Operator) {
    spec(|sim| {
        sim.settings.verify_login = verify;
        sim.ses = answer;
    })
}

/// One way to each reason, by the condition that has it first.
const SCENES: &[(Reason, Scene)] = &[
    (Reason::Provisioned, fresh),
    (Reason::Provisioning, || {
        spec(|sim| drop(sim.faults.insert(0, Fault::Says(Effect::Cluster(Refusal::Conflict)))))
    }),
    (Reason::WaitingForLogin, || logs_in(VerifyLogin::Required, Some(Login::Unreachable(Trouble::Connect)))),
    (Reason::WaitingForKeySlot, || {
        let (mut sim, operator) = Sim::rotated();
        trigger(&mut sim);
        (sim, operator)
    }),
    (Reason::Throttled, || of_iam("CreateUser", Failure::Throttled)),
    (Reason::AwsUnavailable, || of_iam("CreateUser", Failure::Unclear)),
    (Reason::ApiServerUnavailable, || answered("ReadSecret", Effect::Cluster(Refusal::Unclear))),
    (Reason::Deleting, || {
        later(|sim| {
            sim.delete_object();
            sim.broken = Some(("DeleteUser".into(), Effect::Iam(Failure::Busy)));
        })
    }),
    (Reason::LoginVerified, || logs_in(VerifyLogin::Auto, Some(Login::Accepted))),
    (Reason::EndpointUnreachable, || logs_in(VerifyLogin::Auto, Some(Login::Unreachable(Trouble::Connect)))),
    (Reason::InvalidSpec, || spec(|sim| sim.object.spec.region = "EU".into())),
    (Reason::NotAllowed, || {
        spec(|sim| sim.object.spec.endpoint = Some(EndpointSpec { host: None, port: Some(80) }))
    }),
    (Reason::RegionHasNoSmtpEndpoint, || spec(|sim| sim.object.spec.region = "me-south-1".into())),
    (Reason::RegionUnknown, || spec(|sim| sim.object.spec.region = "eu-nowhere-1".into())),
    (Reason::PartitionMismatch, || spec(|sim| sim.object.spec.region = "cn-north-1".into())),
    (Reason::AccountMismatch, || later(|sim| sim.settings.installation.account = "210987654321".into())),
    (Reason::SecretNotOwned, || {
        later(|sim| {
            sim.edit(|secret| {
                secret.metadata.owner_references = None;
                secret.metadata.annotations = None;
            });
        })
    }),
    (Reason::SecretImmutable, || {
        later(|sim| {
            sim.edit(|secret| secret.immutable = Some(true));
            trigger(sim);
        })
    }),
    (Reason::SecretRefused, || {
        answered("Create", Effect::Cluster(Refusal::Refused { code: "Forbidden".into() }))
    }),
    (Reason::UserNotOwned, || taken(|user| user.path = "/".into())),
    (Reason::OwnershipContested, || taken(|user| drop(user.tags.insert(tag::INSTALL.into(), "i2".into())))),
    (Reason::AccessDenied, || {
        of_iam("PutPolicy", Failure::Denied { action: "iam:PutUserPolicy", resource: "u".into() })
    }),
    (Reason::BoundaryMissing, || of_iam("CreateUser", Failure::Absent)),
    (Reason::KeyQuotaExceeded, || of_iam("MintKey", Failure::Limit)),
    (Reason::KeyDeactivated, || {
        let (mut sim, mut operator) = Sim::provisioned();
        let name = sim.user_name();
        sim.account.key(&name, &key(1)).unwrap().listed.status = KeyStatus::Inactive;
        operator.memo.retry = true;
        (sim, operator)
    }),
    (Reason::SourceSecretInvalid, || derived(None)),
    (Reason::TemporaryAccessKey, || derived(Some(3))),
    (Reason::LoginRejected, || logs_in(VerifyLogin::Auto, Some(Login::Refused))),
    (Reason::AccountNotSubscribed, || logs_in(VerifyLogin::Auto, Some(Login::NotSubscribed))),
    (Reason::AccountLimitExceeded, || of_iam("CreateUser", Failure::Limit)),
    (Reason::PolicyTooLarge, || {
        let from_addresses = (0..20).map(|n| format!("{}{n}@example.com", "a".repeat(200))).collect();
        spec(|sim| sim.object.spec.policy = Some(PolicySpec { from_addresses, ..PolicySpec::default() }))
    }),
    (Reason::ForeignAttachment, || {
        later(|sim| {
            let name = sim.user_name();
            sim.account.user(&name).unwrap().foreign = Some(Blocker::LoginProfile);
            sim.delete_object();
        })
    }),
];

/// An object with somebody else's key, and the source number so and so.
fn derived(source: Option<usize>) -> (Sim, Operator) {
    let mut sim = derive::asked();
    derive::put(&mut sim, source.map(derive::key_of));
    (sim, Operator::default())
}

/// The same with another spec.
fn derived_with(change: impl FnOnce(&mut crate::api::SesSmtpCredentialSpec)) -> (Sim, Operator) {
    let (mut sim, operator) = derived(Some(0));
    change(&mut sim.object.spec);
    (sim, operator)
}

/// A user of the object's name is there, and isn't quite ours.
fn taken(change: impl FnOnce(&mut crate::iam::UserSpec)) -> (Sim, Operator) {
    spec(|sim| {
        let mut user = sim.identity().user;
        change(&mut user);
        sim.account.create_user(&user).unwrap();
    })
}

#[test]
fn every_reason_is_reached_and_its_message_tells_what_to_do() {
    let reached: Vec<Reason> = SCENES.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reached, Reason::ALL, "one scene for each reason, in their order");
    for (reason, scene) in SCENES {
        let (mut sim, mut operator) = scene();
        let status = reported(&mut sim, &mut operator);
        let shown: Vec<&str> = status
            .conditions
            .iter()
            .filter(|one| one.reason == reason.as_str())
            .map(|one| one.type_.as_str())
            .collect();
        assert!(!shown.is_empty(), "{reason:?} isn't reported: {:#?}", status.conditions);
        assert!(beside_ready(*reason).is_none_or(|type_| shown.contains(&type_)), "{reason:?}: {shown:?}");
        for condition in status.conditions.iter().filter(|condition| !is_well(condition)) {
            ends_with_a_way_out(&condition.message);
        }
    }
}

/// The condition that says why somebody has to act, or why the operator waits.
fn beside_ready(reason: Reason) -> Option<&'static str> {
    match reason.kind() {
        Kind::Blocked => Some("Stalled"),
        // It holds nothing up: the credential is trusted, and only LoginVerified tells.
        Kind::Progress if reason != Reason::EndpointUnreachable => Some("Reconciling"),
        _ => None,
    }
}

fn is_well(condition: &Condition) -> bool {
    ["Provisioned", "LoginVerified"].contains(&condition.reason.as_str())
}

/// Reasons of one meaning by other ways, whose messages differ.
const OTHER_WAYS: &[(Reason, Scene)] = &[
    (Reason::AccountMismatch, || {
        later(|sim| {
            sim.facts.account = None;
            let name = sim.user_name();
            sim.account.users.remove(&name);
        })
    }),
    (Reason::AccessDenied, || {
        answered("Create", Effect::Cluster(Refusal::Denied { right: "create secrets" }))
    }),
    (Reason::SecretRefused, || answered("Create", Effect::Cluster(Refusal::NamespaceTerminating))),
    (Reason::PolicyTooLarge, || of_iam("PutPolicy", Failure::Limit)),
    (Reason::AwsUnavailable, || of_iam("MintKey", Failure::Refused { code: "ServiceFailure".into() })),
    (Reason::Throttled, || answered("Create", Effect::Cluster(Refusal::Throttled))),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.policy = Some(from(&["*example.com"])))),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.policy = Some(from(&["*"; 21])))),
    (Reason::InvalidSpec, || limited(|policy| policy.identities = vec!["example.com".into()])),
    (Reason::PartitionMismatch, || limited(|policy| policy.identities = vec![arn("aws-cn", "cn-north-1")])),
    (Reason::InvalidSpec, || limited(|policy| policy.identities = vec![arn("aws", "us-east-1")])),
    (Reason::InvalidSpec, || limited(|policy| policy.source_cidrs = vec!["192.0.2.0".into()])),
    (Reason::InvalidSpec, || limited(|policy| policy.source_cidrs = vec!["192.0.2.7/24".into()])),
    (Reason::InvalidSpec, || {
        later(|sim| {
            let labels = [("a b".to_owned(), "c".to_owned())].into();
            sim.object.spec.secret = Some(crate::api::SecretSpec { labels, ..Default::default() });
        })
    }),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.rotation = Some(lasting("1s", None)))),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.additional_regions = vec!["us-east-1".into(); 2])),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.additional_regions = vec!["us-east-1".into(); 21])),
    (Reason::SecretNotOwned, || {
        later(|sim| {
            sim.edit(|secret| {
                let owner = &mut secret.metadata.owner_references.as_mut().unwrap()[0];
                owner.kind = "Deployment".into();
                owner.api_version = "apps/v1".into();
            });
        })
    }),
    (Reason::InvalidSpec, || later(|sim| sim.object.spec.rotation = Some(lasting("1h", Some("1h"))))),
    (Reason::SourceSecretInvalid, || derived(Some(4))),
    (Reason::SourceSecretInvalid, || derived(Some(5))),
    (Reason::SourceSecretInvalid, || derived(Some(6))),
    (Reason::SourceSecretInvalid, || {
        let (mut sim, operator) = derived(None);
        derive::put_key(&mut sim, "", "");
        (sim, operator)
    }),
    (Reason::SourceSecretInvalid, || {
        let (mut sim, operator) = derived(Some(0));
        sim.source.as_mut().unwrap().metadata.labels = None;
        (sim, operator)
    }),
    (Reason::SecretImmutable, || {
        let (mut sim, operator) = derive::made();
        sim.edit(|secret| secret.immutable = Some(true));
        derive::put(&mut sim, Some(derive::key_of(1)));
        (sim, operator)
    }),
    (Reason::LoginRejected, || {
        let (mut sim, operator) = derived(Some(0));
        (sim.settings.verify_login, sim.ses) = (VerifyLogin::Auto, Some(Login::Refused));
        (sim, operator)
    }),
    (Reason::AccountNotSubscribed, || {
        let (mut sim, operator) = derived(Some(0));
        (sim.settings.verify_login, sim.ses) = (VerifyLogin::Auto, Some(Login::NotSubscribed));
        (sim, operator)
    }),
    (Reason::InvalidSpec, || derived_with(|spec| spec.policy = Some(from(&["*"])))),
    (Reason::InvalidSpec, || {
        derived_with(|spec| spec.access_key_from.as_mut().unwrap().secret_ref.name = "mailer".into())
    }),
    (Reason::NotAllowed, || {
        let host = Some("mail.example.com".to_owned());
        later(|sim| sim.object.spec.endpoint = Some(EndpointSpec { host, port: None }))
    }),
];

fn from(addresses: &[&str]) -> PolicySpec {
    let from_addresses = addresses.iter().map(|text| (*text).to_owned()).collect();
    PolicySpec { from_addresses, ..PolicySpec::default() }
}

fn limited(change: impl FnOnce(&mut PolicySpec)) -> (Sim, Operator) {
    later(|sim| change(sim.object.spec.policy.get_or_insert_default()))
}

fn arn(partition: &str, region: &str) -> String {
    format!("arn:{partition}:ses:{region}:123456789012:identity/example.com")
}

fn lasting(interval: &str, overlap: Option<&str>) -> RotationSpec {
    let overlap = overlap.map(str::to_owned);
    RotationSpec { interval: Some(interval.to_owned()), overlap, trigger: None }
}

#[test]
fn every_message_of_a_reason_tells_what_to_do() {
    for (n, (reason, scene)) in OTHER_WAYS.iter().enumerate() {
        let (mut sim, mut operator) = scene();
        let (_, end) = ended(&mut sim, &mut operator);
        let (End::Wait { reason: told, message, .. } | End::Blocked { reason: told, message }) = end else {
            panic!("{n}: {reason:?} isn't reached: {end:?}")
        };
        assert_eq!(told, *reason, "{n}: {message}");
        ends_with_a_way_out(&message);
    }
}
