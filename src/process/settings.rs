//! The settings of `run`: each is a flag and an environment variable, and checked when parsed.
//!
//! Owns names, defaults and what is allowed. A wrong setting ends the process with a message that
//! names flag, value and what is allowed.

mod lease;
mod metrics;
mod scope;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use k8s_openapi::jiff::SignedDuration;
use ses_smtp_core::desired;
use ses_smtp_core::policy::Address;
use ses_smtp_core::region::{RegionName, RegionTable};
use ses_smtp_core::sweep::orphans::Rules;
use ses_smtp_core::tenancy::{Allowed, Entry, RoleArn, list};
use ses_smtp_core::time::shortened;

pub use metrics::MetricsArgs;
pub use scope::{ExtentArgs, Nameless, ScopeArgs};

use super::endpoints::EndpointsArg;
use crate::aws::Limits;
use crate::cluster::Extent;
use crate::controller::Intervals;
use lease::LeaseArgs;

/// What every variable of the operator begins with.
pub(super) const PREFIX: &str = "SES_SMTP_";
/// Longest cluster id.
const MAX_CLUSTER_ID: usize = 32;
/// Longest prefix of user names: of IAM's 64 characters enough must be left for what tells users apart.
const MAX_PREFIX: usize = 20;
/// IAM's limit for a path is 512, of which a cluster id and a slash are ours.
const MAX_PATH: usize = 512 - MAX_CLUSTER_ID - 1;
/// IAM's limit for the name of a policy.
const MAX_POLICY_NAME: usize = 128;
/// Characters that IAM takes in names, beside letters and digits.
const NAME_MARKS: &str = "_+=,.@-";

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a login has to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VerifyLogin {
    /// Tried where it can be.
    Auto,
    /// Nothing without it.
    Required,
    /// Not tried.
    Off,
}

/// Where this installation's IAM users are.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Name of this cluster in paths and tags of IAM users: up to 32 lower-case letters, digits and
    /// hyphens, beginning with a letter or digit. Default: a short hash of the UID of the namespace
    /// kube-system
    #[arg(long, env = "SES_SMTP_CLUSTER_ID", value_name = "ID", value_parser = cluster_id)]
    pub cluster_id: Option<String>,
    /// Path of the IAM users, in front of the cluster id; begins and ends with a slash
    #[arg(long, env = "SES_SMTP_USER_PATH", value_name = "PATH", default_value = "/ses-smtp/", value_parser = user_path)]
    pub user_path: String,
}

