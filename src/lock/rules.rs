//! The rules: what each command does to a lock.

use super::error::{Error, NotOwner};
use super::fence::Fence;
use super::limits::Limits;
use super::time::{Deadline, Millis, Now, Start};
use super::token::{Token, Tokens};
use super::view::{Hold, View};
use super::MAX_HOLDS;

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A free lock is taken. If `lapsed`, an old lease has to be deleted first.
    Take {
        /// An expired lease is still stored.
        lapsed: bool,
        /// The hold count: 1, unless several waits of one owner end together.
        holds: u32,
        /// The token of the new hold, and when it began.
        fence: Fence,
        /// When its lease ends.
        deadline: Deadline,
    },
    /// The owner's hold stays, and parts of it change.
    Update(Update),
    /// The lock becomes free, as its owner wants.
    Free,
    /// The lock becomes free, whatever its owner wants.
    Force,
}

/// The parts of a hold that change; none if the lock stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Update {
    /// The new count.
    pub holds: Option<u32>,
    /// The token that a hold made by Redisson gets: the hold starts then.
    pub fence: Option<Fence>,
    /// The new end of the lease.
    pub deadline: Option<Deadline>,
    /// Whether it ends earlier now. Clients that sleep until the old end have to ask again.
    pub shortened: bool,
}

/// The answer to `LOCK.ACQUIRE` and `LOCK.RENEW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// How often this owner holds the lock now; 0 if it does not.
    pub holds: u32,
    /// The token of this owner's hold, and when it began.
    pub fence: Option<Fence>,
    /// The time until the lease ends, whoever holds it: rounded down for the holder, up for others.
    pub ttl: Millis,
}

impl Grant {
    /// Nobody holds the lock.
    pub const NONE: Grant = Grant {
        holds: 0,
        fence: None,
        ttl: Millis(0),
    };

    /// The token of this owner's hold.
    pub fn token(&self) -> Option<Token> {
        self.fence.map(|fence| fence.token)
    }
}

/// What `LOCK.ACQUIRE` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Acquire {
    /// How long the lease should last from now.
    pub ttl: Millis,
    /// The hold count after this call, at least 1.
    pub holds: Option<u32>,
    /// Only the hold with this token may be reentered.
    pub token: Option<Token>,
}

/// What `LOCK.RELEASE` asks for.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// The hold count after this call.
    pub holds: Option<u32>,
    /// Only the hold with this token may be released.
    pub token: Option<Token>,
}

/// Takes the lock, or reenters it.
///
/// A reentry never shortens the lease. With `holds`, a repeat of a call that was applied already
/// does not count again and gets the same reply.
///
/// # Errors
/// [`Error::NotOwner`] if a token is given and the owner has no hold with it;
/// [`Error::HoldCount`] if `holds` does not fit the count.
pub fn acquire(
    view: &View,
    request: &Acquire,
    now: Now,
    limits: &Limits,
    tokens: &mut Tokens,
) -> Result<(Change, Grant), Error> {
    match (check_token(view, request.token)?, view) {
        (Some(hold), _) => {
            let holds = counted_up(hold.holds, request.holds)?;
            let (hold, fence) = fenced(hold, now, tokens)?;
            let update = Update {
                holds: (holds != hold.holds).then_some(holds),
                fence,
                ..extend(&hold, request.ttl, now, limits)
            };
            Ok(updated(hold, update, now, limits))
        }
        (None, View::Free { lapsed }) => {
            counted_up(0, request.holds)?;
            let fence = tokens.issue(now)?;
            let deadline = limits.deadline(request.ttl, fence.start, None, now);
            let change = Change::Take {
                lapsed: *lapsed,
                holds: 1,
                fence,
                deadline,
            };
            let grant = Grant {
                holds: 1,
                fence: Some(fence),
                ttl: deadline.left(now),
            };
            Ok((change, grant))
        }
        (
            None,
            View::Theirs(until)
            | View::Mine(Hold {
                deadline: until, ..
            }),
        ) => {
            counted_up(0, request.holds)?;
            let busy = Grant {
                holds: 0,
                fence: None,
                ttl: until.wait(now),
            };
            Ok((Change::Update(Update::default()), busy))
        }
    }
}

/// What is left of a hold after a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// So many holds.
    Holds(u32),
    /// None, and this call did not release the last one: it was released before, or lost.
    NoneBefore,
}

