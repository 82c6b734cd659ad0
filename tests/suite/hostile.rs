//! Nothing that a client sends stops the server, or gets a reply that a client could not read.

mod calls;
mod check;
mod random;

use crate::inputs::words::{any_word, WORDS};
use crate::support::{eventually, show, Server, Setup, PATIENCE};
use calls::any_call;
pub use calls::COMMANDS;
use check::{check_health, pack, read_all, send_all};
use fastrand::Rng;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A server that keeps the connection open of one that forces the release of its own session.
fn open() -> Server {
    Setup::new().module_args("session-loss ignore").start()
}

#[test]
fn random_arguments_get_readable_replies_and_never_stop_the_server() {
    let server = open();
    let mut client = server.client();
    for seed in 1..=20 {
        let mut dice = Rng::with_seed(seed);
        for _ in 0..8 {
            let calls: Vec<_> = (0..25).map(|_| any_call(&mut dice)).collect();
            send_all(&mut client, &calls);
        }
    }
    check_health(&server);
    // The fuzz reached every command's inside too.
    for counter in ["acquired", "reentered", "busy", "released", "forced"] {
        assert!(client.counter(counter) > 0, "{counter}");
    }
}

#[test]
fn random_arguments_in_transactions_and_scripts_never_stop_the_server() {
    let server = open();
    let mut client = server.client();
    let mut dice = Rng::with_seed(77);
    let script = b"return {redis.pcall(unpack(ARGV))}".to_vec();
    for _ in 0..100 {
        let mut calls = vec![vec![b"MULTI".to_vec()]];
        calls.extend((0..4).map(|_| any_call(&mut dice)));
        calls.push(vec![b"EXEC".to_vec()]);
        calls.extend((0..4).map(|_| {
            let mut call = vec![b"EVAL".to_vec(), script.clone(), b"0".to_vec()];
            call.extend(any_call(&mut dice));
            if dice.usize(..4) == 0 {
                call.extend([b"WAIT".to_vec(), any_word(&mut dice)]);
            }
            call
        }));
        // What a script hands on of an error is the server's text around ours.
        let packed: Vec<u8> = calls.iter().flat_map(|call| pack(call)).collect();
        client.raw.send_packed_command(&packed).unwrap();
        for _ in &calls {
            client.raw.recv_response().unwrap();
        }
    }
    check_health(&server);
}

#[test]
fn random_waits_on_many_connections_get_one_reply_each() {
    let server = open();
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    let mut dice = Rng::with_seed(31);
    for _ in 0..20 {
        let mut sent = Vec::new();
        for client in &mut clients {
            let mut calls: Vec<_> = (0..10).map(|_| any_call(&mut dice)).collect();
            for call in &mut calls {
                if dice.usize(..2) == 0 {
                    let ms = (1 + dice.usize(..3)).to_string();
                    call.extend([b"WAIT".to_vec(), ms.into_bytes()]);
                }
            }
            let packed: Vec<u8> = calls.iter().flat_map(|call| pack(call)).collect();
            client.raw.send_packed_command(&packed).unwrap();
            sent.push(calls);
        }
        for (client, calls) in clients.iter_mut().zip(&sent) {
            read_all(client, calls);
            assert_eq!(client.run("ECHO in-step"), "in-step");
        }
    }
    assert!(clients[0].counter("waits_started") > 0);
    assert_eq!(clients[0].counter("waiters"), 0);
    check_health(&server);
}

#[test]
fn random_data_under_a_locks_name_never_stops_the_server() {
    let server = Server::start();
    let mut client = server.client();
    let mut dice = Rng::with_seed(4711);
    let fields: [&[u8]; 5] = [b"me", b"you", b"mode", b"", b"\0\xff"];
    for _ in 0..400 {
        let mut plant = vec![b"HSET".to_vec(), b"orders".to_vec()];
        for _ in 0..=dice.usize(..3) {
            let field = fields[dice.usize(..fields.len())].to_vec();
            plant.extend([field, any_word(&mut dice)]);
        }
        let mut calls = vec![vec![b"DEL".to_vec(), b"orders".to_vec()], plant];
        if dice.usize(..4) > 0 {
            let ttl = [b"1".as_slice(), b"60000", b"9000000000000000"][dice.usize(..3)];
            calls.push(
                [b"PEXPIRE", b"orders".as_slice(), ttl]
                    .map(<[u8]>::to_vec)
                    .to_vec(),
            );
        }
        for command in COMMANDS {
            calls.push(
                [command.as_bytes(), b"orders", b"me"]
                    .map(<[u8]>::to_vec)
                    .to_vec(),
            );
            calls.push([command.as_bytes(), b"orders"].map(<[u8]>::to_vec).to_vec());
        }
        send_all(&mut client, &calls);
    }
    check_health(&server);
}

#[test]
fn a_mebibyte_anywhere_in_a_call_gets_a_short_reply() {
    let server = Server::start();
    let mut client = server.client();
    let huge = vec![b'\xff'; 1 << 20];
    for command in COMMANDS {
        for at in 1..=6 {
            let words = [command, "orders", "me", "5000", "HOLDS", "1", "TOKEN"];
            let mut words = words.map(|word| word.as_bytes().to_vec()).to_vec();
            words[at] = huge.clone();
            send_all(&mut client, &[words]);
        }
    }
    check_health(&server);
}

