//! An acquire whose outcome is not known yet, and how its grant is given back.

use crate::call::{Grant, holds_left};
use crate::client::LockClient;
use crate::error::{Error, Verdict};
use crate::link::Link;
use crate::moment::Moment;
use crate::owner::{Owner, Ticket};
use crate::pace::Pace;
use redis::Value;
use std::sync::Arc;

/// What one call led to.
pub(crate) enum Outcome {
    /// The lock is held since a call that was sent then. The connection, if it is bound to it.
    Granted(Grant, Moment, Option<Link>),
    Busy,
    Failed(Verdict, Option<Link>),
}

/// An owner who may have got the lock without knowing it. Whoever gives up, or is cancelled, releases it.
pub(crate) struct Claim {
    client: LockClient,
    pub ticket: Arc<Ticket>,
    /// A call is on its way, or was not answered.
    pub is_open: bool,
    /// A server was reached.
    pub has_reached: bool,
}

impl Claim {
    /// Of this owner, for the lock of this name.
    pub fn new(client: LockClient, owner: Arc<Owner>, name: &[u8]) -> Result<Claim, Error> {
        let ticket = Ticket::new(owner, name).ok_or_else(|| {
            let text = "this owner holds the lock already, or cannot tell: reenter it";
            Error::Invalid(text.to_owned())
        })?;
        Ok(Claim {
            client,
            ticket,
            is_open: false,
            has_reached: false,
        })
    }

    /// What the reply to a call that was sent then means for it.
    pub fn read(&mut self, reply: Result<Value, Verdict>, sent: Moment) -> Outcome {
        let verdict = match reply.map(|value| Grant::of(&value)) {
            Ok(Ok(grant)) if grant.acquired => return Outcome::Granted(grant, sent, None),
            Ok(Ok(_)) => {
                self.is_open = false;
                return Outcome::Busy;
            }
            Ok(Err(error)) => Verdict::Final(error),
            Err(verdict) => verdict,
        };
        self.is_open |= matches!(verdict, Verdict::Broken(_));
        self.has_reached |= !matches!(&verdict, Verdict::Later(error) if error.code().is_none());
        Outcome::Failed(verdict, None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_open {
            give_back_later(self.client.clone(), self.ticket.clone());
        }
    }
}

/// Releases in the background what an owner may have got.
pub(crate) fn give_back_later(client: LockClient, ticket: Arc<Ticket>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return ticket.keep();
    };
    runtime.spawn(async move {
        if !give_back(&client, &ticket).await {
            ticket.keep();
        }
    });
}

/// Releases what an owner may have got without knowing it. Nobody waits for it, and at worst the lease ends it: then
/// false.
async fn give_back(client: &LockClient, ticket: &Ticket) -> bool {
    let LockClient { servers, patience } = client;
    let cmd = ticket.who().release(0, None);
    let end = Moment::now().after(*patience);
    let mut pace = Pace::new();
    let mut was_not_held = false;
    loop {
        // On the connection that the call was sent on, if that is still there: in its order.
        let released = servers.call(ticket.name(), &cmd, *patience).await;
        match released.as_ref().map(holds_left) {
            // The call may be on its way on a connection that has closed: asked a second time, it has arrived.
            Ok(Ok(None)) if !was_not_held => was_not_held = true,
            Ok(_) | Err(Verdict::Gone) => return true,
            Err(Verdict::Final(_)) => return false,
            Err(_) => (),
        }
        if !pace.pause(Some(end)).await {
            return false;
        }
    }
}