/// Settings of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunSettings {
    /// Where this installation's IAM users are.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// What is watched.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// What names of IAM users begin with: up to 20 lower-case letters, digits and `_+=,.@-`
    #[arg(long, env = "SES_SMTP_USER_PREFIX", value_name = "PREFIX", default_value = "ses-smtp-", value_parser = user_prefix)]
    pub user_prefix: String,
    /// Name of the managed policy that every IAM user gets as permissions boundary; it must exist in
    /// the account. Default: no boundary
    #[arg(long, env = "SES_SMTP_PERMISSIONS_BOUNDARY_NAME", value_name = "NAME", value_parser = policy_name)]
    pub permissions_boundary_name: Option<String>,
    /// How replicas agree on one that works.
    #[command(flatten)]
    pub lease: LeaseArgs,
    #[command(flatten)]
    endpoints: EndpointsArg,
    /// Regions that objects may ask for, with commas between them; a namespace can narrow it by annotation
    /// `ses-smtp.dev/allowed-regions`. Default: all
    #[arg(long, env = "SES_SMTP_ALLOWED_REGIONS", value_name = "LIST", value_parser = listed::<RegionName>)]
    allowed_regions: Option<Listed<RegionName>>,
    /// Senders that objects may ask for, with commas between them: `user@domain`, `*@domain`, `*@*.domain`
    /// or `*`. An object that names none gets all of them as its policy; a namespace can narrow it by
    /// annotation `ses-smtp.dev/allowed-from-addresses`. Default: all
    #[arg(long, env = "SES_SMTP_ALLOWED_FROM_ADDRESSES", value_name = "LIST", value_parser = listed::<Address>)]
    allowed_from_addresses: Option<Listed<Address>>,
    /// ARNs of the roles, with commas between them, of which a namespace's annotation
    /// `ses-smtp.dev/role-arn` may name one: its IAM users are then made in the role's account. Default:
    /// none
    #[arg(long, env = "SES_SMTP_ALLOWED_ROLES", value_name = "LIST", value_parser = listed::<RoleArn>)]
    allowed_roles: Option<Listed<RoleArn>>,
    /// What a login at the SMTP endpoint (no mail is sent) has to do with a key: `auto` tries each new
    /// key out and trusts it after a while where the endpoint can't be reached; `required` trusts no
    /// key without a login; `off` tries none
    #[arg(long, env = "SES_SMTP_VERIFY_LOGIN", value_name = "WHEN", value_enum, default_value_t = VerifyLogin::Auto, hide_possible_values = true)]
    verify_login: VerifyLogin,
    /// PEM file of authorities that may vouch for SMTP endpoints besides the system's. Default: none
    #[arg(long, env = "SES_SMTP_SMTP_CA_FILE", value_name = "FILE")]
    pub smtp_ca_file: Option<PathBuf>,
    /// Credentials worked on at a time, 1 to 1024
    #[arg(long, env = "SES_SMTP_CONCURRENCY", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// IAM calls a second, 0.1 to 1000. The operator slows down by itself when IAM throttles
    #[arg(long, env = "SES_SMTP_IAM_RATE", value_name = "RATE", default_value = "10", value_parser = rate)]
    pub iam_rate: f64,
    /// IAM calls that may be made at once after a quiet time, 1 to 1000
    #[arg(long, env = "SES_SMTP_IAM_BURST", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub iam_burst: u32,
    /// How often all users of the account are compared with the specs, such as 10m; 0s: never
    #[arg(long, env = "SES_SMTP_DRIFT_INTERVAL", value_name = "DURATION", default_value = "10m", value_parser = interval)]
    pub drift_interval: Duration,
    /// How often users whose custom resource is gone are looked for, such as 1h; 0s: never
    #[arg(long, env = "SES_SMTP_SWEEP_INTERVAL", value_name = "DURATION", default_value = "1h", value_parser = interval)]
    pub sweep_interval: Duration,
    /// How long the keys of such a user are Inactive before it is deleted, at least 15m
    #[arg(long, env = "SES_SMTP_SWEEP_SOAK", value_name = "DURATION", default_value = "24h", value_parser = soak)]
    pub sweep_soak: Duration,
    /// Such users that are dealt with in an hour at most, 0 to 5000. Default: 20, or one in twenty of
    /// all users if that is more
    #[arg(long, env = "SES_SMTP_SWEEP_LIMIT", value_name = "N", value_parser = clap::value_parser!(u16).range(0..=5000))]
    pub sweep_limit: Option<u16>,
    /// Where `/livez`, `/readyz` and `/metrics` are served
    #[arg(long, env = "SES_SMTP_HTTP_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8080", value_parser = address)]
    pub http_address: SocketAddr,
    /// What `/metrics` shows.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Form of the log: text or json
    #[arg(long, env = "SES_SMTP_LOG_FORMAT", value_name = "FORM", value_enum, default_value_t = LogFormat::Text, hide_possible_values = true)]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives such as `info,ses_smtp_operator=debug`. Targets that
    /// could show credentials stay at info or less; the audit log goes on at every level, unless
    /// `audit=off` is among the directives
    #[arg(long, env = "SES_SMTP_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,
}

impl RunSettings {
    /// The namespaces that the operator works in.
    pub fn extent(&self) -> Result<Extent, Nameless> {
        self.scope.extent.extent(&self.place)
    }

    /// The region table in force.
    pub fn regions(&self) -> RegionTable {
        self.endpoints.table()
    }

    /// What objects may ask for in every namespace.
    pub fn allowed(&self) -> Allowed {
        Allowed {
            regions: self.allowed_regions.clone().map(|listed| listed.0),
            senders: self.allowed_from_addresses.clone().map(|listed| listed.0),
            roles: self.allowed_roles.clone().map(|listed| listed.0).unwrap_or_default(),
        }
    }

    /// What a login has to do with a key.
    pub fn verify_login(&self) -> desired::VerifyLogin {
        match self.verify_login {
            VerifyLogin::Auto => desired::VerifyLogin::Auto,
            VerifyLogin::Required => desired::VerifyLogin::Required,
            VerifyLogin::Off => desired::VerifyLogin::Off,
        }
    }

    /// How often the account is looked at.
    pub fn sweep_intervals(&self) -> Intervals {
        Intervals { drift: self.drift_interval, orphans: self.sweep_interval }
    }

    /// What the sweep does about orphans, with durations `scale` times shorter.
    pub fn sweep_rules(&self, scale: f64) -> Rules {
        let soak = SignedDuration::try_from(self.sweep_soak).unwrap_or(SignedDuration::MAX);
        Rules { soak: shortened(soak, scale), limit: self.sweep_limit.map(usize::from), scale }
    }

    /// The pace of IAM calls.
    pub fn limits(&self) -> Limits {
        Limits { rate: self.iam_rate, burst: self.iam_burst }
    }
}

fn cluster_id(text: &str) -> Result<String, String> {
    let byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=MAX_CLUSTER_ID).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(byte);
    take(
        text,
        good,
        "allowed are 1 to 32 lower-case letters, digits and hyphens, not beginning with a hyphen",
    )
}

