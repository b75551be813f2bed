//! The double as a program, for people who have no AWS account.
// Its whole output is what it prints: addresses and file names.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_double::account::Settings;
use aws_double::{CALLER_KEY_ID, CALLER_SECRET, Caller, Config, Double};
use clap::Parser;

/// IAM, STS and SES SMTP on loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Regions with an SMTP endpoint.
    #[arg(long = "region", value_delimiter = ',', default_value = "eu-west-1")]
    regions: Vec<String>,
    /// How many times faster than AWS delays pass.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Decides every id and secret.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port of IAM and STS; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Account of the default caller.
    #[arg(long, default_value = aws_double::ACCOUNT)]
    account: String,
    /// Seconds until a new key is accepted at SMTP, before scaling.
    #[arg(long, default_value_t = 0.0)]
    key_delay: f64,
    /// Managed policy that may serve as boundary: ARN=FILE. Can be repeated.
    #[arg(long = "policy")]
    policies: Vec<String>,
    /// Folder for `ca.pem` and `endpoints.yaml`.
    #[arg(long, default_value = ".aws-double")]
    folder: PathBuf,
    /// File to which journal lines are added.
    #[arg(long)]
    journal: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let double = Double::start(config(&options)?).await?;
    fs::create_dir_all(&options.folder)?;
    fs::write(options.folder.join("ca.pem"), double.ca_pem())?;
    fs::write(options.folder.join("endpoints.yaml"), double.endpoints_yaml())?;
    announce(&double, &options);
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn config(options: &Options) -> Result<Config, Box<dyn Error>> {
    let settings =
        Settings { key_delay: Duration::try_from_secs_f64(options.key_delay)?, ..Settings::default() };
    let mut config = Config {
        seed: options.seed,
        time_scale: options.time_scale,
        regions: options.regions.clone(),
        callers: vec![Caller::new(CALLER_KEY_ID, CALLER_SECRET, &options.account)],
        settings,
        journal_file: options.journal.clone(),
        port: options.port,
        ..Config::default()
    };
    for policy in &options.policies {
        let (arn, file) = policy.split_once('=').ok_or("--policy takes ARN=FILE")?;
        config = config.policy(arn, &fs::read_to_string(file)?);
    }
    Ok(config)
}

fn announce(double: &Double, options: &Options) {
    let url = double.iam_url();
    println!("AWS_ENDPOINT_URL_IAM={url}\nAWS_ENDPOINT_URL_STS={url}");
    println!(
        "AWS_ACCESS_KEY_ID={CALLER_KEY_ID}\nAWS_SECRET_ACCESS_KEY={CALLER_SECRET}\nAWS_REGION=us-east-1"
    );
    println!("# control: {url}/_double/state");
    println!(
        "# {} and {}",
        options.folder.join("ca.pem").display(),
        options.folder.join("endpoints.yaml").display()
    );
    for region in &options.regions {
        if let Some(ports) = double.smtp(region) {
            println!("# {region}: localhost, STARTTLS {}, TLS {}", ports.starttls, ports.tls);
        }
    }
}
