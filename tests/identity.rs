//! The operator's own AWS credentials: by a token of its service account (web identity, as IRSA gives it) and by a
//! credentials endpoint (as EKS Pod Identity has it). The tokens are the API server's own, their signatures are
//! verified by its published keys, and sessions are short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_double::{ACCOUNT, Config, Fault, FaultKind, Role};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::json;
use testbed::{Bed, Error, Launch, Operator, Options, SOON, condition, eventually, operator_policy};

const BINARY: &str = env!("CARGO_BIN_EXE_ses-smtp-operator");
const REGION: &str = "eu-central-1";
const ROLE: &str = "arn:aws:iam::123456789012:role/ses-smtp-operator";
const ISSUER: &str = "https://kubernetes.default.svc";
const STS: &str = "sts.amazonaws.com";
const PODS: &str = "pods.eks.amazonaws.com";
const OWN: (&str, &str) = ("ses-smtp-operator", "ses-smtp-operator");
/// A quarter of an hour, the shortest session, in half a minute. It is replaced some seconds before its end.
const SCALE: f64 = 30.0;
/// Shortest life that the API server gives a token.
const TOKEN_SECONDS: i64 = 600;
const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";
const POD_IDENTITY: &str = "AssumeRoleForPodIdentity";

struct Stage {
    bed: Bed,
    launch: Launch,
    token_file: PathBuf,
}

fn trust(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/iam").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.replace("ACCOUNT", ACCOUNT).replace("OIDC_PROVIDER", ISSUER.trim_start_matches("https://"))
}

impl Stage {
    async fn start(latency: &[(&str, Duration)]) -> Self {
        let aws = Config {
            regions: vec![REGION.into()],
            time_scale: SCALE,
            session: Duration::from_mins(15),
            latency: latency
                .iter()
                .map(|(action, time)| ((*action).to_owned(), *time))
                .collect::<BTreeMap<_, _>>(),
            ..Config::default()
        };
        let bed = Bed::start(Options { aws, ..Options::default() }).await.unwrap();
        bed.namespace("shop").await.unwrap();
        let keys = http::Request::get("/openid/v1/jwks").body(Vec::new()).unwrap();
        let keys = bed.client.request_text(keys).await.unwrap();
        bed.aws.set_provider(ISSUER, &[STS, PODS], &keys).unwrap();
        let mut launch = bed.launch(Path::new(BINARY)).await.unwrap();
        launch
            .environment
            .retain(|name, _| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
        launch.environment.insert("AWS_EC2_METADATA_DISABLED".into(), "true".into());
        let token_file = bed.folder().join("token");
        Self { bed, launch, token_file }
    }

    /// As the webhook of IRSA sets a pod up.
    async fn web_identity(latency: &[(&str, Duration)]) -> Self {
        let mut stage = Self::start(latency).await;
        stage.trusts(&trust("irsa-trust-policy.json"));
        stage.set("AWS_ROLE_ARN", ROLE);
        stage.set("AWS_WEB_IDENTITY_TOKEN_FILE", &stage.token_file.display().to_string());
        stage
    }

    /// As the webhook of EKS Pod Identity sets a pod up, but for the agent's address.
    async fn pod_identity() -> Self {
        let mut stage = Self::start(&[]).await;
        stage.trusts(&trust("pod-identity-trust-policy.json"));
        stage.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &stage.bed.aws.pod_credentials_url());
        stage.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &stage.token_file.display().to_string());
        stage
    }

    fn set(&mut self, name: &str, value: &str) {
        self.launch.environment.insert(name.to_owned(), value.to_owned());
    }

    /// The role with the shipped rights and this trust policy.
    fn trusts(&self, trust: &str) {
        let rights = operator_policy(ACCOUNT, &self.bed.cluster).unwrap();
        self.bed.aws.set_role(Role::trusting(ROLE, trust).with_policy(&rights));
    }

    async fn token(&self, (namespace, name): (&str, &str), audience: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.bed.client.clone(), namespace);
        let spec = TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        answer.status.unwrap().token
    }

    /// Puts a token in place in one step, as the kubelet does.
    fn put(&self, token: &str) {
        let beside = self.token_file.with_extension("new");
        std::fs::write(&beside, token).unwrap();
        std::fs::rename(&beside, &self.token_file).unwrap();
    }

    /// Waits until the operator says that it waits for credentials, and the log why.
    async fn waits(&self, from: usize, why: &str) {
        eventually(&format!("/readyz and the log to say why: {why}"), SOON, async || {
            let page = testbed::get(&self.launch.http, "/readyz").await?;
            let told = page.contains("waiting for AWS credentials: none could be had");
            if told && self.bed.log()[from..].contains(why) { Ok(Some(())) } else { Error::wrong(page) }
        })
        .await
        .unwrap();
    }

    fn sessions(&self, action: &str) -> usize {
        let journal = self.bed.aws.journal();
        journal.iter().filter(|call| call.action == action && call.outcome == "ok").count()
    }

    /// Changes the object over and over until `enough`; every change gets through.
    async fn busy(&self, mut enough: impl FnMut() -> bool) {
        let mut policies = ["Deactivate", "Delete"].into_iter().cycle();
        while !enough() {
            let policy = policies.next().unwrap();
            self.bed.patch("shop", "mailer", json!({ "deletionPolicy": policy })).await.unwrap();
            eventually("the tag to follow", SOON, async || {
                let object = self.bed.ready("shop", "mailer").await?;
                let user = self.bed.user_of(&object).ok_or_else(|| Error::Wrong("no user".into()))?;
                Ok((user.tags["ses-smtp.dev/deletion-policy"] == policy).then_some(()))
            })
            .await
            .unwrap();
        }
    }

    /// IAM calls that were not carried out.
    fn failed(&self) -> Vec<String> {
        let of_iam = |action: &str| ![WEB_IDENTITY, POD_IDENTITY, "GetCallerIdentity"].contains(&action);
        let journal = self.bed.aws.journal().into_iter();
        let failed = journal.filter(|call| of_iam(&call.action) && call.caller.is_some() && !call.executed);
        failed.map(|call| format!("{}: {}", call.action, call.outcome)).collect()
    }

    /// Nothing secret got anywhere, tokens no more than keys, and no key is left over.
    async fn end(self, operator: Operator, tokens: &[String]) {
        for token in tokens {
            let signature = token.rsplit('.').next().unwrap();
            assert!(
                !self.bed.log().contains(signature) && !operator.metrics().await.unwrap().contains(signature)
            );
        }
        self.bed.no_secret_leaked(Some(&operator), &[REGION]).await.unwrap();
        self.bed.at_rest("shop", "mailer", SOON).await.unwrap();
        operator.stop().await.unwrap();
    }
}

