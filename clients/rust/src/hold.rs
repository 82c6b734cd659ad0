//! A lock that is held: the calls about it, and until when it is certainly held.

use crate::call::{Grant, Kind, holds_left};
use crate::claim::give_back_later;
use crate::client::LockClient;
use crate::error::{Error, Loss, Verdict};
use crate::link::Link;
use crate::moment::Moment;
use crate::owner::Ticket;
use crate::pace::Pace;
use redis::{Cmd, RedisError, Value};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Whether a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Held,
    /// It was released, or is about to be.
    Ended,
    Lost(Loss),
}

/// A lock that is held. All guards of one owner share it.
pub(crate) struct Hold {
    pub client: LockClient,
    pub ticket: Arc<Ticket>,
    pub kind: Kind,
    pub token: u64,
    /// The connection that it is bound to, if it is a session's.
    link: Mutex<Option<Link>>,
    phase: watch::Sender<Phase>,
    validity: Mutex<Validity>,
    /// Calls that change it come one after the other.
    count: tokio::sync::Mutex<Count>,
}

/// How many holds there are.
struct Count {
    /// Those of the caller, who has a guard for each.
    guards: u32,
    /// The server has at most so many: more than the guards after a release that it refused, or a reentry that was
    /// cancelled.
    server: u32,
}

/// Until when a lock is certainly held.
#[derive(Clone, Copy)]
struct Validity {
    /// When the call was sent that the last reply answers.
    sent: Moment,
    until: Moment,
}

/// What came back.
struct Answer {
    value: Value,
    sent: Moment,
}

impl Hold {
    /// A lock that was granted by a call that was sent then. `link` is the connection that it is bound to.
    pub fn new(
        client: LockClient,
        ticket: Arc<Ticket>,
        kind: Kind,
        grant: &Grant,
        sent: Moment,
        link: Option<Link>,
    ) -> Hold {
        let until = sent.after(grant.ttl);
        Hold {
            client,
            ticket,
            kind,
            token: grant.token,
            link: Mutex::new(link),
            phase: watch::Sender::new(Phase::Held),
            validity: Mutex::new(Validity { sent, until }),
            count: tokio::sync::Mutex::new(Count {
                guards: 1,
                server: 1,
            }),
        }
    }

    /// The connection that it is bound to.
    pub fn link(&self) -> Option<Link> {
        self.link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take_link(&self) -> Option<Link> {
        self.link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The name, for people.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.ticket.name())
    }

    /// The owner's id.
    pub fn owner(&self) -> &str {
        self.ticket.owner().id()
    }

    /// What becomes of it.
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Whether it is held now.
    pub fn phase(&self) -> Phase {
        let phase = *self.phase.borrow();
        if phase == Phase::Held && self.valid_until().is_over() {
            self.lose(Loss::LeaseOver);
            return *self.phase.borrow();
        }
        phase
    }

    /// Until when it is certainly held.
    pub fn valid_until(&self) -> Moment {
        self.validity().until
    }

    /// When the call was sent that was answered last.
    pub fn confirmed(&self) -> Moment {
        self.validity().sent
    }

    fn validity(&self) -> Validity {
        *self.validity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reply: from when its call was sent, there was so much time left.
    fn confirm(&self, sent: Moment, ttl: Duration) {
        let mut validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        if sent >= validity.sent {
            let until = sent.after(ttl);
            *validity = Validity { sent, until };
        }
    }

    /// It is lost, unless it was released before.
    pub fn lose(&self, loss: Loss) -> Error {
        let is_new = self.phase.send_if_modified(|phase| {
            let is_held = *phase == Phase::Held;
            if is_held {
                *phase = Phase::Lost(loss);
            }
            is_held
        });
        // Should the server still keep it, it ends with the connection.
        drop(self.take_link());
        if is_new {
            tracing::warn!(lock = %self.name(), owner = %self.owner(), token = self.token, %loss, "lock lost");
        }
        Error::Lost(match *self.phase.borrow() {
            Phase::Lost(first) => first,
            _ => loss,
        })
    }

    /// Fails if it is not held.
    fn expect_held(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Lost(loss) => Err(Error::Lost(loss)),
            _ => Ok(()),
        }
    }

    /// Renews the lease, by which the server also confirms it.
    pub async fn renew(&self) -> Result<(), Error> {
        self.expect_held()?;
        let cmd = self.ticket.who().renew(self.kind.ttl(), self.token);
        let answer = self.send(&cmd).await?;
        self.confirm(answer.sent, Grant::of(&answer.value)?.ttl);
        Ok(())
    }

    /// Renews the lease of a lock that was just granted by a call that waited: nobody relies on it yet, so the time
    /// since the call was sent does not count.
    pub async fn renew_granted(&self, lease: Duration) -> Result<(), Error> {
        {
            let mut validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
            validity.until = Moment::now().after(lease);
        }
        self.renew().await
    }

    /// How many holds the caller has.
    pub async fn holds(&self) -> u32 {
        self.count.lock().await.guards
    }

    /// Acquires it once more. If that is cancelled, a later release makes up for it.
    pub async fn reenter(&self) -> Result<(), Error> {
        let mut count = self.count.lock().await;
        self.expect_held()?;
        // A hold that the server has too many becomes the new one: for the server the call is a repeat.
        let holds = count.server.max(count.guards + 1);
        // Before the call is sent, which may be cancelled.
        count.server = holds;
        let (who, token) = (self.ticket.who(), Some(self.token));
        let cmd = who.acquire(self.kind, None, holds, token);
        let answer = self.send(&cmd).await?;
        let grant = Grant::of(&answer.value)?;
        if !grant.acquired || grant.token != self.token {
            return Err(self.lose(Loss::Taken));
        }
        self.confirm(answer.sent, grant.ttl);
        count.guards += 1;
        Ok(())
    }

