//! MAIL, RCPT and DATA, and whether the user's policies let the mail through.

use std::io::Result;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Mail;
use super::message::{Headers, mailbox};
use super::session::{Next, Sender, Session};
use super::talk::Talk;
use crate::authorize::permitted;
use crate::policy::{Context, Question};
use crate::world::World;

/// Recipients per message.
const RECIPIENTS: usize = 50;
/// The action that SMTP needs.
const ACTION: &str = "ses:SendRawEmail";
const UNAUTHENTICATED: &str = "530 Authentication required";

/// The envelope so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    from: String,
    to: Vec<String>,
}

/// A mail on its way through the checks.
struct Draft<'a> {
    sender: &'a Sender,
    envelope: &'a Envelope,
    headers: &'a Headers,
    from: String,
    size: usize,
}

impl Session {
    pub(super) async fn mail(&mut self, rest: &str) -> Next {
        if self.sender.is_none() {
            return Next::say(UNAUTHENTICATED);
        }
        let Some(from) = address(rest, "FROM:") else {
            return Next::say("501 Invalid MAIL FROM address provided");
        };
        self.envelope = Some(Envelope { from, to: Vec::new() });
        self.plain_step("MAIL").await
    }

    pub(super) async fn rcpt(&mut self, rest: &str) -> Next {
        if self.sender.is_none() {
            return Next::say(UNAUTHENTICATED);
        }
        let Some(envelope) = &mut self.envelope else { return Next::say("503 Error: need MAIL command") };
        match address(rest, "TO:").filter(|to| to.contains('@')) {
            None => return Next::say("501 Invalid RCPT TO address provided"),
            Some(_) if envelope.to.len() >= RECIPIENTS => return Next::say("452 Too many recipients"),
            Some(to) => envelope.to.push(to),
        }
        self.plain_step("RCPT").await
    }

    /// Answers 250 unless a fault says otherwise.
    async fn plain_step(&self, action: &str) -> Next {
        let fault = self.strike(action, self.user());
        match &fault {
            Some(kind) => match self.meet_before(action, self.key(), kind).await {
                Some(next) => next,
                None => self.meet_after(Some(kind), "250 Ok".to_owned()).await,
            },
            None => Next::say("250 Ok"),
        }
    }

    fn user(&self) -> Option<&str> {
        self.sender.as_ref().map(|sender| sender.user.as_str())
    }

    fn key(&self) -> Option<&str> {
        self.sender.as_ref().map(|sender| sender.key.as_str())
    }

