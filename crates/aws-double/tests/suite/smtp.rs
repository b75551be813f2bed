//! SES SMTP through lettre, and by hand where lettre is too polite.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use aws_double::{Config, Double, Fault, FaultKind};
use lettre::address::Envelope;
use lettre::message::Mailboxes;
use lettre::message::header::{HeaderName, HeaderValue, To};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};

use crate::support::{FROM_EXAMPLE, mailer, start};

pub const REGION: &str = "eu-west-1";

#[derive(Clone, Copy)]
pub enum Form {
    StartTls,
    Implicit,
}

pub struct Attempt {
    port: u16,
    tls: Tls,
    credentials: (String, String),
    from: String,
    to: Vec<String>,
    bounces: String,
    configuration_set: Option<String>,
    mechanism: Mechanism,
}

impl Attempt {
    pub fn new(double: &Double, region: &str, form: Form, id: &str, password: &str) -> Self {
        let root = Certificate::from_pem(double.ca_pem().as_bytes()).unwrap();
        let parameters =
            TlsParameters::builder("localhost".to_owned()).add_root_certificate(root).build().unwrap();
        let ports = double.smtp(region).unwrap();
        let (port, tls) = match form {
            Form::StartTls => (ports.starttls, Tls::Required(parameters)),
            Form::Implicit => (ports.tls, Tls::Wrapper(parameters)),
        };
        let credentials = (id.to_owned(), password.to_owned());
        Self {
            port,
            tls,
            credentials,
            from: "Sender <a@example.com>".to_owned(),
            to: vec!["b@example.net".to_owned()],
            bounces: "a@example.com".to_owned(),
            configuration_set: None,
            mechanism: Mechanism::Plain,
        }
    }

    pub fn from(self, from: &str) -> Self {
        Self { from: from.to_owned(), ..self }
    }

    pub fn to(self, to: &[&str]) -> Self {
        Self { to: to.iter().map(|to| (*to).to_owned()).collect(), ..self }
    }

    pub fn bounces(self, bounces: &str) -> Self {
        Self { bounces: bounces.to_owned(), ..self }
    }

    pub fn configuration_set(self, name: &str) -> Self {
        Self { configuration_set: Some(name.to_owned()), ..self }
    }

    fn message(&self) -> Message {
        let to = self.to.iter().map(|to| to.parse().unwrap()).collect();
        let envelope = Envelope::new(Some(self.bounces.parse().unwrap()), to).unwrap();
        let mail = Message::builder().from(self.from.parse().unwrap()).envelope(envelope).subject("x");
        let to: Mailboxes = self.to.join(", ").parse().unwrap();
        let mut mail = mail.mailbox(To::from(to)).body("line\n.dot\n".to_owned()).unwrap();
        if let Some(set) = &self.configuration_set {
            let name = HeaderName::new_from_ascii_str("X-SES-CONFIGURATION-SET");
            mail.headers_mut().insert_raw(HeaderValue::new(name, set.clone()));
        }
        mail
    }

    fn mechanism(self, mechanism: Mechanism) -> Self {
        Self { mechanism, ..self }
    }

