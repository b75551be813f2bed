//! The custom resource `SesSmtpCredential`: spec, status, and the rules checked at admission.
//!
//! Owns the schema that users see. Defaults that need cluster state, and rules that depend on the
//! operator's settings, live in [`crate::desired`].

mod policy;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use policy::PolicySpec;

/// What is asked for: a working SES SMTP credential for one Region, in a Secret of the namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "ses-smtp.dev",
    version = "v1alpha1",
    kind = "SesSmtpCredential",
    plural = "sessmtpcredentials",
    shortname = "smtpcred",
    category = "ses",
    namespaced,
    status = "SesSmtpCredentialStatus",
    doc = "An Amazon SES SMTP credential: an IAM user with a policy and an access key, and a Secret with host, port, user name and password.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Stalled","type":"string","jsonPath":".status.conditions[?(@.type==\"Stalled\")].reason","description":"Why somebody has to act; also where the credential works"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.region"}"#,
    printcolumn = r#"{"name":"Secret","type":"string","jsonPath":".status.secretName"}"#,
    printcolumn = r#"{"name":"Username","type":"string","jsonPath":".status.accessKeyId"}"#,
    printcolumn = r#"{"name":"Key-Age","type":"date","jsonPath":".status.issuedAt"}"#,
    printcolumn = r#"{"name":"Waiting","type":"string","jsonPath":".status.conditions[?(@.type==\"Reconciling\")].reason","priority":1}"#,
    printcolumn = r#"{"name":"Login","type":"string","jsonPath":".status.conditions[?(@.type==\"LoginVerified\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Suspended","type":"string","jsonPath":".status.conditions[?(@.type==\"Suspended\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Next-Rotation","type":"string","jsonPath":".status.nextRotationAt","priority":1}"#,
    printcolumn = r#"{"name":"Previous-Key","type":"string","jsonPath":".status.previousKey.accessKeyId","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    validation = Rule::new("!has(self.spec.additionalRegions) || !(self.spec.region in self.spec.additionalRegions)")
        .message("spec.additionalRegions must not list spec.region, which is served anyway"),
    validation = Rule::new("(has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name) == (has(oldSelf.spec.secret) && has(oldSelf.spec.secret.name) ? oldSelf.spec.secret.name : oldSelf.metadata.name)")
        .message("spec.secret.name can't be changed (it defaults to metadata.name): create a new SesSmtpCredential instead"),
    validation = Rule::new("!has(self.spec.accessKeyFrom) || (!has(self.spec.policy) && !has(self.spec.rotation) && !has(self.spec.revokedKeys) && self.spec.deletionPolicy == 'Delete')")
        .message(DERIVE_EXCLUDES),
    validation = Rule::new("!has(self.spec.accessKeyFrom) || self.spec.accessKeyFrom.secretRef.name != (has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name)")
        .message(SOURCE_IS_TARGET),
    validation = Rule::new("has(self.spec.accessKeyFrom) == has(oldSelf.spec.accessKeyFrom)")
        .message("spec.accessKeyFrom can't be added or removed later: create a new SesSmtpCredential instead")
)]
#[serde(rename_all = "camelCase")]
pub struct SesSmtpCredentialSpec {
    /// AWS Region of the SES SMTP endpoint, such as `eu-central-1`. The password is valid there
    /// only. Changing it issues a new key; the old one stays usable for
    /// `rotation.overlap`.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(region_rule()).message("must be the code of an AWS Region, such as eu-central-1: lower-case letters, hyphens and a number"))]
    pub region: String,

    /// More Regions in which the same user name works, each with a password of its own. Adding one
    /// issues a new key, as a rotation does, because AWS shows a key's secret once and it is never
    /// kept; removing one does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(length(min = 1, max = 32)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(regions_rule()).message("must be codes of AWS Regions, such as eu-central-1: lower-case letters, hyphens and a number"))]
    pub additional_regions: Vec<String>,

    /// Another host or port: a VPC endpoint, a FIPS host, a TLS port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointSpec>,

    /// The Secret that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSpec>,

    /// An access key that somebody else makes and replaces: its SMTP password is derived, and AWS
    /// is never called. Excludes `policy`, `rotation`, `revokedKeys` and another `deletionPolicy`
    /// than `Delete`; can't be added or removed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_from: Option<AccessKeyFromSpec>,

    /// What the credential may be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,

    /// When the key is replaced by a new one. Absent: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationSpec>,

