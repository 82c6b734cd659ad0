//! What the module keeps of the server's handles.

use crate::engine::{Answer, ClientId, Table, UserName, WaiterId, Watch};
use crate::module::ffi::gil::Gil;
use redis_module::raw::RedisModuleBlockedClient;
use std::collections::BTreeSet;
use std::ffi::c_int;

/// The handles; there is one such state per server.
pub static HOST: Gil<Host> = Gil::new(Host::new());

/// What the module keeps of the server's handles.
pub struct Host {
    /// The client of each waiter, until the server is done with it.
    pub blocked: Table<WaiterId, Blocked>,
    /// By the server's handle.
    pub ids: Table<Handle, WaiterId>,
    /// Waiters whose reply is recorded, and that the server will be asked to unblock at the end of this
    /// iteration of the event loop.
    pub to_deliver: BTreeSet<WaiterId>,
    /// Clients that are about to be closed.
    pub closing: BTreeSet<ClientId>,
    /// Which key events the engine asks for.
    pub watch: Watch,
    /// The classes of key events that are subscribed to.
    pub watched: c_int,
}

/// The server's handle of a blocked client.
pub type Handle = *mut RedisModuleBlockedClient;

/// A client that waits.
pub struct Blocked {
    /// The server's handle.
    pub handle: Handle,
    /// Its id.
    pub client: ClientId,
    /// Its user when it began to wait.
    pub user: Option<UserName>,
    /// Its reply, once it has left the queue.
    pub answer: Option<Answer>,
    /// Its reply was sent.
    pub is_delivered: bool,
    /// The server has unblocked it and was told to be done with it: the handle must not be used again.
    pub is_let_go: bool,
}

impl Host {
    /// Nobody waits.
    pub const fn new() -> Host {
        Host {
            blocked: Table::new(),
            ids: Table::new(),
            to_deliver: BTreeSet::new(),
            closing: BTreeSet::new(),
            watch: Watch::Nothing,
            watched: 0,
        }
    }

    /// Whether there is something to do at the end of this iteration of the event loop.
    pub fn has_to_deliver(&self) -> bool {
        !(self.to_deliver.is_empty() && self.closing.is_empty())
    }
}