    /// Sends a mail; the reply's code and text, if there was one.
    pub async fn send(self) -> Result<String, String> {
        tokio::task::spawn_blocking(move || {
            let mail = self.message();
            let (id, password) = self.credentials;
            let transport = SmtpTransport::builder_dangerous("localhost")
                .port(self.port)
                .tls(self.tls)
                .credentials(Credentials::new(id, password))
                .authentication(vec![self.mechanism])
                .timeout(Some(Duration::from_secs(10)))
                .build();
            match transport.send(&mail) {
                Ok(response) => Ok(response.message().collect::<Vec<_>>().join(" ")),
                Err(error) => {
                    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
                    Err(format!("{code} {error:?}"))
                }
            }
        })
        .await
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_both_forms_of_tls() {
    let double = start(Config::default()).await;
    let (id, password) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let sent = Attempt::new(&double, REGION, Form::StartTls, &id, &password).send().await.unwrap();
    assert!(sent.starts_with("Ok 0100"), "{sent}");
    let login = Attempt::new(&double, REGION, Form::Implicit, &id, &password).mechanism(Mechanism::Login);
    login.send().await.unwrap();
    let mails = double.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!((mails[0].from.as_str(), mails[0].user.as_str()), ("a@example.com", "m"));
    assert_eq!(mails[0].to, ["b@example.net"]);
    assert!(double.logins().iter().all(aws_double::Login::accepted));
    assert!(double.user("m").unwrap().keys[0].last_used.is_some());
    let used = double.call("GetAccessKeyLastUsed", &[("AccessKeyId", &id)]).unwrap();
    assert!(used.contains("ses-smtp") && used.contains(REGION), "{used}");
    let lines = format!("{:?} {:?}", double.journal(), double.logins());
    assert!(!lines.contains(&password));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_regions_password_of_an_active_key_logs_in() {
    let regions = vec![REGION.to_owned(), "us-east-1".to_owned()];
    let double = start(Config { regions, ..Config::default() }).await;
    let (id, password) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let secret = double.secret_of(&id).unwrap();
    for (region, given) in [("us-east-1", &password), (REGION, &secret)] {
        let refused = Attempt::new(&double, region, Form::StartTls, &id, given).send().await.unwrap_err();
        assert!(refused.starts_with("535"), "{refused}");
    }
    let status = |status| [("UserName", "m"), ("AccessKeyId", id.as_str()), ("Status", status)];
    double.call("UpdateAccessKey", &status("Inactive")).unwrap();
    let refused = Attempt::new(&double, REGION, Form::Implicit, &id, &password).send().await.unwrap_err();
    assert!(refused.starts_with("535"), "{refused}");
    double.call("UpdateAccessKey", &status("Active")).unwrap();
    Attempt::new(&double, REGION, Form::Implicit, &id, &password).send().await.unwrap();
    double.call("DeleteAccessKey", &[("UserName", "m"), ("AccessKeyId", &id)]).unwrap();
    let refused = Attempt::new(&double, REGION, Form::Implicit, &id, &password).send().await.unwrap_err();
    assert!(refused.starts_with("535"), "{refused}");
    let swapped = Attempt::new(&double, REGION, Form::Implicit, &secret, &id).send().await.unwrap_err();
    assert!(swapped.starts_with("535"), "{swapped}");
    assert!(!format!("{:?} {:?}", double.journal(), double.logins()).contains(&secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_settle_and_linger() {
    let mut config = Config { fixed_now: Some("2026-11-01T00:00:00Z".parse().unwrap()), ..Config::default() };
    config.settings.key_delay = Duration::from_secs(10);
    let double = start(config).await;
    let (id, password) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let attempt = || Attempt::new(&double, REGION, Form::Implicit, &id, &password).send();
    assert!(attempt().await.unwrap_err().starts_with("535"));
    double.advance(Duration::from_secs(10));
    attempt().await.unwrap();
    double.call("DeleteAccessKey", &[("UserName", "m"), ("AccessKeyId", &id)]).unwrap();
    attempt().await.unwrap();
    double.advance(Duration::from_secs(10));
    assert!(attempt().await.unwrap_err().starts_with("535"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_and_boundary_decide_at_data() {
    let double = start(Config::default()).await;
    let (id, password) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let attempt = || Attempt::new(&double, REGION, Form::StartTls, &id, &password);
    let denied = attempt().from("a@example.org").send().await.unwrap_err();
    assert!(denied.starts_with("554") && denied.contains("ses:SendRawEmail"), "{denied}");
    let other = "arn:aws:iam::123456789012:policy/no-mail";
    let none = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    double.edit(|account, _| account.settings_mut().policies.insert(other.to_owned(), none.to_owned()));
    double.call("PutUserPermissionsBoundary", &[("UserName", "m"), ("PermissionsBoundary", other)]).unwrap();
    assert!(attempt().send().await.unwrap_err().starts_with("554"));
    double.call("DeleteUserPermissionsBoundary", &[("UserName", "m")]).unwrap();
    attempt().send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn injected_replies_and_unsubscribed_accounts() {
    let mut config = Config::default();
    config.ses.unsubscribed = vec![aws_double::ACCOUNT.to_owned()];
    let double = start(config).await;
    let (id, password) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let attempt = || Attempt::new(&double, REGION, Form::StartTls, &id, &password).send();
    let refused = attempt().await.unwrap_err();
    assert!(refused.contains("Account not subscribed"), "{refused}");
    for (action, reply) in [
        ("CONNECT", "421 Too many concurrent SMTP connections"),
        ("AUTH", "454 Temporary authentication failure"),
        ("AUTH", "535 Authentication Credentials Invalid"),
    ] {
        double.inject(
            Fault::on(action, FaultKind::Smtp { reply: reply.to_owned() }).user_if(action == "AUTH", "m"),
        );
        let refused = attempt().await.unwrap_err();
        assert!(refused.contains(&reply[4..]), "{action} {refused}");
    }
    double.inject(Fault::on("AUTH", FaultKind::LostReply));
    assert!(attempt().await.is_err());
    assert!(double.pending_faults().is_empty());
}

trait UserIf {
    fn user_if(self, condition: bool, user: &str) -> Self;
}

impl UserIf for Fault {
    fn user_if(self, condition: bool, user: &str) -> Self {
        if condition { self.user(user) } else { self }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_out_of_order_are_refused() {
    let double = start(Config::default()).await;
    let port = double.smtp(REGION).unwrap().starttls;
    let replies = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let commands = "AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
                        RSET\r\nNOOP\r\nNONSENSE\r\nQUIT\r\n";
        stream.write_all(commands.as_bytes()).unwrap();
        BufReader::new(stream).lines().map(|line| line.unwrap()[..3].to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(replies.await.unwrap(), ["220", "530", "530", "530", "530", "250", "250", "502", "221"]);
}
