//! How a command is described to the server and, by `COMMAND DOCS`, to people.

use std::ffi::CStr;

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

/// An argument after the key, for `COMMAND DOCS`.
pub struct Argument {
    /// Its name.
    pub name: &'static CStr,
    /// The keyword before it, if it has one.
    pub token: Option<&'static CStr>,
    /// What its value is.
    pub kind: Kind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// The type of an argument's value.
pub enum Kind {
    /// Bytes.
    String,
    /// A whole number.
    Integer,
    /// None: the argument is its token alone.
    Word,
    /// Several arguments that come together.
    Block(&'static [Argument]),
}

/// Everything that describes a command.
pub struct Spec {
    /// The name, in lower case.
    pub name: &'static str,
    /// Its flags, as the server names them.
    pub flags: &'static CStr,
    /// The ACL categories, `lock` aside.
    pub categories: &'static CStr,
    /// The minimum number of arguments, with the name.
    pub min_args: u8,
    /// Whether that is also the maximum.
    pub fixed_args: bool,
    /// What it does to its key.
    pub access: Access,
    /// What it does, in one line.
    pub summary: &'static CStr,
    /// How its cost grows.
    pub complexity: &'static CStr,
    /// The arguments after the key.
    pub arguments: &'static [Argument],
}

/// The owner, in the form that most commands take.
pub const OWNER: Argument = Argument {
    name: c"owner",
    token: None,
    kind: Kind::String,
    optional: false,
};

/// The time to live, in ms.
pub const TTL: Argument = Argument {
    name: c"ttl",
    token: None,
    kind: Kind::Integer,
    optional: true,
};

/// `HOLDS n`.
pub const HOLDS: Argument = Argument {
    name: c"holds",
    token: Some(c"HOLDS"),
    kind: Kind::Integer,
    optional: true,
};

/// `WAIT timeout`, in ms.
pub const WAIT: Argument = Argument {
    name: c"timeout",
    token: Some(c"WAIT"),
    kind: Kind::Integer,
    optional: true,
};

/// `SESSION [LINGER linger]`, in ms.
pub const SESSION: Argument = Argument {
    name: c"session",
    token: None,
    kind: Kind::Block(&[
        Argument {
            name: c"session",
            token: Some(c"SESSION"),
            kind: Kind::Word,
            optional: false,
        },
        LINGER,
    ]),
    optional: true,
};

const LINGER: Argument = Argument {
    name: c"linger",
    token: Some(c"LINGER"),
    kind: Kind::Integer,
    optional: true,
};

/// `TOKEN token`.
pub const TOKEN: Argument = Argument {
    name: c"token",
    token: Some(c"TOKEN"),
    kind: Kind::Integer,
    optional: true,
};

/// `COUNT n`.
pub const COUNT: Argument = Argument {
    name: c"n",
    token: Some(c"COUNT"),
    kind: Kind::Integer,
    optional: true,
};
