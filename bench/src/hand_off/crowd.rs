//! Many clients that wait, and what the server takes for them.

use crate::common::pack;
use crate::common::support::{Client, Server, Setup, eventually};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Connections to a server of their own.
pub struct Crowd {
    probe: Client,
    clients: Vec<TcpStream>,
    _server: Server,
}

impl Crowd {
    /// Connects so many.
    pub fn new(setup: Setup, size: usize) -> Crowd {
        let server = setup.start();
        let clients = (0..size).map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
            stream.write_all(b"PING\r\n").unwrap();
            let mut reply = [0; 7];
            stream.read_exact(&mut reply).unwrap();
            stream
        });
        Crowd {
            clients: clients.collect(),
            probe: server.client(),
            _server: server,
        }
    }

    /// Has each send what makes it wait, and returns when the server blocks all of them.
    pub fn wait(&mut self, line: impl Fn(usize) -> String) {
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.write_all(&pack(&line(number))).unwrap();
        }
        let (size, probe) = (self.clients.len().to_string(), &mut self.probe);
        eventually("all wait", || {
            probe.info("clients", "blocked_clients").as_ref() == Some(&size)
        });
    }

    /// Sends a line that is replied to at once.
    pub fn run(&mut self, line: &str) -> String {
        self.probe.run(line)
    }

    /// The server's name.
    pub fn server_name(&mut self) -> String {
        crate::common::server_name(&mut self.probe)
    }

    /// The memory that the server has taken, in bytes.
    pub fn memory(&mut self) -> u64 {
        let used = self.probe.info("memory", "used_memory").unwrap();
        used.parse().unwrap()
    }
}