    /// Releases one hold of the caller. It is over for the caller whatever comes back: the next release gives back what
    /// the server still has.
    pub async fn release(&self) -> Result<(), Error> {
        let mut count = self.count.lock().await;
        count.guards -= 1;
        if count.guards == 0 {
            let released = self.release_last(count.server).await;
            self.ticket.end();
            return released;
        }
        self.expect_held()?;
        while count.server > count.guards {
            let left = count.server - 1;
            let cmd = self.ticket.who().release(left, Some(self.token));
            self.send(&cmd).await?;
            count.server = left;
        }
        Ok(())
    }

    /// Sends a call of a lock that is to be held afterwards, until it is answered or the lock is lost.
    async fn send(&self, cmd: &Cmd) -> Result<Answer, Error> {
        let mut pace = Pace::new();
        loop {
            let until = self.valid_until();
            let sent = Moment::now();
            let session = self.link();
            if self.kind.is_session() && session.is_none() {
                return Err(self.lose(Loss::Disconnected));
            }
            let outcome = match &session {
                Some(link) => link
                    .call(cmd, Some(until.left()))
                    .await
                    .map_err(Verdict::of),
                None => self.call_shared(cmd, until.left()).await,
            };
            let verdict = match outcome {
                Ok(value) => return Ok(Answer { value, sent }),
                Err(verdict) => verdict,
            };
            match verdict {
                Verdict::Gone => return Err(self.lose(Loss::Taken)),
                Verdict::Final(error) => return Err(error),
                _ if until.is_over() => return Err(self.lose(Loss::LeaseOver)),
                // A session does not follow its slot.
                Verdict::Broken(_) | Verdict::Moved(..) | Verdict::Ask(_) if session.is_some() => {
                    return Err(self.lose(Loss::Disconnected));
                }
                _ => (),
            }
            if !pace.pause(Some(until)).await {
                return Err(self.lose(Loss::LeaseOver));
            }
        }
    }

    async fn call_shared(&self, cmd: &Cmd, limit: Duration) -> Result<Value, Verdict> {
        let limit = self.client.patience.min(limit);
        self.client
            .servers
            .call(self.ticket.name(), cmd, limit)
            .await
    }

    /// Releases the last hold of the caller, and all of the server, which has at most so many. Sends each call again
    /// until it is answered, or the lease is over.
    async fn release_last(&self, holds: u32) -> Result<(), Error> {
        if self.kind.is_session() {
            // Lets the runtime read the end of the connection, should the caller have kept it from that until now.
            tokio::task::yield_now().await;
        }
        if let Phase::Lost(loss) = self.phase() {
            return Err(Error::Lost(loss));
        }
        // Otherwise the loss would look like a reply that was lost.
        if self.link().is_some_and(|link| !link.is_open()) {
            return Err(self.lose(Loss::Disconnected));
        }
        // What is noticed from now on is no loss.
        self.phase.send_replace(Phase::Ended);
        let until = self.valid_until();
        let mut left = holds - 1;
        let mut session = self.take_link();
        let mut pace = Pace::new();
        let mut repeated = false;
        loop {
            let cmd = self.ticket.who().release(left, Some(self.token));
            let own = session.take();
            let outcome = match &own {
                Some(link) => {
                    let limit = until.left().min(self.client.patience);
                    link.call(&cmd, Some(limit)).await.map_err(Verdict::of)
                }
                None => self.call_shared(&cmd, until.left()).await,
            };
            let failed: RedisError = match outcome {
                Ok(value) => {
                    let answer = holds_left(&value)?;
                    if left > 0 {
                        left -= 1;
                        session = own;
                        // The next call is a new one; but a session may have ended with its connection meanwhile.
                        repeated &= self.kind.is_session();
                        continue;
                    }
                    if let Some(link) = own {
                        self.client.servers.give_back(link);
                    }
                    return match answer {
                        Some(_) => Ok(()),
                        None if repeated => Ok(()),
                        None => Err(Error::Lost(Loss::Taken)),
                    };
                }
                // All holds of the session have ended with its connection.
                Err(Verdict::Gone) if repeated && self.kind.is_session() => return Ok(()),
                Err(Verdict::Gone) => return Err(Error::Lost(Loss::Taken)),
                Err(Verdict::Final(error)) => return Err(error),
                // The connection of a session, when it is dropped, releases the lock as well.
                Err(Verdict::Broken(error)) => {
                    repeated = true;
                    error
                }
                Err(Verdict::Later(error)) => error,
                Err(Verdict::Moved(..) | Verdict::Ask(_)) => {
                    let text = "the slot of the lock has moved";
                    (redis::ErrorKind::Client, text).into()
                }
            };
            if until.is_over() || !pace.pause(Some(until)).await {
                // A release may still be on its way.
                self.ticket.keep();
                return Err(Error::Unreachable(failed));
            }
        }
    }
}

impl Drop for Hold {
    /// Nobody got it, since the call was cancelled: what the server may have is released in the background.
    fn drop(&mut self) {
        if *self.phase.borrow() == Phase::Held {
            give_back_later(self.client.clone(), self.ticket.clone());
        }
    }
}

#[cfg(test)]
mod tests;
