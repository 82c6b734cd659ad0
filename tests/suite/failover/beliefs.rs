//! Who believes that it holds which lock, from when to when, and whether two do at once.
//!
//! A belief is what a client may know, by its own clock, of a hold that it was granted:
//!
//! - It begins when the reply is read that grants the hold.
//! - It lasts until the request that last set the lease (ACQUIRE or RENEW) was *sent*, plus the ttl
//!   that its reply told, less the millisecond that the server's clock may be in already: it cannot
//!   have reckoned the lease from an earlier moment. So a grant after a long wait may be over when its
//!   client reads of it.
//! - An ASSERT that is answered `OK` proves the hold for the time in which it was sent, and so for
//!   all the time before; it proves nothing of the time after. So a session that its server renews
//!   goes on for as long as its client asks. One that asks nothing cannot know more than the ttl that
//!   it was told: a server that is cut off renews nothing, and its clients do not hear of that.
//! - It ends when the release is sent that leaves no hold. With a session it ends when its
//!   connection is closed or found to be closed, unless the session lingers: then it is as with any
//!   other lease, and the client may come back and ask for it by its token for as long as it lingers.
//! - A NOTOWNER does not end what was told before: another server may have said it, and the first one
//!   still keeps its word. It only keeps the client from going on.
//!
//! Two beliefs of different owners in one lock must not overlap, whichever servers they are from.
//! Beliefs that follow one another must have tokens that grow.

use std::time::{Duration, Instant};

/// One hold, as its client knows it.
#[derive(Clone, Debug)]
pub struct Belief {
    /// The name of the lock.
    pub lock: String,
    /// Who holds it.
    pub owner: String,
    /// Its token.
    pub token: i64,
    /// Which server granted it: 0 is the first master.
    pub side: usize,
    /// When its client learned of it.
    pub from: Instant,
    /// Until when its client may rely on it.
    pub until: Instant,
}

/// What a client believed, and what it sent and was answered.
#[derive(Default)]
pub struct Life {
    /// Its beliefs.
    pub beliefs: Vec<Belief>,
    /// When, and what.
    pub journal: Vec<(Instant, String)>,
}

impl Belief {
    /// Whether its client could rely on it at all.
    fn is_some(&self) -> bool {
        self.from < self.until
    }

    /// For how long both were believed at one time.
    pub fn overlap(&self, other: &Belief) -> Duration {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        until.saturating_duration_since(from)
    }
}

/// Every two beliefs that contradict each other, with why.
pub fn contradictions(beliefs: &[Belief]) -> Vec<(Belief, Belief, &'static str)> {
    let mut beliefs: Vec<&Belief> = beliefs.iter().filter(|belief| belief.is_some()).collect();
    beliefs.sort_by_key(|belief| belief.from);
    let mut found = Vec::new();
    for (at, first) in beliefs.iter().enumerate() {
        let later = beliefs[at + 1..].iter();
        for second in later.filter(|it| it.lock == first.lock && it.owner != first.owner) {
            if first.overlap(second) > Duration::ZERO {
                found.push(((*first).clone(), (*second).clone(), "two owners"));
            } else if first.token >= second.token {
                found.push((
                    (*first).clone(),
                    (*second).clone(),
                    "tokens that do not grow",
                ));
            }
        }
    }
    found
}

#[test]
fn a_contradiction_is_found_where_two_owners_believe_at_once_and_only_there() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let belief = |lock: &str, owner: &str, token, from, until| Belief {
        lock: lock.to_owned(),
        owner: owner.to_owned(),
        token,
        side: 0,
        from: at(from),
        until: at(until),
    };
    let first = belief("a", "x", 1, 10, 20);
    for (second, wrong) in [
        (belief("a", "y", 2, 19, 30), true),
        (belief("a", "y", 2, 5, 11), true),
        (belief("a", "y", 2, 12, 13), true),
        (belief("a", "y", 2, 20, 30), false),
        (belief("a", "y", 1, 20, 30), true),
        (belief("a", "y", 2, 19, 18), false),
        (belief("b", "y", 2, 19, 30), false),
        (belief("a", "x", 2, 19, 30), false),
    ] {
        let found = contradictions(&[first.clone(), second.clone()]);
        assert_eq!(!found.is_empty(), wrong, "{second:?}");
    }
}
