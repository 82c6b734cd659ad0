//! Takes note of `CLIENT UNBLOCK`.
//!
//! In the same turn of the event loop in which a waiter was answered, but not told yet, the server
//! lets it go without a word to it, and does not say how: with TIMEOUT nobody has replied, with
//! ERROR the server has. So from the first wait on, a filter looks at the commands that come in.

use super::guard::guard;
use super::state::STATE;
use redis_module::raw::{RedisModuleCommandFilterCtx, RedisModuleCtx};
use std::collections::{BTreeMap, VecDeque};
use std::ptr::null_mut;

/// What is known of `CLIENT UNBLOCK` commands.
pub struct Unblocks {
    /// Whether the filter is there.
    watching: bool,
    /// The last ones that named clients which did not wait then. They may have been queued in
    /// MULTI, and be run when those clients wait.
    early: VecDeque<(u64, Said)>,
    /// The clients that wait, and what was last said of each.
    clients: BTreeMap<u64, Named>,
}

/// How many early ones are remembered.
const EARLY: usize = 256;

/// What was said of a client that waits.
#[derive(Clone, Copy, Default)]
struct Named {
    before: Option<Said>,
    meanwhile: Option<Said>,
}

/// What a command said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Timeout,
    Error,
}

/// How a client was let go.
pub enum Way {
    /// As if its time were up: it is still there, and the reply is ours to send.
    Timeout,
    /// So it seems; but it may be gone.
    PerhapsTimeout,
    /// By an error, which the server replied; or it is gone.
    Other,
}

impl Unblocks {
    /// Nothing.
    pub const fn new() -> Unblocks {
        Unblocks {
            watching: false,
            early: VecDeque::new(),
            clients: BTreeMap::new(),
        }
    }

    /// A client waits from now on.
    pub fn expect(&mut self, client: u64) {
        let early = self.early.iter().rev().find(|(id, _)| *id == client);
        let before = early.map(|(_, said)| *said);
        let meanwhile = None;
        self.clients.insert(client, Named { before, meanwhile });
    }

    /// It does no longer.
    pub fn forget(&mut self, client: u64) {
        self.clients.remove(&client);
        self.early.retain(|(id, _)| *id != client);
    }

    /// How a client that waits was let go.
    pub fn way(&self, client: u64) -> Way {
        let named = self.clients.get(&client).copied().unwrap_or_default();
        match (named.meanwhile, named.before) {
            (Some(Said::Timeout), _) => Way::Timeout,
            (None, Some(Said::Timeout)) => Way::PerhapsTimeout,
            _ => Way::Other,
        }
    }

    fn said(&mut self, client: u64, said: Said) {
        if let Some(named) = self.clients.get_mut(&client) {
            named.meanwhile = Some(said);
            return;
        }
        self.early.push_back((client, said));
        if self.early.len() > EARLY {
            self.early.pop_front();
        }
    }
}

/// Has every command looked at from now on.
pub fn watch(ctx: *mut RedisModuleCtx) {
    if STATE.with(|state| std::mem::replace(&mut state.waiting.unblocks.watching, true)) {
        return;
    }
    let register = api!(RedisModule_RegisterCommandFilter);
    // SAFETY: a callback for the life of the module.
    unsafe { register(ctx, Some(look), 0) };
}

extern "C" fn look(filter: *mut RedisModuleCommandFilterCtx) {
    guard(null_mut(), "a command filter", || {
        let count = api!(RedisModule_CommandFilterArgsCount);
        // SAFETY: the server lends the arguments for this call.
        let count = unsafe { count(filter) };
        if !(3..=4).contains(&count) || !is(filter, 0, b"client") || !is(filter, 1, b"unblock") {
            return;
        }
        let id = std::str::from_utf8(argument(filter, 2)).ok();
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            let said = match count == 4 && is(filter, 3, b"error") {
                true => Said::Error,
                false => Said::Timeout,
            };
            STATE.with(|state| state.waiting.unblocks.said(id, said));
        }
    });
}

fn is(filter: *mut RedisModuleCommandFilterCtx, at: i32, word: &[u8]) -> bool {
    argument(filter, at).eq_ignore_ascii_case(word)
}

fn argument<'a>(filter: *mut RedisModuleCommandFilterCtx, at: i32) -> &'a [u8] {
    let get = api!(RedisModule_CommandFilterArgGet);
    // SAFETY: the index is within the count.
    let argument = unsafe { get(filter, at) };
    // SAFETY: the server lends the argument for this call.
    unsafe { super::string::Str::new(argument) }.bytes()
}