    /// Ids of access keys that are known to be leaked. None of them stays usable: the published one
    /// is replaced at once, the previous one deleted at once. Others are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(length(min = 16, max = 128), regex(pattern = "^[A-Z0-9]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub revoked_keys: Vec<String>,

    /// What becomes of user and keys when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// True: nothing is changed in IAM or in the Secret until it is false again. Deletion still works.
    #[serde(default)]
    pub suspend: bool,
}

/// Host and port that clients are told to connect to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSpec {
    /// Host name for `region`; additional Regions have their own. `email-smtp[-fips].<region>.<partition suffix>`,
    /// `<endpoint>.email-smtp.<region>.vpce.<partition suffix>`, or one that the operator's
    /// endpoints file lists for the Region. Default: the Region's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub host: Option<String>,

    /// Port in every Region: 25, 587 or 2587 for STARTTLS, 465 or 2465 for TLS from the first byte, or one that
    /// the endpoints file lists. Default: 587.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535), extend("format" = "int32"))]
    pub port: Option<i32>,
}

/// The Secret that is written.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretSpec {
    /// Name. Default: the name of this object. Can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: Option<String>,

    /// A ready layout for a known consumer: the data keys that it reads, and what it expects under them.
    /// `ses-smtp-operator presets` lists them. Without it, and without `data`: `host`, `port`, `username`, `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = crate::preset::names()))]
    pub preset: Option<String>,

    /// Data keys and their text, in which `$(placeholders)` are replaced: `host`, `port`, `hostPort`, `username`, `password`,
    /// `passwordUrlEncoded`, `url`, `region`, `starttls`, `implicitTls`, `fromAddress`, each also as `<region>.<name>`. `$$` is a dollar.
    /// With a preset they are added to its keys or take their place, else they are the whole layout. One of them has
    /// to hold the user name, and one the password for each Region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[x_kube(validation = Rule::new(DATA_KEYS).message("keys must be 1 to 253 letters, digits, -, _ and ., and neither . nor begin with .."))]
    pub data: BTreeMap<String, String>,

    /// Labels added to the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = Rule::new(RESERVED_KEYS).message("keys under ses-smtp.dev/, kubernetes.io/ and k8s.io/ are reserved; of app.kubernetes.io/ all but managed-by may be set"))]
    pub labels: BTreeMap<String, String>,

    /// Annotations added to the Secret, such as those of a reload controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[x_kube(validation = Rule::new(RESERVED_KEYS).message("keys under ses-smtp.dev/, kubernetes.io/ and k8s.io/ are reserved; of app.kubernetes.io/ all but managed-by may be set"))]
    pub annotations: BTreeMap<String, String>,
}

/// What can't be asked for together with somebody else's access key.
pub const DERIVE_EXCLUDES: &str = "with spec.accessKeyFrom there is no IAM user: leave out spec.policy, spec.rotation and spec.revokedKeys, and leave spec.deletionPolicy at Delete";
/// A Secret can't be made of itself.
pub const SOURCE_IS_TARGET: &str = "spec.accessKeyFrom.secretRef.name is the Secret that is to be written: give the object another spec.secret.name";

/// An access key that somebody else makes and replaces.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeyFromSpec {
    /// The Secret that holds it.
    pub secret_ref: SourceSecretRef,
}

/// A Secret of the object's namespace that holds an access key.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.accessKeyIdKey != self.secretAccessKeyKey").message("accessKeyIdKey and secretAccessKeyKey must name two different data keys"))]
pub struct SourceSecretRef {
    /// Name of a Secret with an access key that somebody else makes and replaces: its SMTP password is
    /// derived, and AWS is never called. It must carry the label `ses-smtp.dev/access-key-source: "true"`.
    /// Excludes `policy`, `rotation`, `revokedKeys` and a `deletionPolicy` other than `Delete`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,

    /// Data key of the access key id.
    #[serde(default = "access_key_id_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub access_key_id_key: String,

    /// Data key of the secret access key.
    #[serde(default = "secret_access_key_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub secret_access_key_key: String,
}

fn access_key_id_key() -> String {
    "AWS_ACCESS_KEY_ID".to_owned()
}

fn secret_access_key_key() -> String {
    "AWS_SECRET_ACCESS_KEY".to_owned()
}

/// CEL: the text is a well-formed Region code.
fn region_rule() -> String {
    format!("self.matches(r\"{}\")", crate::region::REGION_PATTERN)
}

/// CEL: every entry is a well-formed Region code.
fn regions_rule() -> String {
    format!("self.all(r, r.matches(r\"{}\"))", crate::region::REGION_PATTERN)
}

