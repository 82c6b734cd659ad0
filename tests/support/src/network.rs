//! A network between servers, which can be cut: for all or for one peer, in both directions or in one.

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::Duration;

/// How a network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends learn of it: the connections close, and no new one is made.
    Closed,
    /// Nobody learns of it: the connections stay, and nothing gets through. What was sent arrives
    /// when the network is whole again.
    Frozen,
    /// The same, only for what the side that connected sends.
    FrozenThere,
    /// The same, only for what the target sends.
    FrozenBack,
}

/// A port that leads to another one, through a network that can be cut.
pub struct Network {
    port: u16,
    inner: Arc<Inner>,
}

/// Finds out from what a peer sends first who it is. None: it takes more to tell.
type Identify = fn(&[u8]) -> Option<String>;

struct Inner {
    identify: Option<Identify>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// For one peer, or for all.
    cuts: Vec<(Option<String>, Cut)>,
    ended: bool,
    /// The connections that are open.
    open: Vec<Arc<Connection>>,
}

/// A connection, and who made it, once that is known.
struct Connection {
    ends: [TcpStream; 2],
    peer: Mutex<Option<String>>,
}

impl Network {
    /// A whole network that leads to this port.
    pub fn to(target: u16) -> Network {
        Network::start(target, None)
    }

    /// The same, to the port of a cluster's bus. Each node that connects is a peer, by its id.
    pub fn to_bus(target: u16) -> Network {
        Network::start(target, Some(sender_of_message))
    }

    fn start(target: u16, identify: Option<Identify>) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            identify,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let network = inner.clone();
        spawn(move || {
            for stream in listener.incoming() {
                if network.state().ended {
                    return;
                }
                if let Ok(stream) = stream {
                    network.connect(stream, target);
                }
            }
        });
        Network { port, inner }
    }

    /// The port that leads to the target.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the network. What is sent after this returns does not arrive.
    pub fn cut(&self, how: Cut) {
        self.inner.cut(None, how);
    }

    /// Cuts one peer off.
    pub fn cut_off(&self, peer: &str, how: Cut) {
        self.inner.cut(Some(peer.to_owned()), how);
    }

    /// Makes it whole.
    pub fn heal(&self) {
        self.inner.set(|state| state.cuts.clear());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.inner.set(|state| {
            state.ended = true;
            for connection in state.open.drain(..) {
                connection.close();
            }
        });
        // The one that listens finds that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    /// Whether a cut is in the way of a peer.
    fn is_cut(&self, peer: Option<&str>, which: impl Fn(Cut) -> bool) -> bool {
        let concerns = |of: &Option<String>| of.as_ref().is_none_or(|of| Some(of.as_str()) == peer);
        let mut cuts = self.cuts.iter();
        cuts.any(|(of, how)| concerns(of) && which(*how))
    }
}

impl Connection {
    fn close(&self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn is_of(&self, peer: String) {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
    }

    fn peer(&self) -> Option<String> {
        let peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        peer.clone()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn cut(&self, peer: Option<String>, how: Cut) {
        self.set(|state| {
            state.cuts.push((peer, how));
            for connection in &state.open {
                let peer = connection.peer();
                if state.is_cut(peer.as_deref(), |how| how == Cut::Closed) {
                    connection.close();
                }
            }
        });
    }

    fn connect(self: &Arc<Inner>, from: TcpStream, target: u16) {
        let Ok(to) = TcpStream::connect(("127.0.0.1", target)) else {
            return;
        };
        let (Ok(there), Ok(back)) = (pipe(&from, &to), pipe(&to, &from)) else {
            return;
        };
        let connection = Arc::new(Connection {
            ends: [from, to],
            peer: Mutex::default(),
        });
        self.state().open.push(connection.clone());
        if self.is_closed_for(&connection) {
            return self.end(&connection);
        }
        for (pipe, one_way) in [(there, Cut::FrozenThere), (back, Cut::FrozenBack)] {
            let (network, connection) = (self.clone(), connection.clone());
            spawn(move || network.pump(pipe, &connection, one_way));
        }
    }

    fn is_closed_for(&self, connection: &Connection) -> bool {
        let peer = connection.peer();
        self.state()
            .is_cut(peer.as_deref(), |how| how == Cut::Closed)
    }

    fn end(&self, connection: &Arc<Connection>) {
        connection.close();
        let mut state = self.state();
        state.open.retain(|open| !Arc::ptr_eq(open, connection));
    }

    /// Carries what one end sends to the other, also the end of the connection.
    fn pump(&self, [mut source, mut sink]: [TcpStream; 2], connection: &Arc<Connection>, way: Cut) {
        let identify = self.identify.filter(|_| way == Cut::FrozenThere);
        let mut buffer = [0; 16 * 1024];
        let mut sent_first = Vec::new();
        while let Ok(read @ 1..) = source.read(&mut buffer) {
            let data = &buffer[..read];
            let Some(identify) = identify.filter(|_| connection.peer().is_none()) else {
                if self.carry(data, &mut sink, connection, way).is_err() {
                    break;
                }
                continue;
            };
            // Nothing is carried on before it is known whose it is.
            sent_first.extend(data);
            let Some(peer) = identify(&sent_first) else {
                continue;
            };
            connection.is_of(peer);
            let closed = self.is_closed_for(connection);
            if closed || self.carry(&sent_first, &mut sink, connection, way).is_err() {
                break;
            }
        }
        drop(self.until_open(connection, way));
        self.end(connection);
    }

    /// Sends data on once the network is whole.
    fn carry(
        &self,
        mut data: &[u8],
        sink: &mut TcpStream,
        connection: &Connection,
        way: Cut,
    ) -> std::io::Result<()> {
        while !data.is_empty() {
            // Whoever cuts the network waits for what is being sent, and no longer: the target may stand still.
            let open = self.until_open(connection, way);
            let sent = sink.write(data);
            drop(open);
            match sent {
                Ok(sent) => data = &data[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn until_open(&self, connection: &Connection, way: Cut) -> MutexGuard<'_, State> {
        let frozen = |state: &mut State| {
            let peer = connection.peer();
            let in_the_way = |how| how == Cut::Frozen || how == way;
            !state.ended && state.is_cut(peer.as_deref(), in_the_way)
        };
        let open = self.changed.wait_while(self.state(), frozen);
        open.unwrap_or_else(PoisonError::into_inner)
    }
}

/// What reads from one end, and what writes to the other.
fn pipe(from: &TcpStream, to: &TcpStream) -> std::io::Result<[TcpStream; 2]> {
    to.set_nodelay(true)?;
    to.set_write_timeout(Some(Duration::from_millis(20)))?;
    Ok([from.try_clone()?, to.try_clone()?])
}

/// The node that sent a message of a cluster's bus: each begins with a header that names it.
fn sender_of_message(bytes: &[u8]) -> Option<String> {
    let sender = bytes.get(40..80)?;
    Some(String::from_utf8_lossy(sender).into_owned())
}
