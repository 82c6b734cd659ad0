//! Clusters of one shard, and of three.

use crate::{eventually, Client, Server, Setup};
use std::time::{Duration, Instant};

/// A cluster of one node, which has every slot.
pub fn cluster(setup: Setup) -> Server {
    let node = cluster_node(setup);
    let mut client = node.client();
    let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
    let mut words: Vec<&[u8]> = vec![b"CLUSTER", b"ADDSLOTS"];
    words.extend(slots.iter().map(|slot| slot.as_bytes()));
    assert_eq!(client.say(&words), "OK");
    eventually("the cluster is up", || {
        client.run("CLUSTER INFO").contains("cluster_state:ok")
    });
    node
}

/// Three masters that share the slots evenly.
pub fn three_masters(setup: &Setup) -> Vec<Server> {
    let nodes: Vec<Server> = (0..3).map(|_| cluster_node(setup.clone())).collect();
    let mut clients: Vec<Client> = nodes.iter().map(Server::client).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let slots = (0..16384).filter(|slot| slot * 3 / 16384 == n);
        let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
        let add = format!("CLUSTER ADDSLOTS {}", slots.join(" "));
        assert_eq!(client.run(&add), "OK");
        client.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
    }
    for client in &mut clients {
        let others: Vec<&Server> = nodes.iter().collect();
        meet(client, &others, "the cluster is up", |client| {
            let info = client.run("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_size:3")
        });
    }
    nodes
}

/// Has a node meet others until something is so. A handshake that takes too long is given up.
fn meet(
    node: &mut Client,
    others: &[&Server],
    what: &str,
    mut condition: impl FnMut(&mut Client) -> bool,
) {
    let mut again = Instant::now();
    eventually(what, || {
        if again <= Instant::now() {
            for other in others {
                let meet = format!("CLUSTER MEET 127.0.0.1 {}", other.port());
                assert_eq!(node.run(&meet), "OK");
            }
            again += Duration::from_secs(3);
        }
        condition(node)
    });
}

/// Whether a node believes that a slot is its own, as its `CLUSTER NODES` says.
pub fn has_slot(nodes: &str, slot: i64) -> bool {
    owner_of_slot(nodes, slot).is_some_and(|line| line.contains("myself,master"))
}

/// What a node's `CLUSTER NODES` says of the node that it believes a slot to be of: its id comes first.
pub fn owner_of_slot(nodes: &str, slot: i64) -> Option<&str> {
    nodes.lines().find(|line| {
        // Of a slot on the move it says `[slot->-node]`.
        line.split(' ').skip(8).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse::<i64>(), last.parse::<i64>()) {
                (Ok(first), Ok(last)) => (first..=last).contains(&slot),
                _ => false,
            }
        })
    })
}

/// A replica of a node of a cluster, which the other nodes know too.
pub fn shard_replica(master: &Server, nodes: &[Server], setup: Setup) -> Server {
    let replica = join(master, setup);
    let id = replica.client().run("CLUSTER MYID");
    for node in nodes {
        eventually("every node knows the replica", || {
            let shown = node.client().run("CLUSTER NODES");
            let mut lines = shown.lines();
            lines.any(|line| line.starts_with(&id) && line.contains(" slave "))
        });
    }
    replica
}

fn join(master: &Server, setup: Setup) -> Server {
    let node = cluster_node(setup);
    let (mut here, mut there) = (master.client(), node.client());
    let id = here.run("CLUSTER MYID");
    let replicate = format!("CLUSTER REPLICATE {id}");
    meet(
        &mut there,
        &[master],
        "the nodes know each other",
        |there| there.run(&replicate) == "OK",
    );
    master.wait_for_replica(&node);
    node
}

/// A replica of a cluster's only node, known to it.
pub fn cluster_replica(master: &Server, setup: Setup) -> Server {
    let node = join(master, setup);
    let (mut here, mut there) = (master.client(), node.client());
    // Each kind of message must have found its way once.
    for publish in ["PUBLISH", "SPUBLISH"] {
        let kind = publish.replace("SPUBLISH", "publishshard").to_lowercase();
        eventually("the replica gets messages", || {
            here.run(&format!("{publish} probe x"));
            let received = format!("cluster_stats_messages_{kind}_received");
            there.run("CLUSTER INFO").contains(&received)
        });
    }
    node
}

/// A node that knows no other, and has no slot.
fn cluster_node(setup: Setup) -> Server {
    let mut setup = setup.config("cluster-enabled yes");
    // The first of two lines loses.
    setup
        .config
        .insert(0, "cluster-node-timeout 15000".to_owned());
    setup.start()
}
