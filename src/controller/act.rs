//! Carries out one step: one call, and its outcome in the core's words.
//!
//! Holds what only a pass may hold: the Secret as read, and the password of a key that it minted.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Error, ResourceExt as _};
use ses_smtp_core::api::SesSmtpCredential;
use ses_smtp_core::desired::{Desired, Goal, Identity};
use ses_smtp_core::endpoint::Endpoint;
use ses_smtp_core::iam::Failure;
use ses_smtp_core::key::KeyId;
use ses_smtp_core::layout;
use ses_smtp_core::names::{POLICY_NAME, tag};
use ses_smtp_core::password::{Passwords, SmtpPassword};
use ses_smtp_core::record::Record;
use ses_smtp_core::secret::{SecretFacts, create, filled, record_patch, release, rendered, replace};
use ses_smtp_core::source::examine;
use ses_smtp_core::step::{Effect, Probe, Refusal, SecretWrite, Step};

use super::Context;
use super::cache::key_of;
use crate::aws::{Activity, Iam, MAX_USER_PAGES, MintedKey, SmtpServer};
use crate::cluster::refusal;

/// A key that this pass minted, or read from its source, derived at once: the secret key itself is
/// gone already.
struct Minted {
    id: KeyId,
    passwords: Passwords,
}

/// The hands of one pass.
pub struct Hands<'a> {
    context: &'a Context,
    goal: &'a Goal,
    object: SesSmtpCredential,
    live: Option<Secret>,
    minted: Option<Minted>,
}

impl<'a> Hands<'a> {
    /// For a pass over `object`.
    pub fn new(context: &'a Context, goal: &'a Goal, object: &SesSmtpCredential) -> Self {
        Self { context, goal, object: object.clone(), live: None, minted: None }
    }

