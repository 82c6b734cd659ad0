//! A client in a storm: one connection after the other, each used in some way that servers know.

use super::calls;
use super::replies::End;
use super::world::{call, one_of, Call, Line, World};
use fastrand::Rng;
use std::time::Duration;

/// Goes on until the storm is over.
pub fn run(world: &World, number: usize, mut dice: Rng) {
    let who = format!("client {number}");
    while !world.is_over() {
        connection(world, &who, &mut dice);
    }
}

/// One connection, from its begin to its end.
fn connection(world: &World, who: &str, dice: &mut Rng) {
    let node = dice.usize(..world.nodes.len());
    let Some(mut line) = world.connect(node, who) else {
        return;
    };
    // By itself: Redis from 7.2 on loses the error of an AUTH that follows a HELLO in one go.
    let is_app = dice.usize(..4) == 0;
    if is_app && line.exchange(&[call("AUTH app secret")], 1).is_err() {
        return;
    }
    let start = begin(world, dice);
    if line.exchange(&start, start.len()).is_err() {
        return;
    }
    for _ in 0..dice.usize(1..40) {
        if world.is_over() {
            return;
        }
        let (calls, count) = batch(world, is_app, dice);
        let done = match dice.usize(..40) {
            // It goes away without a look at the replies.
            0 => return drop(line.send(&calls)),
            1 => {
                // With something unread it ends by a reset.
                let _ = line.send(&calls);
                return std::thread::sleep(Duration::from_millis(dice.u64(..20)));
            }
            2 => return stream(world, &mut line, dice),
            // A holder that works, or does not.
            3 => {
                std::thread::sleep(Duration::from_millis(dice.u64(..60)));
                line.exchange(&calls, count).map(drop)
            }
            _ => line.exchange(&calls, count).map(drop),
        };
        if done.is_err() {
            return;
        }
    }
}

/// What a connection begins with.
fn begin(world: &World, dice: &mut Rng) -> Vec<Call> {
    let mut calls = Vec::new();
    if dice.bool() {
        calls.push(call("HELLO 3"));
    }
    if world.databases > 1 {
        let database = dice.usize(..world.databases);
        calls.push(call(&format!("SELECT {database}")));
    }
    if dice.usize(..8) == 0 {
        let how = [
            "CLIENT TRACKING ON BCAST",
            "CLIENT TRACKING ON",
            "CLIENT NO-EVICT ON",
            "READONLY",
        ];
        calls.push(call(one_of(dice, &how)));
    }
    calls
}

/// Some calls in one go, and how many replies they get.
fn batch(world: &World, is_app: bool, dice: &mut Rng) -> (Vec<Call>, usize) {
    let mut calls: Vec<Call> = (0..dice.usize(1..6))
        .map(|_| calls::any(world, dice))
        .collect();
    match dice.usize(..12) {
        0 | 1 => {
            // Neither is allowed inside a transaction.
            calls.retain(|call| call[0] != "WATCH" && call[0] != "SELECT");
            calls.insert(0, call("MULTI"));
            calls.push(call(one_of(dice, &["EXEC", "EXEC", "EXEC", "DISCARD"])));
        }
        2 | 3 => calls = vec![calls::script(&calls)],
        // Who has lost the right to say so would never be answered again. Nor would who waits while
        // the server becomes a replica: it closes the connection after a reply, and there is none.
        4 if !is_app => {
            calls.retain(|call| !call.iter().any(|word| word == "WAIT"));
            calls.insert(0, call("CLIENT REPLY OFF"));
            calls.push(call("CLIENT REPLY ON"));
            return (calls, 1);
        }
        _ => (),
    }
    let count = calls.len();
    (calls, count)
}

/// A connection that is sent what it did not ask for, until it ends.
fn stream(world: &World, line: &mut Line, dice: &mut Rng) {
    let lines = [
        "MONITOR",
        "PSUBSCRIBE __key*__:*",
        "PSUBSCRIBE redisson_lock__channel:*",
    ];
    let _ = line.send(&[call(one_of(dice, &lines))]);
    for _ in 0..dice.usize(1..200) {
        // Nothing may come at all: then only the end of the storm ends it.
        if world.is_over() || matches!(line.drain(), Err(End::Closed)) {
            return;
        }
    }
}
