//! A lock, and how it is acquired.

use crate::call::{Grant, Kind, Wait, millis};
use crate::claim::{Claim, Outcome};
use crate::client::LockClient;
use crate::error::{Error, Loss, Verdict};
use crate::guard::Guard;
use crate::hold::Hold;
use crate::link::Link;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::pace::Pace;
use crate::servers::redirected_again;
use crate::watch::Care;
use redis::RedisError;
use std::sync::Arc;
use std::time::Duration;

/// So much longer than the wait the reply to it may take.
const MARGIN: Duration = Duration::from_secs(5);

/// So many redirections are followed at once.
const REDIRECTIONS: u32 = 5;

/// A lock, as it is to be acquired. Cheap to clone; it can be acquired again and again, and from many tasks, each with
/// an owner of its own.
///
/// - **A session lock** is bound to its connection, and needs no lease: the server renews it while the connection is
///   open, and frees it at once when the process dies.
/// - **A lease lock** ([`Lock::lease`]) ends with its lease unless it is renewed.
#[derive(Debug, Clone)]
pub struct Lock {
    client: LockClient,
    name: Vec<u8>,
    lease: Option<Duration>,
    session: bool,
    renews: bool,
    every: Option<Duration>,
    owner: Option<Arc<Owner>>,
}

/// How long to wait for a lock.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Now,
    Until(Moment),
    Forever,
}

impl Limit {
    fn wait(self) -> Option<Wait> {
        match self {
            Limit::Now => None,
            Limit::Until(end) => Some(millis(end.left())).filter(|ms| *ms > 0).map(Wait::Ms),
            Limit::Forever => Some(Wait::Forever),
        }
    }
}

impl LockClient {
    /// The lock of this name (the key on the server). Without more it is bound to its connection: see [`Lock`].
    pub fn lock(&self, name: impl Into<Vec<u8>>) -> Lock {
        Lock::new(self.clone(), name.into())
    }
}

impl Lock {
    fn new(client: LockClient, name: Vec<u8>) -> Lock {
        Lock {
            client,
            name,
            lease: None,
            session: true,
            renews: false,
            every: None,
            owner: None,
        }
    }

    /// Makes it a lease lock: it ends so long after it was granted (1 ms or more, rounded up to whole ms), unless
    /// [`Guard::renew`] is called in time.
    pub fn lease(self, lease: Duration) -> Lock {
        Lock {
            lease: Some(lease),
            session: false,
            ..self
        }
    }

    /// Has the lease renewed in the background, every third of it, for as long as a guard lives. Of use for lease locks:
    /// the server renews those of sessions.
    pub fn renewed(self) -> Lock {
        Lock {
            renews: true,
            ..self
        }
    }

    /// Sets the lease of a session lock (1 second or more; the server's `lock.default-ttl` without it): so long it
    /// outlives a crash of the *server*, and so soon its holder learns that the server does not answer.
    pub fn session_lease(self, lease: Duration) -> Lock {
        Lock {
            lease: Some(lease),
            session: true,
            ..self
        }
    }

    /// Has a session lock confirmed at least so often; by default every third of its lease, or half of the server's
    /// `timeout` (if the user may read that), which closes connections that are idle.
    pub fn check_every(self, interval: Duration) -> Lock {
        Lock {
            every: Some(interval),
            ..self
        }
    }

    /// Acquires it for the owner of another lock that is held. The server then notices a deadlock: two owners that each
    /// hold a lock and wait for the other's. It knows owners only, not programs.
    ///
    /// A lock that this owner holds already is not acquired again, but [reentered](Guard::reenter).
    pub fn as_owner_of(self, guard: &Guard) -> Lock {
        Lock {
            owner: Some(guard.hold().ticket.owner().clone()),
            ..self
        }
    }

