//! Events, and messages that would be too long.

use super::*;

#[test]
fn a_message_is_cut() {
    let end = End::Blocked { reason: Reason::AccessDenied, message: "é".repeat(40_000) };
    let goal = Goal::Serve(serve());
    let status = status(&goal, &world(None), &end);
    assert!(status.conditions.iter().all(|it| it.message.chars().count() <= 32_768));
    let event = note(&goal, &world(None), &end, &SesSmtpCredentialStatus::default()).unwrap();
    assert!(event.text.len() <= 1_024);
}

fn noted(steps: Vec<Step>) -> Option<(&'static str, String)> {
    let mut world = world(Some(serving()));
    world.did = steps;
    let event = note(&Goal::Serve(serve()), &world, &done(), &SesSmtpCredentialStatus::default())?;
    assert!(!event.warning);
    Some((event.reason, event.text))
}

#[test]
fn an_event_sums_up_what_a_pass_did() {
    let publish = || Step::WriteSecret(SecretWrite::Publish(Record::default()));
    let create = || Step::WriteSecret(SecretWrite::Create(Record::default()));
    let repair = Step::WriteSecret(SecretWrite::Repair { record: Record::default(), render: true });
    for (steps, reason) in [
        (vec![Step::CreateUser, Step::PutPolicy, Step::MintKey, create()], "Provisioned"),
        (vec![Step::DeleteKey(key(3)), Step::MintKey, publish()], "KeyReplaced"),
        (vec![Step::DeactivateKey(key(2))], "KeyDeactivated"),
        (vec![Step::DeleteKey(key(2))], "KeyDeleted"),
        (vec![repair], "SecretRepaired"),
        (vec![Step::PutPolicy], "PolicyUpdated"),
    ] {
        let (told, text) = noted(steps).unwrap();
        assert_eq!(told, reason);
        assert!(text.contains("mailer"), "{text}");
    }
    assert_eq!(noted(vec![Step::ReadSecret, Step::ListKeys]), None);
    assert!(noted(vec![publish()]).unwrap().1.contains(key(1).as_str()));
}

/// The event of a pass that published key 1 and leaves `previous`.
fn published(previous: Option<Previous>, deleted: &[u32], overlap: Option<&str>) -> (&'static str, String) {
    let goal = goal(|object| {
        let overlap = overlap.map(str::to_owned);
        object.spec.rotation = Some(crate::api::RotationSpec { interval: None, overlap, trigger: None });
    });
    let mut world = world(Some(Record { previous: Some(previous), ..serving() }));
    world.did = vec![Step::MintKey, Step::WriteSecret(SecretWrite::Publish(Record::default()))];
    world.did.extend(deleted.iter().map(|number| Step::DeleteKey(key(*number))));
    let event = note(&goal, &world, &done(), &SesSmtpCredentialStatus::default()).unwrap();
    assert!(event.text.len() <= 1_024, "{}", event.text);
    (event.reason, event.text)
}

#[test]
fn a_rotation_tells_readers_what_to_do_and_until_when() {
    let previous = || Some(Previous { key: key(2), superseded_at: time(0), deactivated_at: None });
    for (overlap, until) in [(None, time(24 * 3600)), (Some("90m"), time(90 * 60))] {
        let (reason, text) = published(previous(), &[], overlap);
        assert_eq!(reason, "Rotated");
        let until = format!("the earlier key {} works until {until}.", key(2));
        for part in [until.as_str(), key(1).as_str(), "Secret mailer", "at each connection follows by itself"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let restart =
            "as environment variables, by subPath, or once at its start has to be restarted by then";
        assert!(text.ends_with(restart), "{text}");
    }
    let (reason, text) = published(None, &[2], None);
    assert_eq!(reason, "KeyReplaced");
    assert!(text.contains(key(2).as_str()) && text.contains("restart now whatever reads"), "{text}");
    let (_, text) = published(None, &[], None);
    assert!(text.ends_with("no earlier key is left"), "{text}");
}

#[test]
fn a_warning_is_given_once_for_a_reason() {
    let (goal, world) = (Goal::Serve(serve()), world(None));
    let first = note(&goal, &world, &blocked(), &SesSmtpCredentialStatus::default()).unwrap();
    assert!(first.warning);
    assert_eq!(first.reason, "AccessDenied");
    let before = status(&goal, &world, &blocked());
    assert_eq!(note(&goal, &world, &blocked(), &before), None);
}

#[test]
fn a_policy_with_a_trap_is_told_once_as_a_warning() {
    let mut desired = serve();
    desired.caution = "list more".into();
    let goal = Goal::Serve(desired);
    let told = |steps: Vec<Step>, drift| {
        let mut world = world(Some(serving()));
        (world.did, world.drift) = (steps, drift);
        note(&goal, &world, &done(), &SesSmtpCredentialStatus::default())
    };
    let create = Step::WriteSecret(SecretWrite::Create(Record::default()));
    for (steps, reason) in [
        (vec![Step::CreateUser, Step::PutPolicy, Step::MintKey, create], "Provisioned"),
        (vec![Step::PutPolicy], "PolicyUpdated"),
    ] {
        let note = told(steps, false).unwrap();
        assert_eq!((note.warning, note.reason), (true, reason));
        assert!(
            note.text.ends_with("554 Access denied to more than may be meant: list more"),
            "{}",
            note.text
        );
    }
    let restored = told(vec![Step::PutPolicy], true).unwrap();
    assert_eq!((restored.warning, restored.reason), (false, "DriftRepaired"));
    let retired = told(vec![Step::DeactivateKey(key(2))], false).unwrap();
    assert!(!retired.warning && !retired.text.contains("554"));
    assert_eq!(told(Vec::new(), false), None);
}