/// CEL: no key of the map is in a domain that belongs to Kubernetes or to the operator.
const RESERVED_KEYS: &str = r"self.all(k, k.startsWith('app.kubernetes.io/') ? k != 'app.kubernetes.io/managed-by' : !k.matches('^([^/]*[.])?(ses-smtp[.]dev|kubernetes[.]io|k8s[.]io)/'))";

/// CEL: every key may be one of a Secret's data.
const DATA_KEYS: &str =
    r"self.all(k, k.matches('^[-_.a-zA-Z0-9]{1,253}$') && k != '.' && !k.startsWith('..'))";

/// When the key is replaced by a new one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(overlap_rule()).message("overlap must be shorter than interval"))]
pub struct RotationSpec {
    /// A new key this often, such as `2160h` for 90 days; at least `1h`. Absent: never. Objects of
    /// one interval don't all rotate at once: each is up to a twentieth of it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(duration_rule("1h")).message("must be a duration of at least 1h in hours, minutes and seconds, such as 2160h for 90 days"))]
    pub interval: Option<String>,

    /// How long the key before it stays usable, at least `15m`. Default: 24h, or half the interval
    /// if that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new(duration_rule("15m")).message("must be a duration of at least 15m in hours, minutes and seconds, such as 24h"))]
    pub overlap: Option<String>,

    /// Any text. Changed to another one, the key is replaced once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub trigger: Option<String>,
}

/// What a duration is written like.
const DURATION_PATTERN: &str = "^([0-9]+([.][0-9]+)?[hms])+$";

/// CEL: the text is a duration, and long enough.
fn duration_rule(least: &str) -> String {
    format!("self.matches(r\"{DURATION_PATTERN}\") && duration(self) >= duration('{least}')")
}

/// CEL: the overlap is shorter than the interval, if both are durations at all.
fn overlap_rule() -> String {
    let both = ["interval", "overlap"];
    let unless =
        both.map(|field| format!("!has(self.{field}) || !self.{field}.matches('{DURATION_PATTERN}')"));
    format!("{} || duration(self.overlap) < duration(self.interval)", unless.join(" || "))
}

/// What becomes of user and keys when the object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// User, policy and keys are deleted, and the Secret goes with the object.
    #[default]
    Delete,
    /// Everything keeps working: the Secret is released and stays, the user is tagged as released.
    Retain,
    /// The keys are made Inactive and the user stays; the Secret goes with the object.
    Deactivate,
}

impl DeletionPolicy {
    /// The value as written in specs and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Retain => "Retain",
            Self::Deactivate => "Deactivate",
        }
    }
}

/// What the operator reports. It decides nothing: emptied, it is filled again.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SesSmtpCredentialStatus {
    /// Generation of the spec that this report is about; -1 before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "int64"))]
    pub observed_generation: Option<i64>,

    /// Ready, and while they are true Reconciling, Stalled and Suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Name of the IAM user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,

    /// ARN of the IAM user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_arn: Option<String>,

    /// Id of the published access key: the SMTP user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,

    /// When the published key was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,

    /// When the key is due to be replaced, if it is replaced by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_at: Option<Time>,

    /// The key that was published before, while it still exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<PreviousKeyStatus>,

    /// Name of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// Where the credential can be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"]))]
    pub endpoints: Vec<EndpointStatus>,
}

/// The key that was published before.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PreviousKeyStatus {
    /// Its id.
    pub access_key_id: String,
    /// When another key took its place.
    pub superseded_at: Time,
    /// `Active` or `Inactive`.
    pub state: String,
    /// When it will be deleted at the earliest.
    pub delete_at: Time,
}

/// An endpoint at which the credential works.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Region.
    pub region: String,
    /// Host name.
    pub host: String,
    /// Port.
    pub port: i32,
    /// What the last login there with the published key has shown. No mail is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginStatus>,
}

/// What logins at an endpoint have shown.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LoginStatus {
    /// `Accepted`; `Unsettled`: refused, but the key is so new that SES may not know it yet;
    /// `Refused`; `NotSubscribed`: the account doesn't use SES there; `Unreachable`.
    pub outcome: String,
    /// Since when.
    pub time: Time,
}

/// The custom resource definition, complete: with the status default that makes a new object count
/// as in progress before the first pass (kube's derive has no hook for it), and with the limits of
/// condition reasons and messages that generic tools expect.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SesSmtpCredential::crd();
    for version in &mut crd.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|root| root.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            let initial = serde_json::json!({ "observedGeneration": -1 });
            status.default =
                Some(k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON(initial));
        }
    }
    crd
}
