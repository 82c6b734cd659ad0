//! Event counts, for `INFO lock`.

/// Event counts since the module was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Free locks that were taken.
    pub acquired: u64,
    /// Acquires by the holder, including repeats with `HOLDS`.
    pub reentered: u64,
    /// Acquires that found another holder.
    pub busy: u64,
    /// Releases that freed the lock.
    pub released: u64,
    /// Renewals.
    pub renewed: u64,
    /// Locks that `LOCK.FORCERELEASE` freed.
    pub forced: u64,
    /// Asserts by an owner that does not hold the lock.
    pub asserts_failed: u64,
    /// Locks that went straight to the first in the queue.
    pub handed_over: u64,
    /// Acquires that began to wait.
    pub waits_started: u64,
    /// Waits whose timeout passed.
    pub waits_timed_out: u64,
    /// Waits that ended because the client disconnected or was unblocked, or the server was demoted.
    pub waits_cancelled: u64,
    /// Leases that ended while a call waited for the lock.
    pub expired_while_waited_for: u64,
    /// Waits refused because of a deadlock.
    pub deadlocks_refused: u64,
    /// Leases that the server renewed for a session.
    pub sessions_renewed: u64,
    /// Sessions that ended because their connection closed.
    pub sessions_ended: u64,
    /// Sessions whose lock was lost while their connection was open.
    pub sessions_lost: u64,
}

impl Counters {
    /// Nothing happened yet.
    pub const fn new() -> Counters {
        Counters {
            acquired: 0,
            reentered: 0,
            busy: 0,
            released: 0,
            renewed: 0,
            forced: 0,
            asserts_failed: 0,
            handed_over: 0,
            waits_started: 0,
            waits_timed_out: 0,
            waits_cancelled: 0,
            expired_while_waited_for: 0,
            deadlocks_refused: 0,
            sessions_renewed: 0,
            sessions_ended: 0,
            sessions_lost: 0,
        }
    }
}
