//! What a random client does on its own: in every form, as every user, in every database.

use super::calls::{any_key, line, pack, shown, Call};
use super::check::Outcome;
use super::client::Client;
use super::plant;
use super::play::{Form, Play, CLIENTS};
use super::specs::specs;
use super::words::{any_bytes, any_number, one_of};
use super::USERS;
use redis::Value;

/// Any calls, in any form.
pub fn calls(play: &mut Play) {
    let at = play.dice.usize(..CLIENTS);
    let form = match play.dice.usize(..10) {
        0..=4 => Form::Pipeline,
        5 | 6 => Form::Transaction,
        7 | 8 => Form::Script(play.dice.bool()),
        _ => Form::Function,
    };
    let calls = play.some_calls(6);
    play.exchange(at, &calls, form);
}

/// Every command, on one key.
pub fn every_command(play: &mut Play, key: &[u8]) {
    let at = play.dice.usize(..CLIENTS);
    for spec in specs() {
        let words = play.source().proper(spec, key);
        play.exchange(at, &[Call { spec, words }], Form::Pipeline);
    }
}

/// Calls without a reply, and then again with one.
pub fn silence(play: &mut Play) {
    let (at, calls) = (play.dice.usize(..CLIENTS), play.some_calls(4));
    play.tried.calls += calls.len() as u64;
    let is_off = play.dice.bool();
    let mut packet = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        match (is_off, number) {
            (false, _) => packet.extend(pack(&line("CLIENT REPLY SKIP"))),
            (true, 0) => packet.extend(pack(&line("CLIENT REPLY OFF"))),
            _ => (),
        }
        play.note(&format!("client {at} without a reply"), &call.words);
        packet.extend(pack(&call.words));
    }
    if is_off {
        packet.extend(pack(&line("CLIENT REPLY ON")));
    }
    play.clients[at].send(&packet);
    if is_off {
        let reply = play.reply(at);
        assert_eq!(reply, Value::Okay);
    }
    play.is_in_step(at);
}

/// A transaction that is given up, or broken by a command that there is not.
pub fn abandoned_transaction(play: &mut Play) {
    let (at, calls) = (play.dice.usize(..CLIENTS), play.some_calls(4));
    play.tried.calls += calls.len() as u64;
    let key = calls[0].key().unwrap_or(b"k0").to_vec();
    let db = play.clients[at].db;
    let before = play.shot(db, &key);
    let end = one_of(&mut play.dice, &["DISCARD", "LOCK.NONE k0", "LOCK.INFO"]);
    let mut packet = pack(&line("MULTI"));
    for call in &calls {
        play.note(&format!("client {at}, abandoned"), &call.words);
        packet.extend(pack(&call.words));
    }
    packet.extend(pack(&line(end)));
    if end != "DISCARD" {
        packet.extend(pack(&line("EXEC")));
    }
    play.clients[at].send(&packet);
    let replies = calls.len() + if end == "DISCARD" { 2 } else { 3 };
    (0..replies).for_each(|_| drop(play.reply(at)));
    play.is_in_step(at);
    play.compare(db, &key, &before);
}

/// Someone watches a lock. Only a call that changes it breaks the transaction.
pub fn watch(play: &mut Play) {
    let (at, other) = (play.dice.usize(..CLIENTS - 1), CLIENTS - 1);
    let key = any_key(&mut play.dice);
    let db = play.clients[other].db;
    play.clients[at].become_user(None);
    play.clients[at].select(db);
    // Before: what lapses from now on breaks the transaction.
    let before = play.shot(db, &key);
    play.clients[at].ask_words(&[b"WATCH".to_vec(), key.clone()]);
    let call = play.source().call(&key);
    let outcomes = play.exchange(other, &[call], Form::Pipeline);
    play.clients[at].ask("MULTI");
    play.clients[at].ask("LOCK.LINES");
    let executed = play.clients[at].ask("EXEC");
    let excused = play.fields_expire || play.has_lapsed(&before);
    if executed == Value::Nil && outcomes[0].changes_nothing() && !excused {
        let after = play.shot(db, &key);
        // A session is renewed, and that is a change.
        if after == before {
            play.fail("a watched lock that was not changed broke a transaction");
        }
    }
    play.is_in_step(at);
}

/// A connection becomes another one.
pub fn change(play: &mut Play) {
    let at = play.dice.usize(..CLIENTS);
    let (resp3, db) = (play.dice.bool(), play.dice.usize(..3));
    let user = match play.dice.usize(..8) {
        0..=4 => None,
        user => Some(USERS[user - 5].0),
    };
    let tracking = [
        "CLIENT TRACKING ON",
        "CLIENT TRACKING ON BCAST",
        "CLIENT TRACKING ON NOLOOP",
    ];
    let tracking = one_of(&mut play.dice, &tracking);
    let tracks = play.dice.usize(..3) == 0;
    let client = &mut play.clients[at];
    // Only some may select.
    client.become_user(None);
    client.select(db);
    if client.tracks {
        client.ask("CLIENT TRACKING OFF");
        client.tracks = false;
    }
    let spoke = client.speak(resp3);
    if tracks && resp3 {
        client.tracks = true;
        client.ask(tracking);
    }
    client.become_user(user);
    play.expect(spoke);
}