#[test]
fn far_too_many_arguments_are_refused_as_such() {
    let server = Server::start();
    let mut client = server.client();
    for command in COMMANDS {
        for count in [16, 17, 20, 1000, 100_000] {
            let mut words: Vec<&[u8]> = vec![command.as_bytes()];
            words.resize(count, b"1");
            let reply = client.say(&words);
            assert!(reply.starts_with("ERR "), "{command} {count}: {reply}");
        }
    }
    check_health(&server);
}

#[test]
fn any_bytes_are_the_name_of_a_lock() {
    let server = Server::start();
    let mut client = server.client();
    let mut names: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    names.extend(WORDS.map(<[u8]>::to_vec));
    names.extend([vec![b'\0'; 300], vec![b'{'; 300], vec![b'%'; 1 << 20]]);
    for name in names {
        let taken = client.send(&[b"LOCK.ACQUIRE", &name, b"me"]);
        assert!(show(&taken).starts_with("[1 1 "), "{}", name.escape_ascii());
        let info = client.say(&[b"LOCK.INFO", &name]);
        assert!(info.starts_with("[owner me holds 1 "), "{info}");
        assert_eq!(client.say(&[b"LOCK.RELEASE", &name, b"me"]), "0");
        assert_eq!(client.say(&[b"EXISTS", &name]), "0");
    }
    check_health(&server);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_calls_harms_nobody() {
    let server = open();
    let mut dice = Rng::with_seed(99);
    for _ in 0..50 {
        let packed: Vec<u8> = (0..50).flat_map(|_| pack(&any_call(&mut dice))).collect();
        let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let cut = dice.usize(..packed.len());
        // The server may close the connection first, where its part of a call makes no sense.
        let _ = socket.write_all(&packed[..cut]);
    }
    let mut client = server.client();
    eventually("they are gone", || {
        client.info("clients", "connected_clients").unwrap() == "1"
    });
    check_health(&server);
}

#[test]
fn calls_typed_without_the_protocol_are_understood() {
    let server = Server::start();
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines = b"LOCK.ACQUIRE \"a\\x00\\r\\n%s\" \"\\xff\" 5000\r\n\
        LOCK.RELEASE \"a\\x00\\r\\n%s\" \"\\xff\"\r\nLOCK.ASSERT orders \"%s\\r\\n\"\r\n";
    socket.write_all(lines).unwrap();
    let wanted = b":5000\r\n:0\r\n-NOTOWNER the lock is free\r\n";
    let mut told = Vec::new();
    while !told.ends_with(wanted) {
        let mut bytes = [0; 256];
        let read = socket.read(&mut bytes).unwrap();
        assert!(read > 0, "{}", told.escape_ascii());
        told.extend(&bytes[..read]);
    }
    check_health(&server);
}

#[test]
fn no_call_loses_memory() {
    let server = crate::memory::quiet().start();
    let mut client = server.client();
    let mut rounds = |count: usize| {
        for round in 0..count {
            let name = format!("lock-{round}");
            let calls: Vec<Vec<Vec<u8>>> = [
                format!("LOCK.ACQUIRE {name} me 60000"),
                format!("LOCK.ACQUIRE {name} me"),
                format!("LOCK.ACQUIRE {name} you"),
                format!("LOCK.ACQUIRE {name} me HOLDS 9"),
                format!("LOCK.ACQUIRE {name} me soon"),
                format!("LOCK.RENEW {name} me 5000"),
                format!("LOCK.ASSERT {name} me"),
                format!("LOCK.ASSERT {name} you"),
                format!("LOCK.INFO {name}"),
                format!("LOCK.RELEASE {name} me"),
                format!("LOCK.RELEASE {name} me"),
                format!("LOCK.ACQUIRE {name} me"),
                format!("LOCK.FORCERELEASE {name}"),
            ]
            .iter()
            .map(|line| {
                line.split(' ')
                    .map(|word| word.as_bytes().to_vec())
                    .collect()
            })
            .collect();
            send_all(&mut client, &calls);
        }
        let used = client.info("memory", "used_memory").unwrap();
        used.parse::<i64>().unwrap()
    };
    let before = rounds(200);
    let after = rounds(4000);
    // A string forgotten once a round would be 64,000 bytes at least.
    assert!(after - before < 40_000, "{before} bytes, then {after}");
}

#[test]
fn random_settings_never_stop_the_server() {
    let server = Server::start();
    let mut client = server.client();
    let mut dice = Rng::with_seed(5);
    for _ in 0..300 {
        let names = [
            "default-ttl",
            "max-ttl",
            "grace-period",
            "session-loss",
            "notify",
            "channel-prefix",
        ];
        let name = format!("lock.{}", names[dice.usize(..names.len())]);
        let value = any_word(&mut dice);
        client.send(&[b"CONFIG", b"SET", name.as_bytes(), &value]);
        client.run("CONFIG GET lock.*");
        client.run("LOCK.ACQUIRE orders me");
        client.run("LOCK.FORCERELEASE orders");
    }
    client.run("CONFIG REWRITE");
    check_health(&server);
}

#[test]
fn a_crash_report_of_the_server_is_written_to_its_end() {
    // The server's test of the memory may fail by itself.
    let setup = Setup::new().config("crash-memcheck-enabled no");
    let server = setup.may_crash().start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    client.forget("DEBUG SEGFAULT");
    eventually("the report is written", || {
        server.log().contains("BUG REPORT END")
    });
    let log = server.log();
    assert!(log.contains("lock_acquired:1"), "{log}");
}
