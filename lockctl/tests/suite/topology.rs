//! Clusters and sentinels.

use crate::listing::records;
use crate::{Running, is_held, lockctl, outcome};
use lock_test_support::{Sentinels, Server, Setup, eventually, three_masters};
use std::collections::HashSet;
use std::time::Instant;

#[test]
fn every_command_finds_the_nodes_of_a_cluster() {
    let setup = Setup::new().config("cluster-require-full-coverage no");
    let mut nodes = three_masters(&setup);
    let url = nodes[0].url();
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        let line = format!("--cluster run {name} -- true");
        assert_eq!(outcome(&mut lockctl(&url, &line)).2, 0);
        let held = nodes
            .iter()
            .map(|node| node.client().run(&format!("LOCK.ACQUIRE {name} me 600000")));
        assert_eq!(
            held.filter(|reply| reply.starts_with("[1 1 ")).count(),
            1,
            "{name}"
        );
    }
    let (printed, _, status) = outcome(&mut lockctl(&url, "ls --cluster --json"));
    assert_eq!(status, 0);
    let found = records(&printed);
    let listed: Vec<&str> = found
        .iter()
        .map(|lock| lock["lock"].as_str().unwrap())
        .collect();
    assert_eq!(listed, names);
    let servers: HashSet<&str> = found
        .iter()
        .map(|lock| lock["server"].as_str().unwrap())
        .collect();
    assert_eq!(servers.len(), 3);
    let (printed, _, _) = outcome(&mut lockctl(&url, "--cluster ls"));
    assert!(
        printed.lines().next().unwrap().ends_with("SERVER"),
        "{printed}"
    );

    for name in names {
        assert_eq!(
            outcome(&mut lockctl(&url, &format!("--cluster info {name}"))).2,
            0
        );
        let line = format!("--cluster release --force --yes {name}");
        assert_eq!(outcome(&mut lockctl(&url, &line)).2, 0);
    }
    let (printed, _, _) = outcome(&mut lockctl(&url, "--cluster metrics"));
    let up = |text: &str, value: &str| {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("redis_lock_up{"));
        lines.filter(|line| line.ends_with(value)).count()
    };
    assert_eq!(up(&printed, " 1"), 3, "{printed}");

    // What is left is shown, and that it is not all.
    nodes[2].kill();
    let (printed, text, status) = outcome(&mut lockctl(&url, "--cluster metrics"));
    assert_eq!(
        (up(&printed, " 1"), up(&printed, " 0"), status),
        (2, 1, 122)
    );
    assert!(text.contains("nothing was read from"), "{text}");
    let (_, text, status) = outcome(&mut lockctl(&url, "--cluster ls"));
    assert_eq!(status, 122);
    assert!(text.contains("are missing"), "{text}");
}

#[test]
fn a_silent_node_of_a_cluster_does_not_keep_the_others_waiting() {
    let nodes = three_masters(&Setup::new());
    let connections = |node: &Server| {
        let count = node.client().info("stats", "total_connections_received");
        count.unwrap().parse::<u64>().unwrap()
    };
    // The nodes are asked in the order of their slots: the first one is silent, and the last one knows them all.
    nodes[0].signal(libc::SIGSTOP);
    let before = connections(&nodes[1]);
    let start = Instant::now();
    let running = Running::start(&lockctl(&nodes[2].url(), "--cluster metrics"));
    // Each look is a connection, too.
    let mut looks = 0;
    eventually("the second node is asked", || {
        looks += 1;
        connections(&nodes[1]) > before + looks
    });
    let asked = start.elapsed();
    let (status, text) = { running }.end();
    let ended = start.elapsed();
    nodes[0].signal(libc::SIGCONT);
    assert_eq!(status, 122);
    assert!(text.contains("nothing was read from"), "{text}");
    // lockctl ends when it no longer waits for the first one.
    assert!(asked < ended / 2, "asked after {asked:?} of {ended:?}");
}

#[test]
fn sentinels_are_asked_for_the_master() {
    let master = Server::start();
    let sentinels = Sentinels::start(&master, 0, 60_000);
    let urls = sentinels.urls().join(",");
    let mut command = lockctl(&urls, &format!("--sentinel {} run a --", sentinels.name()));
    command.args(["sh", "-c", "echo on; read word"]);
    let mut running = Running::start(&command);
    assert_eq!(running.line(), "on");
    assert!(is_held(&mut master.client(), "a"));
    let line = format!("--sentinel {} ls", sentinels.name());
    let (printed, _, status) = outcome(&mut lockctl(&urls, &line));
    assert_eq!((printed.lines().count(), status), (2, 0));
    running.tell("done");
    assert_eq!(running.end().0, 0);
    let (_, text, status) = outcome(&mut lockctl(&urls, "--sentinel nobody ls"));
    assert_eq!(status, 122);
    crate::assert_one_line(&text, "check --url and --sentinel");
}

#[test]
fn a_master_with_a_password_is_logged_in_to_as_the_url_says() {
    let master = Setup::new().config("requirepass secret").start();
    let url = format!("redis://:secret@127.0.0.1:{}/3", master.port());
    let mut client = lock_test_support::Client::new(&url);
    client.run("LOCK.ACQUIRE a me 600000");
    let (printed, _, status) = outcome(&mut lockctl(&url, "ls"));
    assert_eq!((printed.lines().count(), status), (2, 0));
}
