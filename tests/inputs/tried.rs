//! What was tried, and what of it was reached. A client that only finds wrong arguments finds nothing else.

use super::calls::Call;
use super::check::{Outcome, CODES};
use super::specs::specs;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// What a run has tried.
#[derive(Debug, Default)]
pub struct Tried {
    /// Where it was drawn from: the same seed gives the same choices, though not their timing.
    pub seed: u64,
    /// How many calls were sent.
    pub calls: u64,
    /// How many keys were given something else to hold.
    pub planted: u64,
    /// How many connections ended in the middle of a call.
    pub cut: u64,
    /// How often a lock was looked at before and after calls that may change nothing.
    pub compared: u64,
    /// How often each act was played.
    pub acts: BTreeMap<&'static str, u64>,
    /// Of each command: how many calls were served, and how many were refused.
    pub commands: BTreeMap<&'static str, [u64; 2]>,
    /// How many errors had which code.
    pub codes: BTreeMap<String, u64>,
}

impl Tried {
    /// One that begins.
    pub fn new(seed: u64) -> Tried {
        let none = |name: &'static str| (name, [0; 2]);
        Tried {
            seed,
            commands: specs().iter().map(|spec| none(spec.name)).collect(),
            codes: CODES.iter().map(|code| ((*code).to_owned(), 0)).collect(),
            ..Tried::default()
        }
    }

    /// How many inputs there were: calls, planted values and broken ones.
    pub fn inputs(&self) -> u64 {
        self.calls + self.planted + self.cut
    }

    /// A call got this reply.
    pub fn note(&mut self, call: &Call, outcome: &Outcome) {
        let is_refused = matches!(outcome, Outcome::Refused(_));
        let of_command = self.commands.entry(call.spec.name).or_default();
        of_command[usize::from(is_refused)] += 1;
    }

    /// An error had this code.
    pub fn note_code(&mut self, code: &str) {
        *self.codes.entry(code.to_owned()).or_default() += 1;
    }

    /// Fails unless every command was served and refused, and every code was replied.
    pub fn check(&self) {
        for (name, [served, refused]) in &self.commands {
            assert!(*served > 0, "no call of {name} was served: {self}");
            assert!(*refused > 0, "no call of {name} was refused: {self}");
        }
        for (code, count) in &self.codes {
            assert!(*count > 0, "no call was answered by {code}: {self}");
        }
    }
}

impl Display for Tried {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let (planted, cut) = (self.planted, self.cut);
        write!(f, "{} inputs: {} calls, ", self.inputs(), self.calls)?;
        write!(f, "{planted} values planted, {cut} connections cut; ")?;
        write!(
            f,
            "{} times compared; acts {:?}; ",
            self.compared, self.acts
        )?;
        write!(f, "served and refused {:?}; ", self.commands)?;
        write!(f, "errors {:?}; seed {}", self.codes, self.seed)
    }
}
