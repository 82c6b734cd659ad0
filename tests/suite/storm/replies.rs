//! Reads replies of both protocols, in its own time: what waits on a slow server is not lost.

use super::world::World;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;

/// A reply, as far as the storm looks at it.
#[derive(Debug)]
pub enum Reply {
    /// A string or a number.
    Text(String),
    /// An error.
    Error(String),
    /// Several.
    Many(Vec<Reply>),
    /// A message that nobody asked for.
    Push,
}

/// Why there was no reply.
#[derive(Debug)]
pub enum End {
    /// The connection has ended.
    Closed,
    /// It took too long.
    Late,
}

impl Reply {
    /// It as a line.
    pub fn shown(&self) -> String {
        match self {
            Reply::Text(text) | Reply::Error(text) => text.clone(),
            Reply::Many(replies) => {
                let shown: Vec<String> = replies.iter().map(Reply::shown).collect();
                format!("[{}]", shown.join(" "))
            }
            Reply::Push => String::new(),
        }
    }

    /// The errors in it.
    pub fn errors(&self) -> Vec<&str> {
        match self {
            Reply::Error(text) => vec![text],
            Reply::Many(replies) => replies.iter().flat_map(Reply::errors).collect(),
            _ => Vec::new(),
        }
    }
}

/// The reading end of a connection, whose socket must have a short timeout.
pub struct Reader<'a> {
    socket: BufReader<TcpStream>,
    world: &'a World,
}

impl<'a> Reader<'a> {
    /// Reads from a socket.
    pub fn new(socket: TcpStream, world: &'a World) -> Reader<'a> {
        let socket = BufReader::new(socket);
        Reader { socket, world }
    }

    /// The next reply. Messages that nobody asked for are passed over.
    pub fn reply(&mut self) -> Result<Reply, End> {
        loop {
            match self.value()? {
                Reply::Push => continue,
                reply => return Ok(reply),
            }
        }
    }

    /// The next reply or message.
    pub fn value(&mut self) -> Result<Reply, End> {
        let line = self.line()?;
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        let count = || text.parse::<i64>().unwrap_or(-1);
        Ok(match line[0] {
            b'-' => Reply::Error(text),
            b'$' | b'=' | b'!' if count() < 0 => Reply::Text("nil".to_owned()),
            b'$' | b'=' => Reply::Text(self.bulk(count() as usize)?),
            b'!' => Reply::Error(self.bulk(count() as usize)?),
            b'*' | b'~' => Reply::Many(self.values(count())?),
            b'%' => Reply::Many(self.values(count() * 2)?),
            b'>' => {
                self.values(count())?;
                Reply::Push
            }
            _ => Reply::Text(text),
        })
    }

    /// Throws away what has come, or waits for a moment.
    pub fn drain(&mut self) -> Result<(), End> {
        let read = match self.socket.fill_buf() {
            Ok([]) => return Err(End::Closed),
            Ok(bytes) => bytes.len(),
            Err(error) => return self.wait_on(&error),
        };
        self.socket.consume(read);
        Ok(())
    }

    fn values(&mut self, count: i64) -> Result<Vec<Reply>, End> {
        (0..count).map(|_| self.value()).collect()
    }

    fn line(&mut self) -> Result<Vec<u8>, End> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            // What it has read before a timeout is in the line.
            match self.socket.read_until(b'\n', &mut line) {
                Ok(0) => return Err(End::Closed),
                Ok(_) => (),
                Err(error) => self.wait_on(&error)?,
            }
        }
        line.truncate(line.len() - 2);
        if line.is_empty() {
            return Err(End::Closed); // no reply starts so
        }
        Ok(line)
    }

    fn bulk(&mut self, length: usize) -> Result<String, End> {
        let mut bytes = vec![0; length + 2];
        let mut read = 0;
        while read < bytes.len() {
            match self.socket.read(&mut bytes[read..]) {
                Ok(0) => return Err(End::Closed),
                Ok(more) => read += more,
                Err(error) => self.wait_on(&error)?,
            }
        }
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    fn wait_on(&self, error: &std::io::Error) -> Result<(), End> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if self.world.is_late() => Err(End::Late),
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
            _ => Err(End::Closed),
        }
    }
}
