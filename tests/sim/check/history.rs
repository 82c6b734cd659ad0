//! What happened, in order: what clients sent and heard, and what is known of the servers beside.

/// Microseconds on the true time line.
pub type Us = i64;

/// A client process that holds locks under one owner's name.
pub type Owner = u32;
/// A lock.
pub type Lock = u8;
/// A server.
pub type Server = u8;
/// A connection.
pub type Conn = u32;
/// A call, numbered as sent.
pub type Call = u32;

/// What a client asks for. Times are in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Acquire {
        ttl: i64,
        wait: Option<i64>,
        /// The linger of a session.
        session: Option<i64>,
        holds: Option<u32>,
        token: Option<i64>,
    },
    Renew {
        ttl: i64,
        token: Option<i64>,
    },
    Assert {
        token: Option<i64>,
    },
    Release {
        holds: Option<u32>,
        token: Option<i64>,
    },
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To ACQUIRE and RENEW. Holds of 0: the owner does not hold the lock.
    Grant {
        holds: u32,
        token: i64,
        ttl: i64,
    },
    /// To RELEASE.
    Left(i64),
    Ok,
    /// The code of an error.
    Error(Box<str>),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Us,
    pub what: What,
}

/// What happened. The first group is what clients know; the rest is known in a simulation, and may be missing
/// elsewhere: then what depends on it is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
// No history has all of these: what takes locks away in a simulation is known exactly.
#[allow(dead_code)]
pub enum What {
    /// A client sent a call.
    Sent {
        call: Call,
        owner: Owner,
        conn: Conn,
        server: Server,
        lock: Lock,
        op: Op,
    },
    /// What it sent has reached the server's socket.
    Written { call: Call },
    /// It was answered, and knows.
    Heard { call: Call, reply: Reply },
    /// A client knows that its connection is closed: by itself, or by the server.
    Closed { conn: Conn, by_client: bool },
    /// The process is gone.
    Died { owner: Owner },

    /// The server began to let a call wait, at most until then.
    Waits { call: Call, until: Option<Us> },
    /// By now the server certainly lets a call wait, or has answered it.
    IsWaiting { call: Call },
    /// The server decided the reply to a call.
    Answered { call: Call, reply: Reply },
    /// The server closes a connection; its client learns of it a little later.
    Dropped { conn: Conn },
    /// The server noticed that a connection is closed.
    Gone { conn: Conn },
    /// A call left its queue without a reply.
    LeftQueue { call: Call },
    /// The server wrote a hold's deadline: its lease ends then.
    Lease { lock: Lock, token: i64, until: Us },
    /// Others deleted a lock that was held with this token.
    Deleted {
        server: Server,
        lock: Lock,
        token: i64,
    },
    /// The user of an owner may acquire locks from now on, or may not.
    Rights { owner: Owner, may: bool },
    /// The server's process began anew.
    Started { server: Server },
    /// The server's role changed.
    Role { server: Server, master: bool },
    /// What may lose locks begins: a flush, an eviction, a step of a clock. What was believed of them, and what was
    /// asked for before the end of it, is not promised.
    MayLose,
    /// It is over.
    Keeps,
    /// The event loop of a server stands still from now until then.
    StoodStill { server: Server, until: Us },
    /// A fault, in words, for those who read a history.
    Fault(String),

    /// A lock was free for so long, while calls waited for it and the server could have granted it.
    FreeWhileWaitedFor { server: Server, lock: Lock, us: Us },
    /// A lock is still held with a token that no client was told, though it is known that none will be.
    OwnedByNobody {
        server: Server,
        lock: Lock,
        token: i64,
    },
    /// A lock, session or waiter is left though all clients are gone and all leases are over.
    LeftOver { server: Server, text: String },
    /// Data that should be equal is not.
    Differs { server: Server, text: String },
    /// All is quiet: every call that can be answered has been.
    Quiet,
}
