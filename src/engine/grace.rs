//! The grace period: how long a server whose data may be incomplete grants no free lock.
//!
//! A promoted replica may not know of a lock that its old master granted, and a server that
//! restarts may have lost its last writes. As NFSv4 does for file locks (RFC 7530, section 9.6.2),
//! it waits until every lease that it does not know of is over. Meanwhile only holders that can
//! name the token of their hold go on.

use super::visit::{visit_option, Visit};
use crate::lock::{Deadline, Error, Hold, Millis, NotOwner, Now, Tick, Token, View};

/// By how much later than `min-replicas-max-lag` a server that runs finds that it has lost its replicas, in ms: it
/// counts the lag in whole seconds, and checks it once a second.
const COUNTED: i64 = 2000;

/// A server whose event loop did not run for longer, in ms, may have been replaced meanwhile. It
/// runs at least once a second (`hz 1`). A standstill that is no longer is not noticed, and delays
/// the server's own checks by as much.
const STOOD_STILL: i64 = 1500;

/// How long a master that is cut off may go on granting after `min-replicas-max-lag`, in ms.
const UNNOTICED: i64 = COUNTED + STOOD_STILL;

/// What rounding may take from a duration, in ms: a reading of the monotonic clock is rounded down,
/// and a lease that began with the duration is rounded up.
const ROUNDING: i64 = 2;

/// Whether there is a grace period now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Grace {
    /// When it began, and how long the old master may still grant from then on.
    begun: Option<(Tick, Millis)>,
    /// When the server ran again after a standstill, and for how long from then on it may not know
    /// that it has lost its replicas.
    went_on: Option<(Tick, Millis)>,
    /// When the event loop last ran.
    last_loop: Option<Tick>,
}

/// What is left of a grace period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceLeft {
    /// Until it ends.
    pub end: Millis,
    /// Until a lease may be extended: the old master can no longer grant then.
    pub no_extension: Millis,
    /// Whether the data is complete: the server has only been at a standstill. A hold then needs no
    /// token.
    pub data_complete: bool,
}

impl Grace {
    /// None.
    pub const fn new() -> Grace {
        Grace {
            begun: None,
            went_on: None,
            last_loop: None,
        }
    }

    /// Begins it: the server was promoted, or its process has started. `no_extension` is how long the
    /// old master may still grant.
    pub fn begin(&mut self, now: Tick, no_extension: Millis) {
        self.begun = Some((now, no_extension));
    }

    /// Records that the event loop runs.
    pub fn loop_ran(&mut self, now: Tick) {
        self.last_loop = Some(now);
    }

    /// For how long the event loop did not run, if that is so long that the server may have been
    /// replaced meanwhile.
    pub fn stood_still(&self, now: Tick) -> Option<Millis> {
        let still = now.0 - self.last_loop?.0;
        (still > STOOD_STILL).then_some(Millis(still))
    }

    /// Records that the server runs again after a standstill. For `no_extension` it may not know that it
    /// has lost its replicas, as if it had just been cut off.
    pub fn go_on(&mut self, now: Tick, no_extension: Millis) {
        self.went_on = Some((now, no_extension));
    }

    /// Whether it has begun and its end was not recorded yet.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some() || self.went_on.is_some()
    }

    /// What is left of it, if it lasts so long from its beginning.
    pub fn left(&self, now: Tick, period: Millis) -> Option<GraceLeft> {
        match (self.left_of_period(now, period), self.left_of_doubt(now)) {
            (Some(a), Some(b)) => Some(GraceLeft {
                end: a.end.max(b.end),
                no_extension: a.no_extension.max(b.no_extension),
                data_complete: false,
            }),
            (a, b) => a.or(b).filter(|_| period.0 > 0),
        }
    }

    fn left_of_period(&self, now: Tick, period: Millis) -> Option<GraceLeft> {
        let (begin, no_extension) = self.begun?;
        let end = left_of(begin, period, now);
        (end.0 > 0).then(|| GraceLeft {
            end,
            no_extension: Millis(left_of(begin, no_extension, now).0.clamp(0, end.0)),
            data_complete: false,
        })
    }

    fn left_of_doubt(&self, now: Tick) -> Option<GraceLeft> {
        let (begin, no_extension) = self.went_on?;
        let end = left_of(begin, no_extension, now);
        (end.0 > 0).then_some(GraceLeft {
            end,
            no_extension: end,
            data_complete: true,
        })
    }

    /// Visits everything, for a model checker.
    pub fn visit<V: Visit>(&self, visitor: &mut V) {
        for span in [self.begun, self.went_on] {
            visit_option(span, visitor, |v, (begin, length)| {
                v.tick(begin);
                v.other(&length);
            });
        }
        visit_option(self.last_loop, visitor, V::tick);
    }

    /// Records that it is over, if it is. True if that was not recorded before.
    pub fn end(&mut self, now: Tick, period: Millis) -> bool {
        let had_begun = self.has_begun();
        if self.left_of_period(now, period).is_none() {
            self.begun = None;
        }
        // Without a grace period nothing is in doubt.
        if period.0 == 0 || self.left_of_doubt(now).is_none() {
            self.went_on = None;
        }
        had_begun && self.left(now, period).is_none()
    }
}

