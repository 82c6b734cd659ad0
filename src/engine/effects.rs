//! What is to be done once an event was noted or a step is over. Who carries it out has no access to the engine: the
//! server may call the module again then.

use super::port::ClientId;
use super::wait::WaiterId;
use crate::lock::{push_channel, Grant};

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A call that waited has its reply. It is delivered when the commands of this iteration of the event loop
    /// are done; the host reports whether that succeeded ([`super::Event::Delivered`]).
    Deliver(WaiterId, Answer),
    /// The client's connection is closed in the next iteration of the event loop, so that it still gets the
    /// replies of this one.
    Close(ClientId),
    /// Key events have to be reported from now on.
    Watch(Watch),
    /// The message `0` is published: the lock may be asked for again.
    Publish(Message),
    /// A warning is logged.
    Warn(String),
}

/// The reply to a call that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Four integers. Holds of 0: the timeout has passed.
    Grant(Grant),
    /// An error.
    Error(String),
}

/// Which key events have to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watch {
    /// None.
    Nothing,
    /// Those by which a lock becomes free or gets another holder.
    Frees,
    /// Those of every change.
    Changes,
}

/// An unlock message: where its channel's name is in [`Effects::channel`], and how it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    start: usize,
    end: usize,
    /// By `SPUBLISH`.
    pub sharded: bool,
    /// Whether the cluster's bus carries it to the replicas. Otherwise they have to get it as a command.
    pub by_bus: bool,
}

/// The effects of one event, in order. It is used again for the next event, so that it does not allocate.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    channels: Vec<u8>,
}

impl Effects {
    /// None.
    pub const fn new() -> Effects {
        Effects {
            list: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Adds one.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Adds the unlock message of a lock.
    pub fn publish(&mut self, prefix: &[u8], name: &[u8], sharded: bool, by_bus: bool) {
        let start = self.channels.len();
        push_channel(&mut self.channels, prefix, name);
        let end = self.channels.len();
        self.push(Effect::Publish(Message {
            start,
            end,
            sharded,
            by_bus,
        }));
    }

    /// Has these connections closed.
    pub fn close_all(&mut self, clients: impl Iterator<Item = ClientId>) {
        self.list.extend(clients.map(Effect::Close));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The effects.
    pub fn list(&self) -> &[Effect] {
        &self.list
    }

    /// The name of a message's channel.
    pub fn channel(&self, message: &Message) -> &[u8] {
        &self.channels[message.start..message.end]
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.list.clear();
        self.channels.clear();
    }
}