    pub(super) async fn data<S>(&mut self, talk: &mut Talk<S>) -> Result<Next>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(sender) = self.sender.clone() else { return Ok(Next::say(UNAUTHENTICATED)) };
        let Some(envelope) = self.envelope.take().filter(|envelope| !envelope.to.is_empty()) else {
            return Ok(Next::say("503 Error: need RCPT command"));
        };
        talk.say("354 End data with <CR><LF>.<CR><LF>").await?;
        let Some(text) = talk.message(self.idle()).await? else {
            return Ok(Next::say("552 Message is too long."));
        };
        self.endpoint.shared.latency("DATA").await;
        let fault = self.strike("DATA", Some(&sender.user));
        if let Some(kind) = &fault
            && let Some(next) = self.meet_before("DATA", Some(&sender.key), kind).await
        {
            return Ok(next);
        }
        let reply = self.deliver(&sender, &envelope, &text);
        let outcome = if reply.starts_with("250") { "ok" } else { reply.as_str() };
        self.note("DATA", Some(&sender.key), outcome, true, fault.as_ref());
        Ok(self.meet_after(fault.as_ref(), reply).await)
    }

    /// Checks and records a mail; the reply.
    fn deliver(&self, sender: &Sender, envelope: &Envelope, text: &str) -> String {
        let headers = Headers::parse(text);
        let from = headers.get("From").map(|field| mailbox(field).1).filter(|from| !from.is_empty());
        let from = from.unwrap_or_else(|| envelope.from.clone());
        let draft = Draft { sender, envelope, headers: &headers, from, size: text.len() };
        let world = &mut *self.endpoint.shared.lock();
        if let Err(reply) = self.check(world, &draft) {
            return reply;
        }
        let mail = self.mail_of(world, &draft);
        let reply = format!("250 Ok {}", mail.id);
        world.mails.push(mail);
        reply
    }

    fn check(&self, world: &World, draft: &Draft<'_>) -> std::result::Result<(), String> {
        let gone = || "535 Authentication Credentials Invalid".to_owned();
        let account = world.accounts.get(&draft.sender.account).ok_or_else(gone)?;
        let context = self.context(draft);
        for resource in self.resources(draft) {
            let question = Question { action: ACTION, resource: &resource, context: &context };
            if !permitted(account, &draft.sender.user, &question) {
                let arn = account.user_arn(&draft.sender.user, None);
                return Err(format!(
                    "554 Access denied: User `{arn}' is not authorized to perform `{ACTION}' on resource `{resource}'"
                ));
            }
        }
        self.verified(draft)
    }

    /// The sender must be verified, in the sandbox the recipients too.
    fn verified(&self, draft: &Draft<'_>) -> std::result::Result<(), String> {
        let ses = &self.endpoint.shared.config.ses;
        let recipients = draft.envelope.to.iter().filter(|_| ses.sandbox);
        let addresses = std::iter::once(&draft.from).chain(recipients).map(String::as_str);
        let failed: Vec<&str> = addresses.filter(|address| ses.identity_of(address).is_none()).collect();
        if ses.identities.is_empty() || failed.is_empty() {
            return Ok(());
        }
        let (region, failed) = (self.endpoint.region.to_uppercase(), failed.join(", "));
        Err(format!(
            "554 Message rejected: Email address is not verified. \
             The following identities failed the check in region {region}: {failed}"
        ))
    }

    fn context(&self, draft: &Draft<'_>) -> Context {
        let name = draft.headers.get("From").and_then(|field| mailbox(field).0);
        let feedback = draft.headers.get("Return-Path").map(|field| mailbox(field).1);
        let context = Context::default()
            .with("ses:FromAddress", vec![draft.from.clone()])
            .with("ses:Recipients", draft.envelope.to.clone())
            .with("ses:FeedbackAddress", vec![feedback.unwrap_or_else(|| draft.envelope.from.clone())])
            .with("aws:SourceIp", vec![self.peer.to_string()])
            .with("aws:username", vec![draft.sender.user.clone()]);
        match name {
            Some(name) => context.with("ses:FromDisplayName", vec![name]),
            None => context,
        }
    }

    /// Everything that takes part in the send: the sender's identity, recipients that are identities of the
    /// account, and the configuration set if any.
    fn resources(&self, draft: &Draft<'_>) -> Vec<String> {
        let ses = &self.endpoint.shared.config.ses;
        let arn = |kind: &str, name: &str| {
            format!("arn:aws:ses:{}:{}:{kind}/{name}", self.endpoint.region, draft.sender.account)
        };
        let unknown = domain(&draft.from).to_lowercase();
        let sender = ses.identity_of(&draft.from).unwrap_or(&unknown);
        let recipients = draft.envelope.to.iter().filter_map(|to| ses.identity_of(to));
        let set = draft.headers.get("X-SES-CONFIGURATION-SET").or(ses.configuration_set.as_deref());
        let identities = std::iter::once(sender).chain(recipients).map(|name| arn("identity", name));
        identities.chain(set.map(|set| arn("configuration-set", set))).collect()
    }

    fn mail_of(&self, world: &mut World, draft: &Draft<'_>) -> Mail {
        Mail {
            id: world.ids.message_id(),
            time: self.endpoint.shared.now(),
            region: self.endpoint.region.clone(),
            key: draft.sender.key.clone(),
            user: draft.sender.user.clone(),
            envelope_from: draft.envelope.from.clone(),
            from: draft.from.clone(),
            to: draft.envelope.to.clone(),
            headers: draft.headers.0.clone(),
            size: draft.size,
        }
    }
}

pub(crate) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

/// The address of `FROM:<…>` or `TO:<…>`; parameters behind it are accepted and ignored.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    let tail = tail.trim().strip_prefix('<')?;
    head.eq_ignore_ascii_case(keyword).then(|| tail.split_once('>').map(|(address, _)| address.to_owned()))?
}
