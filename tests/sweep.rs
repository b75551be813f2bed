//! What nobody tells the operator: edits in IAM, a quarantine, and users whose object is gone, found by
//! looks at the whole account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_double::account::KeyState;
use aws_double::{ACCOUNT, Caller, Config, UserSnapshot};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use testbed::{
    Bed, Credential, Error, Launch, Object, Operator, Options, SOON, boundary_policy, eventually,
    operator_policy,
};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGION: &str = "eu-central-1";
/// Ten minutes in half a second, a day in 72.
const SCALE: f64 = 1200.0;
/// A key that no Secret names has to be two minutes old before it goes, in real time.
const GROWN: Duration = Duration::from_mins(4);
/// How far two dates that IAM tells may be off each other.
const WHOLE_SECONDS: SignedDuration = SignedDuration::from_secs(2);
const POLICY: &str = "ses-smtp-send";
const CLUSTER: &str = "c1";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/ses-smtp-boundary";

/// What somebody widens a policy to.
const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:*","Resource":"*"}]}"#;

/// The operator may do what its shipped policy says and nothing else.
async fn bed(scale: f64) -> (Bed, Launch) {
    let caller = Caller::default().with_policy(&operator_policy(ACCOUNT, CLUSTER).unwrap());
    let aws = Config {
        regions: vec![REGION.into()],
        time_scale: scale,
        callers: vec![caller],
        ..Config::default()
    };
    let aws = aws.policy(BOUNDARY, &boundary_policy().unwrap());
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await.unwrap();
    bed.namespace("shop").await.unwrap();
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    launch.environment.insert("SES_SMTP_CLUSTER_ID".into(), CLUSTER.into());
    (bed, launch)
}

async fn provisioned(bed: &Bed, name: &str) -> (Object, Credential) {
    let object = bed.apply("shop", name, "{region: eu-central-1}").await.unwrap();
    bed.ready("shop", name).await.unwrap();
    (object, bed.login("shop", name).await.unwrap())
}

/// Waits until the user of the object is as wanted.
async fn user_is(
    bed: &Bed,
    object: &Object,
    what: &str,
    wanted: impl Fn(&UserSnapshot) -> bool,
) -> UserSnapshot {
    user_is_within(SOON, bed, object, what, wanted).await
}

async fn user_is_within(
    time: Duration,
    bed: &Bed,
    object: &Object,
    what: &str,
    wanted: impl Fn(&UserSnapshot) -> bool,
) -> UserSnapshot {
    eventually(what, time, async || match bed.user_of(object) {
        Some(user) if wanted(&user) => Ok(Some(user)),
        user => Error::wrong(format!("{user:?}")),
    })
    .await
    .unwrap()
}

