//! The connection of a worker: checks that each call gets one reply, and comes back when it ends.

use super::registry::Registry;
use crate::support::{show, Client, Server};
use fastrand::Rng;
use redis::{ConnectionLike, Value};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

/// One connection at a time.
pub struct Line<'a> {
    /// The server that it goes to.
    pub server: &'a Server,
    registry: &'a Registry,
    /// Where the id of the connection is told.
    id: &'a AtomicI64,
    client: Client,
    owner: String,
    dice: Rng,
}

impl<'a> Line<'a> {
    /// Connects.
    pub fn new(
        server: &'a Server,
        registry: &'a Registry,
        id: &'a AtomicI64,
        owner: &str,
        dice: Rng,
    ) -> Line<'a> {
        let mut line = Line {
            server,
            registry,
            id,
            client: server.client(),
            owner: owner.to_owned(),
            dice,
        };
        line.tell_id();
        line
    }

    /// Sends a line and does not wait for the reply.
    pub fn forget(&mut self, line: &str) {
        self.client.forget(line);
        self.registry
            .note(&self.owner, &format!("{line} <- and goes away"));
    }

    /// Sends a line and returns its reply as text.
    pub fn call(&mut self, line: &str) -> Option<String> {
        self.value(line).map(|value| show(&value))
    }

    /// Sends a line and returns its reply. None where the connection has ended: then there is a
    /// new one.
    pub fn value(&mut self, line: &str) -> Option<Value> {
        let value = self.ask(line)?;
        // Had there been a second reply, this would read it.
        if self.dice.usize(..8) == 0 {
            let number = self.dice.usize(..1_000_000).to_string();
            if let Some(echo) = self.ask(&format!("ECHO {number}")) {
                if show(&echo) != number {
                    self.wrong(line, &format!("{}, and {}", show(&value), show(&echo)));
                }
            }
        }
        Some(value)
    }

    /// The same without a look for a second reply: for what stands in MULTI.
    pub fn ask(&mut self, line: &str) -> Option<Value> {
        let reply = self.ask_unnoted(line);
        let text = reply
            .as_ref()
            .map_or("nothing: the connection ended".to_owned(), show);
        self.registry
            .note(&self.owner, &format!("{line} -> {text}"));
        reply
    }

    fn ask_unnoted(&mut self, line: &str) -> Option<Value> {
        let mut cmd = redis::Cmd::new();
        line.split(' ').for_each(|word| {
            cmd.arg(word);
        });
        let number = self.id.load(SeqCst);
        self.registry
            .note(&self.owner, &format!("{line} <- {number}"));
        let error = match self.client.raw.req_command(&cmd) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if error.is_timeout() {
            self.wrong(line, "nothing");
        }
        match redis::ServerError::try_from(error) {
            Ok(error) => Some(Value::ServerError(error)),
            Err(_) => {
                self.connect();
                None
            }
        }
    }

    /// Ends the connection, and makes a new one.
    fn connect(&mut self) {
        if self.registry.has_failed() {
            // The server is gone, and nobody has to hear of that.
            resume_unwind(Box::new(()));
        }
        self.client = self.server.client();
        self.tell_id();
    }

    /// Ends the connection, makes a new one, and waits until the server has noticed: on a busy machine
    /// what is sent on the new one may be there before the end of the old one.
    pub fn come_back(&mut self) {
        let list = format!("CLIENT LIST ID {}", self.id.load(SeqCst));
        self.connect();
        while self.call(&list).is_none_or(|listed| !listed.is_empty()) {}
    }

    fn tell_id(&mut self) {
        // It may be killed before it is known.
        let id = self
            .client
            .raw
            .req_command(&redis::cmd("CLIENT").arg("ID").clone());
        if let Ok(Value::Int(id)) = id {
            self.id.store(id, SeqCst);
        }
    }

    /// Ends the soak: that was no right answer.
    pub fn wrong(&self, line: &str, reply: &str) {
        self.registry.fail(
            &format!(" {}: ", self.owner),
            format!("{line} was answered {reply}"),
        );
    }
}