/// IAM would take more characters, but `*`, `?` and `$` mean something in policies on the path.
fn user_path(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('/').and_then(|text| text.strip_suffix('/'));
    let segment = |part: &str| !part.is_empty() && part.bytes().all(is_name_byte);
    let good = text.len() <= MAX_PATH && inner.is_some_and(|inner| inner.split('/').all(segment));
    take(
        text,
        good,
        "allowed are names of letters, digits and _+=,.@- between slashes, with a slash at both ends, at most 479 characters",
    )
}

/// Lower case, because IAM's names are unique without regard to case.
fn user_prefix(text: &str) -> Result<String, String> {
    let byte = |b: u8| is_name_byte(b) && !b.is_ascii_uppercase();
    let good = text.len() <= MAX_PREFIX && text.bytes().all(byte);
    take(text, good, "allowed are up to 20 lower-case letters, digits and _+=,.@-")
}

pub(super) fn policy_name(text: &str) -> Result<String, String> {
    let good = (1..=MAX_POLICY_NAME).contains(&text.len()) && text.bytes().all(is_name_byte);
    take(text, good, "allowed are 1 to 128 letters, digits and _+=,.@- (a name, not an ARN)")
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || NAME_MARKS.bytes().any(|mark| mark == byte)
}

/// A list as a type of its own: of a `Vec`, clap would read the entries one by one.
#[derive(Clone, Debug)]
struct Listed<T>(Vec<T>);

fn listed<T: Entry>(text: &str) -> Result<Listed<T>, String> {
    list(text).map(Listed).map_err(|unlisted| unlisted.to_string())
}

/// A duration as Kubernetes writes it.
fn duration(text: &str) -> Option<Duration> {
    ses_smtp_core::time::parse(text)?.try_into().ok()
}

fn interval(text: &str) -> Result<Duration, String> {
    let allowed = "allowed are 0s and durations from 1m on, such as 10m or 1h30m";
    let good = |duration: &Duration| duration.is_zero() || *duration >= Duration::from_mins(1);
    duration(text).filter(good).ok_or_else(|| allowed.to_owned())
}

fn soak(text: &str) -> Result<Duration, String> {
    let allowed = "allowed are durations from 15m on, such as 24h";
    let good = |duration: &Duration| *duration >= Duration::from_mins(15);
    duration(text).filter(good).ok_or_else(|| allowed.to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=1000.0).contains(rate));
    rate.ok_or_else(|| "allowed are numbers from 0.1 to 1000".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned())
}

fn log_filter(text: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::try_new(text);
    parsed.map(|_| text.to_owned()).map_err(|error| {
        format!("{error}; expected off, error, warn, info, debug, trace or a list of target=level")
    })
}

fn take(text: &str, good: bool, allowed: &str) -> Result<String, String> {
    if good { Ok(text.to_owned()) } else { Err(allowed.to_owned()) }
}

