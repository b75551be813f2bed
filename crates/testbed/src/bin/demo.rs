//! `make demo`: the whole main job on real servers, with every step shown.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "showing things is what a demo does")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_double::{Config, UserSnapshot};
use testbed::{Bed, Credential, Error, Object, Operator, Options, condition, eventually, mail};

const REGION: &str = "eu-central-1";
const NAMESPACE: &str = "shop";
const NAME: &str = "mailer";
/// How many times faster than real the demo's 24-hour waits pass.
const SCALE: f64 = 600.0;
const SPEC: &str = "{region: eu-central-1, policy: {fromAddresses: ['*@shop.example.com']}}";

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => {
            println!("\nEverything is as it should be.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<(), Error> {
    step(
        "Starting etcd, kube-apiserver, kube-controller-manager and the AWS double (the first time builds the programs: minutes)",
    );
    let aws = Config { regions: vec![REGION.to_owned()], time_scale: SCALE, ..Config::default() };
    let bed = Bed::start(Options { aws, controller_manager: true, ..Options::default() }).await?;
    bed.namespace(NAMESPACE).await?;
    step("Starting the operator under its own service account's rights");
    let operator = bed.launch(&binary()?).await?.start().await?;
    shown(&bed, operator).await
}

async fn shown(bed: &Bed, operator: Operator) -> Result<(), Error> {
    let outcome = main_job(bed).await;
    if outcome.is_err() {
        eprintln!("\n--- the operator's log\n{}", bed.log());
    } else if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        keep(bed).await?;
    }
    operator.stop().await?;
    outcome
}

async fn main_job(bed: &Bed) -> Result<(), Error> {
    let object = provisioned(bed).await?;
    mail_sent(bed).await?;
    let user = bed.user_of(&object).ok_or_else(|| Error::Wrong("no IAM user".to_owned()))?;
    deleted(bed, &user).await
}

async fn provisioned(bed: &Bed) -> Result<Object, Error> {
    step("Applying the sample object");
    println!("{}", sample());
    bed.apply(NAMESPACE, NAME, SPEC).await?;
    let object = bed.ready(NAMESPACE, NAME).await?;
    let user = bed.user_of(&object).ok_or_else(|| Error::Wrong("no IAM user".to_owned()))?;
    step("In AWS");
    show_user(&user);
    step("In Kubernetes, as `kubectl get sessmtpcredentials` shows it");
    show_object(&object);
    show_secret(bed).await?;
    Ok(object)
}

fn sample() -> String {
    format!(
        "  apiVersion: ses-smtp.dev/v1alpha1\n  kind: SesSmtpCredential\n  metadata: {{name: {NAME}, namespace: {NAMESPACE}}}\n  spec: {SPEC}"
    )
}

fn show_user(user: &UserSnapshot) {
    println!("  IAM user    {}{}", user.path, user.name);
    for (key, value) in &user.tags {
        println!("  tag         {key}={value}");
    }
    for (name, document) in &user.policies {
        println!("  policy      {name}: {document}");
    }
    for key in &user.keys {
        println!("  access key  {} {}", key.id, key.status);
    }
}

fn show_object(object: &Object) {
    let status = object.status.clone().unwrap_or_default();
    println!("  NAME     READY   REASON        REGION         SECRET   USERNAME");
    println!(
        "  {NAME}   {}   {}   {}   {}",
        condition(object, "Ready").replacen(' ', "    ", 1),
        object.spec.region,
        status.secret_name.unwrap_or_default(),
        status.access_key_id.unwrap_or_default()
    );
    for condition in status.conditions {
        println!("  condition {}={}: {}", condition.type_, condition.status, condition.message);
    }
}

async fn show_secret(bed: &Bed) -> Result<(), Error> {
    let secret = bed.secrets(NAMESPACE).get(NAME).await?;
    let data = secret.data.unwrap_or_default();
    let sizes: BTreeMap<&String, usize> = data.iter().map(|(key, value)| (key, value.0.len())).collect();
    println!("  Secret {NAME}:");
    for (key, size) in sizes {
        println!("    {key:<10} {size} bytes");
    }
    Ok(())
}

async fn mail_sent(bed: &Bed) -> Result<(), Error> {
    step("Logging in over STARTTLS with what the Secret holds, and sending");
    let credential = bed.credential(NAMESPACE, NAME).await?;
    let answers = sent(bed, credential.clone(), "orders@shop.example.com").await?;
    for answer in answers {
        println!("  {answer}");
    }
    step("Sending as somebody whom the policy does not allow");
    match sent(bed, credential, "ceo@other.example.com").await {
        Err(refused) => println!("  {refused}"),
        Ok(_) => return Error::wrong("a sender that the policy does not allow was accepted"),
    }
    if bed.aws.mails().len() == 1 { Ok(()) } else { Error::wrong("not exactly one mail arrived") }
}

async fn sent(bed: &Bed, credential: Credential, from: &'static str) -> Result<Vec<String>, Error> {
    let ca = bed.aws.ca_pem().to_owned();
    let session = move || mail::login(&credential, &ca)?.send(from, "customer@example.com");
    tokio::task::spawn_blocking(session).await.map_err(|error| Error::Wrong(error.to_string()))?
}

async fn deleted(bed: &Bed, user: &UserSnapshot) -> Result<(), Error> {
    step("Deleting the object");
    bed.delete(NAMESPACE, NAME).await?;
    bed.gone(NAMESPACE, NAME).await?;
    let left = bed.aws.users();
    println!("  IAM user {} is gone; users left: {}", user.name, left.len());
    if !left.is_empty() {
        return Error::wrong("something is left in IAM");
    }
    let secrets = bed.secrets(NAMESPACE);
    let collected = eventually("the Secret to be collected", Duration::from_mins(1), async || {
        Ok(secrets.get_opt(NAME).await?.is_none().then_some(()))
    });
    collected.await?;
    println!("  Secret {NAME} was collected");
    calls(bed);
    Ok(())
}

fn calls(bed: &Bed) {
    let counts = bed.aws.counts();
    let list: Vec<String> = counts.iter().map(|(action, count)| format!("{action} {count}")).collect();
    println!("  calls to AWS: {}", list.join(", "));
}

async fn keep(bed: &Bed) -> Result<(), Error> {
    let kubeconfig = bed.plane.kubeconfig_file("admin", &bed.plane.admin_kubeconfig_yaml())?;
    println!("\nEverything stays up until Ctrl-C. Try, in another terminal:");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl apply -f - <<EOF\n{}\nEOF", sample());
    println!("  kubectl -n {NAMESPACE} get smtpcred -w");
    println!("  kubectl -n {NAMESPACE} describe smtpcred {NAME}");
    println!("  kubectl -n {NAMESPACE} delete secret {NAME}");
    println!("  curl -s {}/_double/state", bed.aws.iam_url());
    println!("Protocol durations pass {SCALE} times faster: a 24-hour overlap takes 144 seconds.");
    tokio::signal::ctrl_c().await.map_err(Error::io("wait for Ctrl-C"))
}

/// The operator's binary: `OPERATOR_BINARY`, else the one beside this program.
fn binary() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os("OPERATOR_BINARY") {
        return Ok(path.into());
    }
    let here = std::env::current_exe().map_err(Error::io("find this program"))?;
    let binary = here.with_file_name("ses-smtp-operator");
    if binary.exists() {
        Ok(binary)
    } else {
        Error::wrong(format!("{} is missing: run `cargo build --features scaled-time`", binary.display()))
    }
}

fn step(what: &str) {
    println!("\n==> {what}");
}
