//! The fields of INFO lock, and the metrics that they are.

/// What a field is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// It only grows, while the module is loaded.
    Counter,
    Gauge,
    /// A gauge that counts ms, of which Prometheus makes seconds.
    Millis,
}

/// A field, and its metric without the prefix.
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub metric: &'static str,
    pub help: &'static str,
}

const fn counter(name: &'static str, metric: &'static str, help: &'static str) -> Field {
    let kind = Kind::Counter;
    Field {
        name,
        kind,
        metric,
        help,
    }
}

const fn gauge(name: &'static str, metric: &'static str, help: &'static str) -> Field {
    let kind = Kind::Gauge;
    Field {
        name,
        kind,
        metric,
        help,
    }
}

const fn millis(name: &'static str, metric: &'static str, help: &'static str) -> Field {
    let kind = Kind::Millis;
    Field {
        name,
        kind,
        metric,
        help,
    }
}

/// All of them, in the order of INFO.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    counter("acquired", "acquired_total", "Free locks that were taken"),
    counter("reentered", "reentered_total", "Acquires by the holder, repeats among them"),
    counter("busy", "busy_total", "Acquires that found another holder"),
    counter("released", "released_total", "Releases that freed the lock"),
    counter("renewed", "renewed_total", "Renewals"),
    counter("forced", "forced_total", "Locks that were released by force"),
    counter("asserts_failed", "asserts_failed_total", "Asserts by an owner that does not hold the lock"),
    counter("handed_over", "handed_over_total", "Locks that went straight to the first in the queue"),
    counter("waits_started", "waits_started_total", "Acquires that began to wait"),
    counter("waits_timed_out", "waits_timed_out_total", "Waits whose timeout passed"),
    counter("waits_cancelled", "waits_cancelled_total", "Waits that ended because the client left, lost its rights, or the server changed its role"),
    counter("expired_while_waited_for", "expired_while_waited_for_total", "Leases that ended while a call waited for the lock"),
    counter("deadlocks_refused", "deadlocks_refused_total", "Waits refused because of a deadlock"),
    counter("sessions_renewed", "sessions_renewed_total", "Leases that the server renewed for a session"),
    counter("sessions_ended", "sessions_ended_total", "Sessions that ended because their connection closed"),
    counter("sessions_lost", "sessions_lost_total", "Sessions whose lock was lost while their connection was open"),
    gauge("sessions", "sessions", "Holds that are bound to a connection now"),
    gauge("waiters", "waiters", "Calls that wait now"),
    gauge("lines", "wait_queues", "Locks that are waited for now"),
    millis("grace_ms_left", "grace_left_seconds", "Time until the end of the grace period, in which no free lock is granted"),
    millis("wait_ms_p50", "wait_p50_seconds", "Half of the waits that ended with the lock took at most so long, since the module was loaded"),
    millis("wait_ms_p99", "wait_p99_seconds", "99 of 100 waits took at most so long, since the module was loaded"),
    millis("wait_ms_p999", "wait_p999_seconds", "999 of 1,000 waits took at most so long, since the module was loaded"),
    millis("wait_ms_max", "wait_longest_seconds", "The longest wait took so long, since the module was loaded"),
];
