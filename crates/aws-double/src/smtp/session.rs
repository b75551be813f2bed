//! The SMTP dialogue (RFC 5321, 3207, 4954): which command may come when, and the replies.

use std::io::{ErrorKind, Result};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Endpoint;
use super::send::Envelope;
use super::talk::{SIZE, Talk};
use crate::fault::{FaultKind, When};
use crate::journal::Record;

/// How a run of the dialogue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    StartTls,
}

/// What follows a command.
pub(super) enum Next {
    Say(String),
    StartTls,
    Close,
    Hang,
}

impl Next {
    pub(super) fn say(reply: &str) -> Self {
        Self::Say(reply.to_owned())
    }
}

/// Who logged in.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) account: String,
    pub(super) user: String,
    pub(super) key: String,
}

/// One connection's state.
pub(super) struct Session {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) peer: IpAddr,
    secure: bool,
    pub(super) sender: Option<Sender>,
    pub(super) envelope: Option<Envelope>,
}

impl Session {
    pub(super) fn new(endpoint: Arc<Endpoint>, peer: IpAddr) -> Self {
        Self { endpoint, peer, secure: false, sender: None, envelope: None }
    }

    pub(super) fn implicit(&self) -> bool {
        self.endpoint.implicit
    }

    /// TLS is up; what was said before counts no more.
    pub(super) fn secured(&mut self) {
        self.secure = true;
        self.sender = None;
        self.envelope = None;
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) fn idle(&self) -> Duration {
        self.endpoint.shared.clock.scaled(self.endpoint.shared.config.ses.idle)
    }

    /// Talks until the connection ends or turns to TLS.
    pub(super) async fn run<S>(&mut self, talk: &mut Talk<S>, greet: bool) -> Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if greet && !self.greet(talk).await? {
            return Ok(End::Closed);
        }
        loop {
            let line = match talk.line(self.idle()).await {
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    talk.say("451 Timeout waiting for data from client.").await?;
                    return Ok(End::Closed);
                }
                line => line?,
            };
            match self.command(talk, &line).await? {
                Next::Say(reply) => {
                    talk.say(&reply).await?;
                    if reply.starts_with("221") || reply.starts_with("421") {
                        return Ok(End::Closed);
                    }
                }
                Next::StartTls => {
                    talk.say("220 Ready to start TLS").await?;
                    return Ok(End::StartTls);
                }
                Next::Close => return Ok(End::Closed),
                Next::Hang => return talk.hang().await.map(|()| End::Closed),
            }
        }
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&mut self, talk: &mut Talk<S>) -> Result<bool> {
        let fault = self.strike("CONNECT", None);
        if let Some(fault) = &fault {
            match self.meet_before("CONNECT", None, fault).await {
                Some(Next::Say(reply)) => return talk.say(&reply).await.map(|()| false),
                Some(Next::Hang) => return talk.hang().await.map(|()| false),
                Some(_) => return Ok(false),
                None => {}
            }
        }
        talk.say("220 email-smtp.amazonaws.com ESMTP SimpleEmailService-double").await.map(|()| true)
    }

    async fn command<S>(&mut self, talk: &mut Talk<S>, line: &str) -> Result<Next>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        Ok(match verb.to_ascii_uppercase().as_str() {
            "EHLO" => Next::Say(self.ehlo()),
            "HELO" => Next::say("250 email-smtp.amazonaws.com"),
            "STARTTLS" if self.secure => Next::say("503 Already in TLS"),
            "STARTTLS" => Next::StartTls,
            "AUTH" => self.auth(talk, rest).await?,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data(talk).await?,
            "RSET" => {
                self.envelope = None;
                Next::say("250 Ok")
            }
            "NOOP" => Next::say("250 Ok"),
            "QUIT" => Next::say("221 Bye"),
            _ => Next::say("502 Unrecognised command"),
        })
    }

    fn ehlo(&mut self) -> String {
        self.envelope = None;
        let starttls = if self.secure { "" } else { "250-STARTTLS\n" };
        format!(
            "250-email-smtp.amazonaws.com\n250-8BITMIME\n250-SIZE {SIZE}\n{starttls}250-AUTH PLAIN LOGIN\n250 Ok"
        )
    }

    /// The fault that the next occurrence of an action meets.
    pub(super) fn strike(&self, action: &str, user: Option<&str>) -> Option<FaultKind> {
        self.endpoint.shared.lock().strike(action, user)
    }

    /// What a fault does instead of the command; `None` if the command is carried out.
    pub(super) async fn meet_before(
        &self,
        action: &str,
        key: Option<&str>,
        fault: &FaultKind,
    ) -> Option<Next> {
        let next = match fault {
            FaultKind::Smtp { reply } => Next::Say(reply.clone()),
            FaultKind::ErrorBefore { status, code } => Next::Say(format!("{status} {code}")),
            FaultKind::Deny => Next::say("535 Authentication Credentials Invalid"),
            FaultKind::Timeout | FaultKind::DelayedEffect { .. } => Next::Hang,
            FaultKind::LostRequest | FaultKind::Hook { when: When::Before, .. } => Next::Close,
            FaultKind::Malformed { executed: false } => Next::say("<html>500</html>"),
            _ => return None,
        };
        let outcome = if let Next::Say(reply) = &next { reply } else { "lost" };
        self.note(action, key, outcome, false, Some(fault));
        call_back(fault, When::Before).await;
        Some(next)
    }

    /// What a fault makes of the reply to a command that was carried out.
    pub(super) async fn meet_after(&self, fault: Option<&FaultKind>, reply: String) -> Next {
        let Some(fault) = fault else { return Next::Say(reply) };
        call_back(fault, When::After).await;
        match fault {
            FaultKind::ErrorAfter { status, code } => Next::Say(format!("{status} {code}")),
            FaultKind::LostReply | FaultKind::Hook { .. } => Next::Close,
            FaultKind::Malformed { .. } => Next::say("<html>500</html>"),
            _ => Next::Say(reply),
        }
    }

    /// Writes the journal's record of a command.
    pub(super) fn note(
        &self,
        action: &str,
        key: Option<&str>,
        outcome: &str,
        executed: bool,
        fault: Option<&FaultKind>,
    ) {
        let shared = &self.endpoint.shared;
        let (account, user) = {
            let world = shared.lock();
            (
                key.and_then(|id| world.account_of_key(id)).map(str::to_owned),
                key.and_then(|id| world.owner(id)),
            )
        };
        shared.note(Record {
            sequence: 0,
            time: shared.now(),
            action: action.to_owned(),
            account,
            caller: key.map(str::to_owned),
            user,
            key: key.map(str::to_owned),
            outcome: outcome.to_owned(),
            executed,
            fault: fault.map(|fault| format!("{fault:?}")),
            request_id: None,
        });
    }
}

async fn call_back(fault: &FaultKind, at: When) {
    if let FaultKind::Hook { when, callback } = fault
        && *when == at
    {
        let callback = Arc::clone(callback);
        // The callback may wait for a process to die; a panic in it is the test's own affair.
        let _ = tokio::task::spawn_blocking(move || callback()).await;
    }
}
