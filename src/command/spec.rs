//! How a command is described: to the parser of its arguments, to the server, and by `COMMAND DOCS` to people.

use super::error::Error;
use super::reply::Reply;
use crate::engine::{Server, Step, MAX_WAITERS};
use crate::lock::{Token, MAX_HOLDS, MAX_TTL};

/// A command: its description, and what it does.
pub trait Command {
    /// Its name, flags, arguments and documentation.
    const SPEC: Spec;

    /// The minimum number of arguments, with the name.
    const MIN_ARGS: usize = Self::SPEC.min_args();

    /// Whether that is also the maximum.
    const HAS_FIXED_ARGS: bool = Self::SPEC.has_fixed_args();

    /// Runs it. `args` starts with the command's name; there are as many as the description allows.
    ///
    /// # Errors
    /// The error reply. Nothing was changed then.
    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error>;
}

/// What a command does to its key, which is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It has none.
    NoKey,
    /// Only reads it.
    Read,
    /// Reads it, and creates or changes it.
    Update,
    /// Reads it, and changes or deletes it.
    Release,
}

/// An argument after the key.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// The keyword before it, if it has one.
    pub token: Option<&'static str>,
    /// What its value is.
    pub kind: Kind,
    /// Where the parser puts its value.
    pub(super) slot: Slot,
    /// Whether it may be left out.
    pub optional: bool,
}

/// Where the parser puts a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Owner,
    Ttl,
    Holds,
    Token,
    Wait,
    /// A block: each of its arguments has its own.
    None,
    Session,
    Linger,
    Count,
}

/// The type of an argument's value.
#[derive(Debug)]
pub enum Kind {
    /// Bytes.
    String,
    /// A whole number, and its range.
    Integer(i64, i64),
    /// None: the argument is its token alone.
    Word,
    /// Several arguments that come together.
    Block(&'static [Argument]),
}

/// Everything that describes a command.
#[derive(Debug)]
pub struct Spec {
    /// The name, in lower case.
    pub name: &'static str,
    /// Its flags, as the server names them.
    pub flags: &'static str,
    /// The ACL categories, `lock` aside.
    pub categories: &'static str,
    /// What it does to its key.
    pub access: Access,
    /// What it does, in one line.
    pub summary: &'static str,
    /// How its cost grows.
    pub complexity: &'static str,
    /// The arguments after the key.
    pub arguments: &'static [Argument],
}

impl Spec {
    /// The minimum number of arguments, with the name.
    pub const fn min_args(&self) -> usize {
        let mut count = 1 + self.has_key() as usize;
        let mut at = 0;
        while at < self.arguments.len() {
            count += !self.arguments[at].optional as usize;
            at += 1;
        }
        count
    }

    /// Whether that is also the maximum.
    pub const fn has_fixed_args(&self) -> bool {
        self.min_args() == 1 + self.has_key() as usize + self.arguments.len()
    }

    /// Whether its first argument is a key.
    pub const fn has_key(&self) -> bool {
        !matches!(self.access, Access::NoKey)
    }

    /// Whether it may write.
    pub fn writes(&self) -> bool {
        matches!(self.access, Access::Update | Access::Release)
    }
}

/// The owner, in the form that most commands take.
pub const OWNER: Argument = Argument {
    name: "owner",
    token: None,
    kind: Kind::String,
    slot: Slot::Owner,
    optional: false,
};

/// The time to live, in ms.
pub const TTL: Argument = Argument {
    name: "ttl",
    token: None,
    kind: Kind::Integer(1, MAX_TTL.0),
    slot: Slot::Ttl,
    optional: true,
};

/// `HOLDS n`, with the minimum of n.
pub const fn holds(min: i64) -> Argument {
    Argument {
        name: "holds",
        token: Some("HOLDS"),
        kind: Kind::Integer(min, MAX_HOLDS as i64),
        slot: Slot::Holds,
        optional: true,
    }
}

/// `WAIT timeout`, in ms.
pub const WAIT: Argument = Argument {
    name: "timeout",
    token: Some("WAIT"),
    kind: Kind::Integer(0, MAX_TTL.0),
    slot: Slot::Wait,
    optional: true,
};

/// `SESSION [LINGER linger]`, in ms.
pub const SESSION: Argument = Argument {
    name: "session",
    token: None,
    kind: Kind::Block(&[
        Argument {
            name: "session",
            token: Some("SESSION"),
            kind: Kind::Word,
            slot: Slot::Session,
            optional: false,
        },
        Argument {
            name: "linger",
            token: Some("LINGER"),
            kind: Kind::Integer(0, MAX_TTL.0),
            slot: Slot::Linger,
            optional: true,
        },
    ]),
    slot: Slot::None,
    optional: true,
};

/// `TOKEN token`.
pub const TOKEN: Argument = Argument {
    name: "token",
    token: Some("TOKEN"),
    kind: Kind::Integer(1, Token::MAX),
    slot: Slot::Token,
    optional: true,
};

/// `COUNT n`. There are no more queues than waiters.
pub const COUNT: Argument = Argument {
    name: "n",
    token: Some("COUNT"),
    kind: Kind::Integer(1, MAX_WAITERS),
    slot: Slot::Count,
    optional: true,
};