/// A connection ends in the middle of its calls, and another one takes its place.
pub fn leave(play: &mut Play) {
    let (at, calls) = (play.dice.usize(..CLIENTS), play.some_calls(20));
    let packet: Vec<u8> = calls.iter().flat_map(|call| pack(&call.words)).collect();
    play.note(&format!("client {at}, cut"), &calls[0].words);
    let cut = play.dice.usize(..=packet.len());
    play.clients[at].send(&packet[..cut]);
    play.tried.cut += 1;
    let old = play.clients[at].again();
    if play.dice.bool() {
        return old.leave(&mut play.admin);
    }
    let heard = old.hang_up();
    check_bytes(play, &heard);
}

/// Something that is not the protocol, or only its beginning.
pub fn garbage(play: &mut Play) {
    let mut bytes: Vec<u8> = match play.dice.usize(..10) {
        0 => b"*3\r\n$12\r\nLOCK.ACQUIRE\r\n$5\r\n".to_vec(),
        1 => b"*1000000000\r\n$12\r\nLOCK.ACQUIRE\r\n".to_vec(),
        2 => b"*3\r\n$12\r\nLOCK.ACQUIRE\r\n$-5\r\nk0\r\n".to_vec(),
        3 => b"*3\r\n$12\r\nLOCK.ACQUIRE\r\n$99999999999\r\nk0\r\n".to_vec(),
        4 => b"*3\r\n$12\r\nLOCK.ACQUIRE k0\r\n:1\r\n".to_vec(),
        5 => b"LOCK.ACQUIRE \"k0 o1\r\nLOCK.INFO 'k\r\n".to_vec(),
        6 => [
            b"*2\r\n$9\r\nLOCK.INFO\r\n$".as_slice(),
            &any_number(&mut play.dice, 0, 1 << 29),
            b"\r\nk0\r\n",
        ]
        .concat(),
        7 => any_bytes(&mut play.dice, 300),
        _ => {
            let calls = play.some_calls(3);
            calls.iter().flat_map(|call| pack(&call.words)).collect()
        }
    };
    // Some of it is damaged on the way.
    for _ in 0..play.dice.usize(..4) {
        let at = play.dice.usize(..=bytes.len());
        match (play.dice.usize(..3), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = play.dice.u8(..),
            (1, Some(_)) => drop(bytes.remove(at)),
            _ => bytes.insert(at, play.dice.u8(..)),
        }
    }
    play.note("garbage", &[bytes.clone()]);
    play.tried.cut += 1;
    let mut client = Client::connect(play.server.port());
    client.send(&bytes);
    let heard = client.hang_up();
    check_bytes(play, &heard);
}

fn check_bytes(play: &Play, heard: &[u8]) {
    let text = String::from_utf8_lossy(heard).to_ascii_lowercase();
    if text.contains("internal") {
        play.fail(&format!(
            "garbage was answered by {}",
            shown(&[heard.to_vec()])
        ));
    }
}

/// Someone puts something else there, and every command is tried on it.
pub fn plant(play: &mut Play) {
    let key = any_key(&mut play.dice);
    plant_under(play, &key);
    every_command(play, &key);
}

/// Someone puts something else there.
pub fn plant_under(play: &mut Play, key: &[u8]) {
    let mut calls = plant::any(&mut play.dice, key);
    // What it does not know it would quote, whatever bytes that has.
    calls.retain(|words| !play.lacks.iter().any(|name| words[0] == name.as_bytes()));
    play.tried.planted += 1;
    let db = play.dice.usize(..2);
    play.admin.select(db);
    for words in &calls {
        let reply = play.say_words(words);
        let has_failed = matches!(reply, Value::ServerError(_));
        play.fields_expire |= words[0] == b"HPEXPIRE" && !has_failed;
        if words[0] == b"MOVE" {
            // Valkey 8.1 leaves whoever moves a key in the database that it went to, if a module listens to key events.
            play.admin.select_again();
        }
    }
}

/// A lease is over, and the server has not deleted the key yet.
pub fn lapse(play: &mut Play) {
    let key = any_key(&mut play.dice);
    play.say("DEBUG SET-ACTIVE-EXPIRE 0");
    play.admin.select(play.clients[0].db);
    plant_under(play, &key);
    let end = play.clock() + 1;
    play.say_words(&[
        b"PEXPIREAT".to_vec(),
        key.clone(),
        end.to_string().into_bytes(),
    ]);
    while play.clock() <= end {}
    every_command(play, &key);
    play.say("DEBUG SET-ACTIVE-EXPIRE 1");
}

/// Everything is deleted.
pub fn flush(play: &mut Play) {
    let how = ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHALL SYNC"];
    let how = one_of(&mut play.dice, &how);
    play.say(how);
    play.fields_expire = false;
}

/// Calls that may change nothing, as those with these users may not. Fails where one is served all the same.
pub fn trespass(play: &mut Play) {
    let at = play.dice.usize(..CLIENTS);
    let (user, _, allowed) = one_of(&mut play.dice, &USERS);
    play.clients[at].become_user(Some(user));
    let calls = play.some_calls(4);
    let outcomes = play.exchange(at, &calls, Form::Pipeline);
    for (call, outcome) in calls.iter().zip(&outcomes) {
        let is_served = !matches!(outcome, Outcome::Refused(_));
        let may = allowed.contains(&call.spec.name) && call.key().is_none_or(|key| key == b"k0");
        if is_served && !may {
            play.fail(&format!("{user} was served {}", shown(&call.words)));
        }
    }
    play.clients[at].become_user(None);
}
