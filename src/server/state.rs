//! The module's state between two calls.

use super::deadlocks::Effort;
use super::gil::Gil;
use super::string::{OwnedStr, Str};
use super::turn::Turn;
use super::wait::Waiting;
use crate::command::Counters;
use crate::grace::Grace;
use crate::lock::{Tokens, MODE_FIELD};
use crate::queue::Times;
use crate::session::Sessions;
use crate::settings::Settings;

/// The state; there is one per server.
pub struct State {
    /// The source of fencing tokens.
    pub tokens: Tokens,
    /// Event counts.
    pub counters: Counters,
    /// The present settings.
    pub settings: Settings,
    /// Whether the server runs in cluster mode, which never changes.
    pub cluster: bool,
    /// Whether the server is a master, by its last role event.
    pub master: bool,
    /// Strings that many calls need, made once.
    pub words: Option<Words>,
    /// How long waits took, since the module was loaded.
    pub times: Option<Times>,
    /// Who waits.
    pub waiting: Waiting,
    /// What the current command may still do about cycles of waits.
    pub effort: Effort,
    /// The iterations of the server's event loop.
    pub turn: Turn,
    /// Whether no free lock is granted for now.
    pub grace: Grace,
    /// Holds that are bound to connections.
    pub sessions: Sessions,
    /// The channel prefix as `CONFIG GET` last returned it: the server borrows it.
    pub prefix_shown: Option<OwnedStr>,
}

impl State {
    /// Whether a waiter or session would be affected by a slot that moves away.
    pub fn has_slots_to_look_at(&self) -> bool {
        self.cluster && !(self.waiting.lines.is_empty() && self.sessions.is_empty())
    }
}

/// The state.
pub static STATE: Gil<State> = Gil::new(State {
    tokens: Tokens::new(),
    counters: Counters::new(),
    settings: Settings::new(),
    cluster: false,
    master: true,
    words: None,
    times: None,
    waiting: Waiting::new(),
    effort: Effort::full(),
    turn: Turn::new(),
    grace: Grace::new(),
    sessions: Sessions::new(),
    prefix_shown: None,
});

/// Server strings that are made once, and not for each call.
#[derive(Clone, Copy)]
pub struct Words {
    /// The field of the fence.
    pub mode_field: Str<'static>,
    /// `0`: the message that a lock is free.
    pub zero: Str<'static>,
    /// `1`: the count of a new hold.
    pub one: Str<'static>,
    /// The command whose rights are checked again.
    pub acquire: Str<'static>,
}

impl Words {
    /// Makes them. They last until they are freed.
    pub fn new() -> Words {
        Words {
            mode_field: OwnedStr::new(MODE_FIELD).leak(),
            zero: OwnedStr::new(b"0").leak(),
            one: OwnedStr::new(b"1").leak(),
            acquire: OwnedStr::new(b"LOCK.ACQUIRE").leak(),
        }
    }

    /// Frees them, when the module is unloaded.
    pub fn free(self) {
        for word in [self.mode_field, self.zero, self.one, self.acquire] {
            drop(OwnedStr::of(word.raw()));
        }
    }
}
