//! A small application that sends mail all the time with the credential of a Secret: the reader of the Secret in the
//! test on a real node.
//!
//! It reads its credential as applications do, from a volume at each connection or from its environment, sends with
//! the ordinary client of a mail library, and prints a line a mail. It knows nothing of Kubernetes or of the operator.
// Its whole output is what it prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{park, sleep};
use std::time::Duration;

use lettre::message::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};

const USAGE: &str = "usage: mailer volume FOLDER | mailer env | mailer pause

  volume   read host, port, username and password from files of FOLDER at each connection
  env      read HOST, PORT, USERNAME and PASSWORD from the environment, once
  pause    do nothing, until killed

SENDER is the sender's address, CA_FILE the authority that the server's certificate has to be of.";
/// Pause between two mails.
const BREATH: Duration = Duration::from_millis(200);
/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

type Failure = Box<dyn std::error::Error>;

/// Where the credential comes from.
enum Source {
    Volume(PathBuf),
    Environment,
}

/// What a mail client needs.
#[derive(Clone, PartialEq, Eq)]
struct Credential {
    host: String,
    port: u16,
    username: String,
    password: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let source = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["volume", folder] => Source::Volume(folder.into()),
        ["env"] => Source::Environment,
        ["pause"] => loop {
            park();
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    work(&source);
    ExitCode::FAILURE
}

/// Sends until something is wrong with the program's surroundings.
fn work(source: &Source) {
    let (sender, ca) = match surroundings() {
        Ok(found) => found,
        Err(error) => return eprintln!("SENDER or CA_FILE: {error}"),
    };
    loop {
        match delivered(source, &sender, &ca) {
            Ok(line) => println!("sent {line}"),
            Err(error) => println!("failed {}", told(error.as_ref())),
        }
        sleep(BREATH);
    }
}

fn surroundings() -> Result<(String, Certificate), Failure> {
    let ca = fs::read(std::env::var("CA_FILE")?)?;
    Ok((std::env::var("SENDER")?, Certificate::from_pem(&ca)?))
}

/// Sends one mail. A volume may change between the reads of two files, so what was refused is read again, and tried
/// once more if it is something else now.
fn delivered(source: &Source, sender: &str, ca: &Certificate) -> Result<String, Failure> {
    let credential = source.read()?;
    let Err(error) = send(&credential, sender, ca) else { return Ok(credential.username) };
    let again = source.read()?;
    if again == credential {
        return Err(error);
    }
    send(&again, sender, ca).map(|()| format!("{} after a second read", again.username))
}

fn send(credential: &Credential, sender: &str, ca: &Certificate) -> Result<(), Failure> {
    let builder = TlsParameters::builder(credential.host.clone()).certificate_store(CertificateStore::None);
    let tls = builder.add_root_certificate(ca.clone()).build_rustls()?;
    let secret = Credentials::new(credential.username.clone(), credential.password.clone());
    let transport = SmtpTransport::builder_dangerous(&credential.host)
        .port(credential.port)
        .tls(Tls::Required(tls))
        .timeout(Some(TIMEOUT))
        .authentication(vec![Mechanism::Plain])
        .credentials(secret)
        .build();
    let mail = Message::builder().from(sender.parse()?).to("customer@example.com".parse()?);
    transport.send(&mail.subject("hello").body("Your order is on its way.".to_owned())?)?;
    Ok(())
}

impl Source {
    fn read(&self) -> Result<Credential, Failure> {
        let host = self.value("host")?;
        let (port, username) = (self.value("port")?.parse()?, self.value("username")?);
        Ok(Credential { host, port, username, password: self.value("password")? })
    }

    fn value(&self, name: &str) -> Result<String, Failure> {
        match self {
            Self::Volume(folder) => file(&folder.join(name)),
            Self::Environment => {
                let variable = name.to_uppercase();
                std::env::var(&variable).map_err(|error| format!("{variable}: {error}").into())
            }
        }
    }
}

fn file(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The error and its causes on one line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")).replace(['\r', '\n'], " ")
}
