//! Tenants: what admins allow a namespace by annotations, and namespaces that work in other accounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_double::{ACCOUNT, CALLER_KEY_ID, Caller, Config, Role, UserSnapshot};
use control_plane::FaultProxy;
use control_plane::proxy::{Action, Rule};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use ses_smtp_core::rights::Reach;
use testbed::{Bed, Error, Launch, Object, Operator, Options, SOON, condition, eventually, mail};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGIONS: [&str; 2] = ["eu-central-1", "eu-west-1"];
const CLUSTER: &str = "c1";
const TENANT: &str = "210987654321";
const ROLE: &str = "arn:aws:iam::210987654321:role/ses-smtp-tenant";
const OTHER: &str = "333333333333";
const OTHER_ROLE: &str = "arn:aws:iam::333333333333:role/ses-smtp-tenant";
const OPERATOR: &str = "arn:aws:iam::123456789012:role/ses-smtp-operator";
/// An hour in six seconds.
const SCALE: f64 = 600.0;

fn shipped(name: &str, account: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/iam").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("ACCOUNT", account).replace("CLUSTER", CLUSTER);
    serde_json::from_str(&text.replace("NAMESPACE", "tenant")).unwrap()
}

/// What the operator's own role may do, with or without the right to assume the tenants' roles.
fn own_policy(with_roles: bool) -> String {
    let roles = if with_roles { vec![ROLE.to_owned(), OTHER_ROLE.to_owned()] } else { Vec::new() };
    let reach = Reach {
        partition: "aws".to_owned(),
        account: ACCOUNT.to_owned(),
        path: format!("/ses-smtp/{CLUSTER}/"),
        boundary_name: "ses-smtp-boundary".to_owned(),
        roles,
    };
    serde_json::to_string(&reach.operator()).unwrap()
}

/// The tenant's role as the shipped files make it: the operator's policy in another account.
fn role() -> Role {
    Role {
        arn: ROLE.to_owned(),
        trust: shipped("tenant-trust-policy.json", ACCOUNT).to_string(),
        policy: Some(shipped("operator-policy.json", TENANT).to_string()),
    }
}

/// Looks at whole accounts are off: what happens is caused by what is watched.
async fn bed(settings: &[(&str, &str)]) -> (Bed, Launch) {
    let mut aws = Config {
        regions: REGIONS.map(str::to_owned).to_vec(),
        time_scale: SCALE,
        callers: vec![Caller::default().with_policy(&own_policy(true))],
        roles: vec![role(), Role::new(OTHER_ROLE, OPERATOR, &["c1/*"])],
        ..Config::default()
    };
    for account in [ACCOUNT, TENANT, OTHER] {
        let arn = format!("arn:aws:iam::{account}:policy/ses-smtp-boundary");
        aws = aws.policy(&arn, &shipped("boundary-policy.json", account).to_string());
    }
    let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
    for namespace in ["shop", "free", "tenant"] {
        bed.namespace(namespace).await.unwrap();
    }
    let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
    let roles = format!("{ROLE},{OTHER_ROLE}");
    let always = [
        ("CLUSTER_ID", CLUSTER),
        ("PERMISSIONS_BOUNDARY_NAME", "ses-smtp-boundary"),
        ("ALLOWED_ROLES", &roles),
        ("DRIFT_INTERVAL", "0s"),
        ("SWEEP_INTERVAL", "0s"),
    ];
    for (name, value) in always.iter().chain(settings) {
        launch.environment.insert(format!("SES_SMTP_{name}"), (*value).to_owned());
    }
    (bed, launch)
}

