//! What a server hands on, to its replicas and to its append-only file, read as commands.

use crate::{eventually, show, Client, Server, PATIENCE};
use redis::{Parser, Value};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// A reader of what is handed on. It reads up to a mark that it sets itself, so it knows that
/// nothing more was handed on before.
pub struct Journal {
    source: Source,
    log: Log,
    marks: u32,
}

enum Source {
    /// The stream that replicas get.
    Replication(BufReader<TcpStream>, Parser),
    /// The append-only file in this folder, and how many of its commands were read.
    Aof(PathBuf, usize),
}

impl Journal {
    /// Reads what replicas get, as one of them.
    pub fn of_replication(server: &Server) -> Journal {
        let socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut socket = BufReader::new(socket);
        socket.get_mut().write_all(b"SYNC\r\n").unwrap();
        // The data set comes first, after empty lines that keep the connection alive.
        let length = loop {
            let mut line = String::new();
            socket.read_line(&mut line).unwrap();
            match line.trim() {
                "" => continue,
                line => break line.strip_prefix('$').unwrap().parse().unwrap(),
            }
        };
        socket.read_exact(&mut vec![0; length]).unwrap();
        Journal::new(Source::Replication(socket, Parser::new()), server)
    }

    /// Reads the append-only file.
    pub fn of_aof(server: &Server) -> Journal {
        Journal::new(Source::Aof(server.dir().to_owned(), 0), server)
    }

    fn new(source: Source, server: &Server) -> Journal {
        let mut journal = Journal {
            source,
            log: Log::default(),
            marks: 0,
        };
        journal.read(&mut server.client());
        journal
    }

    /// What was handed on since the last call: each transaction with its commands in order, as
    /// `HSET a b 1; PEXPIREAT a 77`. A database other than 0 is shown before a command as redis-cli
    /// shows it, `[5] DEL a`; SELECT itself is not.
    pub fn read(&mut self, client: &mut Client) -> Vec<String> {
        self.marks += 1;
        let name = match self.source {
            Source::Replication(..) => "replication",
            Source::Aof(..) => "aof",
        };
        let mark = format!("{MARK} {name}-{}", self.marks);
        assert_eq!(client.run(&mark), "OK");
        match &mut self.source {
            Source::Replication(socket, parser) => loop {
                let command = parser.parse_value(&mut *socket).unwrap();
                if self.log.take(&command) == mark {
                    break;
                }
            },
            Source::Aof(folder, read) => {
                let mut commands = Vec::new();
                eventually("the append-only file is written", || {
                    commands = parse(&aof(folder));
                    commands.iter().any(|command| text(command) == mark)
                });
                for command in commands.iter().skip(*read) {
                    *read += 1;
                    if self.log.take(command) == mark {
                        break;
                    }
                }
            }
        }
        self.log.done.drain(..).collect()
    }
}

const MARK: &str = "SET the-journal-is-read-up-to-here";

/// Puts commands together to transactions.
#[derive(Default)]
struct Log {
    database: String,
    open: Option<Vec<String>>,
    done: VecDeque<String>,
}

impl Log {
    fn take(&mut self, command: &Value) -> String {
        let text = text(command);
        match text.split(' ').next().unwrap().to_uppercase().as_str() {
            "SELECT" => {
                self.database = match &text[7..] {
                    "0" => String::new(),
                    other => format!("[{other}] "),
                }
            }
            "MULTI" => self.open = Some(Vec::new()),
            "EXEC" => {
                let commands = self.open.take().unwrap();
                if !commands.is_empty() {
                    self.done.push_back(commands.join("; "));
                }
            }
            "PING" | "REPLCONF" => (),
            _ if text.starts_with(MARK) => assert_eq!(self.open, None),
            _ => {
                let shown = format!("{}{text}", self.database);
                match &mut self.open {
                    Some(commands) => commands.push(shown),
                    None => self.done.push_back(shown),
                }
            }
        }
        text
    }
}

/// A command as a line.
fn text(command: &Value) -> String {
    show(command)
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

fn parse(mut file: &[u8]) -> Vec<Value> {
    let mut parser = Parser::new();
    let mut commands = Vec::new();
    // What is half written at the end fails, and is read the next time.
    while let Ok(command) = parser.parse_value(&mut file) {
        commands.push(command);
    }
    commands
}

/// The append-only file that is being written: the newest of those in a folder.
fn aof(folder: &Path) -> Vec<u8> {
    let files = folder.join("appendonlydir").read_dir().unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let newest = paths
        .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .max();
    newest
        .map(|path| std::fs::read(path).unwrap())
        .unwrap_or_default()
}
