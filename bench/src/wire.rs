//! A connection that speaks RESP2, and costs the client as little as it can.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An integer.
    Int(i64),
    /// A string of either kind.
    Text(Vec<u8>),
    /// Nothing.
    Nil,
    /// Several.
    List(Vec<Reply>),
    /// An error.
    Error(String),
}

/// The connection.
pub struct Wire {
    stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
    /// Where in `read` the first reply that was not returned yet begins.
    at: usize,
}

impl Wire {
    /// Connects to a URL as `redis://127.0.0.1:6379`.
    pub fn connect(url: &str) -> Result<Wire, String> {
        let address = url
            .strip_prefix("redis://")
            .ok_or_else(|| format!("{url} is no address of a Redis server"))?;
        let failed = |error: std::io::Error| format!("{url}: {error}");
        let stream = TcpStream::connect(address.trim_end_matches('/')).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Wire {
            stream,
            out: Vec::new(),
            read: Vec::new(),
            at: 0,
        })
    }

    /// Adds a command to what is sent next.
    pub fn push(&mut self, words: &[&[u8]]) {
        pack(&mut self.out, words);
    }

    /// Sends what was pushed.
    pub fn flush(&mut self) -> Result<(), String> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        sent.map_err(|error| error.to_string())
    }

    /// Sends a command, and waits for its reply.
    pub fn ask(&mut self, words: &[&[u8]]) -> Result<Reply, String> {
        self.push(words);
        self.flush()?;
        self.reply()
    }

    /// Waits for a reply.
    pub fn reply(&mut self) -> Result<Reply, String> {
        loop {
            if let Some((reply, length)) = parse(&self.read[self.at..])? {
                self.at += length;
                if self.at == self.read.len() {
                    self.read.clear();
                    self.at = 0;
                }
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    /// Waits for a reply at most so long.
    pub fn reply_within(&mut self, limit: Duration) -> Result<Option<Reply>, String> {
        let end = Instant::now() + limit;
        loop {
            if let Some((reply, length)) = parse(&self.read[self.at..])? {
                self.at += length;
                return Ok(Some(reply));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let limited = self.stream.set_read_timeout(Some(left));
            limited.map_err(|error| error.to_string())?;
            let filled = self.fill();
            let unlimited = self.stream.set_read_timeout(None);
            unlimited.map_err(|error| error.to_string())?;
            if filled.is_err() && Instant::now() < end {
                filled?;
            }
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        const ROOM: usize = 4096;
        if self.at > 0 {
            self.read.drain(..self.at);
            self.at = 0;
        }
        let length = self.read.len();
        self.read.resize(length + ROOM, 0);
        let got = self.stream.read(&mut self.read[length..]);
        self.read
            .truncate(length + got.as_ref().map_or(0, |got| *got));
        match got {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Writes a command as a client sends it.
pub fn pack(out: &mut Vec<u8>, words: &[&[u8]]) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first reply in some bytes, and how long it is; none where it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let (head, mut length) = (&bytes[1..end], end + 2);
    let text = || String::from_utf8_lossy(head).into_owned();
    let number =
        || -> Result<i64, String> { text().parse().map_err(|_| format!("bad length {}", text())) };
    let reply = match bytes[0] {
        b':' => Reply::Int(number()?),
        b'+' => Reply::Text(head.to_vec()),
        b'-' => Reply::Error(text()),
        b'$' => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(size) if bytes.len() < length + size + 2 => return Ok(None),
            Ok(size) => {
                length += size + 2;
                Reply::Text(bytes[length - size - 2..length - 2].to_vec())
            }
        },
        b'*' => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(count) => {
                let mut replies = Vec::with_capacity(count);
                for _ in 0..count {
                    let Some((reply, more)) = parse(&bytes[length..])? else {
                        return Ok(None);
                    };
                    length += more;
                    replies.push(reply);
                }
                Reply::List(replies)
            }
        },
        other => return Err(format!("a reply cannot begin with {other}")),
    };
    Ok(Some((reply, length)))
}

#[cfg(test)]
mod tests {
    use super::{Reply, parse};

    #[test]
    fn a_reply_is_complete_or_not_there() {
        let whole = b"*3\r\n:1\r\n$3\r\na\r\n\r\n$-1\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Ok(None));
        }
        let replies = vec![Reply::Int(1), Reply::Text(b"a\r\n".to_vec()), Reply::Nil];
        assert_eq!(parse(whole), Ok(Some((Reply::List(replies), whole.len()))));
    }
}
