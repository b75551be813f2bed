//! AUTH PLAIN (RFC 4616) and AUTH LOGIN, and the check of the credentials.

use std::io::Result;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::{Next, Sender, Session};
use super::talk::Talk;
use super::{Login, password};
use crate::account::{AccessKey, Account};

const ACCEPTED: &str = "235 Authentication successful.";
const INVALID: &str = "535 Authentication Credentials Invalid";
const UNSUBSCRIBED: &str = "535 Account not subscribed to SES";
/// `Username:` and `Password:` in Base64.
const ASK_USER: &str = "334 VXNlcm5hbWU6";
const ASK_PASSWORD: &str = "334 UGFzc3dvcmQ6";

impl Session {
    /// Carries out AUTH.
    pub(super) async fn auth<S>(&mut self, talk: &mut Talk<S>, rest: &str) -> Result<Next>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.is_secure() {
            self.note("AUTH", None, "530", false, None);
            return Ok(Next::say("530 Must issue a STARTTLS command first"));
        }
        if self.sender.is_some() {
            return Ok(Next::say("503 Already authenticated"));
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.plain(talk, initial.trim()).await?,
            "LOGIN" => self.login(talk, initial.trim()).await?,
            _ => return Ok(Next::say("504 Unrecognized authentication type")),
        };
        match given {
            Some((user, password)) => Ok(self.decide(&user, &password).await),
            None => Ok(Next::say("501 Invalid encoding or cancelled")),
        }
    }

    async fn plain<S>(&self, talk: &mut Talk<S>, initial: &str) -> Result<Option<(String, String)>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let response = if initial.is_empty() { self.ask(talk, "334 ").await? } else { decode(initial) };
        Ok(response.and_then(|text| {
            let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
            Some((parts.next()?, parts.next()?))
        }))
    }

    async fn login<S>(&self, talk: &mut Talk<S>, initial: &str) -> Result<Option<(String, String)>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let user = if initial.is_empty() { self.ask(talk, ASK_USER).await? } else { decode(initial) };
        let Some(user) = user else { return Ok(None) };
        Ok(self.ask(talk, ASK_PASSWORD).await?.map(|password| (user, password)))
    }

    async fn ask<S>(&self, talk: &mut Talk<S>, prompt: &str) -> Result<Option<String>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        talk.say(prompt).await?;
        Ok(decode(&talk.line(self.idle()).await?))
    }

    /// Judges the credentials, records the try, and meets the fault that is due.
    async fn decide(&mut self, given: &str, password: &str) -> Next {
        self.endpoint.shared.latency("AUTH").await;
        // Somebody may put a secret in the wrong field: only what looks like an id is recorded.
        let key = Some(given).filter(|id| is_key_id(id));
        let owner = key.and_then(|id| self.endpoint.shared.lock().owner(id));
        let fault = self.strike("AUTH", owner.as_deref());
        if let Some(fault) = &fault
            && let Some(next) = self.meet_before("AUTH", key, fault).await
        {
            if let Next::Say(reply) = &next {
                self.record_login(key, owner, reply);
            }
            return next;
        }
        let reply = self.judge(given, password);
        self.record_login(key, owner, reply);
        self.note("AUTH", key, if reply == ACCEPTED { "ok" } else { reply }, true, fault.as_ref());
        self.meet_after(fault.as_ref(), reply.to_owned()).await
    }

    fn judge(&mut self, id: &str, password: &str) -> &'static str {
        let shared = &self.endpoint.shared;
        let now = shared.now();
        let world = &mut *shared.lock();
        let accounts = world.accounts.values_mut();
        let found = accounts.filter(|account| account.key(id).is_some()).find_map(|account| {
            let sender = accepted(account, account.login_key(id, now)?, password, &self.endpoint.region)?;
            Some((account, sender))
        });
        let Some((account, sender)) = found else { return INVALID };
        if shared.config.ses.unsubscribed.iter().any(|id| id == account.id()) {
            return UNSUBSCRIBED;
        }
        account.record_use(id, &self.endpoint.region, "ses-smtp", now);
        self.sender = Some(sender);
        ACCEPTED
    }

    fn record_login(&self, key: Option<&str>, user: Option<String>, reply: &str) {
        let shared = &self.endpoint.shared;
        let (key, region) = (key.map(str::to_owned), self.endpoint.region.clone());
        let login = Login { time: shared.now(), region, key, user, reply: reply.to_owned() };
        shared.lock().logins.push(login);
    }
}

/// The sender that a key and a password make in a Region.
fn accepted(account: &Account, key: &AccessKey, given: &str, region: &str) -> Option<Sender> {
    let expected = password(key.secret(), region)?;
    (expected == given).then(|| Sender {
        account: account.id().to_owned(),
        user: key.user.clone(),
        key: key.id.clone(),
    })
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}

fn is_key_id(text: &str) -> bool {
    (16..=32).contains(&text.len()) && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}
