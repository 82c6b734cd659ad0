//! `LOCK.*` inside scripts, functions and transactions.

use crate::support::{eventually, Client, Listener, Server, Setup};

/// Runs a script whose key is `orders`.
fn eval(client: &mut Client, script: &str, args: &[&str]) -> String {
    let mut words: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), b"1", b"orders"];
    words.extend(args.iter().map(|arg| arg.as_bytes()));
    client.say(&words)
}

/// What is written only by the holder of `orders`.
const GUARDED: &str = "redis.call('LOCK.ASSERT', KEYS[1], unpack(ARGV))
    return redis.call('SET', 'total', ARGV[1])";

/// Lua that goes on until so many milliseconds have passed. Newer servers have a clock for that;
/// with the others TIME does not stand still in a script.
const PAUSE: &str = "local function now()
        local found, seconds = pcall(function() return os.clock() end)
        if found then return seconds * 1000 end
        local time = redis.call('TIME')
        return time[1] * 1000 + time[2] / 1000
    end
    local function pause(ms)
        local start = now()
        while now() - start < ms do end
    end ";

#[test]
fn a_script_takes_and_releases_a_lock() {
    let server = Server::start();
    let mut client = server.client();
    let script = "local grant = redis.call('LOCK.ACQUIRE', KEYS[1], ARGV[1], 5000)
        local guard = redis.call('LOCK.ASSERT', KEYS[1], ARGV[1])
        local renewal = redis.call('LOCK.RENEW', KEYS[1], ARGV[1], 4000)
        local left = redis.call('LOCK.RELEASE', KEYS[1], ARGV[1])
        return {grant[1], grant[2], grant[4], guard, renewal[4], left}";
    assert_eq!(eval(&mut client, script, &["me"]), "[1 1 5000 OK 4000 0]");
    assert_eq!(client.int("EXISTS orders"), 0);
    let freed = "local grant = redis.call('LOCK.ACQUIRE', KEYS[1], ARGV[1])
        return redis.call('LOCK.FORCERELEASE', KEYS[1])";
    assert_eq!(eval(&mut client, freed, &["me"]), "1");
}

#[test]
fn lua_reads_a_token_exactly() {
    let server = Server::start();
    let mut client = server.client();
    let script = "local token = redis.call('LOCK.ACQUIRE', KEYS[1], 'me')[3]
        return {string.format('%.0f', token), redis.call('LOCK.ASSERT', KEYS[1], 'me',
            'TOKEN', string.format('%.0f', token))}";
    let told = eval(&mut client, script, &[]);
    let token = client.stored("orders").token().to_owned();
    assert_eq!(told, format!("[{token} OK]"));
}

#[test]
fn a_script_sees_who_holds_a_lock() {
    let server = Server::start();
    let mut client = server.client();
    let info = "return redis.call('LOCK.INFO', KEYS[1])";
    assert_eq!(eval(&mut client, info, &[]), "nil");
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me");
    let told = eval(&mut client, info, &[]);
    let start = format!("[owner me holds 1 token {token} ttl ");
    assert!(told.starts_with(&start), "{told}");
}

#[test]
fn an_assert_stops_a_script_of_one_who_lost_the_lock() {
    let server = Server::start();
    let (mut holder, mut other) = (server.client(), server.client());
    let token = holder.grant("LOCK.ACQUIRE orders me 60000")[2].to_string();
    assert_eq!(eval(&mut holder, GUARDED, &["me"]), "OK");
    assert_eq!(eval(&mut holder, GUARDED, &["me", "TOKEN", &token]), "OK");
    holder.run("DEL total");

    // Its lease ran out: free, then someone else's, then its own again by another call.
    holder.run("LOCK.RENEW orders me 1");
    eventually("the lease ends", || holder.int("EXISTS orders") == 0);
    let refused = eval(&mut holder, GUARDED, &["me"]);
    assert!(
        refused.contains("NOTOWNER the lock is free"),
        "told: {refused}"
    );
    other.run("LOCK.ACQUIRE orders you 60000");
    let refused = eval(&mut holder, GUARDED, &["me"]);
    assert!(
        refused.contains("NOTOWNER the lock is held by another owner"),
        "told: {refused}"
    );
    other.run("LOCK.RELEASE orders you");
    other.run("LOCK.ACQUIRE orders me 60000");
    let refused = eval(&mut holder, GUARDED, &["me", "TOKEN", &token]);
    assert!(refused.contains("NOTOWNER"), "told: {refused}");
    assert_eq!(holder.int("EXISTS total"), 0);
}

