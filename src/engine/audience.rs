//! Whether anyone gets what is propagated.
//!
//! It is certain that nobody does where a master has no replica, no replication backlog and no AOF, and no child that
//! writes a snapshot. From then on whoever comes gets a snapshot first, which a child writes, and the server tells of each
//! fork before it runs another command. So what was written before is in the snapshot, and what is written after that is
//! propagated.

use crate::lock::{Millis, Tick};

/// How long to wait between two looks: each costs the server some microseconds.
const PAUSE: Millis = Millis(500);

/// What is known of those who may get what is propagated.
#[derive(Debug, Default)]
pub struct Audience {
    nobody: bool,
    next_look: Option<Tick>,
}

impl Audience {
    /// Someone may listen.
    pub const fn new() -> Audience {
        Audience {
            nobody: false,
            next_look: None,
        }
    }

    /// Whether someone may get what is propagated.
    pub fn may_listen(&self) -> bool {
        !self.nobody
    }

    /// Someone may listen from now on: a child was forked, or the server's role has changed.
    pub fn may_have_come(&mut self) {
        self.nobody = false;
    }

    /// Takes note of whether anyone listens, if that is not certain and some time has passed. `is_alone` says whether the
    /// server has nobody that gets what it propagates, and no child that could write a snapshot for one.
    pub fn check(&mut self, tick: Tick, is_alone: impl FnOnce() -> bool) {
        let is_time = self.next_look.is_none_or(|at| at <= tick);
        if self.may_listen() && is_time {
            self.next_look = Some(tick.plus(PAUSE));
            self.nobody = is_alone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listens_from_a_look_that_found_nobody_until_someone_may_have_come() {
        let mut audience = Audience::new();
        assert!(audience.may_listen());
        audience.check(Tick(0), || true);
        assert!(!audience.may_listen());
        audience.check(Tick(9000), || panic!("it is certain"));
        audience.may_have_come();
        assert!(audience.may_listen());
    }

    #[test]
    fn it_looks_again_only_when_some_time_has_passed() {
        let mut audience = Audience::new();
        audience.check(Tick(1000), || false);
        audience.check(Tick(1499), || panic!("it has just looked"));
        assert!(audience.may_listen());
        audience.check(Tick(1500), || true);
        assert!(!audience.may_listen());
    }
}