    fn identity(&self) -> &'a Identity {
        self.goal.identity()
    }

    /// Carries out `step`, which was planned on the Secret as it was at `version`.
    pub async fn act(&mut self, step: &Step, version: Option<&str>) -> Effect {
        match step {
            Step::ReadSecret => self.read_secret().await,
            Step::ReadSource => self.read_source().await,
            Step::AddFinalizer { account } => self.add_finalizer(account).await,
            Step::RemoveFinalizer => self.remove_finalizer().await,
            Step::WriteSecret(write) => self.write(write, version).await,
            Step::MintKey => self.mint().await,
            Step::ProbeLogin(probe) => self.login(probe).await,
            Step::Forget | Step::Reject { .. } | Step::Pause { .. } | Step::End(_) => Effect::Done,
            _ => match self.call(step).await {
                Ok(effect) => effect,
                Err(failure) => self.heeded(failure).await,
            },
        }
    }

    /// IAM of the account that the object's namespace works in.
    async fn iam(&self) -> Result<Arc<dyn Iam>, Failure> {
        let identity = self.identity();
        self.context.accounts.iam(&identity.account, identity.role.as_ref()).await
    }

    /// A session that AWS doesn't take any more is not used again.
    async fn heeded(&self, failure: Failure) -> Effect {
        self.context.accounts.heed(self.identity().role.as_ref(), &failure).await;
        Effect::Iam(failure)
    }

    /// The calls to IAM but the mint.
    async fn call(&self, step: &Step) -> Result<Effect, Failure> {
        let (iam, user) = (self.iam().await?, &self.identity().user);
        match step {
            Step::ReadUser => return iam.get_user(&user.name).await.map(Effect::User),
            Step::FindUser => return self.find_user().await.map(Effect::Listed),
            Step::ListKeys => return iam.list_access_keys(&user.name).await.map(Effect::Keys),
            Step::ReadLastUsed(key) => {
                return iam.get_access_key_last_used(&user.name, key).await.map(Effect::LastUsed);
            }
            Step::CreateUser => iam.create_user(user).await?,
            Step::PutBoundary => {
                let boundary = user.boundary.clone().unwrap_or_default();
                iam.put_user_permissions_boundary(&user.name, &boundary).await?;
            }
            Step::TagUser => iam.tag_user(&user.name, &user.tags).await?,
            Step::TagReleased => self.tag_released().await?,
            Step::PutPolicy => self.put_policy().await?,
            Step::DeactivateKey(key) => iam.update_access_key(&user.name, key, Activity::Inactive).await?,
            Step::DeleteKey(key) => iam.delete_access_key(&user.name, key).await?,
            Step::DetachPolicy(policy) => iam.detach_user_policy(&user.name, policy).await?,
            Step::DeletePolicy => iam.delete_user_policy(&user.name, POLICY_NAME).await?,
            Step::DeleteUser => iam.delete_user(&user.name).await?,
            _ => {}
        }
        Ok(Effect::Done)
    }

    async fn find_user(&self) -> Result<bool, Failure> {
        let (iam, user) = (self.iam().await?, &self.identity().user);
        let mut marker = None;
        for _ in 0..MAX_USER_PAGES {
            let page = iam.list_users(&user.path, marker.as_deref()).await?;
            if page.names.contains(&user.name) {
                return Ok(true);
            }
            marker = page.next;
            if marker.is_none() {
                return Ok(false);
            }
        }
        Err(Failure::Unclear)
    }

    async fn tag_released(&self) -> Result<(), Failure> {
        let user = &self.identity().user;
        let mut tags = user.tags.clone();
        tags.insert(tag::RELEASED.to_owned(), self.context.clock.now().to_string());
        self.iam().await?.tag_user(&user.name, &tags).await
    }

    async fn put_policy(&self) -> Result<(), Failure> {
        let Goal::Serve(desired) = self.goal else { return Ok(()) };
        let user = &self.identity().user.name;
        self.iam().await?.put_user_policy(user, POLICY_NAME, &desired.policy.document).await
    }

    async fn mint(&mut self) -> Effect {
        let Goal::Serve(desired) = self.goal else { return Effect::Done };
        match self.minted_key().await {
            Ok(key) => {
                let passwords = Passwords::derive(&key.secret, desired.endpoints.regions());
                self.minted = Some(Minted { id: key.id.clone(), passwords });
                Effect::Minted(key.id)
            }
            Err(failure) => self.heeded(failure).await,
        }
    }

    async fn minted_key(&self) -> Result<MintedKey, Failure> {
        self.iam().await?.create_access_key(&self.identity().user.name).await
    }

    /// With the password in hand, or else with the one that the Secret as read holds.
    async fn login(&self, probe: &Probe) -> Effect {
        let region = probe.endpoint.region.as_str();
        let minted = self.minted.as_ref().filter(|minted| minted.id == probe.key);
        let found = if minted.is_none() { self.recovered(region) } else { None };
        let Some(password) = minted.and_then(|minted| minted.passwords.get(region)).or(found.as_ref()) else {
            return outdated();
        };
        let Endpoint { host, port, implicit_tls, .. } = &probe.endpoint;
        let server = SmtpServer { host, port: *port, implicit_tls: *implicit_tls };
        let _place = self.context.probes.acquire().await;
        let answer = self.context.probe.login(server, probe.key.as_str(), password).await;
        self.context.metrics.login(answer);
        Effect::Login(answer)
    }

    fn recovered(&self, region: &str) -> Option<SmtpPassword> {
        let live = self.live.as_ref()?;
        let record = SecretFacts::of_metadata(&live.metadata).record;
        layout::recover(live.data.as_ref()?, record.password_digests.get(region)?)
    }

    async fn read_secret(&mut self) -> Effect {
        let identity = self.identity();
        match self.context.secrets.get(&identity.owner.namespace, &identity.secret_name).await {
            Ok(Some(secret)) => self.seen(secret),
            Ok(None) => {
                self.live = None;
                self.context.unseen(&key_of(identity));
                Effect::NoSecret
            }
            Err(error) => Effect::Cluster(refusal(&error, "get secrets")),
        }
    }

    async fn read_source(&mut self) -> Effect {
        let Goal::Derive(derived) = self.goal else { return Effect::Done };
        self.minted = None;
        let namespace = &derived.desired.identity.owner.namespace;
        let read = match self.context.secrets.get(namespace, &derived.source.name).await {
            Ok(secret) => examine(secret, derived),
            Err(error) => return Effect::Cluster(refusal(&error, "get secrets")),
        };
        Effect::Source(read.map(|(facts, passwords)| {
            self.minted = Some(Minted { id: facts.id.clone(), passwords });
            Box::new(facts)
        }))
    }

    async fn add_finalizer(&mut self, account: &str) -> Effect {
        let patched = self.context.credentials.add_finalizer(&self.object, account).await;
        self.patched(patched)
    }

    async fn remove_finalizer(&mut self) -> Effect {
        let patched = self.context.credentials.remove_finalizer(&self.object).await;
        self.patched(patched)
    }

    fn patched(&mut self, patched: Result<SesSmtpCredential, Error>) -> Effect {
        let effect = match patched {
            Ok(object) => {
                self.object = object;
                Effect::Done
            }
            Err(error) => Effect::Cluster(refusal(&error, "patch sessmtpcredentials")),
        };
        self.counted("SesSmtpCredential", effect)
    }

    async fn write(&mut self, write: &SecretWrite, version: Option<&str>) -> Effect {
        let effect = match (write, self.goal.desired()) {
            (SecretWrite::Fence(record) | SecretWrite::Annotate(record), _) => {
                self.annotate(record, version).await
            }
            (SecretWrite::Release, _) => self.release().await,
            (SecretWrite::Placeholder(record), Some(desired)) => {
                self.create(create(desired, record, std::collections::BTreeMap::new())).await
            }
            (SecretWrite::Create(record), Some(desired)) => self.publish_first(desired, record).await,
            (SecretWrite::Publish(record), Some(desired)) => self.publish(desired, record).await,
            (SecretWrite::Derive(record), Some(desired)) => self.publish_derived(desired, record).await,
            (SecretWrite::Repair { record, render }, Some(desired)) => {
                self.repair(desired, record, *render).await
            }
            _ => Effect::Done,
        };
        self.counted("Secret", effect)
    }

    async fn create(&mut self, secret: Secret) -> Effect {
        let namespace = &self.identity().owner.namespace;
        match self.context.secrets.create(namespace, &secret).await {
            Ok(created) => self.seen(created),
            Err(error) => Effect::Cluster(refusal(&error, "create secrets")),
        }
    }

    async fn replace(&mut self, secret: Secret) -> Effect {
        let namespace = &self.identity().owner.namespace;
        match self.context.secrets.replace(namespace, &secret.name_any(), &secret).await {
            Ok(replaced) => self.seen(replaced),
            Err(error) => Effect::Cluster(refusal(&error, "update secrets")),
        }
    }

    async fn publish_first(&mut self, desired: &Desired, record: &Record) -> Effect {
        let Some(minted) = &self.minted else { return outdated() };
        let Some((record, data)) = minted_data(desired, record, minted) else { return outdated() };
        self.create(create(desired, &record, data)).await
    }

    async fn publish(&mut self, desired: &Desired, record: &Record) -> Effect {
        let (Some(minted), Some(live)) = (&self.minted, &self.live) else { return outdated() };
        let Some((record, data)) = minted_data(desired, record, minted) else { return outdated() };
        let secret = replace(live, desired, &record, Some(data));
        self.replace(secret).await
    }

    async fn publish_derived(&mut self, desired: &Desired, record: &Record) -> Effect {
        if self.live.is_none() {
            self.publish_first(desired, record).await
        } else {
            self.publish(desired, record).await
        }
    }

    async fn repair(&mut self, desired: &Desired, record: &Record, render: bool) -> Effect {
        let Some(live) = &self.live else { return outdated() };
        let secret = if render {
            let Some((record, data)) = rendered(desired, record, live) else { return outdated() };
            replace(live, desired, &record, Some(data))
        } else {
            replace(live, desired, record, None)
        };
        self.replace(secret).await
    }

    /// Conditional on the version that the plan saw: the cache may have moved on since, and a record
    /// made of older facts must not land on it (R2, S6).
    async fn annotate(&mut self, record: &Record, version: Option<&str>) -> Effect {
        let identity = self.identity();
        let (namespace, name) = (&identity.owner.namespace, &identity.secret_name);
        let Some(version) = version else { return outdated() };
        match self.context.secrets.patch(namespace, name, &record_patch(record, version)).await {
            Ok(metadata) => {
                let facts = SecretFacts::of_metadata(&metadata);
                if let Some(live) = &mut self.live {
                    live.metadata = metadata;
                }
                self.known(facts)
            }
            Err(error) => Effect::Cluster(refusal(&error, "patch secrets")),
        }
    }

    async fn release(&mut self) -> Effect {
        let Some(live) = &self.live else { return outdated() };
        let secret = release(live);
        self.replace(secret).await
    }

    fn seen(&mut self, secret: Secret) -> Effect {
        let facts = SecretFacts::of_secret(&secret);
        self.live = Some(secret);
        self.known(facts)
    }

    /// Our own writes are known at once, not only when the watch tells of them.
    fn known(&self, facts: SecretFacts) -> Effect {
        self.context.seen(self.identity(), &facts);
        Effect::Secret(Box::new(facts))
    }

    fn counted(&self, kind: &'static str, effect: Effect) -> Effect {
        let outcome = match &effect {
            Effect::Cluster(Refusal::Conflict | Refusal::Exists | Refusal::NotFound) => "conflict",
            Effect::Cluster(Refusal::Unclear) => "unclear",
            Effect::Cluster(_) => "refused",
            _ => "ok",
        };
        self.context.metrics.kube_write(kind, outcome);
        effect
    }
}

/// The Secret is not what the step was planned on.
fn outdated() -> Effect {
    Effect::Cluster(Refusal::Conflict)
}

type Data = std::collections::BTreeMap<String, k8s_openapi::ByteString>;

/// Record and data of the minted key.
fn minted_data(desired: &Desired, record: &Record, minted: &Minted) -> Option<(Record, Data)> {
    filled(&desired.rendering(&minted.id), record, &minted.passwords)
}
