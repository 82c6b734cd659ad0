//! Learns at once that a lock is lost, and renews its lease.

use crate::error::{Error, Loss};
use crate::hold::{Hold, Phase};
use crate::link::Link;
use crate::moment::Moment;
use std::sync::Arc;
use std::time::Duration;

/// After a call that failed, the next one is made after so much of the interval.
const SOONER: u32 = 5;

/// The server's `timeout` is asked for after so long: it is 1 second or more.
const ASKS_AFTER: Duration = Duration::from_millis(400);

/// How a lock that is held is looked after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Care {
    /// It is renewed: a lease so that it does not end, a session so that the server confirms it.
    pub renews: bool,
    /// At the latest after so long; a third of the lease without it.
    pub every: Option<Duration>,
}

/// Looks after a lock until it is released or lost.
pub(crate) async fn watch(hold: Arc<Hold>, care: Care, lease: Duration) {
    let link = hold.link();
    let mut interval = care.every.unwrap_or(lease / 3).min(lease / 3);
    // A lock that is held for a moment costs no call.
    let mut asks = link.as_ref().filter(|_| care.every.is_none());
    let mut phases = hold.phases();
    let mut due = hold.confirmed().after(interval);
    loop {
        let until = hold.valid_until();
        let next = async {
            if let Some(link) = asks {
                tokio::time::sleep(ASKS_AFTER.min(due.left())).await;
                return Next::IdleLimit(link.idle_limit().await);
            }
            tokio::time::sleep(due.left()).await;
            match care.renews {
                true => Next::Renewed(hold.renew().await),
                false => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            biased;
            _ = phases.wait_for(|phase| *phase != Phase::Held) => return,
            () = closed(link.as_ref()) => {
                hold.lose(Loss::Disconnected);
                return;
            }
            () = tokio::time::sleep(until.left()) => {
                hold.phase(); // which notices that the time is over
                continue;
            }
            next = next => next,
        };
        match next {
            Next::IdleLimit(limit) => {
                asks = None;
                interval = limit.map_or(interval, |limit| interval.min(limit / 2));
                due = hold.confirmed().after(interval);
            }
            Next::Renewed(Ok(())) => due = hold.confirmed().after(interval),
            Next::Renewed(Err(Error::Lost(_))) => return,
            Next::Renewed(Err(error)) => {
                tracing::warn!(%error, "lock not renewed");
                due = Moment::now().after(interval / SOONER);
            }
        }
    }
}

/// What comes next, unless the lock is lost or released before.
enum Next {
    IdleLimit(Option<Duration>),
    Renewed(Result<(), Error>),
}

async fn closed(link: Option<&Link>) {
    match link {
        Some(link) => link.closed().await,
        None => std::future::pending().await,
    }
}
