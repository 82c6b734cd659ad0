//! What holders can do in a grace period: only the token says that a hold is theirs still.

use super::{end, left, promoted, setup};
use crate::support::{eventually, Server, Setup, Waiter};

const REFUSED: &str = "NOTOWNER in the grace period a hold counts only with its TOKEN";

#[test]
fn a_holder_renews_asserts_and_reenters_with_its_token() {
    let (server, token) = promoted();
    let mut client = server.client();
    let renewed = client.grant(&format!("LOCK.RENEW orders me 30000 TOKEN {token}"));
    assert_eq!(renewed, [1, 1, token, 30000]);
    assert_eq!(
        client.run(&format!("LOCK.ASSERT orders me TOKEN {token}")),
        "OK"
    );
    let reentered = client.grant(&format!("LOCK.ACQUIRE orders me 60000 TOKEN {token}"));
    assert_eq!(reentered, [1, 2, token, 60000]);
    let repeated = client.grant(&format!("LOCK.ACQUIRE orders me HOLDS 2 TOKEN {token}"));
    assert_eq!(repeated[..3], [1, 2, token]);
    assert_eq!(
        client.int(&format!("LOCK.RELEASE orders me TOKEN {token}")),
        1
    );
    assert!(left(&mut client) > 0);
}

#[test]
fn without_the_token_the_owner_in_the_data_is_a_stranger() {
    let (server, token) = promoted();
    let mut client = server.client();
    let before = client.stored("orders");
    for line in [
        "LOCK.ACQUIRE orders me 90",
        "LOCK.ACQUIRE orders me HOLDS 1",
    ] {
        assert_eq!(client.grant(line)[..3], [0; 3], "{line}");
    }
    assert_eq!(client.run("LOCK.RENEW orders me 60000"), REFUSED);
    assert_eq!(client.run("LOCK.ASSERT orders me"), REFUSED);
    let wrong = token + 1;
    for line in ["ACQUIRE", "RENEW", "ASSERT"] {
        let reply = client.run(&format!("LOCK.{line} orders me TOKEN {wrong}"));
        assert!(reply.starts_with("NOTOWNER "), "{line}: {reply}");
    }
    // In a script, too.
    let script = b"return redis.call('LOCK.ASSERT', KEYS[1], 'me')";
    let reply = client.say(&[b"EVAL", script, b"1", b"orders"]);
    assert!(reply.contains(REFUSED), "{reply}");
    assert_eq!(client.stored("orders"), before);
    end(&mut client);
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me HOLDS 2")[..3],
        [1, 2, token]
    );
}

#[test]
fn an_owner_that_released_on_the_old_master_does_not_get_it_back_from_old_data() {
    let master = Server::start();
    let server = master.replica(setup());
    let mut old = master.client();
    old.grant("LOCK.ACQUIRE orders a 60000");
    master.wait_for_replica(&server);
    // The cut, and the promotion. What follows on the old master is lost.
    let mut new = server.client();
    new.run("REPLICAOF NO ONE");
    assert_eq!(old.int("LOCK.RELEASE orders a"), 0);
    assert_eq!(old.grant("LOCK.ACQUIRE orders b 60000")[..2], [1, 1]);
    // The data here still names A, and A asks again; so does B, who is the owner.
    assert_eq!(new.grant("LOCK.ACQUIRE orders a 60000")[0], 0);
    assert_eq!(new.grant("LOCK.ACQUIRE orders a 60000 HOLDS 1")[0], 0);
    assert_eq!(new.run("LOCK.RENEW orders a 60000"), REFUSED);
    let mut b = Waiter::start(&server, "LOCK.ACQUIRE orders b 60000 WAIT 0");
    let mut a = Waiter::start(&server, "LOCK.ACQUIRE orders a 60000 WAIT 0");
    // As the promise wants, the lease in the data is over before the grace period is.
    new.run("PEXPIRE orders 1");
    eventually("the lease is over", || new.int("EXISTS orders") == 0);
    assert!(!b.has_reply());
    end(&mut new);
    assert_eq!(b.grant()[..2], [1, 1]);
    assert!(!a.has_reply());
    assert_eq!(new.int("LOCK.RELEASE orders b"), 0);
    assert_eq!(a.grant()[..2], [1, 1]);
}

#[test]
fn while_the_old_master_may_still_grant_a_token_confirms_and_does_not_extend() {
    const MAX_LAG: i64 = 6;
    /// Until then the old master notices.
    const CUT_OFF: i64 = MAX_LAG * 1000 + 3500;
    const GRACE: i64 = 300_000;
    let master = Server::start();
    let token = master.client().grant("LOCK.ACQUIRE orders me 60000")[2];
    let bounded = Setup::new().module_args(&format!("grace-period {GRACE} max-ttl 90000"));
    let server = master.replica(
        bounded
            .config("min-replicas-to-write 1")
            .config(&format!("min-replicas-max-lag {MAX_LAG}")),
    );
    let below = server.replica(Setup::without_module());
    master.wait_for_replica(&server);
    let mut client = server.client();
    client.run("REPLICAOF NO ONE");
    eventually("the new master has a replica", || {
        !client
            .run(&format!("LOCK.RELEASE orders me HOLDS 1 TOKEN {token}"))
            .starts_with("NOREPLICAS")
    });
    let deadline = client.stored("orders").deadline;
    let kept = client.grant(&format!("LOCK.RENEW orders me 90000 TOKEN {token}"));
    assert_eq!(kept[..3], [1, 1, token]);
    assert!(kept[3] <= 60_000);
    let reentered = client.grant(&format!(
        "LOCK.ACQUIRE orders me 90000 TOKEN {token} HOLDS 2"
    ));
    assert_eq!(reentered[..3], [1, 2, token]);
    assert!(reentered[3] <= 60_000);
    assert_eq!(client.stored("orders").deadline, deadline);
    let shorter = client.grant(&format!("LOCK.RENEW orders me 40000 TOKEN {token}"));
    assert!(shorter[3] <= 40_000);
    // When that is over it extends again.
    eventually("it is extended", || {
        client.grant(&format!("LOCK.RENEW orders me 90000 TOKEN {token}"))[3] == 90_000
    });
    assert!(left(&mut client) < GRACE - CUT_OFF + 500);
    drop(below);
}

#[test]
fn a_holder_can_bind_its_hold_anew_and_its_end_frees_the_lock_for_nobody_yet() {
    let (server, token) = promoted();
    let mut holder = server.client();
    let bound = holder.grant(&format!(
        "LOCK.ACQUIRE orders me 60000 SESSION HOLDS 1 TOKEN {token}"
    ));
    assert_eq!(bound[..3], [1, 1, token]);
    let mut client = server.client();
    assert_eq!(client.counter("sessions"), 1);
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
    drop(holder);
    eventually("its end was acted on", || {
        client.counter("sessions_ended") == 1
    });
    assert_eq!(client.int("EXISTS orders"), 0);
    assert!(left(&mut client) > 0);
    assert!(!next.has_reply());
    end(&mut client);
    assert_eq!(next.grant()[..2], [1, 1]);
}

#[test]
fn a_forced_release_works_in_it_and_hands_to_nobody_before_its_end() {
    let (server, _) = promoted();
    let mut client = server.client();
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
    assert_eq!(client.int("LOCK.FORCERELEASE orders"), 1);
    assert!(!next.has_reply());
    end(&mut client);
    assert_eq!(next.grant()[..2], [1, 1]);
}
