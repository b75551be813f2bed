//! The `run` command: sets the process up, finds out who it is at AWS, and hands over.
//!
//! Owns start and end of the process. What the controller needs is in [`Operator`].

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ses_smtp_core::iam::Caller;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::settings::{Nameless, unknown_variables};
use super::{Metrics, Readiness, RunSettings, cli, http, logging, output};
use crate::aws::{
    Accounts, LoginProbe, ProbeError, SENSITIVE_BODIES, Session, SmtpProbe, identify, reveals_bodies,
};
use crate::clock::Clock;
use crate::cluster::Extent;
use crate::controller::{self, ControlError};
use crate::leadership::Leadership;

/// First and longest pause between attempts to learn the caller's identity.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Everything that the controller works with.
pub struct Operator {
    /// Settings, as parsed.
    pub settings: RunSettings,
    /// The namespaces to work in.
    pub extent: Extent,
    /// Whom the AWS credentials belong to.
    pub caller: Caller,
    /// IAM of every account, paced for the whole process.
    pub accounts: Accounts,
    /// Logins at SMTP endpoints.
    pub probe: Arc<dyn LoginProbe>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` says.
    pub readiness: Readiness,
    /// Whether this process may act just now.
    pub leadership: Leadership,
    /// Turns true when the process is to end.
    pub shutdown: watch::Receiver<bool>,
    /// The clock.
    pub clock: Clock,
}

/// Checks what must hold before anything starts, and runs the operator on a runtime of its own.
pub(super) fn start(settings: RunSettings) -> ExitCode {
    if reveals_bodies(std::env::var(SENSITIVE_BODIES).ok().as_deref()) {
        return output::refuse(
            &"LOG_SENSITIVE_BODIES=true makes the AWS SDK log the replies that hold secret access keys. \
              Remove the variable from the operator's environment",
        );
    }
    if let Err(error) = settings.extent() {
        return output::refuse(&error);
    }
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(settings)),
        Err(error) => output::fail(&format!("the async runtime can't start: {error}")),
    }
}

/// Runs the operator until it is told to end.
pub async fn run(settings: RunSettings) -> ExitCode {
    logging::install(settings.log_format, &settings.log);
    warn_of_unknown_variables();
    // Fails only if a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(error = %failure, "the operator ends");
            ExitCode::FAILURE
        }
    }
}

/// Why the process can't go on.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error("--http-address {0} can't be listened at: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    #[error(transparent)]
    Scope(#[from] Nameless),
    #[error("signals can't be received: {0}")]
    Signals(std::io::Error),
    #[error("--smtp-ca-file: {0}")]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Serves HTTP from the start, so that probes see what is waited for, and works once AWS knows us.
async fn serve(settings: RunSettings) -> Result<(), Fatal> {
    let extent = settings.extent()?;
    let shutdown = shutdown_signal().map_err(Fatal::Signals)?;
    let probe = Arc::new(SmtpProbe::new(settings.smtp_ca_file.as_deref())?);
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::waiting("AWS to name the caller of our credentials");
    let address = settings.http_address;
    let listener = TcpListener::bind(address).await.map_err(|error| Fatal::Listen(address, error))?;
    let server = tokio::spawn(http::serve(listener, metrics.clone(), readiness.clone(), shutdown.clone()));
    if let Some(operator) = prepare((settings, extent), probe, metrics, readiness, shutdown).await {
        controller::run(operator).await?;
    }
    // The process ends in any case; an error of the server can't be acted on any more.
    server.abort();
    Ok(())
}

/// Loads AWS credentials and waits until they work; `None` if the process is to end first.
async fn prepare(
    (settings, extent): (RunSettings, Extent),
    probe: Arc<dyn LoginProbe>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    mut shutdown: watch::Receiver<bool>,
) -> Option<Operator> {
    let (session, caller) = tokio::select! {
        identified = identified(&readiness) => identified,
        _ = shutdown.wait_for(|ending| *ending) => return None,
    };
    tracing::info!(account = caller.account, partition = %caller.partition, "AWS credentials work");
    let (clock, limits) = (Clock::system(), settings.limits());
    let leadership =
        if settings.lease.leader_elect { Leadership::contested() } else { Leadership::uncontested() };
    let accounts =
        Accounts::new(session, &caller, metrics.clone(), limits, clock.clone(), leadership.clone());
    Some(Operator {
        settings,
        extent,
        caller,
        accounts,
        probe,
        metrics,
        readiness,
        leadership,
        shutdown,
        clock,
    })
}

/// Asks who we are until AWS says so. Credentials may come late: a token not yet mounted, a role not
/// yet made.
async fn identified(readiness: &Readiness) -> (Session, Caller) {
    let session = Session::load().await;
    let (mut pause, longest) = PAUSES;
    loop {
        match identify(&session).await {
            Ok(caller) => return (session, caller),
            Err(error) => {
                readiness.set_waiting(error.waiting_for());
                tracing::warn!(%error, retry_in = ?pause, "AWS credentials don't work yet");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Turns true at the first SIGTERM or SIGINT.
fn shutdown_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (ending, shutdown) = watch::channel(false);
    tokio::spawn(announce(terminate, interrupt, ending));
    Ok(shutdown)
}

async fn announce(mut terminate: Signal, mut interrupt: Signal, ending: watch::Sender<bool>) {
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "shutting down");
    ending.send_replace(true);
    // The channel must outlive the last look at it: a closed one reads as an end as well.
    ending.closed().await;
}

fn warn_of_unknown_variables() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for variable in unknown_variables(names, &cli::known_variables()) {
        tracing::warn!(variable, "unknown setting in the environment, ignored");
    }
}
