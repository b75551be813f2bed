//! `make node-test`: the operator as a Pod on a real node, installed as people install it, with applications that
//! mount its Secret and send mail. A story in order, shown step by step; the first thing that is wrong ends it.
//!
//! Outside of the sandbox it checks the machine, builds the programs of Kubernetes, and looks for traces afterwards.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a story that is told as it happens")]

mod apps;
mod chart;
mod install;
mod killed;
mod operator;
mod programs;
mod rotation;
mod stage;
mod story;
mod tell;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use control_plane::{Tool, locate};
use node::{Sandbox, Traces};
use testbed::Error;

/// Asks what the machine lacks.
const MACHINE: &str = "machine";
/// The first argument inside the sandbox.
const INSIDE: &str = "inside";
/// How long what dies may take to be gone.
const GONE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => outside(),
        [MACHINE] => return machine(),
        [killed::OWNER] => killed::owner(),
        [killed::BUSY, cgroup] => killed::busy(cgroup).await,
        [INSIDE, cgroup] => story::all(cgroup).await,
        _ => Error::wrong("usage: node-test [machine]; `make node-test` calls it as it has to be called"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nFAILED: {}", tell::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// One line that says what is missing, and failure; or nothing, and success.
fn machine() -> ExitCode {
    let missing = node::missing();
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{}", missing.join("; "));
    ExitCode::FAILURE
}

fn outside() -> Result<(), Error> {
    // Blocks for minutes the first time, with progress lines.
    for tool in Tool::ALL.into_iter().chain(Tool::OF_NODE) {
        locate(tool)?;
    }
    let (began, before) = (Instant::now(), Traces::now());
    tell::step("Entering a sandbox");
    let told = told();
    tell::step("Looking for traces");
    clean(&before)?;
    told?;
    tell::step("Killing another sandbox at work, by kill -9 of its owner");
    killed::at_work()?;
    clean(&before)?;
    println!("\nEverything is as it should be, after {} s.", began.elapsed().as_secs());
    Ok(())
}

/// The story; its sandbox is gone when this returns.
fn told() -> Result<(), Error> {
    let sandbox = Sandbox::new()?;
    let status = sandbox.run(&[INSIDE, sandbox.cgroup()])?;
    if status.success() { Ok(()) } else { Error::wrong(format!("the story ended with {status}")) }
}

/// Fails if the node left anything on the machine.
fn clean(before: &Traces) -> Result<(), Error> {
    let until = Instant::now() + GONE;
    let mut left = Traces::now().since(before);
    while !left.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
        left = Traces::now().since(before);
    }
    tell::fact(
        "looked at: processes, mounts, cgroups, interfaces, network namespaces, nft tables, files, ip_forward",
    );
    tell::fact(&format!(
        "left: {}",
        if left.is_empty() { "nothing".to_owned() } else { left.join("\n      ") }
    ));
    if left.is_empty() { Ok(()) } else { Error::wrong("the node left something behind") }
}
