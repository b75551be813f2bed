//! Many objects, their pods, and the end that every storm has.

use std::time::Duration;

use aws_double::{Config, Ses};
use control_plane::FaultProxy;
use futures::{StreamExt as _, stream};
use kube::api::PostParams;
use serde_json::{Value, json};
use ses_smtp_core::api::SesSmtpCredential;
use testbed::{Bed, Launch, Options, Pods, Seen};

pub const NAMESPACE: &str = "storm";
const REGION: &str = "eu-central-1";
/// 24 hours in 14.4 seconds.
const SCALE: f64 = 6000.0;
/// As a spec has it, and in this time.
const OVERLAP: (&str, Duration) = ("10h", Duration::from_secs(6));
/// Every 20 seconds.
const INTERVAL: &str = "34h";
/// Two minutes until a key that nobody has seen published is deleted, an overlap that use has made
/// longer, the soak, and as much again.
const CALM: Duration = Duration::from_mins(6);
/// Requests of the test in flight.
const IN_FLIGHT: usize = 8;

pub fn full() -> bool {
    std::env::var("STORM").is_ok_and(|storm| storm == "full")
}

pub struct Stage {
    pub bed: Bed,
    pub proxy: FaultProxy,
    pub launch: Launch,
    pub names: Vec<String>,
}

impl Stage {
    /// So many objects, ready, of which no operator takes care just now.
    pub async fn set(objects: usize) -> Self {
        let bed = Bed::start(Options { aws: aws(), ..Options::default() }).await.unwrap();
        bed.namespace(NAMESPACE).await.unwrap();
        let proxy = FaultProxy::start(&bed.plane).unwrap();
        let binary = env!("CARGO_BIN_EXE_ses-smtp-operator");
        let launch = bed.launch_behind(binary.as_ref(), &proxy).await.unwrap();
        let names = (0..objects).map(|n| format!("mailer-{n}")).collect();
        let stage = Self { bed, proxy, launch, names };
        stage.provision().await;
        stage
    }

    async fn provision(&self) {
        let operator = self.launch.start().await.unwrap();
        let (api, params) = (self.bed.objects(NAMESPACE), PostParams::default());
        self.each(async |name| {
            api.create(&params, &object(name)).await.unwrap();
        })
        .await;
        for name in &self.names {
            self.bed.ready(NAMESPACE, name).await.unwrap();
        }
        operator.kill().await.unwrap();
    }

    pub fn pods(&self) -> Pods {
        Pods::start(&self.bed, NAMESPACE, &self.names, OVERLAP.1)
    }

    /// Merges into the rotation of every object.
    pub async fn rotation(&self, rotation: Value) {
        self.each(async |name| {
            let spec = json!({ "rotation": rotation.clone() });
            self.bed.patch(NAMESPACE, name, spec).await.unwrap();
        })
        .await;
    }

    pub async fn rotate_by_age(&self) {
        self.rotation(json!({ "interval": INTERVAL })).await;
    }

    /// Calls for one rotation of each.
    pub async fn rotate_once(&self) {
        self.rotation(json!({ "trigger": "now" })).await;
    }

    async fn each(&self, act: impl AsyncFn(&str)) {
        let acts = stream::iter(&self.names).map(|name| act(name));
        acts.buffer_unordered(IN_FLIGHT).collect::<Vec<()>>().await;
    }

    /// Waits until one Active key is left of each object, named by its Secret; then the pods end.
    pub async fn calm(&self, what: &str, pods: Pods) -> (Seen, Keys) {
        for name in &self.names {
            self.bed.at_rest(NAMESPACE, name, CALM).await.unwrap();
        }
        let seen = pods.end().await.unwrap();
        let keys = self.keys();
        let left = self.bed.aws.users().iter().map(|user| user.keys.len()).sum::<usize>();
        assert_eq!((left, keys.made - keys.deleted), (self.names.len(), self.names.len()), "keys left");
        println!("{what}: {} objects, {seen:?}, {keys:?}", self.names.len());
        (seen, keys)
    }

    fn keys(&self) -> Keys {
        let journal = self.bed.aws.journal();
        let done = |action: &str| {
            let of = journal.iter().filter(|record| record.action == action);
            of.filter(|record| record.executed && record.outcome == "ok").count()
        };
        Keys { made: done("CreateAccessKey"), deleted: done("DeleteAccessKey") }
    }

    pub async fn no_secret_leaked(&self) {
        self.bed.no_secret_leaked(None, &[REGION]).await.unwrap();
    }
}

fn aws() -> Config {
    // Busy machines make clients slow, and this time would be scaled too.
    let ses = Ses { idle: Duration::from_mins(5).mul_f64(SCALE), ..Ses::default() };
    Config { regions: vec![REGION.into()], time_scale: SCALE, ses, ..Config::default() }
}

#[derive(Debug)]
pub struct Keys {
    pub made: usize,
    pub deleted: usize,
}

fn object(name: &str) -> SesSmtpCredential {
    serde_json::from_value(json!({
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "region": REGION, "rotation": { "overlap": OVERLAP.0 } },
    }))
    .unwrap()
}