fn left_of(begin: Tick, span: Millis, now: Tick) -> Millis {
    match span {
        Millis(0) => span,
        Millis(span) => Millis(begin.0.saturating_add(span + ROUNDING) - now.0),
    }
}

/// The server's settings by which a master that is cut off learns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CutOffSettings {
    /// `cluster-node-timeout` in ms; none outside a cluster.
    pub cluster_node_timeout: Option<i64>,
    /// `min-replicas-to-write`.
    pub min_replicas: i64,
    /// `min-replicas-max-lag`, in seconds.
    pub max_lag: i64,
}

impl CutOffSettings {
    /// For how long a master that is cut off may still grant: until it notices that it has lost its
    /// replicas or, in a cluster, the other masters. A cluster checks that more than once a second,
    /// and a standstill delays it all the same.
    pub fn cut_off(self) -> Millis {
        match self.cluster_node_timeout {
            Some(timeout) => Millis(timeout.saturating_add(STOOD_STILL)),
            None if self.min_replicas == 0 => Millis(0),
            None => Millis(self.max_lag.saturating_mul(1000).saturating_add(UNNOTICED)),
        }
    }
}

impl GraceLeft {
    /// The lock as an acquire sees it in the grace period: a hold counts only if its token is named,
    /// and no lock is free.
    pub fn seen(self, view: View, token: Option<Token>, now: Now) -> View {
        // This is rounded up already.
        let end = Deadline(now.millis() + self.end.0);
        match view {
            View::Mine(_) if self.data_complete => view,
            View::Mine(_) if token.is_some() => view,
            View::Mine(Hold { deadline, .. }) | View::Theirs(deadline) if token.is_none() => {
                View::Theirs(deadline.max(end))
            }
            View::Free { .. } if token.is_none() => View::Theirs(end),
            _ => view,
        }
    }

    /// Checks that an owner that has a hold in the data names its token.
    ///
    /// # Errors
    /// [`NotOwner::InGrace`] if it does not: it may have released the lock in a write that was lost.
    pub fn check(self, view: &View, token: Option<Token>) -> Result<(), Error> {
        match (view, token) {
            (View::Mine(_), None) if !self.data_complete => Err(Error::NotOwner(NotOwner::InGrace)),
            _ => Ok(()),
        }
    }

