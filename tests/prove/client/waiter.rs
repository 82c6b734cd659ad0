//! A client with a connection of its own: it waits, binds sessions, works, and vanishes at any moment.

use super::actor::{Actor, Style};
use crate::check::Op;
use crate::line::{Heard, Line, Request};
use crate::record::Journal;
use crate::route::{Next, Target};
use crate::world::World;
use fastrand::Rng;
use std::time::{Duration, Instant};

struct Waiter<'a> {
    world: &'a World,
    number: usize,
    style: Style,
    journal: &'a mut Journal,
    rng: Rng,
    actor: Actor,
    line: Option<Line>,
    /// Where to send the next call, once, whatever the route says.
    ask: Option<Target>,
}

/// How long it tries to end its hold after the round.
const LAST: Duration = Duration::from_secs(10);

/// How long a call without limit may wait: locks are free for others before that.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Goes on until the round is over, and then ends its hold.
pub fn run(world: &World, number: usize, style: Style, journal: &mut Journal, mut rng: Rng) {
    let lock = rng.u32(..style.crowd.locks);
    let mut waiter = Waiter {
        world,
        number,
        style,
        journal,
        rng,
        actor: Actor::new(world, lock),
        line: None,
        ask: None,
    };
    while !world.is_over() {
        waiter.step();
    }
    let until = Instant::now() + LAST;
    while Instant::now() < until && world.failure().is_none() {
        let Some(op) = waiter.actor.last() else { break };
        waiter.call(op);
    }
    waiter.hang_up();
}

impl Waiter<'_> {
    fn step(&mut self) {
        match self.rng.u16(..1000) {
            // It vanishes, or only its connection.
            0..=9 => self.hang_up(),
            10..=14 => {
                self.hang_up();
                self.actor.begin_anew(self.world);
            }
            // It goes for another lock, if it has none.
            15..=60 if self.actor.hold.is_none() => {
                let lock = self.rng.u32(..self.style.crowd.locks);
                self.actor = Actor::new(self.world, lock);
            }
            61..=200 => self.work(),
            _ => {
                let now = self.journal.now();
                let Waiter { world, style, .. } = self;
                let op = self.actor.next(world, style, &mut self.rng, now);
                self.call(op);
            }
        }
    }

    /// Does something else for a moment, and looks whether its connection is open meanwhile.
    fn work(&mut self) {
        let most = if self.rng.u8(..20) == 0 { 60_000 } else { 3000 };
        let time = Duration::from_micros(self.rng.u64(..most));
        self.world.sleep(time);
        let Some(line) = &mut self.line else { return };
        if !line.is_open(self.journal) {
            self.lost();
        }
    }

    fn call(&mut self, op: Op) {
        let asked = self.ask.take();
        let is_asked = asked.is_some();
        let route = &self.world.route;
        let target = asked.or_else(|| route.target(self.number, self.actor.lock));
        let Some(target) = target else {
            self.actor.unheard(self.world, op, &mut self.rng);
            return std::thread::sleep(Duration::from_millis(5));
        };
        if !self.connect(&target) {
            self.actor.unheard(self.world, op, &mut self.rng);
            return std::thread::sleep(Duration::from_millis(5));
        }
        let Some(line) = &mut self.line else { return };
        if is_asked {
            line.push_raw(&["ASKING"]);
        }
        let (lock, owner) = (self.actor.lock, self.actor.owner);
        line.push(self.world, self.journal, Request { lock, owner, op });
        if line.flush(self.journal).is_err() {
            self.actor.unheard(self.world, op, &mut self.rng);
            return self.lost();
        }
        // It vanishes with the call under way.
        if self.rng.u16(..300) == 0 {
            let patience = Duration::from_micros(self.rng.u64(..2000));
            std::thread::sleep(patience);
            self.actor.unheard(self.world, op, &mut self.rng);
            return self.hang_up();
        }
        let limit = match op {
            Op::Acquire { wait: Some(0), .. } => LONGEST_WAIT,
            Op::Acquire { wait: Some(ms), .. } => Duration::from_millis(ms as u64),
            _ => Duration::ZERO,
        };
        match line.hear(self.world, self.journal, limit) {
            Ok((_, sent, heard)) => {
                self.actor.heard(self.world, &op, (sent, line), &heard);
                self.redirect(op, &target, &heard);
            }
            Err(_) => {
                self.actor.unheard(self.world, op, &mut self.rng);
                self.lost();
            }
        }
    }

    fn redirect(&mut self, op: Op, target: &Target, heard: &Heard) {
        let Heard::Refused(text) = heard else { return };
        match self.world.route.refused(self.actor.lock, target, text) {
            Next::Stay => (),
            Next::Later => std::thread::sleep(Duration::from_millis(5)),
            Next::Elsewhere => {
                std::thread::sleep(Duration::from_millis(2));
                self.hang_up();
            }
            Next::Ask(other) => {
                self.hang_up();
                self.ask = Some(other);
                self.actor.repeat(op);
            }
        }
    }

    /// Sees to it that the line is to this target.
    fn connect(&mut self, target: &Target) -> bool {
        if self
            .line
            .as_ref()
            .is_some_and(|line| line.target != *target)
        {
            self.hang_up();
        }
        if self.line.is_none() {
            let while_open = self.style.while_open;
            self.line = Line::connect(self.world, target.clone(), while_open);
        }
        if self.line.is_none() {
            self.world.route.lost(target);
        }
        self.line.is_some()
    }

    fn hang_up(&mut self) {
        if let Some(line) = self.line.take() {
            let conn = line.conn;
            line.close(self.journal);
            self.actor.disconnected(self.world, conn, &mut self.rng);
        }
    }

    /// The server has closed the connection.
    fn lost(&mut self) {
        if let Some(line) = self.line.take() {
            self.world.route.lost(&line.target);
            self.actor
                .disconnected(self.world, line.conn, &mut self.rng);
        }
    }
}
