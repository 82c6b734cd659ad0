//! A connection that listens to channels.

use crate::{show, Server, PATIENCE};
use redis::{Parser, Value};
use std::io::Write;
use std::net::TcpStream;

/// A subscriber.
pub struct Listener {
    socket: TcpStream,
    parser: Parser,
}

impl Listener {
    /// Listens to a channel.
    pub fn subscribe(server: &Server, channel: &str) -> Listener {
        Listener::open(server, "SUBSCRIBE", channel)
    }

    /// Listens to all channels that fit a pattern.
    pub fn psubscribe(server: &Server, pattern: &str) -> Listener {
        Listener::open(server, "PSUBSCRIBE", pattern)
    }

    /// Listens to a sharded channel.
    pub fn ssubscribe(server: &Server, channel: &str) -> Listener {
        Listener::open(server, "SSUBSCRIBE", channel)
    }

    fn open(server: &Server, how: &str, channel: &str) -> Listener {
        let socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut listener = Listener {
            socket,
            parser: Parser::new(),
        };
        listener.send(&format!("{how} {channel}"));
        let wanted = format!("[{} {channel} 1]", how.to_lowercase());
        assert_eq!(listener.read(), wanted);
        listener
    }

    fn send(&mut self, line: &str) {
        self.socket
            .write_all(format!("{line}\r\n").as_bytes())
            .unwrap();
    }

    fn read(&mut self) -> String {
        show(&self.read_value())
    }

    fn read_value(&mut self) -> Value {
        let value = self.parser.parse_value(&mut self.socket);
        value.unwrap_or_else(|error| panic!("no message came: {error}"))
    }

    /// The next message, and the channel that it came on.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> (String, String) {
        let value = self.read_value();
        let Value::Array(parts) = &value else {
            panic!("not a message: {}", show(&value))
        };
        match parts.as_slice() {
            // A pattern's message names the pattern first.
            [kind, .., channel, message] if show(kind).ends_with("message") => {
                (show(channel), show(message))
            }
            _ => panic!("not a message: {}", show(&value)),
        }
    }

    /// Checks that no message came from what this server has replied to already: it answers a
    /// PING on this connection first.
    pub fn assert_quiet(&mut self) {
        self.send("PING");
        assert_eq!(self.read(), "[pong ]", "a message came");
    }
}
