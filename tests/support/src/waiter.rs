//! A client that waits: a connection on which a command was sent whose reply may come later.

use crate::{eventually, show, Client, Server, PATIENCE};
use redis::{Cmd, Parser, Value};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// A connection that waits for a reply, or has got it.
pub struct Waiter {
    stream: TcpStream,
    parser: Parser,
    url: String,
    id: i64,
}

impl Waiter {
    /// Sends a line on a connection of its own, and returns once the server has run it: it either
    /// blocks the client now or has replied.
    pub fn start(server: &Server, line: &str) -> Waiter {
        Waiter::start_after(server, &[], line)
    }

    /// The same, after some other lines (`SELECT 3`, `HELLO 3`, `AUTH ...`) on that connection.
    pub fn start_after(server: &Server, before: &[&str], line: &str) -> Waiter {
        let waiter = Waiter::begin(server, before, line);
        waiter.settle(&mut server.client());
        waiter
    }

    /// Sends the lines at once, each on a connection of its own and each when the server has run
    /// the one before it.
    pub fn start_all(server: &Server, lines: impl IntoIterator<Item = String>) -> Vec<Waiter> {
        let mut probe = server.client();
        allow_many_files();
        let mut start = |line: String| {
            let waiter = Waiter::begin(server, &[], &line);
            waiter.settle(&mut probe);
            waiter
        };
        lines.into_iter().map(&mut start).collect()
    }

    /// Sends a line and does not wait for anything.
    pub fn begin(server: &Server, before: &[&str], line: &str) -> Waiter {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut waiter = Waiter {
            stream,
            parser: Parser::new(),
            url: server.url(),
            id: 0,
        };
        for line in before {
            let reply = waiter.ask(line);
            assert!(!matches!(reply, Value::ServerError(_)), "{}", show(&reply));
        }
        let Value::Int(id) = waiter.ask("CLIENT ID") else {
            panic!("CLIENT ID gave no id")
        };
        waiter.id = id;
        waiter.send(line);
        waiter
    }

    /// Returns once the server blocks the client or has replied to it.
    fn settle(&self, probe: &mut Client) {
        eventually("the client waits or has a reply", || {
            self.has_arrived() || self.is_blocked(probe)
        });
    }

    /// Returns once what was sent is at the server, which need not run for that.
    pub fn until_arrived(&self) {
        eventually("it is at the server", || {
            let mut unacknowledged = 0;
            let fd = self.stream.as_raw_fd();
            // SAFETY: a system call that writes a number to what it is given.
            let outcome = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &mut unacknowledged) };
            assert_eq!(outcome, 0);
            unacknowledged == 0
        });
    }

    /// Closes the connection, and returns once that is at the server, which need not run for that.
    pub fn hang_up(self) {
        const FIN_WAIT_2: u8 = 5;
        self.stream.shutdown(Shutdown::Write).unwrap();
        eventually("the end is at the server", || {
            // SAFETY: numbers, all of which may be zero.
            let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
            let mut size = size_of_val(&info) as libc::socklen_t;
            let fd = self.stream.as_raw_fd();
            let to = (&mut info as *mut libc::tcp_info).cast();
            let (level, option) = (libc::IPPROTO_TCP, libc::TCP_INFO);
            // SAFETY: a system call that writes no more to what it is given than its size.
            let outcome = unsafe { libc::getsockopt(fd, level, option, to, &mut size) };
            assert_eq!(outcome, 0);
            info.tcpi_state == FIN_WAIT_2
        });
    }

    /// The client's id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Whether the server blocks the client, as `CLIENT LIST` tells it.
    pub fn is_blocked(&self, probe: &mut Client) -> bool {
        let list = probe.run(&format!("CLIENT LIST ID {}", self.id));
        let flags = list.split(' ').find_map(|part| part.strip_prefix("flags="));
        flags.is_some_and(|flags| flags.contains('b'))
    }

    /// Whether there is something to read: a reply, or the end of the connection. The server is
    /// asked something on another connection before, so whatever it did until now has arrived.
    pub fn has_reply(&self) -> bool {
        assert_eq!(Client::new(&self.url).run("PING"), "PONG");
        self.has_arrived()
    }

    /// Whether there is something to read already.
    pub fn has_arrived(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits for the reply. Where the connection ends instead, it is `closed`.
    pub fn reply(&mut self) -> String {
        self.value().map_or("closed".to_owned(), |v| show(&v))
    }

    /// Waits for a reply of four integers.
    pub fn grant(&mut self) -> [i64; 4] {
        let value = self.value().expect("the connection was closed");
        redis::from_redis_value(value.clone()).unwrap_or_else(|_| panic!("{}", show(&value)))
    }

    /// Waits for the reply, and says when it was there.
    pub fn reply_at(&mut self) -> (String, Instant) {
        let reply = self.reply();
        (reply, Instant::now())
    }

    /// Waits for the reply; none where the connection ends instead.
    pub fn value(&mut self) -> Option<Value> {
        match self.parser.parse_value(ByteByByte(&self.stream)) {
            Ok(value) => Some(value),
            Err(error) if error.is_timeout() => panic!("no reply within {PATIENCE:?}"),
            Err(error) => match redis::ServerError::try_from(error) {
                Ok(error) => Some(Value::ServerError(error)),
                Err(_) => None,
            },
        }
    }

    /// Sends a line and reads no reply: that is up to [`Waiter::reply`].
    pub fn send(&mut self, line: &str) {
        let mut cmd = Cmd::new();
        line.split_whitespace().for_each(|word| {
            cmd.arg(word);
        });
        self.stream.write_all(&cmd.get_packed_command()).unwrap();
    }

    /// Sends a line and waits for its reply. After the reply of the wait this shows that there was
    /// just one.
    pub fn run(&mut self, line: &str) -> String {
        show(&self.ask(line))
    }

    fn ask(&mut self, line: &str) -> Value {
        self.send(line);
        self.value().expect("the connection was closed")
    }

    /// Closes the connection, as a client does that goes away.
    pub fn close(self) {
        // To drop it may not be enough: another test may be starting a server just now, and the process
        // that it has forked keeps the socket open until it runs the server.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes the connection, and waits until the server has noticed. It may learn of that after what
    /// others send later.
    pub fn close_noticed(self, probe: &mut Client) {
        let list = format!("CLIENT LIST ID {}", self.id);
        drop(self);
        eventually("the server has noticed", || probe.run(&list).is_empty());
    }
}

impl Server {
    /// Waits until so many wait in line.
    pub fn until_waiting(&self, count: u64) {
        let mut client = self.client();
        eventually(&format!("{count} wait"), || {
            client.counter("waiters") == count
        });
    }
}

/// Lets this process open as many files as it may at all: some tests have a thousand connections,
/// and 1,024 is often where it starts.
pub fn allow_many_files() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a system call that writes to what it is given.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: a system call that reads what it is given.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
}

/// Reads no byte beyond the reply, so that what is left on the connection can be seen there.
struct ByteByByte<'a>(&'a TcpStream);

impl Read for ByteByByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}
