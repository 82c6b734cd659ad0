//! A connection that knows what it has to hear.

use super::calls::{line, pack};
use super::check;
use lock_test_support::{eventually, PATIENCE};
use redis::{Parser, Value};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// A wait that takes longer is ended by someone else.
const SOON: Duration = Duration::from_millis(5);

/// A connection, and what was agreed on it.
pub struct Client {
    socket: TcpStream,
    parser: Parser,
    port: u16,
    /// Its id.
    pub id: i64,
    /// Whether it speaks RESP3.
    pub resp3: bool,
    /// Its database.
    pub db: usize,
    /// Its user; none: the default one.
    pub user: Option<&'static str>,
    /// Whether the server tells it of keys that change.
    pub tracks: bool,
    echoes: u64,
}

impl Client {
    /// Connects.
    pub fn connect(port: u16) -> Client {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut client = Client {
            socket,
            parser: Parser::new(),
            port,
            id: 0,
            resp3: false,
            db: 0,
            user: None,
            tracks: false,
            echoes: 0,
        };
        let Value::Int(id) = client.ask("CLIENT ID") else {
            panic!("CLIENT ID replied no number")
        };
        client.id = id;
        client
    }

    /// Sends bytes. The server may have closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Sends a line, and waits for its reply.
    pub fn ask(&mut self, words: &str) -> Value {
        self.ask_words(&line(words))
    }

    /// Sends words, and waits for their reply.
    pub fn ask_words(&mut self, words: &[Vec<u8>]) -> Value {
        assert!(self.send(&pack(words)), "the connection has ended");
        self.reply(&mut |_| ())
            .unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// Waits for a reply; a wait of the server's that takes too long is ended by `unblock`. Messages that nobody asked
    /// for are checked, and passed over.
    pub fn reply(&mut self, unblock: &mut dyn FnMut(i64)) -> Result<Value, String> {
        loop {
            let patient = Patient {
                socket: &self.socket,
                late: &mut || unblock(self.id),
            };
            let value = self.parser.parse_value(patient).or_else(|error| {
                let text = error.to_string();
                let refusal = redis::ServerError::try_from(error);
                refusal.map(Value::ServerError).map_err(|_| text)
            })?;
            match value {
                Value::Push { kind, .. } if self.resp3 && self.tracks => {
                    if kind != redis::PushKind::Invalidate {
                        return Err(format!("a message {kind:?}"));
                    }
                }
                Value::Push { .. } => return Err(format!("unasked for: {value:?}")),
                value => return Ok(value),
            }
        }
    }

    /// Checks that there was no reply but those that were read.
    pub fn is_in_step(&mut self, unblock: &mut dyn FnMut(i64)) -> Result<(), String> {
        self.echoes += 1;
        let word = format!("echo-{}", self.echoes).into_bytes();
        if !self.send(&pack(&[b"ECHO".to_vec(), word.clone()])) {
            return Err("the connection has ended".to_owned());
        }
        match self.reply(unblock)? {
            Value::BulkString(echo) if echo == word => Ok(()),
            other => Err(format!("a reply too many: {other:?}")),
        }
    }

    /// Agrees on the protocol.
    pub fn speak(&mut self, resp3: bool) -> Result<(), String> {
        if resp3 == self.resp3 {
            return Ok(());
        }
        self.resp3 = resp3;
        self.tracks = false;
        let reply = self.ask(&format!("HELLO {}", 2 + u8::from(resp3)));
        check::any(&reply, resp3).map(|_| ())
    }

    /// Becomes another user.
    pub fn become_user(&mut self, user: Option<&'static str>) {
        if user != self.user {
            self.user = user;
            let reply = self.ask(&format!("AUTH {} secret", user.unwrap_or("default")));
            assert_eq!(reply, Value::Okay);
        }
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        if db != self.db {
            self.db = db;
            self.select_again();
        }
    }

    /// Selects its database, whichever the server takes for that.
    pub fn select_again(&mut self) {
        let select = format!("SELECT {}", self.db);
        assert_eq!(self.ask(&select), Value::Okay);
    }

    /// Sends no more, reads whatever comes until the server closes the connection too, and returns that.
    pub fn hang_up(self) -> Vec<u8> {
        let _ = self.socket.shutdown(Shutdown::Write);
        let (mut heard, socket) = (Vec::new(), &self.socket);
        let late = &mut || ();
        match (Patient { socket, late }).read_to_end(&mut heard) {
            Err(error) if is_timeout(&error) => panic!("the server does not close the connection"),
            _ => heard,
        }
    }

    /// Closes the connection at once, and waits until the server has noticed.
    pub fn leave(self, admin: &mut Client) {
        let list = format!("CLIENT LIST ID {}", self.id);
        drop(self);
        eventually(
            "the server has noticed",
            || matches!(admin.ask(&list), Value::BulkString(listed) if listed.is_empty()),
        );
    }

    /// A new connection instead of this one.
    pub fn again(&mut self) -> Client {
        let new = Client::connect(self.port);
        std::mem::replace(self, new)
    }
}

/// Reads for as long as it may take, and says each time that it takes long.
struct Patient<'a> {
    socket: &'a TcpStream,
    late: &'a mut dyn FnMut(),
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = Instant::now();
        loop {
            match self.socket.read(buffer) {
                Err(error) if is_timeout(&error) && start.elapsed() < PATIENCE => (self.late)(),
                read => return read,
            }
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
