//! A network that fails: forwards to a server, loses replies, delays calls, cuts connections, and goes silent.

use crate::{eventually, Server, PATIENCE};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy before a server, on a port of its own. It ends with the test.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The command whose next reply is lost, with its connection.
    lose: Option<String>,
    /// The command whose next call is held back, what to tell when it is here, and what to wait for then.
    hold_back: Option<(String, Sender<()>, Receiver<()>)>,
    /// Nothing is forwarded.
    silent: bool,
    /// What ends at one side does not end at the other.
    half_open: bool,
    /// How long everything takes on its way.
    delay: Duration,
    connections: Vec<[TcpStream; 2]>,
}

impl Proxy {
    /// Starts it.
    pub fn start(server: &Server) -> Proxy {
        Proxy::to(server.port())
    }

    /// Starts it before a port of the loopback interface.
    pub fn to(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to)))
                else {
                    continue; // the server is down: the client sees its connection closed
                };
                let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                shared.lock().unwrap().connections.push(ends);
                let lost = Arc::new(Mutex::new(false));
                let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                let (state, is_lost) = (shared.clone(), lost.clone());
                thread::spawn(move || forward(&state, ends, |data| ask(&state, &is_lost, data)));
                let state = shared.clone();
                let ends = [server, client];
                thread::spawn(move || forward(&state, ends, |_| answer(&state, &lost)));
            }
        });
        Proxy { port, state }
    }

    /// The address, as client libraries take it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has the next call of this command arrive, and its reply lost together with the connection.
    pub fn lose_reply(&self, command: &str) {
        self.state.lock().unwrap().lose = Some(command.to_owned());
    }

    /// Waits until that has happened.
    pub fn until_lost(&self) {
        eventually("a reply is lost", || {
            self.state.lock().unwrap().lose.is_none()
        });
    }

    /// Holds the next call of this command back, and all that follows it on its connection.
    pub fn hold_back(&self, command: &str) -> HeldBack {
        let ((here, is_here), (go, goes)) = (channel(), channel());
        self.state.lock().unwrap().hold_back = Some((command.to_owned(), here, goes));
        HeldBack { is_here, go }
    }

    /// Closes every connection.
    pub fn cut(&self) {
        for end in self.state.lock().unwrap().connections.drain(..).flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Forwards nothing more, and closes nothing: what a dead host looks like.
    pub fn fall_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    /// Closes every connection at the server's side, and has its client wait: what a client sees whose packets are
    /// dropped by something that has forgotten it.
    pub fn half_open(&self) {
        let mut state = self.state.lock().unwrap();
        state.half_open = true;
        state.silent = true;
        for [_, server] in &state.connections {
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Has everything take so long on its way.
    pub fn slow_down(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// Works again, for new connections. Those that have lost something end.
    pub fn recover(&self) {
        let mut state = self.state.lock().unwrap();
        state.delay = Duration::ZERO;
        state.lose = None;
        if state.silent {
            (state.silent, state.half_open) = (false, false);
            drop(state);
            self.cut();
        }
    }
}

/// A call that is held back until it is let go, or this is dropped.
pub struct HeldBack {
    is_here: Receiver<()>,
    go: Sender<()>,
}

impl HeldBack {
    /// Waits until the call has been sent.
    pub fn until_here(&self) {
        self.is_here
            .recv_timeout(PATIENCE)
            .expect("the call is sent");
    }

    /// Forwards it now.
    pub fn let_go(self) {
        let _ = self.go.send(());
    }
}

/// What becomes of data.
enum Fate {
    Forwarded,
    Dropped,
    /// The connection is closed instead.
    Cut,
}

fn ask(state: &Mutex<State>, is_lost: &Mutex<bool>, data: &[u8]) -> Fate {
    let mut state = state.lock().unwrap();
    if state.silent {
        return Fate::Dropped;
    }
    let text = String::from_utf8_lossy(data);
    if state
        .lose
        .take_if(|command| text.contains(command.as_str()))
        .is_some()
    {
        *is_lost.lock().unwrap() = true;
    }
    let held_back = state
        .hold_back
        .take_if(|(command, ..)| text.contains(command.as_str()));
    drop(state);
    if let Some((_, here, goes)) = held_back {
        let _ = here.send(());
        let _ = goes.recv();
    }
    Fate::Forwarded
}

fn answer(state: &Mutex<State>, is_lost: &Mutex<bool>) -> Fate {
    match (state.lock().unwrap().silent, *is_lost.lock().unwrap()) {
        (true, _) => Fate::Dropped,
        (_, true) => Fate::Cut,
        _ => Fate::Forwarded,
    }
}

fn forward(
    state: &Mutex<State>,
    [mut from, mut to]: [TcpStream; 2],
    mut fate: impl FnMut(&[u8]) -> Fate,
) {
    let mut buffer = [0; 16384];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let delay = state.lock().unwrap().delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        match fate(&buffer[..len]) {
            Fate::Dropped => (),
            Fate::Forwarded if to.write_all(&buffer[..len]).is_ok() => (),
            Fate::Forwarded | Fate::Cut => break,
        }
    }
    if state.lock().unwrap().half_open {
        return;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
