//! What the operator watches: which namespaces, and whether Secrets at all.

use clap::{ArgAction, Args};
use ses_smtp_core::desired::is_namespace;

use super::PlaceArgs;
use crate::cluster::Extent;

/// The namespaces that are looked at.
#[derive(Args, Clone, Debug)]
pub struct ExtentArgs {
    /// Namespaces to work in, with commas between them. The operator then needs rights in these alone and
    /// none of the cluster, and `--cluster-id` has to be set. Default: all
    #[arg(long, env = "SES_SMTP_WATCH_NAMESPACES", value_name = "LIST", value_parser = namespaces)]
    watch_namespaces: Option<Names>,
}

/// What is watched.
#[derive(Args, Clone, Debug)]
pub struct ScopeArgs {
    /// Which namespaces.
    #[command(flatten)]
    pub extent: ExtentArgs,
    /// Whether Secrets are watched, for metadata only: `true` or `false`. If not, the operator needs no right to
    /// list them, and looks at the Secrets of each object every five minutes instead
    #[arg(long, env = "SES_SMTP_WATCH_SECRETS", value_name = "BOOL", default_value_t = true, action = ArgAction::Set, hide_possible_values = true)]
    pub watch_secrets: bool,
}

/// Names as a type of its own: of a `Vec`, clap would read the entries one by one.
#[derive(Clone, Debug)]
struct Names(Vec<String>);

/// The cluster id is made of what can't be read here.
#[derive(Debug, thiserror::Error)]
#[error(
    "--watch-namespaces needs --cluster-id: the default is made of the UID of namespace kube-system, which an \
     operator of some namespaces may not read. Set --cluster-id (SES_SMTP_CLUSTER_ID) to a name that no other \
     cluster with this AWS account has"
)]
pub struct Nameless;

impl ExtentArgs {
    /// The namespaces that are looked at, if `place` says what has to be said for them.
    pub fn extent(&self, place: &PlaceArgs) -> Result<Extent, Nameless> {
        match &self.watch_namespaces {
            None => Ok(Extent::Cluster),
            Some(_) if place.cluster_id.is_none() => Err(Nameless),
            Some(Names(names)) => Ok(Extent::Namespaces(names.clone())),
        }
    }
}

fn namespaces(text: &str) -> Result<Names, String> {
    let mut names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(wrong) = names.iter().find(|name| !is_namespace(name)) {
        return Err(format!(
            "{wrong:?} is not the name of a namespace: allowed are up to 63 lower-case letters, digits and hyphens, \
             beginning and ending with a letter or digit"
        ));
    }
    names.sort();
    names.dedup();
    Ok(Names(names))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        place: PlaceArgs,
    }

    fn parse(arguments: &[&str]) -> Result<Command, String> {
        let line = std::iter::once(&"run").chain(arguments);
        Command::try_parse_from(line).map_err(|error| error.to_string())
    }

    fn extent(arguments: &[&str]) -> Result<Extent, String> {
        let Command { scope, place } = parse(arguments)?;
        scope.extent.extent(&place).map_err(|error| error.to_string())
    }

    #[test]
    fn some_namespaces_need_a_cluster_id() {
        assert_eq!(extent(&[]), Ok(Extent::Cluster));
        assert_eq!(extent(&["--cluster-id=c1"]), Ok(Extent::Cluster));
        let named = extent(&["--cluster-id=c1", "--watch-namespaces=shop, billing,shop"]);
        assert_eq!(named, Ok(Extent::Namespaces(vec!["billing".into(), "shop".into()])));
        let error = extent(&["--watch-namespaces=shop"]).unwrap_err();
        for part in ["--watch-namespaces", "--cluster-id", "SES_SMTP_CLUSTER_ID", "kube-system"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn names_flag_value_and_what_is_allowed() {
        let long = "a".repeat(64);
        for (flag, value, allowed) in [
            ("--watch-namespaces", "", "the name of a namespace"),
            ("--watch-namespaces", "shop,", "the name of a namespace"),
            ("--watch-namespaces", "Shop", "lower-case letters, digits and hyphens"),
            ("--watch-namespaces", "shop,-a", "\"-a\""),
            ("--watch-namespaces", &long, "up to 63"),
            ("--watch-secrets", "no", "true, false"),
        ] {
            let error = parse(&[&format!("{flag}={value}")]).map(drop).unwrap_err();
            for part in [flag, value, allowed] {
                assert!(error.contains(part), "{flag}={value}: {error}");
            }
        }
        assert!(parse(&[]).is_ok_and(|command| command.scope.watch_secrets));
        assert!(parse(&["--watch-secrets=false"]).is_ok_and(|command| !command.scope.watch_secrets));
    }
}
