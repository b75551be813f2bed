//! By hand: builds the programs with visible progress, or runs one control plane until Ctrl-C.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use control_plane::{ControlPlane, Error, Tool, locate};

const USAGE: &str = "usage: control-plane [build]

  build   only build the programs of the control plane
  (none)  start one and print its KUBECONFIG; Ctrl-C ends it
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run().await,
        ["build"] => build(),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{}\n", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Error> {
    for tool in Tool::ALL {
        say(&format!("{}\n", locate(tool)?.display()));
    }
    Ok(())
}

async fn run() -> Result<(), Error> {
    let plane = ControlPlane::builder().controller_manager().audit_log().start().await?;
    let path = plane.kubeconfig_file("admin", &plane.admin_kubeconfig_yaml())?;
    say(&format!("export KUBECONFIG={}\n", path.display()));
    // Without a handler for the signal this waits for ever, and the default action ends everything as well.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn say(text: &str) {
    let mut out = stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
