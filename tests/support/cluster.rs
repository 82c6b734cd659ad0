//! Clusters of one shard.

use super::{eventually, Server, Setup};

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

/// A replica of a cluster's node, known to it.
pub fn cluster_replica(master: &Server, setup: Setup) -> Server {
    let node = cluster_node(setup);
    let (mut here, mut there) = (master.client(), node.client());
    let id = here.run("CLUSTER MYID");
    let port = master.port();
    assert_eq!(there.run(&format!("CLUSTER MEET 127.0.0.1 {port}")), "OK");
    eventually("the nodes know each other", || {
        there.run(&format!("CLUSTER REPLICATE {id}")) == "OK"
    });
    master.wait_for_replica(&node);
    // Each kind of message must have found its way once.
    for publish in ["PUBLISH", "SPUBLISH"] {
        if here.has(publish) {
            let kind = publish.replace("SPUBLISH", "publishshard").to_lowercase();
            eventually("the replica gets messages", || {
                here.run(&format!("{publish} probe x"));
                let received = format!("cluster_stats_messages_{kind}_received");
                there.run("CLUSTER INFO").contains(&received)
            });
        }
    }
    node
}

/// A node that knows no other, and has no slot.
fn cluster_node(setup: Setup) -> Server {
    let setup = setup
        .config("cluster-enabled yes")
        .config("cluster-node-timeout 5000");
    let mut log = String::new();
    // A node needs the port that is 10,000 above its own too, which may be taken or not exist.
    for _ in 0..100 {
        match setup.clone().try_start() {
            Ok(node) => return node,
            Err(why) => log = why,
        }
    }
    panic!("no node started:\n{log}")
}
