//! A connection by TLS, made by `openssl s_client`.

use crate::support::show;
use redis::Parser;
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// How to connect: whom to trust, and what to show.
#[derive(Clone)]
pub struct Key {
    pub port: u16,
    /// The authority whose servers are trusted.
    pub trusted: PathBuf,
    /// The paths of a certificate and its private key.
    pub shown: Option<(PathBuf, PathBuf)>,
    /// A TLS session to resume.
    pub resumed: Option<PathBuf>,
}

impl Key {
    /// Begins to connect. Whether the server refuses is seen by the first command.
    pub fn connect(&self) -> Door {
        self.connect_with(&[])
    }

    /// The same, with more options of `s_client`.
    pub fn connect_with(&self, options: &[&str]) -> Door {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-verify_quiet"]);
        client.args(["-verify_return_error", "-verify_hostname", "localhost"]);
        client.args(["-connect", &format!("127.0.0.1:{}", self.port)]);
        client.arg("-CAfile").arg(&self.trusted).args(options);
        if let Some((certificate, key)) = &self.shown {
            client.arg("-cert").arg(certificate).arg("-key").arg(key);
        }
        if let Some(session) = &self.resumed {
            client.arg("-sess_in").arg(session);
        }
        client.stdin(Stdio::piped());
        client.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().unwrap_or_else(|error| {
            panic!("openssl cannot be run ({error}): Debian has it in openssl")
        });
        let replies = BufReader::new(client.stdout.take().unwrap());
        Door {
            client,
            replies,
            parser: Parser::new(),
        }
    }

    /// What the server replies to `PING` without a login, or why there is no connection.
    pub fn knock(&self) -> Result<String, String> {
        self.connect().run("PING")
    }
}

/// A connection.
pub struct Door {
    client: Child,
    replies: BufReader<ChildStdout>,
    parser: Parser,
}

impl Door {
    /// Sends a line, and returns the reply; or what openssl says, if there is no connection.
    pub fn run(&mut self, line: &str) -> Result<String, String> {
        let stdin = self.client.stdin.as_mut().unwrap();
        // It may have ended already: the end of its output tells of that.
        let _ = stdin.write_all(format!("{line}\r\n").as_bytes());
        if let Ok(reply) = self.parser.parse_value(&mut self.replies) {
            return Ok(show(&reply));
        }
        let _ = self.client.kill();
        let mut told = String::new();
        let mut stderr = self.client.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        Err(told)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
