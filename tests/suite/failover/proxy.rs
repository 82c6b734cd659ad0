//! A network between two servers, which can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::spawn;

/// How a network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends learn of it: the connections close, and no new one is made.
    Closed,
    /// Nobody learns of it: the connections stay, and nothing gets through. What was sent arrives
    /// when the network is whole again.
    Frozen,
}

/// A port that leads to another one, through a network that can be cut.
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cut: Option<Cut>,
    ended: bool,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A whole network that leads to this port.
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::<Network>::default();
        let inner = network.clone();
        spawn(move || {
            for stream in listener.incoming() {
                if inner.state.lock().unwrap().ended {
                    return;
                }
                inner.connect(stream.unwrap(), target);
            }
        });
        Proxy { port, network }
    }

    /// The port that leads to the target.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the network. What is sent after this returns does not arrive.
    pub fn cut(&self, how: Cut) {
        self.network.set(|state| {
            state.cut = Some(how);
            if how == Cut::Closed {
                state.close_all();
            }
        });
    }

    /// Makes it whole.
    pub fn heal(&self) {
        self.network.set(|state| state.cut = None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.set(|state| {
            state.ended = true;
            state.close_all();
        });
        // The one that listens finds that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Network {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn connect(self: &Arc<Network>, from: TcpStream, target: u16) {
        let Ok(to) = TcpStream::connect(("127.0.0.1", target)) else {
            return;
        };
        let mut state = self.state.lock().unwrap();
        if state.cut == Some(Cut::Closed) {
            return;
        }
        for stream in [&from, &to] {
            stream.set_nodelay(true).unwrap();
            state.open.push(stream.try_clone().unwrap());
        }
        drop(state);
        let (there, back) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        for (source, sink) in [(from, there), (to, back)] {
            let network = self.clone();
            spawn(move || network.pump(source, sink));
        }
    }

    /// Carries what one end sends to the other, also the end of the connection.
    fn pump(&self, mut source: TcpStream, mut sink: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = source.read(&mut buffer).unwrap_or(0);
            let state = self.state.lock().unwrap();
            let frozen = |state: &mut State| state.cut == Some(Cut::Frozen) && !state.ended;
            // Whoever cuts the network waits for what is being sent.
            let _state = self.changed.wait_while(state, frozen).unwrap();
            if read == 0 || sink.write_all(&buffer[..read]).is_err() {
                let _ = sink.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
