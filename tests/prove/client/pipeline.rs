//! Calls of many owners in one go: many operations, on few connections.

use super::actor::{Actor, Style};
use crate::check::Op;
use crate::line::{Heard, Line, Request};
use crate::record::Journal;
use crate::route::{Next, Target};
use crate::world::World;
use fastrand::Rng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A line, and whose calls are under way on it.
struct Lane {
    line: Line,
    under_way: VecDeque<(usize, Op)>,
}

struct Pipeline<'a> {
    world: &'a World,
    number: usize,
    style: Style,
    journal: &'a mut Journal,
    rng: Rng,
    actors: Vec<Actor>,
    lanes: Vec<Lane>,
    /// A server was not there, or could not serve a call.
    in_vain: bool,
}

/// How long it tries to end its holds after the round.
const LAST: Duration = Duration::from_secs(10);

/// Goes on until the round is over, and then ends its holds.
pub fn run(world: &World, number: usize, style: Style, journal: &mut Journal, mut rng: Rng) {
    let crowd = style.crowd;
    let actors = (0..crowd.actors).map(|n| {
        // A third have locks for themselves.
        let lock = match n % 3 {
            0 => crowd.locks + (number * crowd.actors + n) as u32,
            _ => rng.u32(..crowd.locks),
        };
        Actor::new(world, lock)
    });
    let actors = actors.collect();
    let mut pipeline = Pipeline {
        world,
        number,
        style,
        journal,
        rng,
        actors,
        lanes: Vec::new(),
        in_vain: false,
    };
    while !world.is_over() {
        pipeline.turn(|pipeline, n| {
            let now = pipeline.journal.now();
            let Pipeline {
                world, style, rng, ..
            } = pipeline;
            Some(pipeline.actors[n].next(world, style, rng, now))
        });
    }
    let until = Instant::now() + LAST;
    let mut left = true;
    while left && Instant::now() < until && world.failure().is_none() {
        left = pipeline.turn(|pipeline, n| pipeline.actors[n].last());
    }
    for lane in pipeline.lanes.drain(..) {
        lane.line.close(pipeline.journal);
    }
}

impl Pipeline<'_> {
    /// Sends a call of each actor that has one, and hears the answers. False: there was none to send.
    fn turn(&mut self, mut op_of: impl FnMut(&mut Self, usize) -> Option<Op>) -> bool {
        self.in_vain = false;
        let mut any = false;
        for n in 0..self.actors.len() {
            let target = self.world.route.target(self.number, self.actors[n].lock);
            let Some(lane) = target.and_then(|target| self.lane(target)) else {
                self.in_vain = true;
                continue;
            };
            let Some(op) = op_of(self, n) else { continue };
            any = true;
            self.push(lane, n, op);
        }
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].line.flush(self.journal).is_ok() {
                self.hear(lane);
            } else {
                self.lost(lane);
            }
        }
        self.lanes.retain_mut(|lane| lane.line.is_usable());
        if self.in_vain {
            std::thread::sleep(Duration::from_millis(5));
        }
        any || self.in_vain
    }

    fn lane(&mut self, target: Target) -> Option<usize> {
        let found = self
            .lanes
            .iter()
            .position(|lane| lane.line.target == target);
        if found.is_some() {
            return found;
        }
        let line = Line::connect(self.world, target.clone(), self.style.while_open);
        let Some(line) = line else {
            self.world.route.lost(&target);
            return None;
        };
        self.lanes.push(Lane {
            line,
            under_way: VecDeque::new(),
        });
        Some(self.lanes.len() - 1)
    }

    fn push(&mut self, lane: usize, n: usize, op: Op) {
        let (lock, owner) = (self.actors[n].lock, self.actors[n].owner);
        let request = Request { lock, owner, op };
        let lane = &mut self.lanes[lane];
        lane.line.push(self.world, self.journal, request);
        lane.under_way.push_back((n, op));
    }

    fn hear(&mut self, at: usize) {
        while let Some((n, op)) = self.lanes[at].under_way.front().copied() {
            let lane = &mut self.lanes[at];
            let target = lane.line.target.clone();
            match lane.line.hear(self.world, self.journal, Duration::ZERO) {
                Ok((_, sent, heard)) => {
                    lane.under_way.pop_front();
                    self.actors[n].heard(self.world, &op, (sent, &lane.line), &heard);
                    self.redirect(n, op, &target, &heard);
                }
                Err(_) => return self.lost(at),
            }
        }
    }

    fn redirect(&mut self, n: usize, op: Op, target: &Target, heard: &Heard) {
        let Heard::Refused(text) = heard else { return };
        let lock = self.actors[n].lock;
        match self.world.route.refused(lock, target, text) {
            Next::Stay => (),
            Next::Later | Next::Elsewhere => self.in_vain = true,
            Next::Ask(other) => {
                if let Some(lane) = self.lane(other) {
                    self.lanes[lane].line.push_raw(&["ASKING"]);
                    self.push(lane, n, op);
                }
            }
        }
    }

    fn lost(&mut self, at: usize) {
        self.in_vain = true;
        let conn = self.lanes[at].line.conn;
        let under_way = std::mem::take(&mut self.lanes[at].under_way);
        self.world.route.lost(&self.lanes[at].line.target);
        for (n, op) in under_way {
            self.actors[n].unheard(self.world, op, &mut self.rng);
        }
        for actor in &mut self.actors {
            actor.disconnected(self.world, conn, &mut self.rng);
        }
    }
}