/// Variables with the operator's prefix that mean nothing to it, out of `names`.
///
/// Kubernetes sets variables for every Service of a namespace, so one called `ses-smtp-...` makes
/// names with our prefix; those are nobody's mistake.
pub(super) fn unknown_variables(names: impl Iterator<Item = String>, known: &[String]) -> Vec<String> {
    let of_service =
        |name: &str| name.contains("_SERVICE_") || name.ends_with("_PORT") || name.contains("_PORT_");
    let ours = names.filter(|name| name.starts_with(PREFIX) && !of_service(name));
    let scale = cfg!(feature = "scaled-time").then_some(crate::clock::SCALE_VARIABLE);
    ours.filter(|name| !known.contains(name) && scale != Some(name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::Parser;

    use super::super::docs;
    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        settings: RunSettings,
    }

    fn parse(arguments: &[&str]) -> Result<RunSettings, String> {
        let line = std::iter::once(&"run").chain(arguments);
        Command::try_parse_from(line).map(|command| command.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn has_defaults() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.place.user_path, "/ses-smtp/");
        assert_eq!(settings.limits(), Limits { rate: 10.0, burst: 10 });
        assert_eq!(settings.concurrency, 32);
        assert_eq!(settings.regions(), RegionTable::default());
    }

    #[test]
    fn takes_good_values() {
        let long = "a".repeat(32);
        for argument in [
            "--cluster-id=prod-1",
            &format!("--cluster-id={long}"),
            "--user-path=/a/B-c/",
            "--user-prefix=",
            "--permissions-boundary-name=SesSmtp_Boundary",
            "--iam-rate=0.5",
            "--http-address=[::]:80",
            "--log=info,hyper=warn",
            "--log-format=json",
            "--concurrency=1024",
            "--verify-login=required",
            "--drift-interval=0s",
            "--sweep-interval=90m",
            "--sweep-soak=15m",
            "--sweep-limit=0",
            "--leader-elect=false",
            "--lease-name=mail.operator-2",
            "--lease-namespace=mail",
            "--smtp-ca-file=/etc/ca.pem",
            "--allowed-regions=eu-central-1, eu-west-1",
            "--allowed-from-addresses=a@example.com,*@example.com,*@*.example.com,*",
            "--allowed-roles=arn:aws:iam::210987654321:role/a,arn:aws-cn:iam::210987654321:role/x/b",
        ] {
            parse(&[argument]).unwrap();
        }
    }

    #[test]
    fn names_flag_value_and_what_is_allowed() {
        let long = "a".repeat(33);
        for (flag, value, allowed) in [
            ("--cluster-id", "Prod", "lower-case letters, digits and hyphens"),
            ("--cluster-id", "-a", "not beginning with a hyphen"),
            ("--cluster-id", &long, "1 to 32"),
            ("--user-path", "ses-smtp", "with a slash at both ends"),
            ("--user-path", "//", "names of letters"),
            ("--user-path", "/a*/", "names of letters"),
            ("--user-prefix", "SES-", "lower-case letters"),
            ("--user-prefix", "ses-smtp-and-much-more", "up to 20"),
            ("--permissions-boundary-name", "arn:aws:iam::1:policy/x", "a name, not an ARN"),
            ("--concurrency", "0", "1..=1024"),
            ("--iam-rate", "0", "0.1 to 1000"),
            ("--iam-rate", "NaN", "0.1 to 1000"),
            ("--iam-burst", "0", "1..=1000"),
            ("--http-address", "8080", "an IP address and a port"),
            ("--log-format", "xml", "text, json"),
            ("--drift-interval", "30s", "from 1m on"),
            ("--sweep-interval", "1d", "such as 10m or 1h30m"),
            ("--sweep-soak", "14m", "from 15m on"),
            ("--sweep-soak", "1000000000000000000h", "from 15m on"),
            ("--sweep-limit", "5001", "0..=5000"),
            ("--verify-login", "never", "auto, required, off"),
            ("--leader-elect", "no", "true, false"),
            ("--lease-name", "Mail", "lower-case letters, digits, hyphens and dots"),
            ("--lease-namespace", "mail-", "up to 63 lower-case letters"),
            ("--log", "a=b=c", "target=level"),
            ("--allowed-regions", "eu-central-1,moon", "a Region code such as eu-central-1"),
            ("--allowed-regions", "eu-central-1,", "an entry is empty"),
            ("--allowed-from-addresses", "*example.com", "user@domain, *@domain, *@*.domain or *"),
            ("--allowed-roles", "arn:aws:iam::210987654321:user/a", "the ARN of a role such as arn:aws:iam"),
            ("--endpoints-file", "/none.yaml", "No such file"),
        ] {
            let error = parse(&[&format!("{flag}={value}")]).unwrap_err();
            for part in [flag, value, allowed] {
                assert!(error.contains(part), "{flag}={value}: {error}");
            }
        }
    }

    #[test]
    fn finds_unknown_variables() {
        let names = [
            "SES_SMTP_LOG",
            "SES_SMTP_LOGS",
            "PATH",
            "SES_SMTP_OPERATOR_SERVICE_HOST",
            "SES_SMTP_TIME_SCALE",
        ];
        let unknown = unknown_variables(names.map(str::to_owned).into_iter(), &["SES_SMTP_LOG".to_owned()]);
        let scale = (!cfg!(feature = "scaled-time")).then_some("SES_SMTP_TIME_SCALE");
        assert_eq!(unknown, ["SES_SMTP_LOGS"].into_iter().chain(scale).collect::<Vec<_>>());
    }

    /// The table of settings, for people.
    fn table() -> String {
        let command = RunSettings::augment_args(clap::Command::new("run"));
        let mut page = String::from(
            "# Settings of `ses-smtp-operator run`\n\n\
             Every setting is a flag and an environment variable; the flag prevails. A wrong value stops the\n\
             process at once, an unknown variable is warned about. Generated from the code: don't edit.\n\n\
             | Flag | Variable | Default | Meaning |\n|---|---|---|---|\n",
        );
        for argument in command.get_arguments() {
            let (flag, variable) =
                (argument.get_long().unwrap(), argument.get_env().unwrap().to_str().unwrap());
            assert_eq!(variable, format!("{PREFIX}{}", flag.replace('-', "_").to_uppercase()));
            let default = argument.get_default_values().first().map(|value| format!("`{}`", value.display()));
            let help =
                argument.get_long_help().or(argument.get_help()).unwrap().to_string().replace('\n', " ");
            writeln!(page, "| `--{flag}` | `{variable}` | {} | {help}. |", default.unwrap_or_default())
                .unwrap();
        }
        page
    }

    #[test]
    fn are_documented() {
        docs::prove("settings.md", &table());
    }
}
