//! One owner with one lock: what it does next, and what it knows of its hold.

use crate::check::{Conn, Op, Owner, Reply, Us};
use crate::line::{Heard, Line};
use crate::record::LockId;
use crate::scenario::Crowd;
use crate::world::World;
use fastrand::Rng;

const MS: Us = 1000;

/// What an owner knows of its hold.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    pub token: i64,
    pub holds: u32,
    /// By its own count, from when it had sent the call.
    pub until: Us,
    /// The linger of its session, and the connection that it is bound to.
    pub session: Option<i64>,
    pub conn: Conn,
}

/// What calls an owner may make.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub crowd: Crowd,
    pub waits: bool,
    /// Whether the holder of a session may rely on it while its connection is open.
    pub while_open: bool,
}

/// An owner.
pub struct Actor {
    pub lock: LockId,
    pub owner: Owner,
    pub hold: Option<Hold>,
    /// A call that was not answered, to be sent again.
    again: Option<Op>,
    /// It may hold the lock without knowing.
    may_hold: bool,
}

impl Actor {
    /// A new owner for this lock.
    pub fn new(world: &World, lock: LockId) -> Actor {
        Actor {
            lock,
            owner: world.new_owner(),
            hold: None,
            again: None,
            may_hold: false,
        }
    }

    /// Forgets everything: the next one has a name of its own.
    pub fn begin_anew(&mut self, world: &World) {
        *self = Actor::new(world, self.lock);
    }

    /// What it calls next.
    pub fn next(&mut self, world: &World, style: &Style, rng: &mut Rng, now: Us) -> Op {
        if let Some(again) = self.again.take() {
            return again;
        }
        if let Some(hold) = self.hold {
            // Some ask for what they cannot have any more.
            if hold.until > now || rng.u8(..8) == 0 {
                return self.with_hold(world, &hold, style, rng, now);
            }
            self.hold = None;
            if rng.bool() {
                self.begin_anew(world);
            }
        }
        acquire(style, rng)
    }

    fn with_hold(
        &mut self,
        world: &World,
        hold: &Hold,
        style: &Style,
        rng: &mut Rng,
        now: Us,
    ) -> Op {
        let token = (rng.u8(..10) < 7).then_some(hold.token);
        match rng.u8(..100) {
            0..=19 => Op::Assert { token },
            20..=39 => {
                let mut ttl = ttl(style, rng, hold.session.is_some());
                if !style.crowd.shortens {
                    let left = (hold.until.min(now + 600_000 * MS) - now) / MS;
                    ttl = ttl.max(left + 1).min(style.crowd.ttl.1.max(1000));
                }
                Op::Renew { ttl, token }
            }
            40..=54 if hold.holds < 5 => Op::Acquire {
                ttl: ttl(style, rng, hold.session.is_some()),
                wait: None,
                session: hold.session,
                holds: (rng.u8(..10) < 6).then_some(hold.holds + 1),
                token,
            },
            // It vanishes. Its lease goes on.
            95.. if hold.session.is_none() => {
                self.begin_anew(world);
                acquire(style, rng)
            }
            _ => release(hold, token, rng),
        }
    }

    /// How it ends what it may hold. None: there is nothing.
    pub fn last(&mut self) -> Option<Op> {
        let hold = self.hold.take();
        let may_hold = std::mem::take(&mut self.may_hold);
        self.again = None;
        match hold {
            Some(hold) => Some(Op::Release {
                holds: Some(0),
                token: Some(hold.token),
            }),
            None => may_hold.then_some(Op::Release {
                holds: Some(0),
                token: None,
            }),
        }
    }

