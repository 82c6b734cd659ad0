use super::*;
use crate::PATIENCE;

/// A connection through a network, and its other end.
struct Pair {
    here: TcpStream,
    there: TcpStream,
}

/// A message of the bus from a node.
fn message(node: char) -> Vec<u8> {
    let mut bytes = vec![b'x'; 40];
    bytes.extend(node.to_string().repeat(40).into_bytes());
    bytes
}

fn id(node: char) -> String {
    node.to_string().repeat(40)
}

/// A node that has connected through the network, and has sent its first message.
fn connect(network: &Network, target: &TcpListener, node: char) -> Pair {
    let here = TcpStream::connect(("127.0.0.1", network.port())).unwrap();
    let (there, _) = target.accept().unwrap();
    let mut pair = Pair { here, there };
    // In two parts: it is not known after the first whose it is.
    let message = message(node);
    pair.here.write_all(&message[..50]).unwrap();
    pair.here.write_all(&message[50..]).unwrap();
    assert_eq!(read(&mut pair.there, 80).unwrap(), message);
    pair
}

fn read(stream: &mut TcpStream, length: usize) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Nothing comes in a while, which is long for a loopback interface.
fn is_silent(stream: &mut TcpStream) -> bool {
    let while_silent = Some(Duration::from_millis(100));
    stream.set_read_timeout(while_silent).unwrap();
    let read = stream.read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn start() -> (TcpListener, Network) {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let network = Network::to_bus(target.local_addr().unwrap().port());
    (target, network)
}

#[test]
fn a_peer_that_is_cut_off_is_not_heard_until_the_network_is_whole_and_the_others_are() {
    let (target, network) = start();
    let [mut a, mut b] = ['a', 'b'].map(|node| connect(&network, &target, node));
    network.cut_off(&id('a'), Cut::Frozen);
    for pair in [&mut a, &mut b] {
        pair.here.write_all(b"there").unwrap();
        pair.there.write_all(b"back").unwrap();
    }
    assert_eq!(read(&mut b.there, 5).unwrap(), b"there");
    assert_eq!(read(&mut b.here, 4).unwrap(), b"back");
    assert!(is_silent(&mut a.there) && is_silent(&mut a.here));
    network.heal();
    assert_eq!(read(&mut a.there, 5).unwrap(), b"there");
    assert_eq!(read(&mut a.here, 4).unwrap(), b"back");
}

#[test]
fn a_cut_of_one_direction_lets_the_other_one_through() {
    for (cut, there) in [(Cut::FrozenThere, false), (Cut::FrozenBack, true)] {
        let (target, network) = start();
        let mut pair = connect(&network, &target, 'a');
        network.cut(cut);
        pair.here.write_all(b"x").unwrap();
        pair.there.write_all(b"x").unwrap();
        assert_eq!(is_silent(&mut pair.there), !there, "{cut:?}");
        assert_eq!(is_silent(&mut pair.here), there, "{cut:?}");
    }
}

#[test]
fn a_peer_for_which_the_network_is_closed_is_disconnected_and_cannot_connect() {
    let (target, network) = start();
    let [mut a, mut b] = ['a', 'b'].map(|node| connect(&network, &target, node));
    network.cut_off(&id('a'), Cut::Closed);
    assert_eq!(a.here.read(&mut [0]).unwrap_or(0), 0);
    let mut again = TcpStream::connect(("127.0.0.1", network.port())).unwrap();
    again.write_all(&message('a')).unwrap();
    assert_eq!(again.read(&mut [0]).unwrap_or(0), 0);
    b.here.write_all(b"x").unwrap();
    assert_eq!(read(&mut b.there, 1).unwrap(), b"x");
}
