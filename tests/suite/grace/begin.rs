//! What begins a grace period, and what does not.

use super::{end, left, setup, GRACE};
use crate::support::{eventually, module, Server, Setup};

#[test]
fn the_start_of_the_server_begins_one_with_data_or_without() {
    let persistent = setup().config("appendonly yes");
    let mut server = persistent.clone().start();
    let mut client = server.client();
    assert!(left(&mut client) > 0);
    end(&mut client);
    let token = client.grant("LOCK.ACQUIRE orders me 60000")[2];
    server.shut_down();
    let server = persistent.data_of(&server).start();
    let mut client = server.client();
    assert!(left(&mut client) > 0);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[..3], [0; 3]);
    let again = client.grant(&format!("LOCK.ACQUIRE orders me TOKEN {token}"));
    assert_eq!(again[..3], [1, 2, token]);
}

#[test]
fn a_promotion_begins_one_and_a_demotion_does_not() {
    let master = Server::start();
    let replica = master.replica(setup());
    let mut client = replica.client();
    end(&mut client);
    client.run("REPLICAOF NO ONE");
    let remaining = left(&mut client);
    // It outlasts a lease of that length, however both are rounded.
    assert!((1..=GRACE + 2).contains(&remaining), "{remaining}");
    end(&mut client);
    client.run(&format!("REPLICAOF 127.0.0.1 {}", master.port()));
    assert_eq!(left(&mut client), 0);
}

#[test]
fn a_reload_and_a_full_resync_begin_none() {
    let master = Server::start();
    let server = setup().start();
    let mut client = server.client();
    end(&mut client);
    assert_eq!(client.run("DEBUG RELOAD"), "OK");
    assert_eq!(left(&mut client), 0);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[..2], [1, 1]);
    client.run(&format!("REPLICAOF 127.0.0.1 {}", master.port()));
    eventually("it has what the master has", || {
        client.info("replication", "master_link_status").as_deref() == Some("up")
    });
    assert_eq!(client.int("EXISTS orders"), 0);
    assert_eq!(left(&mut client), 0);
}

#[test]
fn loading_the_module_later_begins_none() {
    let server = Setup::without_module()
        .config("enable-module-command yes")
        .start();
    let mut client = server.client();
    let path = module().display().to_string();
    let load = format!("MODULE LOAD {path} grace-period 60000 max-ttl 60000");
    assert_eq!(client.run(&load), "OK");
    assert_eq!(left(&mut client), 0);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[..2], [1, 1]);
}

#[test]
fn without_the_setting_there_is_none() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(left(&mut client), 0);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[..2], [1, 1]);
    client.run("REPLICAOF 127.0.0.1 1");
    client.run("REPLICAOF NO ONE");
    assert_eq!(left(&mut client), 0);
    assert_eq!(client.grant("LOCK.ACQUIRE stock me")[..2], [1, 1]);
}
