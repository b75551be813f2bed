//! The `derive` command: the SMTP password of an existing access key.
//!
//! Owns where the secret key comes from. It prints the password and nothing else, never repeats the
//! secret, and takes it from no argument, because arguments show in process lists and histories.

use std::fs::File;
use std::io::{IsTerminal as _, Read, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use ses_smtp_core::key::KeyId;
use ses_smtp_core::password::{SecretAccessKey, derive};
use ses_smtp_core::region::{RegionName, RegionState, RegionTable};
use zeroize::Zeroizing;

use super::endpoints::EndpointsArg;
use super::output;

const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// More than any secret key, so that a wrong file is refused before it is read to its end.
const MAX_INPUT: usize = 4096;

const EXAMPLES: &str = "\
The secret access key is read from standard input, and asked for without echo on a terminal.

Examples:
  ses-smtp-operator derive --region eu-central-1
  ses-smtp-operator derive --region eu-central-1 --secret-access-key-file /run/secrets/key
  aws-vault exec --no-session mail -- ses-smtp-operator derive --region eu-central-1 --from-env";

/// Arguments of `derive`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeriveArgs {
    /// Region that the password is for; it works in no other
    #[arg(long, value_name = "REGION")]
    region: String,
    /// Id of the access key, to refuse temporary keys
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    /// Read the secret access key from this file
    #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
    secret_access_key_file: Option<PathBuf>,
    /// Read the secret access key from `AWS_SECRET_ACCESS_KEY`
    #[arg(long)]
    from_env: bool,
    /// Compute a password even for a Region that has no SMTP endpoint or isn't known
    #[arg(long)]
    any_region: bool,
    #[command(flatten)]
    endpoints: EndpointsArg,
}

/// Why no password is derived. No text repeats what was read.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "The {region} Region doesn't have an SMTP endpoint.\nNearest Regions that have one: {nearest}.\nUse --any-region to compute a password all the same."
    )]
    NoEndpoint { region: String, nearest: String },
    #[error("{0} isn't a well-formed Region code such as eu-central-1.")]
    MalformedRegion(String),
    #[error("An access key id has 16 to 128 upper-case letters and digits.")]
    MalformedKeyId,
    #[error(
        "{0} names temporary credentials: Amazon SES refuses SMTP passwords made from them. Use an access key of an IAM user, whose id begins with AKIA."
    )]
    Temporary(&'static str),
    #[error("AWS_SECRET_ACCESS_KEY isn't set.")]
    NotInEnvironment,
    #[error("The secret access key can't be read: {0}.")]
    Unreadable(std::io::Error),
    #[error("The secret access key is empty.")]
    Empty,
    #[error("What was read isn't one secret access key: it holds several words, isn't text, or is too long.")]
    NotAKey,
}

/// Runs the command.
pub(super) fn command(args: &DeriveArgs) -> ExitCode {
    match password(args) {
        Ok(line) => output::result(&line),
        Err(refusal) => output::refuse(&refusal),
    }
}

/// The line to print. Everything is checked before the secret is asked for.
fn password(args: &DeriveArgs) -> Result<Zeroizing<String>, Refusal> {
    let region = region(args)?;
    refuse_temporary(args)?;
    let secret = secret(args)?;
    let password = derive(&secret, &region);
    let mut line = Zeroizing::new(String::with_capacity(password.expose().len() + 1));
    line.push_str(password.expose());
    line.push('\n');
    Ok(line)
}

fn region(args: &DeriveArgs) -> Result<RegionName, Refusal> {
    let table = args.endpoints.table();
    let Some(region) = RegionName::parse(&args.region) else {
        let malformed = || Refusal::MalformedRegion(args.region.clone());
        return Err(if args.any_region { malformed() } else { no_endpoint(&table, &args.region) });
    };
    let served = matches!(table.get(&region), RegionState::Smtp(_));
    if served || args.any_region { Ok(region) } else { Err(no_endpoint(&table, &args.region)) }
}

fn no_endpoint(table: &RegionTable, region: &str) -> Refusal {
    Refusal::NoEndpoint { region: region.to_owned(), nearest: table.nearest(region).join(", ") }
}

/// Refuses keys of temporary credentials, as far as id or environment tell.
fn refuse_temporary(args: &DeriveArgs) -> Result<(), Refusal> {
    if args.from_env && variable(TOKEN).is_some() {
        return Err(Refusal::Temporary(TOKEN));
    }
    if let Some(id) = &args.access_key_id {
        let id = KeyId::parse(id).ok_or(Refusal::MalformedKeyId)?;
        return if id.is_temporary() { Err(Refusal::Temporary("--access-key-id")) } else { Ok(()) };
    }
    let inherited = args.from_env.then(|| variable(KEY_ID)).flatten();
    let temporary = inherited.and_then(|id| KeyId::parse(id.trim())).is_some_and(|id| id.is_temporary());
    if temporary { Err(Refusal::Temporary(KEY_ID)) } else { Ok(()) }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

fn secret(args: &DeriveArgs) -> Result<SecretAccessKey, Refusal> {
    if args.from_env {
        return checked(&variable(SECRET).ok_or(Refusal::NotInEnvironment)?);
    }
    match &args.secret_access_key_file {
        Some(path) => from_file(path),
        None if stdin().is_terminal() => prompted(),
        None => from_reader(stdin().lock()),
    }
}

fn from_file(path: &Path) -> Result<SecretAccessKey, Refusal> {
    from_reader(File::open(path).map_err(Refusal::Unreadable)?)
}

fn prompted() -> Result<SecretAccessKey, Refusal> {
    output::note("Secret access key (not shown):");
    checked(&Zeroizing::new(rpassword::read_password().map_err(Refusal::Unreadable)?))
}

fn from_reader(reader: impl Read) -> Result<SecretAccessKey, Refusal> {
    // Room for everything from the start, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_INPUT + 1));
    reader.take(MAX_INPUT as u64 + 1).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    if bytes.len() > MAX_INPUT {
        return Err(Refusal::NotAKey);
    }
    checked(std::str::from_utf8(&bytes).map_err(|_| Refusal::NotAKey)?)
}

/// Takes one word as the secret; warns when it doesn't look like IAM's.
fn checked(text: &str) -> Result<SecretAccessKey, Refusal> {
    // Some editors put a byte order mark before the text.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.contains(char::is_whitespace) {
        return Err(Refusal::NotAKey);
    }
    let secret = SecretAccessKey::new(text).ok_or(Refusal::Empty)?;
    if !secret.is_usual() {
        output::note("warning: this doesn't look like a secret access key (40 letters, digits, / and +)");
    }
    Ok(secret)
}
