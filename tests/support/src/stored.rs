//! What a server stores of a lock, seen by its own commands: they need no module.

use crate::{show, Client};
use redis::Value;
use std::collections::BTreeMap;

/// A hash with its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its fields.
    pub fields: BTreeMap<String, String>,
    /// When it expires, in Unix ms.
    pub deadline: Option<i64>,
}

impl Stored {
    /// The fencing token of a lock.
    pub fn token(&self) -> &str {
        let mode = &self.fields["mode"];
        let token = mode.strip_prefix("fenced:");
        token.unwrap_or_else(|| panic!("mode is {mode}"))
    }
}

impl Client {
    /// A hash with its expiry. An absent one has no fields.
    pub fn stored(&mut self, key: &str) -> Stored {
        let hgetall = format!("HGETALL {key}");
        loop {
            let (fields, deadline) = (self.ask(&hgetall), self.deadline(key));
            // It may have lapsed in between.
            if self.ask(&hgetall) == fields {
                let fields = redis::from_redis_value(fields).unwrap();
                return Stored { fields, deadline };
            }
        }
    }

    /// When a key expires, in Unix ms.
    pub fn deadline(&mut self, key: &str) -> Option<i64> {
        let at = self.int(&format!("PEXPIRETIME {key}"));
        (at >= 0).then_some(at)
    }

    /// The server's clock, in Unix ms. Asking for it touches no key.
    pub fn clock(&mut self) -> i64 {
        let (seconds, micros): (i64, i64) = redis::from_redis_value(self.ask("TIME")).unwrap();
        seconds * 1000 + micros / 1000
    }

    /// `owner holds token` as LOCK.INFO tells them, or `free`.
    pub fn holder(&mut self, lock: &str) -> String {
        let reply = self.ask(&format!("LOCK.INFO {lock}"));
        let Value::Array(values) = &reply else {
            assert_eq!(reply, Value::Nil, "{}", show(&reply));
            return "free".to_owned();
        };
        let info: BTreeMap<String, String> = values
            .chunks(2)
            .map(|pair| (show(&pair[0]), show(&pair[1])))
            .collect();
        format!("{} {} {}", info["owner"], info["holds"], info["token"])
    }
}