#[test]
fn an_assert_stops_a_function_of_one_who_lost_the_lock() {
    let server = Server::start();
    let mut client = server.client();
    let library = b"#!lua name=guarded
        redis.register_function('save', function(keys, args)
            redis.call('LOCK.ASSERT', keys[1], args[1])
            return redis.call('SET', keys[2], args[2])
        end)
        redis.register_function{function_name='check', flags={'no-writes'},
            callback=function(keys, args)
                return redis.call('LOCK.ASSERT', keys[1], args[1])
            end}
        redis.register_function{function_name='take', flags={'no-writes'},
            callback=function(keys, args)
                return redis.call('LOCK.ACQUIRE', keys[1], args[1])
            end}";
    assert_eq!(client.say(&[b"FUNCTION", b"LOAD", library]), "guarded");
    client.run("LOCK.ACQUIRE orders me");
    assert_eq!(client.run("FCALL save 2 orders total me 7"), "OK");
    assert_eq!(client.run("FCALL check 1 orders me"), "OK");
    assert_eq!(client.run("FCALL_RO check 1 orders me"), "OK");
    let refused = client.run("FCALL save 2 orders total you 8");
    assert!(refused.starts_with("NOTOWNER "), "{refused}");
    assert_eq!(client.run("GET total"), "7");
    let refused = client.run("FCALL take 1 orders you");
    assert!(refused.starts_with("ERR Write commands"), "{refused}");
}

#[test]
fn a_read_only_script_may_look_but_not_take() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    let look = b"return {redis.call('LOCK.ASSERT', KEYS[1], 'me'),
        redis.call('LOCK.INFO', KEYS[1])[2]}";
    assert_eq!(client.say(&[b"EVAL_RO", look, b"1", b"orders"]), "[OK me]");
    for call in [
        "'LOCK.ACQUIRE', KEYS[1], 'me'",
        "'LOCK.RELEASE', KEYS[1], 'me'",
        "'LOCK.RENEW', KEYS[1], 'me'",
        "'LOCK.FORCERELEASE', KEYS[1]",
    ] {
        let script = format!("return redis.call({call})");
        let refused = client.say(&[b"EVAL_RO", script.as_bytes(), b"1", b"orders"]);
        assert!(refused.starts_with("ERR Write commands"), "{refused}");
    }
    assert_eq!(client.run("HGET orders me"), "1");
}

#[test]
fn a_script_that_catches_a_refusal_reads_its_code_first() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    let script = "return redis.pcall('LOCK.RELEASE', KEYS[1], 'you').err:match('%u+')";
    assert_eq!(eval(&mut client, script, &[]), "NOTOWNER");
    let script = "return redis.pcall('LOCK.ACQUIRE', KEYS[1], 'me', 'HOLDS', 9).err:match('%u+')";
    assert_eq!(eval(&mut client, script, &[]), "HOLDCOUNT");
    // Handed on as an error, it is one to the client too.
    let script = "return redis.pcall('LOCK.RELEASE', KEYS[1], 'you')";
    assert_eq!(
        eval(&mut client, script, &[]),
        "NOTOWNER the lock is held by another owner"
    );
}