    /// It is answered: to this call, sent then on this line.
    pub fn heard(&mut self, world: &World, op: &Op, (at, line): (Us, &Line), heard: &Heard) {
        match heard {
            Heard::Reply(Reply::Grant { holds: 0, .. }) => {
                // Who has a hold is not told that the lock is busy.
                self.hold = None;
                self.may_hold = false;
            }
            Heard::Reply(Reply::Grant { holds, token, ttl }) => {
                let bound = match (op, self.hold) {
                    (Op::Acquire { session, .. }, _) if session.is_some() => *session,
                    (_, Some(hold)) if hold.token == *token => hold.session,
                    _ => None,
                };
                let until = match bound {
                    Some(_) if line.while_open => Us::MAX / 4,
                    _ => at + ttl * MS,
                };
                let before = self.hold.filter(|hold| hold.token == *token);
                let conn = match (op, before) {
                    (Op::Renew { .. }, Some(before)) => before.conn,
                    _ => line.conn,
                };
                let longer = matches!(op, Op::Acquire { .. });
                let known = before.filter(|_| longer).map_or(until, |hold| hold.until);
                self.hold = Some(Hold {
                    token: *token,
                    holds: *holds,
                    until: until.max(known),
                    session: bound,
                    conn,
                });
                self.may_hold = false;
            }
            Heard::Reply(Reply::Left(left)) => match &mut self.hold {
                Some(hold) if *left > 0 => hold.holds = *left as u32,
                _ => self.hold = None,
            },
            Heard::Refused(text) => {
                let lost = ["NOTOWNER", "HOLDCOUNT", "WRONGTYPE"];
                if lost.iter().any(|code| text.starts_with(code)) {
                    self.begin_anew(world);
                }
            }
            Heard::Reply(_) => (),
        }
    }

    /// A call that it sent was not answered, and its connection is closed. What cannot be repeated ends it.
    pub fn unheard(&mut self, world: &World, op: Op, rng: &mut Rng) {
        let again = match op {
            Op::Acquire {
                holds: Some(1),
                token: None,
                ..
            } => true,
            Op::Acquire { session, token, .. } => session.is_none() && token.is_some(),
            Op::Renew { token, .. } => token.is_some(),
            Op::Release { holds, token } => holds.is_some() && token.is_some(),
            Op::Assert { .. } => true,
        };
        if again && rng.u8(..4) > 0 {
            self.may_hold |= matches!(op, Op::Acquire { .. });
            self.again = Some(op);
        } else {
            self.begin_anew(world);
        }
    }

    /// Sends a call again, as it is.
    pub fn repeat(&mut self, op: Op) {
        self.again = Some(op);
    }

    /// A connection is closed. A session that was bound to it is lost, unless it lingers and its owner comes back.
    pub fn disconnected(&mut self, world: &World, conn: Conn, rng: &mut Rng) {
        let Some(hold) = self.hold.filter(|hold| hold.conn == conn) else {
            return;
        };
        let Some(linger) = hold.session else { return };
        let comes_back = self.again.is_none() && linger > 0 && rng.bool();
        let token = hold.token;
        self.begin_anew_unless(world, comes_back);
        if comes_back {
            self.again = Some(Op::Acquire {
                ttl: 1000,
                wait: None,
                session: Some(linger),
                holds: None,
                token: Some(token),
            });
        }
    }

    fn begin_anew_unless(&mut self, world: &World, comes_back: bool) {
        self.hold = None;
        // A repeat of an acquire makes a new hold, if the lock is free.
        if !comes_back && !matches!(self.again, Some(Op::Acquire { token: None, .. })) {
            self.begin_anew(world);
        }
    }
}

fn ttl(style: &Style, rng: &mut Rng, session: bool) -> i64 {
    let (least, most) = style.crowd.ttl;
    // Mostly short ones.
    let ttl = least + (rng.i64(0..=most - least) * rng.i64(0..=4)) / 4;
    if session {
        ttl.max(1000)
    } else {
        ttl
    }
}

fn acquire(style: &Style, rng: &mut Rng) -> Op {
    let is_session = style.crowd.sessions && rng.u8(..10) < if style.waits { 5 } else { 1 };
    let linger = match style.crowd.linger {
        0 => 0,
        most if rng.u8(..3) == 0 => rng.i64(1..=most),
        _ => 0,
    };
    let wait = match rng.u8(..10) {
        _ if !style.waits => None,
        0 => None,
        1 => Some(0),
        _ => Some(rng.i64(1..600)),
    };
    Op::Acquire {
        ttl: ttl(style, rng, is_session),
        wait,
        session: is_session.then_some(linger),
        holds: (rng.u8(..10) < 6).then_some(1),
        token: None,
    }
}

fn release(hold: &Hold, token: Option<i64>, rng: &mut Rng) -> Op {
    let holds = match rng.u8(..10) {
        0..=4 => Some(hold.holds - 1),
        5 => Some(0),
        _ => None,
    };
    Op::Release { holds, token }
}
