//! The world of one case: a namespace of the shared API server, an AWS of its own, and made time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_double::{Config, Double, KeySnapshot};
use control_plane::ControlPlane;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::{Goal, Settings, VerifyLogin};
use ses_smtp_core::identity::Installation;
use ses_smtp_core::names::tag;
use ses_smtp_core::region::{Partition, RegionName, RegionState, RegionTable, SmtpEndpoint};
use ses_smtp_core::tenancy::{Allowed, Tenancy};
use ses_smtp_core::time::Durations;
use ses_smtp_operator::clock::Time as _;

use testbed::Log;

use crate::fault::{Fault, Script, Strike};
use crate::judge::{Judge, Scene};
use crate::run::Sweep;
use crate::time::MadeTime;
use crate::turns::Turns;

pub const REGION: &str = "eu-central-1";
pub const OTHER_REGION: &str = "eu-west-1";
/// Name of the object of every case, and of its Secret.
pub const NAME: &str = "mailer";

/// What a call takes, in milliseconds.
const LATENCY: i64 = 100;

/// How long IAM's limit on keys lags where there is one operator, as racing calls have been seen to
/// make it. With two nothing but the limit keeps both from minting at once.
pub const QUOTA_LAG: Duration = Duration::from_secs(45);

/// What all cases share.
///
/// The operator's calls are the admin's here: rights and fairness between clients have tests of their
/// own, and would only make cases wait for each other.
pub struct Bed {
    _plane: ControlPlane,
    admin: Client,
    cases: AtomicUsize,
}

impl Bed {
    pub async fn start() -> Self {
        let crd = include_str!("../../crds/sessmtpcredentials.ses-smtp.dev.yaml");
        let plane = ControlPlane::builder().manifests(crd).start().await.unwrap();
        Self { admin: plane.admin_client().unwrap(), _plane: plane, cases: AtomicUsize::new(0) }
    }

    /// A new world with an object in it. IAM notices so late that a user has two keys already: its
    /// limit must not be what keeps the operator from making a third.
    pub async fn world(&self, quota_lag: Duration) -> Arc<World> {
        let namespace = format!("case-{}", self.cases.fetch_add(1, Ordering::SeqCst));
        let body: Namespace =
            serde_json::from_value(serde_json::json!({ "metadata": { "name": namespace } })).unwrap();
        Api::<Namespace>::all(self.admin.clone()).create(&PostParams::default(), &body).await.unwrap();
        World::new(self.admin.clone(), namespace, quota_lag).await
    }
}

/// Everything around the operators of one case.
pub struct World {
    pub aws: Arc<Double>,
    pub time: Arc<MadeTime>,
    pub admin: Client,
    pub namespace: String,
    pub uid: String,
    pub user: String,
    pub settings: Settings,
    pub script: Script,
    pub judge: Mutex<Judge>,
    pub log: Log,
    /// Who may make the next call, where there is more than one operator.
    pub turns: Turns,
    /// The Region that is asked for.
    pub region: Mutex<&'static str>,
    /// Somebody deletes the Secret just before a late one is created.
    pub vanishing: AtomicBool,
    /// Which sweep the operator makes between passes.
    pub sweep: Mutex<Option<Sweep>>,
    scene: Mutex<Scene>,
    /// When the workload or the last fault happened, and when the credential first worked after the
    /// workload.
    began: Mutex<(Timestamp, Option<Timestamp>)>,
    /// When Secrets were made in made time, by UID.
    births: Mutex<BTreeMap<String, Timestamp>>,
}

impl World {
    async fn new(admin: Client, namespace: String, quota_lag: Duration) -> Arc<Self> {
        let regions = vec![REGION.to_owned(), OTHER_REGION.to_owned()];
        let account = aws_double::account::Settings { quota_lag, ..Default::default() };
        let config =
            Config { regions, settings: account, fixed_now: Some(Timestamp::now()), ..Config::default() };
        let aws = Arc::new(Double::start(config).await.unwrap());
        let settings = settings(&aws);
        let spec = serde_json::from_value(serde_json::json!({ "region": REGION })).unwrap();
        let api: Api<SesSmtpCredential> = Api::namespaced(admin.clone(), &namespace);
        let object = SesSmtpCredential::new(NAME, spec);
        let object = api.create(&PostParams::default(), &object).await.unwrap();
        Arc::new(Self {
            time: Arc::new(MadeTime::of(aws.clone())),
            uid: object.uid().unwrap(),
            user: Goal::of(&object, &settings, &Tenancy::default()).identity().user.name.clone(),
            aws,
            admin,
            namespace,
            settings,
            script: Script::default(),
            judge: Mutex::default(),
            log: Log::default(),
            turns: Turns::default(),
            region: Mutex::new(REGION),
            vanishing: AtomicBool::default(),
            sweep: Mutex::default(),
            scene: Mutex::default(),
            began: Mutex::default(),
            births: Mutex::default(),
        })
    }