/// Releases one hold, or all but `holds` of them, and returns how many are left.
///
/// # Errors
/// [`Error::NotOwner`] if the owner has no such hold, unless the call only asks that none be left;
/// [`Error::HoldCount`] if `holds` does not fit the count.
pub fn release(view: &View, request: &Release) -> Result<(Change, Left), Error> {
    let unchanged = Change::Update(Update::default());
    let hold = match (check_hold(view, request.token), request.holds) {
        (Ok(hold), _) => hold,
        (Err(_), Some(0)) => return Ok((unchanged, Left::NoneBefore)),
        (Err(error), _) => return Err(error),
    };
    let left = match request.holds {
        None => hold.holds - 1,
        Some(wanted) if wanted == hold.holds => return Ok((unchanged, Left::Holds(wanted))),
        Some(wanted) if wanted.checked_add(1) == Some(hold.holds) => wanted,
        Some(wanted) => {
            return Err(Error::HoldCount {
                held: hold.holds,
                wanted,
                from: wanted.saturating_add(1),
            })
        }
    };
    let update = Update {
        holds: Some(left),
        ..Update::default()
    };
    match left {
        0 => Ok((Change::Free, Left::Holds(0))),
        _ => Ok((Change::Update(update), Left::Holds(left))),
    }
}

/// Sets the time left to `ttl`.
///
/// # Errors
/// [`Error::NotOwner`] if the owner has no such hold.
pub fn renew(
    view: &View,
    ttl: Millis,
    token: Option<Token>,
    now: Now,
    limits: &Limits,
    tokens: &mut Tokens,
) -> Result<(Change, Grant), Error> {
    let hold = check_hold(view, token)?;
    let (hold, fence) = fenced(hold, now, tokens)?;
    let update = Update {
        fence,
        ..set_ttl(&hold, ttl, now, limits)
    };
    Ok(updated(hold, update, now, limits))
}

/// The time left becomes `ttl`, or less if the hold has to end before.
pub fn set_ttl(hold: &Hold, ttl: Millis, now: Now, limits: &Limits) -> Update {
    moved(hold, latest(hold, ttl, now, limits))
}

/// The time left becomes `ttl`, or less if the hold has to end before, unless more is left.
pub fn extend(hold: &Hold, ttl: Millis, now: Now, limits: &Limits) -> Update {
    moved(hold, latest(hold, ttl, now, limits).max(hold.deadline))
}

fn latest(hold: &Hold, ttl: Millis, now: Now, limits: &Limits) -> Deadline {
    // A hold without a fence gets one by the calls that change its lease, and starts then.
    let start = hold.fence.map_or(Start(now.0), |fence| fence.start);
    limits.deadline(ttl, start, Some(hold.deadline), now)
}

fn moved(hold: &Hold, deadline: Deadline) -> Update {
    Update {
        deadline: (deadline != hold.deadline).then_some(deadline),
        shortened: deadline < hold.deadline,
        ..Update::default()
    }
}

/// Checks that the owner holds the lock.
///
/// # Errors
/// [`Error::NotOwner`] if it has no such hold.
pub fn assert(view: &View, token: Option<Token>) -> Result<(), Error> {
    check_hold(view, token).map(|_| ())
}

/// The owner's hold, which must be the one with the token, if one is given.
fn check_hold(view: &View, token: Option<Token>) -> Result<Hold, Error> {
    match view {
        View::Mine(hold) if token.is_none() || token == hold.token() => Ok(*hold),
        View::Mine(_) => Err(Error::NotOwner(NotOwner::OtherToken)),
        View::Free { .. } => Err(Error::NotOwner(NotOwner::Free)),
        View::Theirs(_) => Err(Error::NotOwner(NotOwner::Theirs)),
    }
}

/// The owner's hold, if it has one; with a token it must be that hold.
fn check_token(view: &View, token: Option<Token>) -> Result<Option<Hold>, Error> {
    match token {
        Some(_) => check_hold(view, token).map(Some),
        None => Ok(check_hold(view, None).ok()),
    }
}

/// The count after an acquire with `HOLDS wanted`, or without.
fn counted_up(held: u32, wanted: Option<u32>) -> Result<u32, Error> {
    match wanted {
        None if held == MAX_HOLDS => Err(Error::MostHolds),
        None => Ok(held + 1),
        Some(wanted) if wanted == held || wanted == held + 1 => Ok(wanted),
        Some(wanted) => Err(Error::HoldCount {
            held,
            wanted,
            from: wanted - 1,
        }),
    }
}

/// The hold with its fence, and the fence again if it is new: a hold that Redisson made gets one now.
fn fenced(hold: Hold, now: Now, tokens: &mut Tokens) -> Result<(Hold, Option<Fence>), Error> {
    if hold.fence.is_some() {
        return Ok((hold, None));
    }
    let fence = Some(tokens.issue(now)?);
    Ok((Hold { fence, ..hold }, fence))
}

/// The change and the reply for a hold that stays.
///
/// Its lease may end later than any that is allowed: by the clock of the server that this one has replaced. The holder
/// is not told so, since the next server may see it by yet another clock.
fn updated(hold: Hold, update: Update, now: Now, limits: &Limits) -> (Change, Grant) {
    let grant = Grant {
        holds: update.holds.unwrap_or(hold.holds),
        fence: hold.fence,
        ttl: update
            .deadline
            .unwrap_or(hold.deadline)
            .left(now)
            .min(limits.lease),
    };
    (Change::Update(update), grant)
}

#[cfg(test)]
mod tests;
