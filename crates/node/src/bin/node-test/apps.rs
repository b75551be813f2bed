//! The applications: one reads the Secret from a volume at each connection, one from its environment. Both send all
//! the time. What they did is told by their logs and by the double's journal.

use std::time::Duration;

use aws_double::Mail;
use testbed::{Error, SOON, eventually};

use crate::programs::MAILER;
use crate::stage::Stage;
use crate::tell::{ensure, fact};

/// The namespace of the applications.
pub(crate) const SHOP: &str = "shop";
/// The credential, and its Secret.
pub(crate) const CREDENTIAL: &str = "mailer";
/// So many mails show that an application goes on.
const SOME: usize = 5;

/// An application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// Reads a volume at each connection.
    Volume,
    /// Reads environment variables at its start.
    Env,
}

/// Both.
pub(crate) const APPS: [App; 2] = [App::Volume, App::Env];

impl App {
    /// Its name, and that of its Deployment.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Env => "env",
        }
    }

    fn sender(self) -> String {
        format!("{}@shop.example.com", self.name())
    }

    /// Its Deployment.
    pub(crate) fn manifest(self) -> String {
        let (name, sender) = (self.name(), self.sender());
        let (arguments, environment, mount, volume) = match self {
            Self::Volume => (
                "[volume, /etc/mailer]",
                String::new(),
                "        - {name: credential, mountPath: /etc/mailer, readOnly: true}\n",
                format!("      - {{name: credential, secret: {{secretName: {CREDENTIAL}}}}}\n"),
            ),
            Self::Env => {
                ("[env]", ["host", "port", "username", "password"].map(variable).concat(), "", String::new())
            }
        };
        format!(
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {SHOP}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  strategy: {{type: Recreate}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: mailer
        image: {MAILER}
        args: {arguments}
        env:
        - {{name: SENDER, value: {sender}}}
        - {{name: CA_FILE, value: /etc/ca/ca.pem}}
{environment}        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {{drop: [ALL]}}
        volumeMounts:
        - {{name: ca, mountPath: /etc/ca}}
{mount}      volumes:
      - {{name: ca, configMap: {{name: smtp-ca}}}}
{volume}"
        )
    }

    /// Its mails that the double accepted.
    pub(crate) fn mails(self, stage: &Stage) -> Vec<Mail> {
        let sender = self.sender();
        stage.bed.aws.mails().into_iter().filter(|mail| mail.from == sender).collect()
    }

    /// How many of them were sent with a key.
    pub(crate) fn sent_with(self, stage: &Stage, key: &str) -> usize {
        self.mails(stage).iter().filter(|mail| mail.key == key).count()
    }

    /// What its present pod says of sends that failed, a line each.
    pub(crate) async fn failures(self, stage: &Stage) -> Result<Vec<String>, Error> {
        let label = format!("app={}", self.name());
        let log = stage.kubectl(&["-n", SHOP, "logs", "-l", &label, "--tail=-1"]).await?;
        Ok(log.lines().filter(|line| line.starts_with("failed")).map(str::to_owned).collect())
    }

    /// Waits until it has sent some more mails with a key.
    pub(crate) async fn goes_on(self, stage: &Stage, key: &str) -> Result<(), Error> {
        let enough = self.sent_with(stage, key) + SOME;
        eventually(&format!("{} to send with {key}", self.name()), SOON, async || {
            Ok((self.sent_with(stage, key) >= enough).then_some(()))
        })
        .await
    }

    /// Ends the story if it failed to send more often than `before`.
    pub(crate) async fn failed_no_more_than(self, stage: &Stage, before: usize) -> Result<(), Error> {
        let failures = self.failures(stage).await?;
        ensure(failures.len() == before, || format!("{} failed: {failures:?}", self.name()))
    }

    /// Waits until a send fails that did not before, and gives what it said.
    pub(crate) async fn fails(self, stage: &Stage, before: usize, within: Duration) -> Result<String, Error> {
        eventually(&format!("{} to fail", self.name()), within, async || {
            Ok(self.failures(stage).await?.get(before).cloned())
        })
        .await
    }
}

/// What each application has sent, and what failed.
pub(crate) async fn counts(stage: &Stage) -> Result<(), Error> {
    for app in APPS {
        let (sent, failed) = (app.mails(stage).len(), app.failures(stage).await?.len());
        fact(&format!(
            "{:<6} accepted mails {sent:>5}   failed sends of its present pod {failed:>3}",
            app.name()
        ));
    }
    Ok(())
}

fn variable(key: &str) -> String {
    let name = key.to_uppercase();
    format!("        - {{name: {name}, valueFrom: {{secretKeyRef: {{name: {CREDENTIAL}, key: {key}}}}}}}\n")
}
