//! Learns at once that a lock is lost, and renews its lease.

use crate::error::{Error, Loss};
use crate::hold::{Hold, Phase};
use crate::link::Link;
use redis::Value;
use std::sync::Arc;
use std::time::Duration;

/// After a call that failed, the next one is made after so much of the interval.
const SOONER: u32 = 5;

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
    if let (Some(link), None) = (&link, care.every)
        && let Some(limit) = idle_limit(link, hold.client.patience).await
    {
        interval = interval.min(limit / 2);
    }
    let mut phases = hold.phases();
    let mut due = hold.confirmed().after(interval);
    loop {
        let until = hold.valid_until();
        let wake = if care.renews { due.min(until) } else { until };
        let renewed = async {
            tokio::time::sleep(wake.left()).await;
            if until.is_over() || !care.renews {
                return Ok(());
            }
            hold.renew().await
        };
        let outcome = tokio::select! {
            biased;
            _ = phases.wait_for(|phase| *phase != Phase::Held) => return,
            () = closed(link.as_ref()) => {
                hold.lose(Loss::Disconnected);
                return;
            }
            outcome = renewed => outcome,
        };
        // Also notices that the time is over.
        if hold.phase() != Phase::Held {
            return;
        }
        due = match outcome {
            Ok(()) => hold.confirmed().after(interval),
            Err(Error::Lost(_)) => return,
            Err(error) => {
                tracing::warn!(%error, "lock not renewed");
                crate::moment::Moment::now().after(interval / SOONER)
            }
        };
    }
}

/// After how long without a call the server closes a connection, if it says so.
async fn idle_limit(link: &Link, patience: Duration) -> Option<Duration> {
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET").arg("timeout");
    // Not every user may ask.
    let reply = link.call(&cmd, Some(patience)).await.ok()?;
    let text: Vec<String> = match reply {
        Value::Map(pairs) => pairs
            .into_iter()
            .filter_map(|(_, value)| text(value))
            .collect(),
        Value::Array(items) => items.into_iter().skip(1).filter_map(text).collect(),
        _ => Vec::new(),
    };
    let seconds: u64 = text.first()?.parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn text(value: Value) -> Option<String> {
    redis::from_redis_value(value).ok()
}

async fn closed(link: Option<&Link>) {
    match link {
        Some(link) => link.closed().await,
        None => std::future::pending().await,
    }
}
