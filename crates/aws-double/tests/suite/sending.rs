//! What of a mail the sender's policy sees: each condition key and each resource lets one mail pass and
//! stops another.

use aws_double::{Config, Double};

use crate::smtp::{Attempt, Form, REGION};
use crate::support::{mailer, start};

/// A policy with `resource` and `condition`, both JSON.
fn policy(resource: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"ses:SendRawEmail","Resource":{resource},"Condition":{condition}}}]}}"#
    )
}

fn arn(kind: &str, name: &str) -> String {
    format!("\"arn:aws:ses:{REGION}:123456789012:{kind}/{name}\"")
}

/// Each time another user with a policy of its own: its attempts.
struct Users<'a> {
    double: &'a Double,
    made: usize,
}

impl<'a> Users<'a> {
    fn new(double: &'a Double) -> Self {
        Self { double, made: 0 }
    }

    fn with(&mut self, policy: &str) -> impl Fn() -> Attempt + use<'a> {
        self.made += 1;
        let (id, password) = mailer(self.double, &format!("m{}", self.made), REGION, policy);
        let double = self.double;
        move || Attempt::new(double, REGION, Form::StartTls, &id, &password)
    }
}

async fn passes(attempt: Attempt) {
    attempt.send().await.unwrap();
}

/// Refused for want of a right on `resource`.
async fn denied(attempt: Attempt, resource: &str) {
    let refused = attempt.send().await.unwrap_err();
    assert!(refused.starts_with("554") && refused.contains("Access denied"), "{refused}");
    assert!(refused.contains(resource), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_see_sender_bounces_recipients_and_client() {
    let double = start(Config::default()).await;
    let mut users = Users::new(&double);
    let from = users.with(&policy("\"*\"", r#"{"StringLike":{"ses:FromAddress":["*@example.com"]}}"#));
    passes(from().from("A B <x@example.com>")).await;
    denied(from().from("A B <x@example.org>"), "identity/example.org").await;
    denied(from().from("x@Example.com"), "identity/example.com").await;
    let bounces = users.with(&policy("\"*\"", r#"{"StringLike":{"ses:FeedbackAddress":["*@example.com"]}}"#));
    passes(bounces().bounces("bounces@example.com")).await;
    denied(bounces().bounces("bounces@example.org"), "identity/example.com").await;
    let to = users.with(&policy(
        "\"*\"",
        r#"{"ForAllValues:StringLike":{"ses:Recipients":["*@example.net"]},"Null":{"ses:Recipients":"false"}}"#,
    ));
    passes(to().to(&["b@example.net", "c@example.net"])).await;
    denied(to().to(&["b@example.net", "c@example.org"]), "identity/example.com").await;
    let here = users.with(&policy("\"*\"", r#"{"IpAddress":{"aws:SourceIp":["127.0.0.0/8"]}}"#));
    passes(here()).await;
    let there = users.with(&policy("\"*\"", r#"{"IpAddress":{"aws:SourceIp":["192.0.2.0/24"]}}"#));
    denied(there(), "identity/example.com").await;
    assert_eq!(double.mails().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_and_configuration_set_are_both_asked_for() {
    let double = start(Config::default()).await;
    let mut users = Users::new(&double);
    let identity = arn("identity", "example.com");
    let plain = users.with(&policy(&identity, "{}"));
    passes(plain()).await;
    denied(plain().from("a@example.org"), "identity/example.org").await;
    denied(plain().configuration_set("shop"), "configuration-set/shop").await;
    let both = users.with(&policy(&format!("[{identity},{}]", arn("configuration-set", "shop")), "{}"));
    passes(both().configuration_set("shop")).await;
    denied(both().configuration_set("other"), "configuration-set/other").await;
    assert_eq!(double.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_configuration_set_gives_way_to_the_mail_s_own() {
    let mut config = Config::default();
    config.ses.configuration_set = Some("default".to_owned());
    let double = start(config).await;
    let mut users = Users::new(&double);
    let identity = arn("identity", "example.com");
    let alone = users.with(&policy(&identity, "{}"));
    denied(alone(), "configuration-set/default").await;
    let shop = users.with(&policy(&format!("[{identity},{}]", arn("configuration-set", "shop")), "{}"));
    denied(shop(), "configuration-set/default").await;
    passes(shop().configuration_set("shop")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_that_are_identities_are_asked_for_too() {
    for sandbox in [false, true] {
        let mut config = Config::default();
        config.ses.identities = ["example.com", "boss@example.net"].map(str::to_owned).to_vec();
        config.ses.sandbox = sandbox;
        let double = start(config).await;
        let mut users = Users::new(&double);
        let (own, boss) = (arn("identity", "example.com"), arn("identity", "boss@example.net"));
        let narrow = users.with(&policy(&own, "{}"));
        denied(narrow().to(&["boss@example.net"]), "identity/boss@example.net").await;
        passes(narrow().to(&["b@example.com"])).await;
        let wide = users.with(&policy(&format!("[{own},{boss}]"), "{}"));
        passes(wide().to(&["boss@example.net"])).await;
        let stranger = wide().to(&["b@example.net"]);
        if sandbox {
            let refused = stranger.send().await.unwrap_err();
            assert!(refused.contains("not verified") && refused.contains("b@example.net"), "{refused}");
        } else {
            passes(stranger).await;
        }
    }
}
