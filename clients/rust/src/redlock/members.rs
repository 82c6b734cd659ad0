//! The servers of one lock: rounds of calls to all of them.

use crate::call::{Grant, Kind, Who, holds_left};
use crate::client::LockClient;
use crate::error::{Error, Loss, Verdict, timed_out};
use crate::link::Link;
use crate::moment::Moment;
use redis::{Cmd, RedisResult, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Clocks may run apart by this part of the lease.
const DRIFT: u32 = 100;

/// And a server ends a lease up to so much early, since it counts in whole ms.
const GRAIN: Duration = Duration::from_millis(2);

/// What the servers know of one owner's lock.
#[derive(Clone)]
pub(super) struct Members {
    servers: Arc<[LockClient]>,
    name: Vec<u8>,
    owner: String,
    kind: Kind,
    /// How long to wait for each server.
    limit: Duration,
    /// By server.
    members: Vec<Member>,
    /// A server has at most so many holds: more than the caller after a call that it refused or missed, or that was
    /// cancelled.
    most: u32,
    /// Some server may have granted it.
    is_open: bool,
}

#[derive(Default, Clone)]
struct Member {
    /// The connection that was used last: a release follows the acquire on it, should that be late.
    link: Option<Link>,
    /// The token of the hold there.
    token: Option<u64>,
}

/// What came back from one server.
type Reply = Result<Value, Verdict>;

/// What came back from each server that was asked.
type Replies = Vec<Option<Reply>>;

impl Members {
    pub fn new(
        servers: Arc<[LockClient]>,
        name: Vec<u8>,
        owner: String,
        kind: Kind,
        limit: Duration,
    ) -> Members {
        let members = vec![Member::default(); servers.len()];
        Members {
            servers,
            name,
            owner,
            kind,
            limit,
            members,
            most: 0,
            is_open: false,
        }
    }

    /// How many servers are a majority.
    pub fn majority(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// The id of the owner.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    fn who(&self) -> Who<'_> {
        let (name, owner) = (&self.name, &self.owner);
        Who { name, owner }
    }

    /// Acquires the lock on all servers. Until when it is valid, if a majority granted it in time.
    ///
    /// # Errors
    /// [`Error::NoMajority`] if too few servers answered; what a majority of them says.
    pub async fn acquire(&mut self) -> Result<Option<Moment>, Error> {
        let start = Moment::now();
        let cmd = self.who().acquire(self.kind, None, 1, None);
        self.is_open = true;
        self.most = 1;
        let replies = self.round(|_| vec![cmd.clone()]).await;
        let grants = grants(&replies);
        for (member, grant) in self.members.iter_mut().zip(&grants) {
            member.token = grant.map(|grant| grant.token);
        }
        match self.validity(start, &grants) {
            Some(until) if !until.is_over() => Ok(Some(until)),
            _ => self.verdict(replies).map(|()| None),
        }
    }

    /// Makes it so many holds on the servers that have it. Until when it is valid then.
    ///
    /// # Errors
    /// [`Error::Lost`] if a majority says that it had ended before, [`Error::NoMajority`] if fewer than one confirm it.
    pub async fn reenter(&mut self, holds: u32) -> Result<Moment, Error> {
        let kind = self.kind;
        let surplus = self.down_to(holds - 1);
        self.most = self.most.max(holds);
        let calls = |who: Who<'_>, token| {
            let releases = surplus.clone().map(|left| who.release(left, Some(token)));
            let reentry = who.acquire(kind, None, holds, Some(token));
            releases.chain([reentry]).collect::<Vec<_>>()
        };
        self.confirm(calls).await
    }

    /// What each release leaves on the way from the most holds that a server may have down to so many: a server counts
    /// one at a time, and those that do not fit its count change nothing.
    fn down_to(&self, holds: u32) -> impl Iterator<Item = u32> + Clone + use<> {
        (holds..self.most).rev()
    }

    /// Sets the time left of the lease on the servers that have it. As [`Members::reenter`].
    pub async fn renew(&mut self) -> Result<Moment, Error> {
        let ttl = self.kind.ttl();
        self.confirm(|who, token| vec![who.renew(ttl, token)]).await
    }

    async fn confirm(&mut self, calls: impl Fn(Who<'_>, u64) -> Vec<Cmd>) -> Result<Moment, Error> {
        let start = Moment::now();
        let cmds = self.each(|member| match member.token {
            None => Vec::new(),
            Some(token) => calls(self.who(), token),
        });
        let replies = self.round(|at| cmds[at].clone()).await;
        let grants = grants(&replies);
        let until = self.validity(start, &grants);
        until.ok_or_else(|| self.no_majority(grants.iter().flatten().count(), &replies))
    }

    /// Leaves so many holds on the servers that have it; where none are left, also on those that may have it without
    /// having said so in time.
    ///
    /// # Errors
    /// As of [`Members::reenter`].
    pub async fn release(&mut self, holds: u32) -> Result<(), Error> {
        let cmds = self.each(|member| match member.token {
            None if holds > 0 => Vec::new(),
            None => vec![self.who().release(0, None)],
            token => {
                let calls = self.down_to(holds);
                calls.map(|left| self.who().release(left, token)).collect()
            }
        });
        let replies = self.round(|at| cmds[at].clone()).await;
        self.is_open &= holds > 0;
        if replies.iter().flatten().all(Result::is_ok) {
            self.most = holds.max(1);
        }
        let released =
            |reply: &&Reply| matches!(reply, Ok(value) if matches!(holds_left(value), Ok(Some(_))));
        let released = replies.iter().flatten().filter(released).count();
        match released >= self.majority() {
            true => Ok(()),
            false => Err(self.no_majority(released, &replies)),
        }
    }

    /// Fewer than a majority did what was asked for.
    fn no_majority(&self, answered: usize, replies: &Replies) -> Error {
        let needed = self.majority();
        let ended = |reply: &&Reply| match reply {
            Ok(value) => matches!(holds_left(value), Ok(None)),
            Err(verdict) => matches!(verdict, Verdict::Gone),
        };
        match replies.iter().flatten().filter(ended).count() >= needed {
            true => Error::Lost(Loss::Taken),
            false => Error::NoMajority { answered, needed },
        }
    }

    fn each(&self, cmds: impl Fn(&Member) -> Vec<Cmd>) -> Vec<Vec<Cmd>> {
        self.members.iter().map(cmds).collect()
    }

    /// Sends its calls to each server, at once, and waits for each at most as long as the limit.
    async fn round(&mut self, cmds: impl Fn(usize) -> Vec<Cmd>) -> Replies {
        let mut calls = JoinSet::new();
        for (at, client) in self.servers.iter().enumerate() {
            let cmds = cmds(at);
            if cmds.is_empty() {
                continue;
            }
            let (client, name, limit) = (client.clone(), self.name.clone(), self.limit);
            let link = self.members[at].link.clone().filter(Link::is_open);
            calls.spawn(async move {
                let (link, reply) = call(&client, &name, link, &cmds, limit).await;
                (at, link, reply)
            });
        }
        let mut replies: Replies = self.servers.iter().map(|_| None).collect();
        while let Some(done) = calls.join_next().await {
            let Ok((at, link, reply)) = done else {
                continue;
            };
            if link.is_some() {
                self.members[at].link = link;
            }
            replies[at] = Some(reply);
        }
        replies
    }

    fn validity(&self, start: Moment, grants: &[Option<Grant>]) -> Option<Moment> {
        let leases = grants.iter().flatten().map(|grant| grant.ttl).collect();
        let lease = common_lease(leases, self.majority())?;
        let drift = lease / DRIFT + GRAIN;
        Some(start.after(lease.saturating_sub(drift)))
    }

    /// Why no majority granted it: an error if that is not because others hold it.
    fn verdict(&self, replies: Replies) -> Result<(), Error> {
        let needed = self.majority();
        let mut answered = 0;
        let mut refusals = Vec::new();
        for reply in replies.into_iter().flatten() {
            match reply {
                Ok(_) => answered += 1,
                Err(Verdict::Final(error)) => refusals.push(error),
                Err(_) => (),
            }
        }
        // Without those that refuse for good there can be no majority.
        if self.servers.len() - refusals.len() < needed
            && let Some(error) = refusals.pop()
        {
            return Err(error);
        }
        match answered < needed {
            true => Err(Error::NoMajority { answered, needed }),
            false => Ok(()),
        }
    }
}

impl Drop for Members {
    /// Whoever is cancelled, or forgets to release, releases it in the background.
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut left = self.clone();
        left.is_open = false;
        runtime.spawn(async move { left.release(0).await.ok() });
    }
}