    pub fn objects(&self) -> Api<SesSmtpCredential> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// The object as an admin reads it.
    pub async fn object(&self) -> Option<SesSmtpCredential> {
        self.objects().get_opt(NAME).await.unwrap()
    }

    /// The Secret as an admin reads it.
    pub async fn secret(&self) -> Option<Secret> {
        let mut secret = self.secrets().get_opt(NAME).await.unwrap()?;
        self.date(&mut secret.metadata);
        Some(secret)
    }

    /// A Secret was made just now.
    pub fn born(&self, uid: &str) {
        let now = ses_smtp_core::time::seconds(self.time.now());
        self.births.lock().unwrap().entry(uid.to_owned()).or_insert(now);
    }

    pub fn born_at(&self, uid: &str) -> Option<Timestamp> {
        self.births.lock().unwrap().get(uid).copied()
    }

    fn date(&self, metadata: &mut ObjectMeta) {
        let born = metadata.uid.as_deref().and_then(|uid| self.born_at(uid));
        if let (Some(born), Some(created)) = (born, &mut metadata.creation_timestamp) {
            created.0 = born;
        }
    }

    /// From here on calls are recorded, faults strike, and time counts.
    pub fn begin(&self, strikes: Vec<Strike>) {
        self.script.begin(strikes);
        *self.began.lock().unwrap() = (self.time.now(), None);
    }

    /// Counts a call, and gives the fault that meets it, from which on time counts anew.
    pub fn meet(&self, call: &str) -> Option<Fault> {
        let fault = self.script.meet(call)?;
        self.began.lock().unwrap().0 = self.time.now();
        Some(fault)
    }

    /// Time since the last fault, or since the workload happened.
    pub fn took(&self) -> SignedDuration {
        self.time.now().duration_since(self.began.lock().unwrap().0)
    }

    /// How long it then took until the credential worked; `None` if it never did.
    pub fn worked_after(&self) -> Option<SignedDuration> {
        let (began, worked) = *self.began.lock().unwrap();
        Some(worked?.duration_since(began))
    }

    /// Waits until this operator may make its next call; a call takes its time.
    pub async fn turn(&self, operator: usize) {
        self.turns.call(operator, self.time.now()).await;
        self.time.pass(LATENCY).await;
    }

    /// Waits until `time`, which comes at once if nobody else works meanwhile.
    pub async fn sleep(&self, operator: usize, time: Timestamp) {
        self.turns.sleep(operator, time).await;
        self.time.go_to(time).await;
    }

    /// Looks at both worlds and lets the judge see them.
    pub async fn look(&self) {
        let secret = self.secret().await;
        let scene = self.scene_with(secret);
        self.judge.lock().unwrap().look(&scene);
        if scene.works {
            self.began.lock().unwrap().1.get_or_insert(scene.now);
        }
        *self.scene.lock().unwrap() = scene;
    }

    /// Both worlds now. The Secret is as it was after the last call, which is as it is now: nothing
    /// changes it but what is looked at afterwards.
    pub fn scene(&self) -> Scene {
        let secret = self.scene.lock().unwrap().secret.clone();
        self.scene_with(secret)
    }

    fn scene_with(&self, secret: Option<Secret>) -> Scene {
        let user = self.aws.user(&self.user);
        let owned = user.as_ref().is_some_and(|user| user.tags.get(tag::UID) == Some(&self.uid));
        let mut scene = Scene { now: self.time.now(), user, secret, owned, works: false };
        scene.works = scene.named().is_some_and(|key| self.password(&key, &scene));
        scene
    }

    /// True if the Secret's password is the one of this key in the Region asked for.
    fn password(&self, key: &str, scene: &Scene) -> bool {
        let data = scene.secret.as_ref().and_then(|secret| secret.data.as_ref());
        let password = data.and_then(|data| data.get("password")).map(|value| value.0.clone());
        let region = *self.region.lock().unwrap();
        let wanted = self.aws.password_of(key, region).map(String::into_bytes);
        scene.key(key).is_some_and(KeySnapshot::is_active) && wanted.is_some() && password == wanted
    }
}

fn settings(aws: &Double) -> Settings {
    let mut regions = RegionTable::default();
    for region in [REGION, OTHER_REGION] {
        let ports = aws.smtp(region).unwrap();
        let (starttls, tls) = (vec![ports.starttls], vec![ports.tls]);
        let endpoint = SmtpEndpoint { host: "localhost".into(), starttls, tls };
        regions.set(&RegionName::parse(region).unwrap(), RegionState::Smtp(endpoint));
    }
    let installation = Installation {
        cluster_id: "enumerator".into(),
        install_id: "0123456789abcdef".into(),
        account: aws_double::ACCOUNT.into(),
        partition: Partition::Commercial,
        user_path: "/ses-smtp/".into(),
        user_prefix: "ses-smtp-".into(),
        boundary_name: None,
    };
    Settings {
        installation,
        regions,
        durations: Durations::default(),
        time_scale: 1.0,
        verify_login: VerifyLogin::Auto,
        allowed: Allowed::default(),
    }
}
