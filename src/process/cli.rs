//! The command line: parses, dispatches, and gives the exit code.
//!
//! Exit codes: 0 done, 1 failed at run time, 2 wrong use or input.

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use super::derive::DeriveArgs;
use super::iam_policy::IamPolicyArgs;
use super::orphans::OrphansArgs;
use super::presets::PresetsArgs;
use super::regions::RegionsArgs;
use super::{RunSettings, crd, derive, dumps, iam_policy, orphans, output, presets, regions, run};

/// What `--version` says.
static VERSION: LazyLock<String> = LazyLock::new(|| version(commit(), cfg!(feature = "scaled-time")));

const EXAMPLES: &str = "\
Examples:
  ses-smtp-operator run --log-format json
  ses-smtp-operator derive --region eu-central-1 < secret-access-key.txt
  ses-smtp-operator regions -o json
  ses-smtp-operator presets grafana
  ses-smtp-operator orphans
  ses-smtp-operator iam-policy --account 123456789012 --cluster-id prod
  ses-smtp-operator completions bash > /etc/bash_completion.d/ses-smtp-operator
  ses-smtp-operator crd | kubectl apply -f -";

/// The commit that the binary was built from; empty when the build wasn't told.
pub(super) fn commit() -> &'static str {
    option_env!("SES_SMTP_COMMIT").unwrap_or_default()
}

/// Version, with the commit when the build was told. A build whose durations can be scaled says so: an image
/// of it would keep none of the promised times.
fn version(commit: &str, scaled_time: bool) -> String {
    let number = env!("CARGO_PKG_VERSION");
    let notes = [commit, if scaled_time { "scaled time" } else { "" }];
    let notes = notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(", ");
    if notes.is_empty() { number.to_owned() } else { format!("{number} ({notes})") }
}

/// What the program is called.
const NAME: &str = "ses-smtp-operator";

/// Provisions, publishes and removes Amazon SES SMTP credentials.
#[derive(Parser)]
#[command(name = NAME, version = VERSION.as_str(), after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller
    Run(Box<RunSettings>),
    /// Derive the SMTP password of an access key for a Region
    Derive(DeriveArgs),
    /// List the SES Regions and their SMTP endpoints
    Regions(RegionsArgs),
    /// List ready layouts of the Secret for known consumers, or show one
    Presets(PresetsArgs),
    /// List IAM users whose custom resource is gone, or delete them
    Orphans(OrphansArgs),
    /// Print the IAM policy that the operator needs, as JSON
    IamPolicy(IamPolicyArgs),
    /// Print the custom resource definition as YAML
    Crd,
    /// Print a shell's completion script
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    if let Err(error) = dumps::forbid() {
        output::note(&format!(
            "warning: core dumps, which would hold credentials, can't be forbidden: {error}"
        ));
    }
    match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command),
        Err(error) => misused(&error),
    }
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Run(settings) => run::start(*settings),
        Command::Derive(args) => derive::command(&args),
        Command::Regions(args) => regions::command(&args),
        Command::Presets(args) => presets::command(&args),
        Command::Orphans(args) => orphans::command(&args),
        Command::IamPolicy(args) => iam_policy::command(&args),
        Command::Crd => crd::command(),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    // clap_complete writes a hyphen of the program's name in two ways, so that bash finds no subcommand's
    // options.
    let script =
        String::from_utf8_lossy(&script).replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"));
    output::result(&script)
}

/// Ends a command line that clap refused, or that asked for help.
fn misused(error: &clap::Error) -> ExitCode {
    if holds_stray_value(error) {
        return output::refuse(
            &"an argument was given that belongs to no option; it isn't repeated here, \
                                because secret keys are pasted by mistake. See --help",
        );
    }
    // A terminal that is gone can't be told so.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// True if clap's message would repeat a bare argument, such as a secret given to `derive`.
fn holds_stray_value(error: &clap::Error) -> bool {
    let stray = |value: &ContextValue| matches!(value, ContextValue::String(text) if !text.starts_with('-'));
    error.kind() == clap::error::ErrorKind::UnknownArgument
        && error.get(ContextKind::InvalidArg).is_some_and(stray)
}

/// The environment variables that any command reads.
pub(super) fn known_variables() -> Vec<String> {
    let cli = Cli::command();
    let arguments = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    arguments.filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn says_what_was_built() {
        let said = |commit, scaled_time| version(commit, scaled_time).replace(env!("CARGO_PKG_VERSION"), "1");
        assert_eq!(said("", false), "1");
        assert_eq!(said("abc", false), "1 (abc)");
        assert_eq!(said("", true), "1 (scaled time)");
        assert_eq!(said("abc", true), "1 (abc, scaled time)");
    }

    #[test]
    fn knows_its_variables() {
        assert!(known_variables().contains(&"SES_SMTP_CLUSTER_ID".to_owned()));
    }
}