/// What each server granted.
fn grants(replies: &Replies) -> Vec<Option<Grant>> {
    let grant = |reply: &Option<Reply>| match reply {
        Some(Ok(value)) => Grant::of(value).ok().filter(|grant| grant.acquired),
        _ => None,
    };
    replies.iter().map(grant).collect()
}

/// The lease that a majority has at the least.
fn common_lease(mut leases: Vec<Duration>, majority: usize) -> Option<Duration> {
    leases.sort_unstable_by(|a, b| b.cmp(a));
    leases.get(majority - 1).copied()
}

/// Calls one server, within the limit. Also returns the connection that the calls were sent on.
async fn call(
    client: &LockClient,
    name: &[u8],
    link: Option<Link>,
    cmds: &[Cmd],
    limit: Duration,
) -> (Option<Link>, Result<Value, Verdict>) {
    let end = Moment::now().after(limit);
    let link = match link {
        Some(link) => link,
        None => match tokio::time::timeout(limit, client.servers.shared(name, limit)).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return (None, Err(Verdict::Later(error))),
            Err(_) => return (None, Err(Verdict::Later(timed_out()))),
        },
    };
    let replies = link.call_all(cmds, Some(end.left())).await;
    let reply = replies.and_then(outcome).map_err(Verdict::of);
    (Some(link), reply)
}

/// What came of calls that are sent together: the reply to the last one, unless one before it was refused, so that the
/// last one did not fit the count.
fn outcome(mut replies: Vec<Value>) -> RedisResult<Value> {
    let is_refusal =
        |reply: &Value| matches!(reply, Value::ServerError(error) if error.code() != "HOLDCOUNT");
    if let Some(refused) = replies.iter().position(is_refusal) {
        replies.truncate(refused + 1);
    }
    replies.pop().unwrap_or(Value::Nil).extract_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validity_is_what_a_majority_has_at_the_least() {
        let ms = |list: &[u64]| list.iter().map(|ms| Duration::from_millis(*ms)).collect();
        assert_eq!(
            common_lease(ms(&[10, 30, 20]), 3),
            Some(Duration::from_millis(10))
        );
        assert_eq!(
            common_lease(ms(&[10, 30, 20, 40, 50]), 3),
            Some(Duration::from_millis(30))
        );
        assert_eq!(common_lease(ms(&[10, 30]), 3), None);
    }
}
