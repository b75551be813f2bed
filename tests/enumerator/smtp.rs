//! Logins as the operator's process tries them, at the double's SMTP, with a fault here and there.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use ses_smtp_core::login::{Login, Trouble};
use ses_smtp_core::password::SmtpPassword;
use ses_smtp_operator::aws::{LoginProbe, SmtpProbe, SmtpServer};

use crate::fault::Fault;
use crate::run::Process;

/// What a login is called in the names of cases.
pub const LOGIN: &str = "login";

/// One process's logins.
pub struct Logins {
    probe: SmtpProbe,
    process: Arc<Process>,
}

impl Logins {
    pub fn new(process: Arc<Process>) -> Self {
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), process.world.aws.ca_pem()).unwrap();
        let probe = SmtpProbe::new(Some(Path::new(ca.path()))).unwrap();
        Self { probe, process }
    }

    async fn tried(&self, server: SmtpServer<'_>, username: &str, password: &SmtpPassword) -> Login {
        let world = &self.process.world;
        world.turn(self.process.number).await;
        let fault = world.script.meet(LOGIN);
        match fault {
            Some(Fault::CrashBefore) => self.process.die().await,
            Some(Fault::Timeout) => Login::Unreachable(Trouble::Timeout),
            Some(Fault::Error) => Login::Unreachable(Trouble::Temporary),
            Some(Fault::Denied) => Login::Refused,
            _ => {
                let answer = self.probe.login(server, username, password).await;
                if fault == Some(Fault::CrashAfter) { self.process.die().await } else { answer }
            }
        }
    }
}

impl LoginProbe for Logins {
    fn login<'a>(
        &'a self,
        server: SmtpServer<'a>,
        username: &'a str,
        password: &'a SmtpPassword,
    ) -> BoxFuture<'a, Login> {
        Box::pin(self.tried(server, username, password))
    }
}