    /// Its name: the key on the server.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Acquires it, and waits for it as long as it takes. Waiting calls are served in the order in which they came.
    ///
    /// It can be cancelled at any time, by dropping the future: nothing is left behind.
    ///
    /// # Errors
    /// See [`Error`]. That no server can be reached is an error only if none was since the call began, for as long as
    /// [`LockClient::with_patience`] says: a wait that has begun goes on.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        let guard = self.obtain(Limit::Forever).await?;
        guard.ok_or(Error::Unblocked)
    }

    /// Acquires it if it is free now. `None` if another owner holds it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        self.obtain(Limit::Now).await
    }

    /// Acquires it, and waits for it at most so long. `None` if it was not free in that time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<Option<Guard>, Error> {
        self.obtain(Limit::Until(Moment::now().after(limit))).await
    }

    fn kind(&self) -> Result<Kind, Error> {
        let lease = self.lease.map(millis);
        let kind = match (self.session, lease) {
            (false, Some(lease)) => Kind::Lease(lease),
            (_, lease) => Kind::Session(lease),
        };
        kind.check()
    }

    /// What its owner, a new one unless it is given, may get.
    fn claim(&self) -> Result<Claim, Error> {
        let owner = self.owner.clone().unwrap_or_else(Owner::new);
        Claim::new(self.client.clone(), owner, &self.name)
    }

    /// Whether to wait again, as a new owner.
    fn waits_anew(&self, limit: Limit) -> bool {
        self.owner.is_none() && !matches!(limit, Limit::Now)
    }

    async fn obtain(&self, limit: Limit) -> Result<Option<Guard>, Error> {
        let kind = self.kind()?;
        let give_up = match limit {
            Limit::Now => Some(Moment::now().after(self.client.patience)),
            Limit::Until(end) => Some(end),
            Limit::Forever => None,
        };
        let mut pace = Pace::new();
        let hopeless = Moment::now().after(self.client.patience);
        let mut redirections = 0;
        let mut claim = self.claim()?;
        // The node that has to be asked, for one call.
        let mut asked = None;
        loop {
            let failed = match self.ask(kind, limit, &mut claim, asked.take()).await {
                Outcome::Granted(grant, sent, link) => {
                    match self.take(kind, &grant, sent, link, &mut claim).await {
                        // It was lost while the call waited, or just after. The next owner is a new one.
                        Err(Error::Lost(_)) if self.waits_anew(limit) => {
                            claim = self.claim()?;
                            Error::Lost(Loss::Taken)
                        }
                        outcome => return outcome.map(Some),
                    }
                }
                Outcome::Busy => return Ok(None),
                Outcome::Failed(verdict, by) => match (verdict, by) {
                    (Verdict::Moved(slot, address), Some(by)) if redirections < REDIRECTIONS => {
                        redirections += 1;
                        self.client.servers.moved(slot, &address, &by);
                        continue;
                    }
                    (Verdict::Ask(address), Some(by)) if redirections < REDIRECTIONS => {
                        redirections += 1;
                        asked = self
                            .client
                            .servers
                            .at(&address, &by, self.client.patience)
                            .await
                            .ok();
                        continue;
                    }
                    (Verdict::Final(error), _) => return Err(error),
                    // Only with a token.
                    (Verdict::Gone, _) => return Err(Error::Lost(Loss::Taken)),
                    (Verdict::Later(error), _) if matches!(limit, Limit::Now) => {
                        return Err(unavailable(error));
                    }
                    (Verdict::Later(error) | Verdict::Broken(error), _) => unavailable(error),
                    (Verdict::Moved(..) | Verdict::Ask(_), _) => {
                        redirections = 0;
                        Error::Redis(redirected_again())
                    }
                },
            };
            tracing::debug!(%failed, "lock not acquired yet");
            // The address may be wrong.
            if !claim.has_reached && hopeless.is_over() {
                return Err(failed);
            }
            self.client.servers.doubt(&self.name);
            if !pace.pause(give_up).await {
                return Err(failed);
            }
        }
    }

    /// Makes one call; of a lease lock that is not free a second one, which waits on a connection of its own.
    async fn ask(
        &self,
        kind: Kind,
        limit: Limit,
        claim: &mut Claim,
        asked: Option<Link>,
    ) -> Outcome {
        let LockClient { servers, patience } = &self.client;
        if !kind.is_session() && asked.is_none() {
            let cmd = claim.ticket.who().acquire(kind, None, 1, None);
            let (sent, was_open) = (Moment::now(), claim.is_open);
            claim.is_open = true;
            let reply = servers.call(&self.name, &cmd, *patience).await;
            if matches!(&reply, Err(Verdict::Later(error)) if error.code().is_none()) {
                claim.is_open = was_open; // nothing was sent
            }
            match claim.read(reply, sent) {
                Outcome::Busy if limit.wait().is_some() => (),
                outcome => return outcome,
            }
        }
        let is_asked = asked.is_some();
        let link = match asked {
            Some(link) => link,
            None => match servers.own(&self.name, *patience).await {
                Err(error) => return Outcome::Failed(Verdict::Later(error), None),
                Ok(link) => link,
            },
        };
        match self.wait(kind, limit.wait(), claim, &link, is_asked).await {
            Outcome::Granted(grant, sent, _) if kind.is_session() => {
                Outcome::Granted(grant, sent, Some(link))
            }
            Outcome::Failed(verdict, _) => Outcome::Failed(verdict, Some(link)),
            outcome => {
                servers.give_back(link);
                outcome
            }
        }
    }

    /// Makes one call on a connection of its own.
    async fn wait(
        &self,
        kind: Kind,
        wait: Option<Wait>,
        claim: &mut Claim,
        link: &Link,
        is_asked: bool,
    ) -> Outcome {
        let cmd = claim.ticket.who().acquire(kind, wait, 1, None);
        let patience = match wait {
            None => Some(self.client.patience),
            Some(Wait::Ms(ms)) => Some(Duration::from_millis(ms).saturating_add(MARGIN)),
            Some(Wait::Forever) => None,
        };
        // Of a session the end of the connection leaves nothing behind.
        claim.is_open |= !kind.is_session();
        let sent = Moment::now();
        let reply = match is_asked {
            false => link.call(&cmd, patience).await,
            true => link.call_asking(&cmd, patience).await,
        };
        claim.read(reply.map_err(Verdict::of), sent)
    }

    /// The guard of a lock that was granted.
    async fn take(
        &self,
        kind: Kind,
        grant: &Grant,
        sent: Moment,
        link: Option<Link>,
        claim: &mut Claim,
    ) -> Result<Guard, Error> {
        // From now on the hold releases what it has got.
        claim.is_open = false;
        let ticket = claim.ticket.clone();
        let hold = Hold::new(self.client.clone(), ticket, kind, grant, sent, link);
        // The call may have waited for most of the lease: the server says how much is left.
        if sent.after(grant.ttl / 10).is_over() {
            hold.renew_granted(grant.ttl).await?;
        }
        tracing::debug!(lock = %hold.name(), owner = %hold.owner(), token = grant.token, "lock acquired");
        let care = Care {
            renews: kind.is_session() || self.renews,
            every: self.every,
        };
        Ok(Guard::new(Arc::new(hold), care, grant.ttl))
    }
}

fn unavailable(error: RedisError) -> Error {
    match error.code() {
        Some(_) => Error::Redis(error),
        None => Error::Unreachable(error),
    }
}