async fn intruder(bed: &Bed) -> (&'static str, &'static str) {
    bed.plane
        .apply_yaml("{apiVersion: v1, kind: ServiceAccount, metadata: {name: intruder, namespace: shop}}")
        .await
        .unwrap();
    ("shop", "intruder")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_s_token_is_traded_for_sessions_without_a_failed_pass() {
    let stage = Stage::web_identity(&[]).await;
    let mut operator = stage.launch.spawn().unwrap();
    // The token comes late; then it is one that the role doesn't trust.
    stage.waits(0, "No such file or directory").await;
    let from = stage.bed.log().len();
    stage.put(&stage.token(OWN, "somebody.else").await);
    stage.waits(from, "Incorrect token audience").await;
    let from = stage.bed.log().len();
    stage.put(&stage.token(intruder(&stage.bed).await, STS).await);
    stage.waits(from, "Not authorized to perform sts:AssumeRoleWithWebIdentity").await;
    let first = stage.token(OWN, STS).await;
    let (head, _) = first.rsplit_once('.').unwrap();
    let from = stage.bed.log().len();
    stage.put(&format!("{head}.{}", "A".repeat(86)));
    stage.waits(from, "signature could not be verified").await;
    stage.put(&first);
    operator.ready().await.unwrap();

    stage.bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    stage.bed.ready("shop", "mailer").await.unwrap();
    let before = stage.bed.login("shop", "mailer").await.unwrap();
    let begun = stage.sessions(WEB_IDENTITY);
    // The file is read anew for each session: a bad token in it is met, and what is held still works.
    let second = stage.token(OWN, STS).await;
    stage.put("not a token");
    let refused = |stage: &Stage| {
        let journal = stage.bed.aws.journal();
        journal
            .iter()
            .filter(|call| call.action == WEB_IDENTITY && call.outcome == "InvalidIdentityToken")
            .count()
    };
    let refusals = refused(&stage);
    stage.busy(|| refused(&stage) > refusals).await;
    stage.put(&second);
    stage.busy(|| stage.sessions(WEB_IDENTITY) > begun).await;
    // AWS fails once just when the session is to be replaced.
    stage.bed.aws.inject(Fault::on(
        WEB_IDENTITY,
        FaultKind::ErrorBefore { status: 503, code: "ServiceUnavailable".into() },
    ));
    stage.busy(|| stage.sessions(WEB_IDENTITY) > begun + 1).await;
    assert!(stage.bed.aws.pending_faults().is_empty());
    assert_eq!(stage.failed(), Vec::<String>::new());
    assert_eq!(stage.bed.aws.counts()["CreateAccessKey"], 1);
    assert_eq!(stage.bed.login("shop", "mailer").await.unwrap(), before);
    stage.end(operator, &[first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_stops_trusting_is_named_and_heals() {
    let stage = Stage::web_identity(&[]).await;
    let token = stage.token(OWN, STS).await;
    stage.put(&token);
    let operator = stage.launch.start().await.unwrap();
    stage.bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    stage.bed.ready("shop", "mailer").await.unwrap();
    stage.trusts("{}");
    let said = |text: &'static str, bed: &Bed| {
        let objects = bed.objects("shop");
        async move {
            eventually(text, SOON, async || {
                let conditions = objects.get("mailer").await?.status.unwrap_or_default().conditions;
                let told = conditions.iter().any(|one| one.message.contains(text));
                if told { Ok(Some(())) } else { Error::wrong(format!("{conditions:?}")) }
            })
            .await
            .unwrap();
        }
    };
    let told = said("the operator has no AWS credentials at present", &stage.bed);
    tokio::pin!(told);
    // Whatever is asked for meanwhile: a key, too.
    let mut triggers = 0..;
    loop {
        tokio::select! {
            () = &mut told => break,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let trigger = triggers.next().unwrap_or_default().to_string();
                let spec = json!({ "secret": { "labels": { "try": trigger } }, "deletionPolicy": if trigger.ends_with(['0', '2', '4', '6', '8']) { "Deactivate" } else { "Delete" } });
                stage.bed.patch("shop", "mailer", spec).await.unwrap();
            }
        }
    }
    let object = stage.bed.objects("shop").get("mailer").await.unwrap();
    assert_eq!(condition(&object, "Ready"), "True Provisioned", "mail goes on");
    stage.bed.login("shop", "mailer").await.unwrap();
    stage.trusts(&trust("irsa-trust-policy.json"));
    stage.bed.patch("shop", "mailer", json!({ "rotation": { "trigger": "now" } })).await.unwrap();
    eventually("the key to be replaced", SOON, async || {
        Ok((stage.bed.aws.counts().get("CreateAccessKey") == Some(&2)).then_some(()))
    })
    .await
    .unwrap();
    stage
        .bed
        .patch("shop", "mailer", json!({ "rotation": { "trigger": "now", "overlap": "15m" } }))
        .await
        .unwrap();
    assert_eq!(stage.failed(), Vec::<String>::new(), "nothing was sent without credentials");
    stage.bed.at_rest("shop", "mailer", Duration::from_mins(3)).await.unwrap();
    stage.end(operator, &[token]).await;
}

/// AWS looks at a session when a call comes in. What ends it then keeps neither the effect nor the reply back.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_a_key_is_made_loses_none() {
    let slow = Duration::from_secs(90);
    let stage = Stage::web_identity(&[("CreateAccessKey", slow)]).await;
    let token = stage.token(OWN, STS).await;
    stage.put(&token);
    let operator = stage.launch.start().await.unwrap();
    // Without an effect on this call; it is gone from the list once the call has come in.
    stage.bed.aws.inject(Fault::on("CreateAccessKey", FaultKind::StaleList));
    stage.bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    eventually("the call to come in", SOON, async || {
        Ok(stage.bed.aws.pending_faults().is_empty().then_some(()))
    })
    .await
    .unwrap();
    stage.bed.aws.end_sessions();
    assert_eq!(stage.bed.aws.counts().get("CreateAccessKey"), None, "it is still on its way");
    let ready = stage.bed.ready("shop", "mailer").await.unwrap();
    stage.bed.login("shop", "mailer").await.unwrap();
    // The next call is refused, clearly; until the session is replaced.
    stage.bed.patch("shop", "mailer", json!({ "deletionPolicy": "Deactivate" })).await.unwrap();
    eventually("the refusal to be told", SOON, async || {
        let conditions = stage.bed.objects("shop").get("mailer").await?.status.unwrap_or_default().conditions;
        let wanted = "AWS doesn't take the operator's credentials (InvalidClientTokenId)";
        Ok(conditions.iter().any(|one| one.message.contains(wanted)).then_some(()))
    })
    .await
    .unwrap();
    eventually("the tag to follow", SOON, async || {
        let user = stage.bed.user_of(&ready).ok_or_else(|| Error::Wrong("no user".into()))?;
        Ok((user.tags["ses-smtp.dev/deletion-policy"] == "Deactivate").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(stage.bed.aws.counts()["CreateAccessKey"], 1);
    assert_eq!(stage.bed.user_of(&ready).unwrap().keys.len(), 1);
    stage.end(operator, &[token]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_identity_s_endpoint_gives_sessions_without_a_failed_pass() {
    let stage = Stage::pod_identity().await;
    let first = stage.token(OWN, PODS).await;
    stage.put(&first);
    let mut operator = stage.launch.spawn().unwrap();
    stage.waits(0, "no AWS credentials could be had").await;
    assert_eq!(stage.sessions(POD_IDENTITY), 0, "there is no association yet");
    stage.bed.aws.associate(OWN.0, OWN.1, ROLE);
    operator.ready().await.unwrap();
    stage.bed.apply("shop", "mailer", "{region: eu-central-1}").await.unwrap();
    stage.bed.ready("shop", "mailer").await.unwrap();
    let begun = stage.sessions(POD_IDENTITY);
    // The kubelet renews the token; the agent is restarted just when the session is to be replaced.
    let second = stage.token(OWN, PODS).await;
    stage.put(&second);
    stage.bed.aws.inject(Fault::on(POD_IDENTITY, FaultKind::LostRequest));
    stage.busy(|| stage.sessions(POD_IDENTITY) > begun + 1).await;
    assert!(stage.bed.aws.pending_faults().is_empty());
    assert_eq!(stage.failed(), Vec::<String>::new());
    assert_eq!(stage.bed.aws.counts()["CreateAccessKey"], 1);
    stage.end(operator, &[first, second]).await;
}
