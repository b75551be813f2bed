//! The shipped policy without one of its actions, for each of them: the operator says which is missing, nothing
//! breaks, and it goes on by itself once the action is granted.

use std::path::Path;

use aws_double::{ACCOUNT, CALLER_KEY_ID, Config};
use serde_json::{Value, json};
use testbed::{Bed, Error, Operator, Options, SOON, boundary_arn, condition, eventually, operator_policy};

use crate::BINARY;
use crate::matrix::{Deed, NEEDS};

struct Stage {
    bed: Bed,
    operator: Operator,
}

/// The actions of a policy, without those of `withdrawn`.
fn without(policy: &str, withdrawn: &str) -> String {
    let mut policy: Value = serde_json::from_str(policy).unwrap();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let actions = &mut statement["Action"];
        if actions.is_string() {
            *actions = json!([actions.take()]);
        }
        actions.as_array_mut().unwrap().retain(|action| action != withdrawn);
    }
    policy.to_string()
}

impl Stage {
    async fn start(scale: f64) -> Self {
        let aws = Config { regions: vec!["eu-central-1".into()], time_scale: scale, ..Config::default() };
        let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
        bed.namespace("shop").await.unwrap();
        let operator = bed.launch(Path::new(BINARY)).await.unwrap().start().await.unwrap();
        Self { bed, operator }
    }

    fn shipped(&self) -> String {
        operator_policy(ACCOUNT, &self.bed.cluster).unwrap()
    }

    fn withdraw(&self, action: &str) {
        let rest = without(&self.shipped(), action);
        assert!(!rest.contains(&format!("\"{action}\"")) && rest.len() < self.shipped().len());
        self.bed.aws.set_policy(CALLER_KEY_ID, Some(&rest));
    }

    fn restore(&self) {
        self.bed.aws.set_policy(CALLER_KEY_ID, Some(&self.shipped()));
    }

    async fn patch(&self, name: &str, spec: Value) {
        self.bed.patch("shop", name, spec).await.unwrap();
    }

    /// The user of an object that exists.
    async fn user(&self, name: &str) -> String {
        let object = self.bed.objects("shop").get(name).await.unwrap();
        self.bed.user_of(&object).unwrap().name
    }

    async fn prepare(&self, deed: Deed, name: &str) {
        if deed != Deed::Make {
            let spec = "{region: eu-central-1, rotation: {overlap: 15m}}";
            self.bed.apply("shop", name, spec).await.unwrap();
            self.bed.at_rest("shop", name, SOON).await.unwrap();
        }
    }

    async fn act(&self, deed: Deed, name: &str) {
        let senders = json!({ "policy": { "fromAddresses": ["*@shop.example.com"] } });
        match deed {
            Deed::Make => drop(self.bed.apply("shop", name, "{region: eu-central-1}").await.unwrap()),
            Deed::Senders => self.patch(name, senders).await,
            Deed::Strip => self.bed.aws.by_hand().set_boundary(&self.user(name).await, None).unwrap(),
            Deed::Vanish => {
                self.bed.aws.by_hand().purge_user(&self.user(name).await).unwrap();
                self.patch(name, senders).await;
            }
            Deed::Rotate => self.patch(name, json!({ "rotation": { "trigger": "now" } })).await,
            Deed::Delete | Deed::DeleteQuarantined => {
                if deed == Deed::DeleteQuarantined {
                    self.bed.aws.by_hand().quarantine(&self.user(name).await).unwrap();
                }
                self.bed.delete("shop", name).await.unwrap();
            }
            Deed::Look => {}
        }
    }

    /// Waits until the condition names the action and what it is about.
    async fn named(&self, action: &str, name: &str) {
        let about =
            if action == "iam:ListUsers" { " on ".to_owned() } else { format!(" on ses-smtp-shop-{name}-") };
        let wanted = format!("AWS denies the operator {action}{about}");
        eventually(&format!("shop/{name} to say: {wanted}"), SOON, async || {
            let object = self.bed.objects("shop").get(name).await?;
            let conditions = object.status.unwrap_or_default().conditions;
            let stalled =
                conditions.iter().find(|one| one.type_ == "Stalled" && one.reason == "AccessDenied");
            let said =
                stalled.is_some_and(|one| one.message.contains(&wanted) && one.message.contains(ACCOUNT));
            if said { Ok(Some(())) } else { Error::wrong(format!("{conditions:?}")) }
        })
        .await
        .unwrap();
    }