fn pairs(tags: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

async fn event(bed: &Bed, reason: &str, part: &str) {
    let what = format!("event {reason} with {part}");
    eventually(&what, SOON, async || {
        let events = bed.events("shop").await?;
        let found = events.iter().any(|(told, text)| told == reason && text.contains(part));
        if found { Ok(Some(())) } else { Error::wrong(format!("{events:?}")) }
    })
    .await
    .unwrap();
}

/// A metric's value; 0 if it isn't there yet.
async fn metric(operator: &Operator, name: &str) -> f64 {
    let metrics = operator.metrics().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

async fn sweeps(operator: &Operator, kind: &str, more: f64) {
    let name = format!("ses_smtp_sweeps_total{{kind=\"{kind}\",outcome=\"ok\"}}");
    let until = metric(operator, &name).await + more;
    eventually("looks at the account", SOON, async || {
        let count = metric(operator, &name).await;
        if count >= until { Ok(Some(())) } else { Error::wrong(format!("{count} of {until}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_iam_are_repaired_or_reported() {
    let (bed, launch) = bed(SCALE).await;
    let operator = launch.start().await.unwrap();
    let mut objects = BTreeMap::new();
    for name in
        ["policy", "tags", "boundary", "gone", "uid", "path", "extra", "inactive", "deleted", "unknown"]
    {
        objects.insert(name, provisioned(&bed, name).await);
    }
    let user = |name: &str| bed.user_of(&objects[name].0).unwrap();
    let hand = bed.aws.by_hand();
    let policy = user("policy").policies[POLICY].clone();
    let names: BTreeMap<&str, String> = objects.keys().map(|name| (*name, user(name).name)).collect();
    hand.put_policy(&names["policy"], POLICY, WIDE).unwrap();
    let mut tags = user("tags").tags;
    tags.remove("ses-smtp.dev/namespace");
    hand.set_tags(&names["tags"], &pairs(&tags)).unwrap();
    hand.set_boundary(&names["boundary"], None).unwrap();
    hand.purge_user(&names["gone"]).unwrap();
    let mut tags = user("uid").tags;
    tags.insert("ses-smtp.dev/uid".into(), "another".into());
    hand.set_tags(&names["uid"], &pairs(&tags)).unwrap();
    hand.set_path(&names["path"], "/elsewhere/").unwrap();
    hand.attach_policy(&names["extra"], "arn:aws:iam::aws:policy/AmazonSesSendingAccess").unwrap();
    hand.set_key(&names["inactive"], &objects["inactive"].1.username, KeyState::Inactive).unwrap();
    hand.set_key(&names["deleted"], &objects["deleted"].1.username, KeyState::Deleted).unwrap();
    hand.make_key(&names["unknown"]).unwrap();

    user_is(&bed, &objects["policy"].0, "the policy", |user| user.policies[POLICY] == policy).await;
    event(&bed, "DriftRepaired", "policy restored").await;
    user_is(&bed, &objects["tags"].0, "the tags", |user| user.tags.contains_key("ses-smtp.dev/namespace"))
        .await;
    user_is(&bed, &objects["boundary"].0, "the boundary", |user| user.boundary.is_some()).await;
    event(&bed, "DriftRepaired", "permissions boundary restored").await;
    user_is(&bed, &objects["gone"].0, "a user made anew", |user| user.keys.len() == 1).await;
    bed.reads("shop", "uid", "Stalled", "True UserNotOwned").await.unwrap();
    bed.reads("shop", "path", "Stalled", "True UserNotOwned").await.unwrap();
    for name in ["uid", "path"] {
        assert!(bed.accepts(&objects[name].1).await.unwrap(), "{name}: what isn't ours is left alone");
    }
    event(&bed, "ForeignAttachment", "AmazonSesSendingAccess").await;
    bed.reads("shop", "inactive", "Stalled", "True KeyDeactivated").await.unwrap();
    user_is(&bed, &objects["deleted"].0, "another key", |user| user.keys.len() == 1).await;
    user_is_within(GROWN, &bed, &objects["unknown"].0, "one key", |user| user.keys.len() == 1).await;
    assert_eq!(bed.login("shop", "unknown").await.unwrap(), objects["unknown"].1, "the published key stays");
    for name in ["policy", "tags", "boundary", "gone", "deleted", "unknown"] {
        bed.ready("shop", name).await.unwrap();
        eventually("a login", SOON, async || bed.login("shop", name).await.map(Some)).await.unwrap();
    }
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_user_gets_a_new_key_at_once() {
    let (bed, launch) = bed(SCALE).await;
    let operator = launch.start().await.unwrap();
    let (object, leaked) = provisioned(&bed, "mailer").await;
    let made = bed.user_of(&object).unwrap();
    // IAM tells dates in whole seconds, and what it found in public is older than that.
    eventually("a key that is surely older than its quarantine", SOON, async || {
        Ok((made.keys[0].created.duration_until(Timestamp::now()) > WHOLE_SECONDS).then_some(()))
    })
    .await
    .unwrap();
    bed.aws.by_hand().quarantine(&made.name).unwrap();
    let user = user_is(&bed, &object, "the quarantine lifted", |user| user.attached.is_empty()).await;
    assert_eq!(user.keys.len(), 1);
    let now = bed.login("shop", "mailer").await.unwrap();
    assert_ne!(now.username, leaked.username);
    assert!(!bed.accepts(&leaked).await.unwrap());
    event(&bed, "Quarantined", &leaked.username).await;
    sweeps(&operator, "drift", 2.0).await;
    assert_eq!(bed.login("shop", "mailer").await.unwrap(), now, "one new key, not one for each look");
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

/// The object goes without its finalizer having run.
async fn force_deleted(bed: &Bed, name: &str) {
    bed.strip_finalizers("shop", name).await.unwrap();
    bed.delete("shop", name).await.unwrap();
    bed.gone("shop", name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_an_object_goes_as_its_tag_says() {
    let (bed, launch) = bed(SCALE * 5.0).await;
    let operator = launch.start().await.unwrap();
    provisioned(&bed, "stays").await;
    let mut objects = BTreeMap::new();
    for policy in ["Delete", "Retain", "Deactivate"] {
        let name = policy.to_lowercase();
        let spec = format!("{{region: {REGION}, deletionPolicy: {policy}}}");
        let object = bed.apply("shop", &name, &spec).await.unwrap();
        bed.ready("shop", &name).await.unwrap();
        let credential = bed.login("shop", &name).await.unwrap();
        objects.insert(policy, (object, credential));
    }
    operator.stop().await.unwrap();
    for policy in objects.keys() {
        force_deleted(&bed, &policy.to_lowercase()).await;
    }
    let operator = launch.start().await.unwrap();
    let suspended = user_is(&bed, &objects["Delete"].0, "keys Inactive and the mark", |user| {
        user.tags.contains_key("ses-smtp.dev/orphaned-since") && !user.keys[0].is_active()
    });
    suspended.await;
    let released = |user: &UserSnapshot| user.tags.contains_key("ses-smtp.dev/released");
    let user = user_is(&bed, &objects["Retain"].0, "a released user", released).await;
    assert!(user.keys[0].is_active());
    assert!(bed.accepts(&objects["Retain"].1).await.unwrap());
    let user = user_is(&bed, &objects["Deactivate"].0, "a released user", released).await;
    assert!(!user.keys[0].is_active());
    eventually("the user of the first to be deleted", Duration::from_mins(2), async || {
        Ok(bed.user_of(&objects["Delete"].0).is_none().then_some(()))
    })
    .await
    .unwrap();
    sweeps(&operator, "orphans", 2.0).await;
    assert_eq!(bed.aws.users().len(), 3, "the others stay");
    bed.login("shop", "stays").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_listed_and_deleted_by_hand() {
    let (bed, launch) = bed(SCALE).await;
    let operator = launch.start().await.unwrap();
    let (object, _) = provisioned(&bed, "mailer").await;
    provisioned(&bed, "stays").await;
    let spec = format!("{{region: {REGION}, deletionPolicy: Retain}}");
    let retained = bed.apply("shop", "retained", &spec).await.unwrap();
    bed.ready("shop", "retained").await.unwrap();
    let retained = bed.user_of(&retained).unwrap().name;
    operator.stop().await.unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(BINARY);
        command.env_clear().envs(&launch.environment).arg("orphans").args(arguments).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, listed, _) = run(&[]).await;
    assert_eq!((code, listed.lines().count()), (0, 1), "{listed}");
    force_deleted(&bed, "mailer").await;
    let name = bed.user_of(&object).unwrap().name;
    let (code, listed, _) = run(&[]).await;
    assert_eq!((code, listed.lines().count()), (0, 2), "{listed}");
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[1], row[3], row[4]), (name.as_str(), "shop/mailer", "Delete", "-"));
    let (_, listed, _) = run(&["--install", "another"]).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert_eq!(bed.aws.users().len(), 3, "listing changes nothing");
    force_deleted(&bed, "retained").await;
    let (code, _, said) = run(&["--delete"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("deleted {name}\n")), "{said}");
    assert!(
        said.contains(&format!("kept {retained}: its deletion policy isn't Delete; --any-policy")),
        "{said}"
    );
    assert_eq!(bed.aws.users().len(), 2);
    let (code, _, said) = run(&["--delete", "--any-policy"]).await;
    assert_eq!((code, said.lines().last().unwrap()), (0, format!("deleted {retained}").as_str()));
    assert_eq!(bed.aws.users().len(), 1);
    // Without any object every user looks orphaned: that is no ground to delete them.
    force_deleted(&bed, "stays").await;
    let (code, _, said) = run(&["--delete"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--install"), "{said}");
    assert_eq!(bed.aws.users().len(), 1);
    bed.no_secret_leaked(None, &[REGION]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_five_thousand_users_costs_its_pages() {
    let (bed, mut launch) = bed(1200.0).await;
    launch.environment.insert("SES_SMTP_SWEEP_INTERVAL".into(), "0s".into());
    let operator = launch.start().await.unwrap();
    provisioned(&bed, "mailer").await;
    operator.stop().await.unwrap();
    for n in 0..4_999 {
        bed.aws.call("CreateUser", &[("UserName", &format!("other-{n}")), ("Path", "/others/")]).unwrap();
    }
    let operator = launch.start().await.unwrap();
    bed.aws.reset_journal();
    sweeps(&operator, "drift", 3.0).await;
    let looks = metric(&operator, "ses_smtp_sweeps_total{kind=\"drift\",outcome=\"ok\"}").await;
    operator.stop().await.unwrap();
    let mut counts = bed.aws.counts();
    counts.remove("GetCallerIdentity");
    let pages = counts.remove("GetAccountAuthorizationDetails").unwrap();
    assert_eq!(pages % 5, 0, "{pages} pages of a thousand users");
    assert!((pages as f64 / 5.0 - looks).abs() <= 1.0, "{pages} pages in {looks} looks");
    // One report in four hours: 12 s here.
    let reports = counts.remove("GetCredentialReport").unwrap_or_default();
    let asked = counts.remove("GenerateCredentialReport").unwrap_or_default();
    assert!(reports <= 2 && asked <= reports + 1, "{reports} reports, asked for {asked} times");
    assert_eq!(counts, BTreeMap::new(), "and nothing else");
    println!("drift: {looks} looks at 5,000 users, {pages} pages, {reports} reports");
}

/// Two clusters with one cluster id and one account: each sees the other's users without an object,
/// and leaves them alone.
#[tokio::test(flavor = "multi_thread")]
async fn two_installations_of_one_cluster_id_keep_to_their_own() {
    let (here, launch) = bed(SCALE).await;
    let (there, mut other) = bed(SCALE).await;
    for variable in ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"] {
        other.environment.insert(variable.into(), here.aws.iam_url());
    }
    // Its endpoints are another stand-in's, which doesn't know the keys.
    other.environment.insert("SES_SMTP_VERIFY_LOGIN".into(), "off".into());
    let operators = [launch.start().await.unwrap(), other.start().await.unwrap()];
    provisioned(&here, "mailer").await;
    there.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    there.ready("shop", "mailer").await.unwrap();
    let before = here.aws.users();
    assert_eq!(before.len(), 2);
    for operator in &operators {
        sweeps(operator, "orphans", 4.0).await;
    }
    let kept = |user: &UserSnapshot| user.keys.len() == 1 && user.keys[0].is_active();
    let after = here.aws.users();
    assert!(after.iter().all(kept), "{after:?}");
    let tags = |users: &[UserSnapshot]| users.iter().map(|user| user.tags.clone()).collect::<Vec<_>>();
    assert_eq!(tags(&after), tags(&before));
    for operator in operators {
        operator.stop().await.unwrap();
    }
}