#[test]
fn a_lease_that_runs_out_inside_a_script_is_over_for_the_rest_of_it() {
    let server = Server::start();
    let mut client = server.client();
    // The server's own clock stands still in a script: to it the key is there to the end.
    let script = "redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 20)
        pause(40)
        local assert = redis.pcall('LOCK.ASSERT', KEYS[1], 'me')
        local release = redis.pcall('LOCK.RELEASE', KEYS[1], 'me')
        local renew = redis.pcall('LOCK.RENEW', KEYS[1], 'me')
        local again = redis.pcall('LOCK.ACQUIRE', KEYS[1], 'me', 'TOKEN', 7)
        return {assert.err, release.err, renew.err, again.err,
            tostring(redis.call('LOCK.INFO', KEYS[1])),
            redis.call('LOCK.FORCERELEASE', KEYS[1]),
            redis.call('LOCK.RELEASE', KEYS[1], 'me', 'HOLDS', 0)}";
    let free = "NOTOWNER the lock is free";
    assert_eq!(
        eval(&mut client, &format!("{PAUSE}{script}"), &[]),
        format!("[{free} {free} {free} {free} false 0 -1]")
    );
    assert_eq!(client.int("EXISTS orders"), 0);
}

#[test]
fn a_lease_that_ran_out_never_comes_back_in_the_rest_of_a_script() {
    let server = Server::start();
    let mut client = server.client();
    let script = "redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 5)
        pause(10)
        local held = 0
        for _ = 1, 20000 do
            if redis.pcall('LOCK.ASSERT', KEYS[1], 'me').ok then held = held + 1 end
        end
        return held";
    assert_eq!(eval(&mut client, &format!("{PAUSE}{script}"), &[]), "0");
}

#[test]
fn a_lock_that_lapsed_inside_a_script_goes_to_the_next_in_the_same_script() {
    let server = Setup::new().config("notify-keyspace-events KEA").start();
    let replica = server.replica(Setup::new());
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "__keyspace@0__:*");
    let script = "local mine = redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 20)
        pause(40)
        local yours = redis.call('LOCK.ACQUIRE', KEYS[1], 'you', 60000)
        local busy = redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 60000)
        return {mine[1], yours[1], yours[2], yours[4], busy[1], tostring(mine[3] < yours[3])}";
    assert_eq!(
        eval(&mut client, &format!("{PAUSE}{script}"), &[]),
        "[1 1 1 60000 0 true]"
    );
    for event in ["hset", "expire", "expired", "hset", "expire"] {
        assert_eq!(listener.next().1, event);
    }
    listener.assert_quiet();
    let stored = client.stored("orders");
    assert_eq!(stored.fields["you"], "1");
    assert_eq!(stored.fields.len(), 2);
    server.wait_for_replica(&replica);
    assert_eq!(replica.client().stored("orders"), stored);
}

#[test]
fn a_lock_that_lapses_while_a_script_of_another_kind_runs_is_lost() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 20");
    let script = format!("{PAUSE} pause(40) {GUARDED}");
    let refused = eval(&mut client, &script, &["me"]);
    assert!(refused.contains("NOTOWNER"), "told: {refused}");
    assert_eq!(client.int("EXISTS total"), 0);
}

#[test]
fn a_transaction_takes_and_releases_locks() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE taken you 60000");
    for line in [
        "MULTI",
        "LOCK.ACQUIRE orders me 5000",
        "LOCK.RELEASE taken me",
        "SET total 7",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.ASSERT taken you",
    ] {
        client.run(line);
    }
    let reply = client.run("EXEC");
    let (grant, rest) = reply.split_once(']').unwrap();
    assert!(grant.starts_with("[[1 1 "), "{reply}");
    assert_eq!(
        rest,
        " NOTOWNER the lock is held by another owner OK 0 -1 OK]"
    );
    assert_eq!(client.int("EXISTS orders"), 0);
}

#[test]
fn a_transaction_that_is_discarded_takes_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.run("MULTI");
    assert_eq!(client.run("LOCK.ACQUIRE orders me"), "QUEUED");
    client.run("DISCARD");
    assert_eq!(client.run("LOCK.INFO orders"), "nil");
    assert_eq!(client.counter("acquired"), 0);
}

#[test]
fn a_call_with_too_few_arguments_spoils_its_transaction() {
    let server = Server::start();
    let mut client = server.client();
    client.run("MULTI");
    client.run("SET total 7");
    assert_eq!(
        client.run("LOCK.ACQUIRE orders"),
        "ERR wrong number of arguments for 'lock.acquire' command"
    );
    assert!(client.run("EXEC").starts_with("EXECABORT"));
    assert_eq!(client.int("EXISTS total"), 0);
}
