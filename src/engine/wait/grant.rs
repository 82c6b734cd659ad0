//! What the waits of one owner are granted.

use super::{Waiter, WaiterId};
use crate::lock::{acquire, Deadline, Error, Grant, Hold, Limits, Now, Tokens, View};

/// The reply to a wait.
pub type Outcome = (WaiterId, Result<Grant, Error>);

/// Grants a lock to one owner's waits, each in order as if it were called now: with `HOLDS 1` the
/// second is a repeat. Returns what the owner holds in the end, and the reply to each wait: a refusal
/// if no token is left, or if the count does not fit any more.
///
/// `view` is the lock as that owner sees it: free, or already its own.
pub fn grant_all(
    waits: &[(WaiterId, Waiter)],
    mut view: View,
    now: Now,
    limits: &Limits,
    tokens: &mut Tokens,
) -> (Option<Hold>, Vec<Outcome>) {
    let mut answers = Vec::with_capacity(waits.len());
    for (id, waiter) in waits {
        let granted = acquire(&view, &waiter.request, now, limits, tokens);
        answers.push((*id, granted.map(|(_, grant)| grant)));
        if let Ok((_, grant)) = granted {
            // The reply may tell of less.
            let stands = match view {
                View::Mine(hold) => Some(hold.deadline),
                _ => None,
            };
            view = View::Mine(Hold {
                holds: grant.holds,
                fence: grant.fence,
                deadline: now.plus(grant.ttl).max(stands.unwrap_or(Deadline(0))),
            });
        }
    }
    let hold = match view {
        View::Mine(hold) => Some(hold),
        _ => None,
    };
    (hold, answers)
}

#[cfg(test)]
mod tests;
