//! A connection on which a test types commands and reads replies as text.

use crate::PATIENCE;
use redis::{Cmd, ConnectionLike, Value};

/// A connection.
pub struct Client {
    /// The library's connection, for what the short forms below do not do.
    pub raw: redis::Connection,
}

impl Client {
    /// Connects.
    pub fn new(url: &str) -> Client {
        let raw = redis::Client::open(url).unwrap().get_connection().unwrap();
        raw.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { raw }
    }

    /// Sends a line of words, and returns the reply as [`show`] writes it.
    pub fn run(&mut self, line: &str) -> String {
        show(&self.ask(line))
    }

    /// Sends a line of words.
    pub fn ask(&mut self, line: &str) -> Value {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.send(&words)
    }

    /// Sends lines in one packet: the server runs them in one iteration of its event loop. Returns
    /// their replies as [`show`] writes them.
    pub fn at_once<Line: AsRef<str>>(&mut self, lines: &[Line]) -> Vec<String> {
        let mut packet = Vec::new();
        for line in lines {
            let words: Vec<&[u8]> = line
                .as_ref()
                .split_whitespace()
                .map(str::as_bytes)
                .collect();
            packet.extend(command(&words).get_packed_command());
        }
        self.raw.send_packed_command(&packet).unwrap();
        let mut reply = || match self.raw.recv_response() {
            Ok(value) => show(&value),
            Err(error) => match redis::ServerError::try_from(error) {
                Ok(error) => show(&Value::ServerError(error)),
                Err(error) => panic!("{error}"),
            },
        };
        lines.iter().map(|_| reply()).collect()
    }

    /// Sends words of any bytes.
    pub fn send(&mut self, words: &[&[u8]]) -> Value {
        match self.raw.req_command(&command(words)) {
            Ok(value) => value,
            Err(error) => match redis::ServerError::try_from(error) {
                Ok(error) => Value::ServerError(error),
                Err(error) => panic!("{error}"),
            },
        }
    }

    /// Sends words of any bytes, and returns the reply as [`show`] writes it.
    pub fn say(&mut self, words: &[&[u8]]) -> String {
        show(&self.send(words))
    }

    /// Sends a line and reads no reply.
    pub fn forget(&mut self, line: &str) {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        let _ = self
            .raw
            .send_packed_command(&command(&words).get_packed_command());
    }

    /// Sends a line whose reply is four integers, as LOCK.ACQUIRE's and LOCK.RENEW's.
    pub fn grant(&mut self, line: &str) -> [i64; 4] {
        let reply = self.ask(line);
        redis::from_redis_value(reply.clone())
            .unwrap_or_else(|_| panic!("{line} replied {}", show(&reply)))
    }

    /// Sends a line whose reply is an integer.
    pub fn int(&mut self, line: &str) -> i64 {
        let reply = self.ask(line);
        redis::from_redis_value(reply.clone())
            .unwrap_or_else(|_| panic!("{line} replied {}", show(&reply)))
    }

    /// A field of a section of INFO.
    pub fn info(&mut self, section: &str, field: &str) -> Option<String> {
        let text = self.run(&format!("INFO {section}"));
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.map(str::to_owned)
    }

    /// A number of the section `lock` of INFO.
    pub fn counter(&mut self, name: &str) -> u64 {
        let value = self.info("lock", &format!("lock_{name}"));
        value
            .unwrap_or_else(|| panic!("INFO lock has no {name}"))
            .parse()
            .unwrap()
    }

    /// How often the server has run a command.
    pub fn calls(&mut self, command: &str) -> u64 {
        let stats = self.info("commandstats", &format!("cmdstat_{command}"));
        stats.map_or(0, |stats| {
            let calls = stats
                .split(',')
                .next()
                .unwrap()
                .trim_start_matches("calls=");
            calls.parse().unwrap()
        })
    }

    /// Whether the server has this command.
    pub fn has(&mut self, name: &str) -> bool {
        self.run(&format!("COMMAND INFO {name}")) != "[nil]"
    }
}

fn command(words: &[&[u8]]) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words {
        cmd.arg(*word);
    }
    cmd
}

/// A reply on one line: integers and strings as they are, `nil`, `[a b]`, `{a: b}`, and errors by
/// their text.
pub fn show(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(show).collect::<Vec<_>>().join(" ");
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::VerbatimString { text, .. } => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Array(values) | Value::Set(values) => format!("[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(k, v)| format!("{}: {}", show(k), show(v)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::ServerError(error) => match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        },
        other => format!("{other:?}"),
    }
}
