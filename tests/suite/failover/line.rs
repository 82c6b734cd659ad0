//! A connection that may end at any time, and what its replies say.

use crate::support::show;
use redis::{Cmd, Parser, ServerError, Value};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a reply may take: no wait of a worker is as long.
const REPLY: Duration = Duration::from_secs(30);

/// A connection.
pub struct Line {
    stream: TcpStream,
    parser: Parser,
}

impl Line {
    /// Connects, if someone listens there.
    pub fn to(port: u16) -> Option<Line> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(REPLY)).unwrap();
        Some(Line {
            stream,
            parser: Parser::new(),
        })
    }

    /// Sends a line, and reads the reply; none where the connection ends instead.
    pub fn call(&mut self, line: &str) -> Option<String> {
        let mut cmd = Cmd::new();
        line.split_whitespace().for_each(|word| {
            cmd.arg(word);
        });
        self.stream.write_all(&cmd.get_packed_command()).ok()?;
        match self.parser.parse_value(&mut self.stream) {
            Ok(value) => Some(show(&value)),
            Err(error) => {
                let error = ServerError::try_from(error).ok()?;
                Some(show(&Value::ServerError(error)))
            }
        }
    }
}

/// When a lease may be over that was asked for at that moment. The server reckons in whole
/// milliseconds of its clock, one of which may have begun long ago.
pub fn end(sent: Instant, ttl: u64) -> Instant {
    sent + Duration::from_millis(ttl.saturating_sub(1))
}

/// Whether the server says that another one is the master.
pub fn is_elsewhere(reply: &str) -> bool {
    reply.starts_with("READONLY") || reply.starts_with("MOVED")
}

/// The count, the token and the ttl of a reply that grants or confirms a hold.
pub fn granted(reply: &str) -> Option<(usize, i64, u64)> {
    let numbers = reply.strip_prefix("[1 ")?.strip_suffix(']')?;
    let mut numbers = numbers.split(' ').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    let (holds, token, ttl): (u64, u64, u64) = (next()?, next()?, next()?);
    Some((holds as usize, token as i64, ttl))
}