/// Sets an annotation of a Namespace as an admin does; `None` removes it.
async fn annotate(bed: &Bed, namespace: &str, key: &str, value: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {format!("ses-smtp.dev/{key}"): value}}});
    let namespaces = Api::<Namespace>::all(bed.client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn ready(bed: &Bed, namespace: &str, name: &str, spec: &str) -> Object {
    bed.apply(namespace, name, spec).await.unwrap();
    bed.ready(namespace, name).await.unwrap()
}

/// Waits until the object is stalled for the reason, and gives the message.
async fn stalled(bed: &Bed, namespace: &str, name: &str, reason: &str) -> String {
    let object = bed.reads(namespace, name, "Stalled", &format!("True {reason}")).await.unwrap();
    let conditions = object.status.unwrap().conditions;
    conditions.into_iter().find(|one| one.type_ == "Stalled").unwrap().message
}

/// Waits until nothing is wrong with the object.
async fn healed(bed: &Bed, namespace: &str, name: &str) -> Object {
    eventually(&format!("{namespace}/{name} to be healed"), SOON, async || {
        let object = bed.objects(namespace).get(name).await?;
        let good =
            condition(&object, "Ready") == "True Provisioned" && condition(&object, "Stalled").is_empty();
        if good {
            Ok(Some(object))
        } else {
            Error::wrong(format!("{:?}", object.status.map(|s| s.conditions)))
        }
    })
    .await
    .unwrap()
}

fn user_in(bed: &Bed, account: &str, object: &Object) -> Option<UserSnapshot> {
    let uid = object.uid().unwrap();
    bed.aws.users_in(account).into_iter().find(|user| user.tags.get("ses-smtp.dev/uid") == Some(&uid))
}

/// Whom the user of the object may send as.
fn senders(bed: &Bed, object: &Object) -> Value {
    let user = user_in(bed, ACCOUNT, object).unwrap();
    let policy: Value = serde_json::from_str(&user.policies["ses-smtp-send"]).unwrap();
    policy["Statement"][0]["Condition"]["StringLike"]["ses:FromAddress"].clone()
}

async fn send(bed: &Bed, namespace: &str, name: &str, from: &'static str) -> Result<Vec<String>, Error> {
    let (credential, ca) = (bed.credential(namespace, name).await?, bed.aws.ca_pem().to_owned());
    let session = move || mail::login(&credential, &ca)?.send(from, "customer@example.net");
    tokio::task::spawn_blocking(session).await.unwrap()
}

fn assumed(bed: &Bed) -> u64 {
    bed.aws.counts().get("AssumeRole").copied().unwrap_or_default()
}

async fn limited() -> (Bed, Operator) {
    let settings = [
        ("ALLOWED_REGIONS", "eu-central-1,eu-west-1"),
        ("ALLOWED_FROM_ADDRESSES", "*@example.com,*@*.example.com"),
    ];
    let (bed, launch) = bed(&settings).await;
    annotate(&bed, "shop", "allowed-regions", Some("eu-central-1")).await;
    annotate(&bed, "shop", "allowed-from-addresses", Some("*@shop.example.com, *@elsewhere.example")).await;
    let operator = launch.start().await.unwrap();
    (bed, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_asks_for_more_is_told_what_is_allowed_and_costs_no_call() {
    let (bed, operator) = limited().await;
    for (namespace, name, spec, says) in [
        (
            "shop",
            "far",
            "{region: eu-west-1}",
            "spec.region eu-west-1 is not allowed by annotation ses-smtp.dev/allowed-regions of namespace shop and the operator's --allowed-regions: allowed are eu-central-1",
        ),
        (
            "shop",
            "wide",
            "{region: eu-central-1, additionalRegions: [eu-west-1]}",
            "spec.additionalRegions eu-west-1 is not allowed",
        ),
        (
            "free",
            "far",
            "{region: us-east-1}",
            "by the operator's --allowed-regions: allowed are eu-central-1, eu-west-1",
        ),
        (
            "shop",
            "loud",
            "{region: eu-central-1, policy: {fromAddresses: ['*@example.com']}}",
            "spec.policy.fromAddresses *@example.com is not allowed by annotation ses-smtp.dev/allowed-from-addresses of namespace shop and the operator's --allowed-from-addresses: allowed are *@shop.example.com",
        ),
        (
            "free",
            "loud",
            "{region: eu-central-1, policy: {fromAddresses: ['*']}}",
            "allowed are *@example.com, *@*.example.com",
        ),
    ] {
        bed.apply(namespace, name, spec).await.unwrap();
        let message = stalled(&bed, namespace, name, "NotAllowed").await;
        assert!(message.contains(says), "{message}");
        let object = bed.objects(namespace).get(name).await.unwrap();
        assert!(object.finalizers().is_empty(), "nothing is there to be cleaned up");
    }
    assert_eq!(bed.iam_calls(), BTreeMap::new());
    // Asked for less, or allowed more, they are served.
    bed.patch("free", "far", json!({"region": "eu-west-1"})).await.unwrap();
    bed.ready("free", "far").await.unwrap();
    annotate(&bed, "shop", "allowed-regions", None).await;
    healed(&bed, "shop", "far").await;
    bed.login("shop", "far").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_are_inherited_and_follow_the_annotation_at_once() {
    let (bed, operator) = limited().await;
    let free = ready(&bed, "free", "mailer", "{region: eu-central-1}").await;
    assert_eq!(senders(&bed, &free), json!(["*@example.com", "*@*.example.com"]));
    let heir = ready(&bed, "shop", "heir", "{region: eu-central-1}").await;
    assert_eq!(senders(&bed, &heir), json!(["*@shop.example.com"]));
    let spec = "{region: eu-central-1, policy: {fromAddresses: [a@shop.example.com]}}";
    let named = ready(&bed, "shop", "named", spec).await;
    send(&bed, "shop", "heir", "a@shop.example.com").await.unwrap();
    let refused = send(&bed, "shop", "heir", "a@elsewhere.example").await.unwrap_err();
    assert!(refused.to_string().contains("554"), "{refused}");

    // Narrowed: who inherits follows, who names more is blocked and keeps what it has.
    let before = bed.credential("shop", "heir").await.unwrap();
    annotate(&bed, "shop", "allowed-from-addresses", Some("b@shop.example.com")).await;
    eventually("the policy to be narrowed", SOON, async || {
        Ok((senders(&bed, &heir) == json!(["b@shop.example.com"])).then_some(()))
    })
    .await
    .unwrap();
    assert!(send(&bed, "shop", "heir", "a@shop.example.com").await.is_err());
    send(&bed, "shop", "heir", "b@shop.example.com").await.unwrap();
    assert_eq!(bed.credential("shop", "heir").await.unwrap(), before, "a policy needs no new key");
    let message = stalled(&bed, "shop", "named", "NotAllowed").await;
    assert!(message.contains("a@shop.example.com is not allowed") && message.contains("b@shop"), "{message}");
    let object = bed.objects("shop").get("named").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "False NotAllowed");
    assert_eq!(senders(&bed, &named), json!(["a@shop.example.com"]));
    send(&bed, "shop", "named", "a@shop.example.com").await.unwrap();
    annotate(&bed, "shop", "allowed-from-addresses", None).await;
    healed(&bed, "shop", "named").await;
    eventually("the policy to be the operator's", SOON, async || {
        Ok((senders(&bed, &heir) == json!(["*@example.com", "*@*.example.com"])).then_some(()))
    })
    .await
    .unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_that_cannot_be_read_blocks_and_is_named() {
    let (bed, operator) = limited().await;
    ready(&bed, "shop", "mailer", "{region: eu-central-1}").await;
    bed.aws.reset_journal();
    for (key, value, good) in [
        ("allowed-regions", "eu-central-1,moon", Some("eu-central-1")),
        ("allowed-from-addresses", "*shop.example.com", Some("*@shop.example.com")),
        ("role-arn", "arn:aws:iam::444444444444:role/ses-smtp-tenant", None),
    ] {
        annotate(&bed, "shop", key, Some(value)).await;
        let message = stalled(&bed, "shop", "mailer", "NotAllowed").await;
        let says = format!("annotation ses-smtp.dev/{key} of namespace shop: ");
        assert!(message.starts_with(&says) && message.contains("an admin has to correct"), "{message}");
        bed.apply("shop", "new", "{region: eu-central-1}").await.unwrap();
        stalled(&bed, "shop", "new", "NotAllowed").await;
        bed.delete("shop", "new").await.unwrap();
        bed.gone("shop", "new").await.unwrap();
        bed.login("shop", "mailer").await.unwrap();
        assert_eq!((bed.iam_calls(), assumed(&bed)), (BTreeMap::new(), 0));
        annotate(&bed, "shop", key, good).await;
        healed(&bed, "shop", "mailer").await;
    }
    // Limits of what may be asked for keep nothing from being deleted.
    annotate(&bed, "shop", "allowed-regions", Some("moon")).await;
    stalled(&bed, "shop", "mailer", "NotAllowed").await;
    bed.delete("shop", "mailer").await.unwrap();
    bed.gone("shop", "mailer").await.unwrap();
    assert!(bed.aws.users().is_empty());
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_moves_a_namespace_into_its_account() {
    let (bed, launch) = bed(&[]).await;
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    let operator = launch.start().await.unwrap();
    let home = ready(&bed, "shop", "mailer", "{region: eu-central-1}").await;
    assert_eq!(assumed(&bed), 0);
    for name in ["a", "b", "c"] {
        bed.apply("tenant", name, "{region: eu-central-1}").await.unwrap();
    }
    for name in ["a", "b", "c"] {
        let object = bed.ready("tenant", name).await.unwrap();
        let user = user_in(&bed, TENANT, &object).unwrap();
        assert_eq!(user.boundary.as_deref(), Some("arn:aws:iam::210987654321:policy/ses-smtp-boundary"));
        assert_eq!(object.annotations()["ses-smtp.dev/aws-account"], TENANT);
        assert_eq!(object.status.unwrap().user_arn.unwrap(), user.arn);
        bed.login("tenant", name).await.unwrap();
    }
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (3, 1));
    assert!(user_in(&bed, ACCOUNT, &home).is_some());
    assert_eq!(assumed(&bed), 1, "one session for all objects of the namespace");

    // The session is replaced before it ends, and none of its calls fails.
    let mut policies = ["Deactivate", "Delete"].into_iter().cycle();
    eventually("another session", SOON, async || {
        let policy = policies.next().unwrap();
        bed.patch("tenant", "a", json!({"deletionPolicy": policy})).await?;
        let object = bed.ready("tenant", "a").await?;
        let tags = user_in(&bed, TENANT, &object).map(|user| user.tags).unwrap_or_default();
        assert_eq!(tags["ses-smtp.dev/deletion-policy"], policy);
        Ok((assumed(&bed) > 1).then_some(()))
    })
    .await
    .unwrap();
    let journal = bed.aws.journal();
    let begun: Vec<_> = journal.iter().filter(|record| record.action == "AssumeRole").collect();
    assert_eq!(begun.len(), 2);
    let apart = Duration::try_from(begun[1].time.duration_since(begun[0].time)).unwrap();
    assert!(apart >= Duration::from_secs(4), "replaced after {apart:?} of six seconds");
    assert!(journal.iter().all(|record| record.outcome != "ExpiredToken"), "an ended session was used");

    // A session that AWS ended is replaced too.
    bed.aws.end_sessions();
    bed.patch("tenant", "a", json!({"rotation": {"trigger": "now"}})).await.unwrap();
    eventually("a key by a new session", SOON, async || {
        let object = bed.objects("tenant").get("a").await?;
        let user = user_in(&bed, TENANT, &object).unwrap();
        Ok((user.keys.len() == 2).then_some(()))
    })
    .await
    .unwrap();
    healed(&bed, "tenant", "a").await;
    bed.login("tenant", "a").await.unwrap();
    // By its own end it would be used again and again until then.
    let refused = bed.aws.journal().iter().filter(|record| record.outcome == "InvalidClientTokenId").count();
    assert!(refused <= 1, "{refused} calls by a session that AWS had ended");
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    for name in ["a", "b", "c"] {
        bed.patch("tenant", name, json!({"deletionPolicy": "Delete"})).await.unwrap();
        bed.delete("tenant", name).await.unwrap();
        bed.gone("tenant", name).await.unwrap();
    }
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (0, 1));
    operator.stop().await.unwrap();
}

/// The same settings, but the API server is reached by way of a proxy.
async fn behind(bed: &Bed, launch: Launch) -> (FaultProxy, Launch) {
    let proxy = FaultProxy::start(&bed.plane).unwrap();
    let mut behind = bed.launch_behind(Path::new(BINARY), &proxy).await.unwrap();
    for (name, value) in launch.environment {
        behind.environment.entry(name).or_insert(value);
    }
    (proxy, behind)
}

/// Made in the wrong account, a credential would stay there.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_is_placed_by_what_its_namespace_says_now() {
    let (bed, launch) = bed(&[]).await;
    let (proxy, launch) = behind(&bed, launch).await;
    let silent = proxy.add(Rule::new(Action::Hang).verb("watch").resource("namespaces").always());
    let operator = launch.start().await.unwrap();
    eventually("the watch to hang", SOON, async || Ok((silent.fired() > 0).then_some(()))).await.unwrap();
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    ready(&bed, "tenant", "mailer", "{region: eu-central-1}").await;
    // A Namespace that no watch has told of.
    bed.namespace("late").await.unwrap();
    annotate(&bed, "late", "allowed-regions", Some("eu-west-1")).await;
    bed.apply("late", "mailer", "{region: eu-central-1}").await.unwrap();
    stalled(&bed, "late", "mailer", "NotAllowed").await;
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (1, 0));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_before_the_namespaces_were_listed() {
    let (bed, launch) = bed(&[]).await;
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    let (proxy, launch) = behind(&bed, launch).await;
    let denied = proxy.add(Rule::new(Action::Status(403)).verb("list").resource("namespaces").always());
    let mut operator = launch.spawn().unwrap();
    for namespace in ["shop", "tenant"] {
        bed.apply(namespace, "mailer", "{region: eu-central-1}").await.unwrap();
    }
    eventually("the list to be asked for again", SOON, async || Ok((denied.fired() > 2).then_some(())))
        .await
        .unwrap();
    assert!(bed.log().contains("the watch of Namespaces broke"), "{}", bed.log());
    assert_eq!((bed.iam_calls(), assumed(&bed)), (BTreeMap::new(), 0));
    let object = bed.objects("shop").get("mailer").await.unwrap();
    assert!(object.finalizers().is_empty());
    proxy.clear_rules();
    operator.ready().await.unwrap();
    for namespace in ["shop", "tenant"] {
        bed.ready(namespace, "mailer").await.unwrap();
    }
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (1, 1));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_role_is_named_and_heals_when_granted() {
    let (bed, launch) = bed(&[]).await;
    bed.aws.set_policy(CALLER_KEY_ID, Some(&own_policy(false)));
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    annotate(&bed, "free", "role-arn", Some(ROLE)).await;
    let operator = launch.start().await.unwrap();
    for namespace in ["tenant", "free"] {
        bed.apply(namespace, "mailer", "{region: eu-central-1}").await.unwrap();
        let message = stalled(&bed, namespace, "mailer", "AccessDenied").await;
        let says = format!("sts:AssumeRole on {ROLE}");
        let id = format!("sts:ExternalId is c1/{namespace}");
        assert!(message.contains(&says) && message.contains(&id), "{message}");
    }
    assert_eq!(bed.iam_calls(), BTreeMap::new());
    // The shipped statement, and the shipped trust in one namespace: the other isn't let in.
    bed.aws.set_policy(CALLER_KEY_ID, Some(&own_policy(true)));
    healed(&bed, "tenant", "mailer").await;
    stalled(&bed, "free", "mailer", "AccessDenied").await;
    assert_eq!(bed.aws.users_in(TENANT).len(), 1);
    let trusting = Role { trust: Role::new(ROLE, OPERATOR, &["c1/tenant", "c1/free"]).trust, ..role() };
    bed.aws.set_role(trusting);
    healed(&bed, "free", "mailer").await;
    bed.login("free", "mailer").await.unwrap();
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (2, 0));
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_removed_role_stops_everything_until_it_is_back() {
    let (bed, launch) = bed(&[]).await;
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    let operator = launch.start().await.unwrap();
    for name in ["stays", "goes"] {
        ready(&bed, "tenant", name, "{region: eu-central-1}").await;
    }
    let before = bed.aws.users_in(TENANT);
    // Nothing but the operator itself keeps it from acting in either account.
    let mut wide = shipped("operator-policy.json", ACCOUNT);
    wide["Statement"] = json!([{"Effect": "Allow", "Action": ["iam:*", "sts:*"], "Resource": "*"}]);
    bed.aws.set_policy(CALLER_KEY_ID, Some(&wide.to_string()));
    bed.aws.reset_journal();
    let mut deleted = false;
    for (role, works_in) in [(Some(OTHER_ROLE), OTHER), (None, ACCOUNT)] {
        annotate(&bed, "tenant", "role-arn", role).await;
        let says = format!("account {works_in}");
        eventually("the mismatch to be told", SOON, async || {
            let object = bed.objects("tenant").get("stays").await?;
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            let told = conditions.iter().find(|one| one.reason == "AccountMismatch");
            let both = told.is_some_and(|one| one.message.contains(TENANT) && one.message.contains(&says));
            if both { Ok(Some(())) } else { Error::wrong(format!("{conditions:?}")) }
        })
        .await
        .unwrap();
        if !deleted {
            bed.delete("tenant", "goes").await.unwrap();
            deleted = true;
        }
        bed.patch("tenant", "stays", json!({"rotation": {"trigger": works_in}})).await.unwrap();
        for name in ["stays", "goes"] {
            let message = stalled(&bed, "tenant", name, "AccountMismatch").await;
            assert!(message.contains("ses-smtp.dev/role-arn of"), "{message}");
            let object = bed.objects("tenant").get(name).await.unwrap();
            assert_eq!(object.finalizers(), ["ses-smtp.dev/iam-user"]);
        }
        let object = bed.objects("tenant").get("stays").await.unwrap();
        assert_eq!(condition(&object, "Ready"), "True Provisioned");
        bed.login("tenant", "stays").await.unwrap();
        assert_eq!((bed.aws.users_in(works_in).len(), bed.iam_calls()), (0, BTreeMap::new()));
        assert_eq!(keyless(bed.aws.users_in(TENANT)), keyless(before.clone()));
    }
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    bed.gone("tenant", "goes").await.unwrap();
    healed(&bed, "tenant", "stays").await;
    let names: Vec<String> = bed.aws.users_in(TENANT).into_iter().map(|user| user.name).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    bed.login("tenant", "stays").await.unwrap();
    operator.stop().await.unwrap();
}

/// Users without what a login changes.
fn keyless(users: Vec<UserSnapshot>) -> Vec<UserSnapshot> {
    let without = |mut user: UserSnapshot| {
        for key in &mut user.keys {
            key.last_used = None;
        }
        user
    };
    users.into_iter().map(without).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_account_in_use_is_looked_at() {
    let settings = [("DRIFT_INTERVAL", "10m"), ("SWEEP_INTERVAL", "10m"), ("SWEEP_SOAK", "15m")];
    let (bed, launch) = bed(&settings).await;
    annotate(&bed, "tenant", "role-arn", Some(ROLE)).await;
    // A namespace that can't be reached must not keep the others from being looked at.
    annotate(&bed, "free", "role-arn", Some("arn:aws:iam::333333333333:role/ses-smtp-tenant")).await;
    bed.aws.set_role(Role::new(OTHER_ROLE, OPERATOR, &["c1/nobody"]));
    let operator = launch.start().await.unwrap();
    ready(&bed, "shop", "stays", "{region: eu-central-1}").await;
    let edited = ready(&bed, "tenant", "edited", "{region: eu-central-1}").await;
    let forced = ready(&bed, "tenant", "forced", "{region: eu-central-1}").await;
    let user = user_in(&bed, TENANT, &edited).unwrap();
    let wide = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}).to_string();
    bed.aws.by_hand_in(TENANT).put_policy(&user.name, "ses-smtp-send", &wide).unwrap();
    eventually("the policy to be restored", SOON, async || {
        let now = user_in(&bed, TENANT, &edited).unwrap();
        Ok((now.policies == user.policies).then_some(()))
    })
    .await
    .unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(BINARY);
        command.env_clear().envs(&launch.environment).arg("orphans").args(arguments).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    operator.stop().await.unwrap();
    bed.delete("tenant", "forced").await.unwrap();
    bed.strip_finalizers("tenant", "forced").await.unwrap();
    bed.gone("tenant", "forced").await.unwrap();
    let (own, said) = run(&[]).await;
    assert_eq!((own.lines().count(), said.trim()), (1, "looked in account 123456789012 and in no other"));
    let (listed, said) = run(&["--role", ROLE, "--namespace", "tenant"]).await;
    assert!(said.contains("looked in account 210987654321"), "{said}");
    let name = user_in(&bed, TENANT, &forced).unwrap().name;
    assert!(listed.lines().count() == 2 && listed.contains(&name), "{listed}");
    let operator = launch.start().await.unwrap();
    eventually("the orphan in the other account to be deleted", SOON, async || {
        Ok(user_in(&bed, TENANT, &forced).is_none().then_some(()))
    })
    .await
    .unwrap();
    assert_eq!((bed.aws.users_in(TENANT).len(), bed.aws.users().len()), (1, 1));
    assert!(bed.log().contains("account 333333333333: AWS denies the operator sts:AssumeRole"));
    bed.login("tenant", "edited").await.unwrap();
    bed.no_secret_leaked(Some(&operator), &REGIONS).await.unwrap();
    operator.stop().await.unwrap();
}