    async fn healed(&self, deed: Deed, name: &str) {
        if matches!(deed, Deed::Delete | Deed::DeleteQuarantined) {
            self.bed.gone("shop", name).await.unwrap();
            let left =
                self.bed.aws.users().into_iter().filter(|user| user.name.contains(&format!("-{name}-")));
            assert_eq!(left.count(), 0, "{name}");
            return;
        }
        // What a look found is found again by the next one, if the pass that it caused was denied.
        eventually(&format!("shop/{name} to go on"), SOON, async || {
            let object = self.bed.objects("shop").get(name).await?;
            let boundary = self.bed.user_of(&object).and_then(|user| user.boundary);
            let whole = boundary == Some(boundary_arn(ACCOUNT)) && condition(&object, "Stalled").is_empty();
            if whole { Ok(Some(())) } else { Error::wrong(format!("{boundary:?}, {:?}", object.status)) }
        })
        .await
        .unwrap();
        self.bed.at_rest("shop", name, SOON).await.unwrap();
    }

    /// No password or secret got anywhere, and nothing is left to be repaired.
    async fn end(self) {
        self.bed.no_secret_leaked(Some(&self.operator), &["eu-central-1"]).await.unwrap();
        self.operator.stop().await.unwrap();
    }
}

fn name_of(action: &str) -> String {
    action.trim_start_matches("iam:").to_ascii_lowercase()
}

/// Every action whose deed is of the test, one after the other on one stage.
async fn each(test: &str) {
    let stage = Stage::start(600.0).await;
    for need in NEEDS.iter().filter(|need| need.deed.test() == test) {
        let name = name_of(need.action);
        stage.prepare(need.deed, &name).await;
        stage.withdraw(need.action);
        stage.act(need.deed, &name).await;
        stage.named(need.action, &name).await;
        stage.restore();
        stage.healed(need.deed, &name).await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_credential_needs() {
    each("what_a_new_credential_needs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_needs() {
    each("what_a_change_needs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rotation_needs() {
    each("what_a_rotation_needs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deletion_needs() {
    each("what_a_deletion_needs").await;
}

/// Looks have no object to tell of it: the log and a metric do. Keys are looked at every four hours, here every
/// three seconds.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_needs() {
    let stage = Stage::start(4800.0).await;
    stage.prepare(Deed::Look, "look").await;
    for need in NEEDS.iter().filter(|need| need.deed == Deed::Look) {
        let before = stage.bed.log().len();
        stage.withdraw(need.action);
        let wanted = format!("AWS denies the operator {}", need.action);
        eventually(&wanted, SOON, async || Ok(stage.bed.log()[before..].contains(&wanted).then_some(())))
            .await
            .unwrap();
        stage.restore();
        let name = need.action.trim_start_matches("iam:");
        let ok = || {
            let journal = stage.bed.aws.journal();
            journal.iter().filter(|call| call.action == name && call.outcome == "ok").count()
        };
        let until = ok() + 1;
        eventually("the look to be made again", SOON, async || Ok((ok() >= until).then_some(())))
            .await
            .unwrap();
    }
    stage.end().await;
}

#[test]
fn the_table_holds_every_action_of_the_policy_and_of_the_code() {
    let policy: Value = serde_json::from_str(&operator_policy(ACCOUNT, "c1").unwrap()).unwrap();
    let actions = |statement: &Value| match &statement["Action"] {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    };
    let mut granted: Vec<String> = policy["Statement"].as_array().unwrap().iter().flat_map(actions).collect();
    let mut needed: Vec<String> = NEEDS.iter().map(|need| need.action.to_owned()).collect();
    let mut called = ses_smtp_operator::aws::Action::ALL.map(|action| action.right().to_owned()).to_vec();
    for list in [&mut granted, &mut needed, &mut called] {
        list.sort();
    }
    assert!(NEEDS.iter().all(|need| !need.why.is_empty()));
    assert_eq!(granted, needed);
    assert_eq!(called, needed);
}