    /// The lease that a call may get: while the old master may still grant, no hold is extended.
    pub fn lease(self, ttl: Millis, view: &View, now: Now) -> Millis {
        match view {
            View::Mine(hold) if self.no_extension.0 > 0 => ttl.min(hold.deadline.left(now)),
            _ => ttl,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Fence;

    const PERIOD: Millis = Millis(10_000);
    const NOW: Now = Now(5_000_000);

    /// Begun so that with [`ROUNDING`] its spans count from 100.
    fn begun() -> Grace {
        let mut grace = Grace::new();
        grace.begin(Tick(98), Millis(3000));
        grace
    }

    fn mine(deadline: i64) -> View {
        View::Mine(Hold {
            holds: 1,
            fence: Token::new(7).map(|token| Fence::new(token, NOW)),
            deadline: Deadline(deadline),
        })
    }

    #[test]
    fn it_lasts_from_its_beginning_for_as_long_as_is_configured_at_present() {
        let left = |now, period| {
            begun()
                .left(Tick(now), Millis(period))
                .map(|left| left.end.0)
        };
        assert_eq!(left(98, 10_000), Some(10_002));
        assert_eq!(left(10_099, 10_000), Some(1));
        assert_eq!(left(10_100, 10_000), None);
        assert_eq!(left(10_100, 20_000), Some(10_000));
        assert_eq!(left(600, 0), None);
        assert_eq!(Grace::new().left(Tick(0), PERIOD), None);
    }

    #[test]
    fn it_ends_once_and_a_longer_period_does_not_bring_it_back() {
        let mut grace = begun();
        assert!(!grace.end(Tick(10_099), PERIOD));
        assert!(grace.end(Tick(10_100), PERIOD));
        assert!(!grace.end(Tick(10_100), PERIOD));
        assert_eq!(grace.left(Tick(10_100), Millis(90_000)), None);
    }

    #[test]
    fn it_outlasts_a_lease_of_its_length_that_began_when_it_did() {
        // Both clocks in microseconds. Only the parts below a millisecond matter.
        for (wall, steady) in [(0, 0), (1, 999), (999, 1), (1, 1), (999, 999), (500, 0)] {
            let lease = Now(5_000_000 + wall).plus(PERIOD);
            let mut grace = Grace::new();
            let tick = |after: i64| Tick((700_000 + steady + after).div_euclid(1000));
            grace.begin(tick(0), Millis(0));
            let before_its_end = lease.0 * 1000 - (5_000_000 + wall) - 1;
            assert!(grace.left(tick(before_its_end), PERIOD).is_some());
        }
    }

    #[test]
    fn a_server_that_stood_still_is_found_by_the_turns_of_its_event_loop() {
        let mut grace = Grace::new();
        assert_eq!(grace.stood_still(Tick(900_000)), None);
        grace.loop_ran(Tick(5000));
        assert_eq!(grace.stood_still(Tick(6500)), None);
        assert_eq!(grace.stood_still(Tick(6501)), Some(Millis(1501)));
    }

    #[test]
    fn a_server_that_stood_still_grants_and_extends_nothing_until_it_must_know_its_replicas() {
        let mut grace = Grace::new();
        grace.go_on(Tick(98), Millis(3000));
        let left = grace.left(Tick(600), PERIOD).unwrap();
        assert_eq!((left.end, left.no_extension), (Millis(2500), Millis(2500)));
        let free = View::Free { lapsed: false };
        let taken = View::Theirs(Deadline(7500));
        assert_eq!(left.seen(free, None, NOW), taken);
        // It has forgotten nothing: a hold is a hold, with a token or without.
        assert_eq!(left.seen(mine(5500), None, NOW), mine(5500));
        assert_eq!(left.check(&mine(5500), None), Ok(()));
        assert_eq!(left.lease(Millis(9000), &mine(5700), NOW), Millis(700));
        assert_eq!(grace.left(Tick(600), Millis(0)), None);
        let switched_off = |mut grace: Grace| {
            let ended = grace.end(Tick(600), Millis(0));
            ended && !grace.end(Tick(600), Millis(0)) && !grace.has_begun()
        };
        assert!(switched_off(grace), "it ended at every wakeup");
        assert!(!grace.end(Tick(3099), PERIOD));
        assert!(grace.end(Tick(3100), PERIOD));
        assert!(!grace.end(Tick(3100), PERIOD));
    }

    #[test]
    fn a_server_that_stood_still_in_its_grace_period_is_bound_by_both() {
        let mut grace = begun();
        grace.go_on(Tick(8998), Millis(3000));
        let left = |now| grace.left(Tick(now), PERIOD);
        let both = GraceLeft {
            end: Millis(3000),
            no_extension: Millis(3000),
            data_complete: false,
        };
        assert_eq!(left(9000), Some(both));
        assert!(left(10_100).unwrap().data_complete);
        assert_eq!(left(12_000), None);
    }

    #[test]
    fn leases_are_not_extended_in_its_first_part_only() {
        let no_extension = |now| {
            begun()
                .left(Tick(now), PERIOD)
                .map(|left| left.no_extension.0)
        };
        assert_eq!(no_extension(100), Some(3000));
        assert_eq!(no_extension(3099), Some(1));
        assert_eq!(no_extension(3100), Some(0));
        let left = begun().left(Tick(2100), PERIOD).unwrap();
        assert_eq!(left.lease(Millis(60_000), &mine(5700), NOW), Millis(700));
        assert_eq!(left.lease(Millis(500), &mine(5700), NOW), Millis(500));
        let later = begun().left(Tick(3100), PERIOD).unwrap();
        assert_eq!(
            later.lease(Millis(60_000), &mine(5700), NOW),
            Millis(60_000)
        );
    }

    #[test]
    fn an_acquire_without_a_token_finds_every_lock_taken() {
        let left = begun().left(Tick(9100), PERIOD).unwrap();
        let theirs = |deadline| View::Theirs(Deadline(deadline));
        let seen = |view| left.seen(view, None, NOW);
        assert_eq!(seen(View::Free { lapsed: false }), theirs(6000));
        assert_eq!(seen(View::Free { lapsed: true }), theirs(6000));
        assert_eq!(seen(mine(5500)), theirs(6000));
        assert_eq!(seen(mine(6500)), theirs(6500));
        assert_eq!(seen(theirs(5500)), theirs(6000));
    }

    #[test]
    fn with_a_token_the_lock_is_seen_as_it_is() {
        let left = begun().left(Tick(9100), PERIOD).unwrap();
        for view in [
            View::Free { lapsed: true },
            mine(5500),
            View::Theirs(Deadline(5500)),
        ] {
            assert_eq!(left.seen(view, Token::new(7), NOW), view);
            assert_eq!(left.check(&view, Token::new(7)), Ok(()));
        }
        let refused = Err(Error::NotOwner(NotOwner::InGrace));
        assert_eq!(left.check(&mine(5500), None), refused);
        assert_eq!(left.check(&View::Free { lapsed: false }, None), Ok(()));
    }

    #[test]
    fn a_cut_off_master_may_grant_until_it_misses_its_replicas_or_the_cluster_though_it_stood_still(
    ) {
        let cut_off = |cluster_node_timeout, min_replicas, max_lag| {
            CutOffSettings {
                cluster_node_timeout,
                min_replicas,
                max_lag,
            }
            .cut_off()
        };
        assert_eq!(cut_off(None, 0, 10), Millis(0));
        assert_eq!(cut_off(None, 1, 10), Millis(13_500));
        assert_eq!(cut_off(Some(15_000), 1, 10), Millis(16_500));
        assert_eq!(cut_off(None, 1, i64::MAX), Millis(i64::MAX));
        assert_eq!(cut_off(Some(i64::MAX), 1, 10), Millis(i64::MAX));
    }
}
