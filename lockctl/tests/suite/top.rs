//! `lockctl top`.

use crate::terminal::Terminal;
use crate::{assert_one_line, lockctl, outcome, until_waiting};
use lock_test_support::{Client, Server};

/// A lock that others wait for.
fn contended(server: &Server) -> Vec<Client> {
    let mut client = server.client();
    client.run("LOCK.ACQUIRE lock:orders worker-1 600000");
    let mut waiting: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for (n, client) in waiting.iter_mut().enumerate() {
        client.forget(&format!("LOCK.ACQUIRE lock:orders next-{n} WAIT 0"));
    }
    until_waiting(&mut client, 3);
    waiting
}

#[test]
fn one_frame_is_text_that_shows_the_queues() {
    let server = Server::start();
    let _waiting = contended(&server);
    // Without a terminal it prints one frame by itself.
    for line in ["top --once --interval 0.1", "top --interval 0.1"] {
        let (printed, _, status) = outcome(&mut lockctl(&server.url(), line));
        assert_eq!(status, 0);
        let row = printed
            .lines()
            .find(|line| line.starts_with("lock:orders"))
            .unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[1], "worker-1");
        assert!(words[2].starts_with("next-"), "{row}");
        assert_eq!(words[3..5], ["no", "3"]);
        assert!(!printed.contains('\x1b'), "{printed}");
    }
}

#[test]
fn rates_are_those_between_two_samples() {
    let server = Server::start();
    let mut client = server.client();
    // Before the first sample: they do not count.
    for _ in 0..1000 {
        client.run("LOCK.ACQUIRE a me 600000");
        client.run("LOCK.RELEASE a me");
    }
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "top --once --interval 0.1"));
    let address = format!("127.0.0.1:{} ", server.port());
    let row = printed
        .lines()
        .find(|line| line.starts_with(&address))
        .unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[4..7], ["0.0", "0.0", "0.0"], "{printed}");
}

#[test]
fn a_server_that_is_gone_is_told_of() {
    let (_, text, status) = outcome(&mut lockctl("redis://127.0.0.1:1", "top --once"));
    assert_eq!(status, 122);
    assert_one_line(&text, "cannot connect");
}

#[test]
fn on_a_terminal_it_shows_the_queues_and_obeys_keys_until_q() {
    let server = Server::start();
    let _waiting = contended(&server);
    let mut terminal = Terminal::start(&server, "top --interval 0.2");
    terminal.until("lock:orders");
    terminal.until("q quit");
    terminal.press("p");
    terminal.until("PAUSED");
    terminal.press("p");
    terminal.press("s");
    terminal.until("by longest wait");
    // A queue that comes while it runs.
    let mut client = server.client();
    client.run("LOCK.ACQUIRE lock:later someone 600000");
    let mut waiting = server.client();
    waiting.forget("LOCK.ACQUIRE lock:later next WAIT 0");
    terminal.until("lock:later");
    terminal.press("q");
    assert_eq!(terminal.running.end().0, 0);
    terminal.until_restored();
}
