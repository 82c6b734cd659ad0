//! What a fuzzer chooses.

use bolero::TypeGenerator;

/// Some calls, and perhaps something else that happens then.
#[derive(Debug, TypeGenerator)]
pub struct Act {
    /// The calls.
    pub calls: [Call; 4],
    /// For how many ms the clocks go on before each of them.
    pub pause: u8,
    /// What else happens, if [`Act::is_upset`].
    pub upset: Upset,
    often: u8,
}

impl Act {
    /// Mostly nothing else happens: locks have to be taken before something can happen to them.
    pub fn is_upset(&self) -> bool {
        self.often.is_multiple_of(4)
    }

    /// What had happened to the server is mended before.
    pub fn is_mended(&self) -> bool {
        self.often % 4 == 1
    }
}

/// A client calls a command.
#[derive(Debug, TypeGenerator)]
pub struct Call {
    /// Which client.
    pub client: u8,
    /// Which command.
    pub command: u8,
    /// Which key.
    pub key: u8,
    /// Which owner.
    pub owner: u8,
    /// What follows, as it should be.
    pub options: (Option<u16>, Option<Piece>, Option<Piece>),
    /// Any words instead of some of that: how many are left out, and what comes then.
    pub wild: Wild,
}

/// Words without a form.
#[derive(Debug, TypeGenerator)]
pub enum Wild {
    /// None.
    No,
    /// None.
    Neither,
    /// None.
    Nor,
    /// These.
    Words(u8, Vec<Word>),
}

/// An option.
#[derive(Debug, TypeGenerator)]
pub enum Piece {
    /// `HOLDS n`.
    Holds(u8),
    /// `TOKEN` with the token of a hold that was granted.
    Token(u8),
    /// `WAIT ms`.
    Wait(u16),
    /// `SESSION`.
    Session,
    /// `SESSION LINGER ms`.
    Linger(u16),
    /// `COUNT n`.
    Count(u8),
    /// One word.
    Any(Word),
}

/// Something that happens.
#[derive(Debug, TypeGenerator)]
pub enum Upset {
    /// Others write a hash, or something else, into a key.
    Plant {
        /// Which key.
        key: u8,
        /// The fields; none: it is no hash.
        fields: Option<Vec<(Word, Word)>>,
        /// When it expires, in ms from now, or from a second ago; 0: never.
        expires: u16,
    },
    /// Others delete a key.
    Delete {
        /// Which key.
        key: u8,
    },
    /// The clocks go on, in ms; the wall clock may be set back.
    Pass {
        /// For how long.
        ms: u16,
        /// By how much the wall clock is set besides.
        set: i16,
    },
    /// A connection closes.
    Close {
        /// Which client.
        client: u8,
    },
    /// The server becomes a master, or a replica.
    Role {
        /// A replica if this is 0 to 63, else a master.
        master: u8,
    },
    /// The server's process has started.
    Start,
    /// What the server lets the module do.
    Allow {
        /// It writes nothing; if this is 0 to 63, as are the others.
        no_write: u8,
        /// It does not write to one key, this one.
        key: u8,
        /// It does not block.
        no_block: u8,
        /// Grants do not reach their clients.
        no_delivery: u8,
    },
    /// Settings: times in ms, and how many may wait.
    Set {
        /// `lock.max-ttl`.
        max_ttl: u16,
        /// `lock.grace-period`.
        grace: u16,
        /// `lock.max-hold`.
        max_hold: u16,
        /// `lock.max-waiters`.
        max_waiters: u8,
    },
}

/// A word of a call, or a field or value of a hash.
#[derive(Debug, TypeGenerator)]
pub enum Word {
    /// One that means something, or nearly.
    Known(u8),
    /// A number.
    Number(i64),
    /// A number that fits.
    Small(u16),
    /// Any bytes.
    Bytes(Vec<u8>),
    /// One byte, as often as an owner may be long, and once more.
    Long(u8, bool),
}

const KNOWN: [&[u8]; 30] = [
    b"HOLDS",
    b"holds",
    b"TOKEN",
    b"tOkEn",
    b"SESSION",
    b"LINGER",
    b"WAIT",
    b"COUNT",
    b"0",
    b"1",
    b"2",
    b"-1",
    b"01",
    b"5000",
    b"2147483647",
    b"2147483648",
    b"9007199254740990",
    b"9007199254740991",
    b"9007199254740992",
    b"9223372036854775808",
    b"1e3",
    b"",
    b"\0",
    b"%s%n",
    b"\r\n-ERR forged\r\n",
    b"mode",
    b"fenced:7",
    b"fenced:5000000000:5",
    b"fenced:9007199254740990",
    b"fenced:",
];

impl Word {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Word::Known(number) => KNOWN[usize::from(*number) % KNOWN.len()].to_vec(),
            Word::Number(number) => number.to_string().into_bytes(),
            Word::Small(number) => number.to_string().into_bytes(),
            Word::Bytes(bytes) => bytes.clone(),
            Word::Long(byte, over) => vec![*byte; 1024 + usize::from(*over)],
        }
    }
}

/// One of a few keys.
pub fn key(number: u8) -> &'static [u8] {
    [b"a".as_slice(), b"b", b"{a}b"][usize::from(number) % 3]
}

/// One of a few owners.
pub fn owner(number: u8) -> &'static [u8] {
    [b"me".as_slice(), b"you", b"\xff\0"][usize::from(number) % 3]
}
