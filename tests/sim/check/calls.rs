//! Each call is answered exactly once; and what is left, or differs, at the end.

use super::{call_of, Check, Conn, Entry, Kind, Sent, Us, Violation, What};

#[derive(Default)]
pub struct Calls {
    answered: Vec<bool>,
    heard: Vec<bool>,
    closed: Vec<Conn>,
}

fn set(list: &mut Vec<bool>, at: usize) -> bool {
    if list.len() <= at {
        list.resize(at + 1, false);
    }
    std::mem::replace(&mut list[at], true)
}

impl Calls {
    fn once(at: Us, was_before: bool, call: u32, found: &mut Vec<Violation>) {
        if was_before {
            found.push(Violation {
                at,
                kind: Kind::AnsweredTwice,
                text: format!("call {call} is answered twice"),
            });
        }
    }

    fn quiet(&self, at: Us, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        for call in 0..sent.len() {
            let Some(it) = call_of(sent, call as u32) else {
                continue;
            };
            let heard = self.heard.get(call).copied().unwrap_or_default();
            if !heard && !self.closed.contains(&it.conn) {
                found.push(Violation {
                    at,
                    kind: Kind::NotAnswered,
                    text: format!(
                        "call {call} of owner {} is not answered: {:?}",
                        it.owner, it.op
                    ),
                });
            }
        }
    }
}

impl Check for Calls {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        let (at, kind, text) = match &entry.what {
            What::Answered { call, .. } => {
                let before = set(&mut self.answered, *call as usize);
                return Calls::once(entry.at, before, *call, found);
            }
            What::Heard { call, .. } => {
                let before = set(&mut self.heard, *call as usize);
                return Calls::once(entry.at, before, *call, found);
            }
            What::Closed { conn, .. } => return self.closed.push(*conn),
            What::Quiet => return self.quiet(entry.at, sent, found),
            What::LeftOver { server, text } => (
                entry.at,
                Kind::LeftOver,
                format!("on server {server}: {text}"),
            ),
            What::OwnedByNobody {
                server,
                lock,
                token,
            } => {
                let text = format!("lock {lock} of server {server} is held with token {token}, but nobody was told");
                (entry.at, Kind::OwnedByNobody, text)
            }
            What::Differs { server, text } => (
                entry.at,
                Kind::Differs,
                format!("on server {server}: {text}"),
            ),
            _ => return,
        };
        found.push(Violation { at, kind, text });
    }
}
