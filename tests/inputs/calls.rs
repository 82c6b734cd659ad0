//! Calls of the commands, drawn from what the commands say of themselves.

use super::specs::specs;
use super::words::{any_bytes, any_number, any_word, in_any_case, one_of};
use fastrand::Rng;
use redis_reentrant_lock::command::{Argument, Kind, Spec};
use std::collections::BTreeMap;

/// The names and owners that calls share, so that they meet.
pub const KEYS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];
const OWNERS: [&str; 4] = ["o0", "o1", "o2", "o3"];

/// A call of a command.
#[derive(Debug, Clone)]
pub struct Call {
    /// The command.
    pub spec: &'static Spec,
    /// Its name and its arguments.
    pub words: Vec<Vec<u8>>,
}

impl Call {
    /// The lock that it names.
    pub fn key(&self) -> Option<&[u8]> {
        let key = self.words.get(1).filter(|_| self.spec.has_key());
        key.map(Vec::as_slice)
    }
}

/// Words as the protocol has them.
pub fn pack(words: &[Vec<u8>]) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.get_packed_command()
}

/// Words as a failure shows them.
pub fn shown(words: &[Vec<u8>]) -> String {
    let start = |word: &Vec<u8>| word[..word.len().min(40)].escape_ascii().to_string();
    let shown: Vec<String> = words.iter().take(30).map(start).collect();
    shown.join(" ")
}

/// A line of words.
pub fn line(line: &str) -> Vec<Vec<u8>> {
    let words = line.split_whitespace();
    words.map(|word| word.as_bytes().to_vec()).collect()
}

/// Where the values of calls come from.
pub struct Source<'a> {
    /// The choices.
    pub dice: &'a mut Rng,
    /// What was granted.
    pub holds: &'a Holds,
}

/// Who was granted a lock last, with which token.
#[derive(Debug, Default)]
pub struct Holds(BTreeMap<Vec<u8>, (Vec<u8>, i64)>);

impl Holds {
    /// A call was granted a hold.
    pub fn add(&mut self, call: &Call, token: i64) {
        if let [_, key, owner, ..] = call.words.as_slice() {
            self.0.insert(key.clone(), (owner.clone(), token));
        }
    }
}

impl Source<'_> {
    /// A call for that lock, of any command: mostly a proper one, sometimes nearly one, sometimes wild.
    pub fn call(&mut self, key: &[u8]) -> Call {
        let spec = one_of(self.dice, specs());
        let mut words = self.proper(spec, key);
        match self.dice.usize(..20) {
            0..=11 => (),
            12..=16 => self.spoil(&mut words),
            _ => {
                words.truncate(self.dice.usize(1..=words.len()));
                let more = match self.dice.usize(..30) {
                    0 => 1000,
                    _ => 20,
                };
                words.extend((0..self.dice.usize(..more)).map(|_| any_word(self.dice)));
            }
        }
        Call { spec, words }
    }

    /// A call of the command for that lock as it should be.
    pub fn proper(&mut self, spec: &'static Spec, key: &[u8]) -> Vec<Vec<u8>> {
        let mut words = vec![in_any_case(self.dice, spec.name)];
        if spec.has_key() {
            words.push(key.to_vec());
        }
        let (mut options, mut first) = (Vec::new(), Vec::new());
        for argument in spec.arguments {
            let is_option = argument.token.is_some() || matches!(argument.kind, Kind::Block(_));
            let mut value = Vec::new();
            self.argument(argument, key, &mut value);
            match is_option {
                true => options.push(value),
                false => first.extend(value),
            }
        }
        // Those without a name come first; the others in any order.
        self.dice.shuffle(&mut options);
        words.extend(first);
        words.extend(options.into_iter().flatten());
        words
    }

    fn argument(&mut self, argument: &Argument, key: &[u8], words: &mut Vec<Vec<u8>>) {
        let rarity = match argument.name {
            "ttl" => 2,
            "token" | "holds" => 5,
            _ => 3,
        };
        if argument.optional && self.dice.usize(..rarity) > 0 {
            return;
        }
        match argument.kind {
            Kind::Block(inner) => return inner.iter().for_each(|it| self.argument(it, key, words)),
            _ => words.extend(argument.token.map(|token| in_any_case(self.dice, token))),
        }
        match argument.kind {
            Kind::Integer(min, max) => words.push(self.number(argument.name, key, min, max)),
            Kind::String => words.push(self.owner(key)),
            _ => (),
        }
    }

    fn number(&mut self, name: &str, key: &[u8], min: i64, max: i64) -> Vec<u8> {
        let number = match name {
            // Of another lock's hold, sometimes.
            "token" => {
                let key = match self.dice.usize(..5) {
                    0 => one_of(self.dice, &KEYS).as_bytes(),
                    _ => key,
                };
                self.holds.0.get(key).map_or(7, |(_, token)| *token)
            }
            "ttl" => match self.dice.usize(..6) {
                // A session's lease may not be shorter than a second.
                0..=2 => self.dice.i64(1000..5000),
                3 => self.dice.i64(1..50),
                _ => self.dice.i64(60_000..600_000),
            },
            "timeout" => self.dice.i64(1..5),
            "linger" => self.dice.i64(0..50),
            _ => self.dice.i64(min..=max.min(4)),
        };
        number.to_string().into_bytes()
    }

    fn owner(&mut self, key: &[u8]) -> Vec<u8> {
        let holder = self.holds.0.get(key);
        match (self.dice.usize(..40), holder) {
            (20.., Some((owner, _))) => owner.clone(),
            (0, _) => vec![b'o'; 1024],
            (1, _) => [vec![0xff, 0], any_bytes(self.dice, 24)].concat(),
            _ => one_of(self.dice, &OWNERS).as_bytes().to_vec(),
        }
    }

    /// Something is wrong with it, or looks wrong.
    fn spoil(&mut self, words: &mut Vec<Vec<u8>>) {
        let at = self.dice.usize(1..=words.len());
        match self.dice.usize(..7) {
            0 => words.truncate(at),
            1 => words.insert(at, any_word(self.dice)),
            2 => words.extend_from_within(at..),
            3 => {
                let (min, max) = (self.dice.i64(0..2), self.dice.i64(1..i64::MAX));
                words.insert(at, any_number(self.dice, min, max));
            }
            // An option that contradicts another, or that another command has.
            4 => {
                let option = one_of(self.dice, &["HOLDS", "TOKEN", "LINGER", "WAIT", "COUNT"]);
                words.push(in_any_case(self.dice, option));
                words.push(any_number(self.dice, 0, 1 << 53));
            }
            5 => words.push(in_any_case(self.dice, "SESSION")),
            _ => {
                if let Some(word) = words.get_mut(at) {
                    *word = any_word(self.dice);
                }
            }
        }
    }
}

/// The name of a lock: one of a few, rarely another.
pub fn any_key(dice: &mut Rng) -> Vec<u8> {
    match dice.usize(..50) {
        0 => any_word(dice),
        _ => one_of(dice, &KEYS).as_bytes().to_vec(),
    }
}
