//! The rights of users are those that they have when they are used, and nobody gets another's.

use crate::support::{eventually, skip, Client, Server, Waiter};

/// A server with the user `app`, who may do much with the keys `app:*` only.
fn server() -> (Server, Client) {
    let server = Server::start();
    let mut admin = server.client();
    admin.run("ACL SETUSER app reset on nopass ~app:* &* +@all -@dangerous -@admin");
    (server, admin)
}

/// A connection of the user `app`.
fn app(server: &Server) -> Client {
    let mut app = server.client();
    assert_eq!(app.run("AUTH app any"), "OK");
    app
}

/// One that waits for the lock `app:l`, as the user `app`.
fn wait(server: &Server, line: &str) -> Waiter {
    Waiter::start_after(server, &["AUTH app any"], line)
}

/// A script of one word that writes what `app` may not write.
const STEAL: &str = "return{redis.pcall('SET','secret','stolen')}";

/// Whether that script was refused, as servers say it in words of their own.
fn is_refusal(reply: &str) -> bool {
    ["NOPERM", "can't", "ACL failure"]
        .iter()
        .any(|words| reply.contains(words))
}

#[test]
fn a_script_that_loses_its_own_connections_session_keeps_the_rights_of_its_user() {
    let (server, mut admin) = server();
    let mut app = app(&server);
    app.grant("LOCK.ACQUIRE app:l me 60000 SESSION");
    let script = format!(
        "redis.call('DEL', 'app:l') redis.call('LOCK.ACQUIRE', 'app:l', 'other', '60000') {STEAL}"
    );
    let reply = app.say(&[b"EVAL", script.as_bytes(), b"0"]);
    assert!(is_refusal(&reply), "{reply}");
    assert_eq!(admin.run("GET secret"), "nil");
    eventually("the session is lost", || {
        admin.counter("sessions_lost") == 1
    });
}

#[test]
fn a_transaction_that_loses_its_own_connections_session_keeps_the_rights_of_its_user() {
    let (server, mut admin) = server();
    let mut app = app(&server);
    app.grant("LOCK.ACQUIRE app:l me 60000 SESSION");
    for line in [
        "MULTI",
        "DEL app:l",
        "LOCK.ACQUIRE app:l other 60000",
        &format!("EVAL {} 0", STEAL.replace("return{", "return{1,")),
    ] {
        app.run(line);
    }
    let reply = app.run("EXEC");
    assert!(reply.starts_with("[1 [1 1 "), "{reply}");
    assert_eq!(admin.run("GET secret"), "nil");
    eventually("the session is lost", || {
        admin.counter("sessions_lost") == 1
    });
}

#[test]
fn a_command_that_a_pause_has_postponed_never_runs_with_the_rights_of_the_default_user() {
    let (server, mut admin) = server();
    for _ in 0..10 {
        let mut app = Waiter::begin(
            &server,
            &["AUTH app any"],
            "LOCK.ACQUIRE app:l me 60000 SESSION",
        );
        assert_eq!(app.grant()[0], 1);
        admin.run("CLIENT PAUSE 60000 WRITE");
        app.send(&format!("EVAL {STEAL} 0"));
        eventually("the script is postponed", || app.is_blocked(&mut admin));
        let mut both = redis::pipe();
        both.cmd("CLIENT").arg("UNPAUSE").cmd("DEL").arg("app:l");
        let _: (String, i64) = both.query(&mut admin.raw).unwrap();
        let reply = app.reply();
        assert!(reply == "closed" || is_refusal(&reply), "{reply}");
        assert_eq!(admin.run("GET secret"), "nil");
    }
}

#[test]
fn a_user_who_lost_the_rights_while_waiting_is_refused_and_the_lock_goes_to_the_next() {
    for change in [
        "ACL SETUSER app resetkeys",
        "ACL SETUSER app -lock.acquire",
        // The command by one selector and the key by another do not make the call.
        "ACL SETUSER app resetkeys (~app:* +get)",
    ] {
        let (server, mut admin) = server();
        admin.grant("LOCK.ACQUIRE app:l you 60000");
        let mut waiter = wait(&server, "LOCK.ACQUIRE app:l x 60000 WAIT 0");
        let mut next = Waiter::start(&server, "LOCK.ACQUIRE app:l next 60000 WAIT 0");
        assert_eq!(admin.run(change), "OK");
        assert_eq!(admin.run("LOCK.RELEASE app:l you"), "0");
        let reply = waiter.reply();
        assert!(reply.starts_with("NOPERM "), "{change}: {reply}");
        assert_eq!(next.grant()[..2], [1, 1], "{change}");
        assert_eq!(admin.counter("waiters"), 0);
        // Its connection can go on.
        assert!(waiter.run("GET app:x") == "nil" || change.contains("resetkeys"));
    }
}

#[test]
fn the_wait_of_a_user_who_is_deleted_ends_and_the_lock_goes_to_the_next() {
    let (server, mut admin) = server();
    admin.grant("LOCK.ACQUIRE app:l you 60000");
    let mut waiter = wait(&server, "LOCK.ACQUIRE app:l x 60000 WAIT 0");
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE app:l next 60000 WAIT 0");
    // In one step, so that the client is still there when the lock is released.
    for line in ["MULTI", "ACL DELUSER app", "LOCK.RELEASE app:l you", "EXEC"] {
        admin.run(line);
    }
    let reply = waiter.reply();
    assert!(reply == "closed" || reply.starts_with("NOPERM "), "{reply}");
    assert_eq!(next.grant()[..2], [1, 1]);
}

#[test]
fn a_user_who_is_refused_is_the_only_one_in_line_and_the_lock_becomes_free() {
    let (server, mut admin) = server();
    admin.grant("LOCK.ACQUIRE app:l you 60000");
    let mut waiter = wait(&server, "LOCK.ACQUIRE app:l x 60000 WAIT 0");
    admin.run("ACL SETUSER app resetkeys");
    assert_eq!(admin.run("LOCK.RELEASE app:l you"), "0");
    assert!(waiter.reply().starts_with("NOPERM "));
    assert_eq!(admin.int("EXISTS app:l"), 0);
}

#[test]
fn a_user_who_is_off_is_not_refused_as_in_the_server() {
    let (server, mut admin) = server();
    admin.grant("LOCK.ACQUIRE app:l you 60000");
    let mut waiter = wait(&server, "LOCK.ACQUIRE app:l x 60000 WAIT 0");
    admin.run("ACL SETUSER app off");
    assert_eq!(admin.run("LOCK.RELEASE app:l you"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
}

#[test]
fn a_user_who_lost_the_rights_to_a_database_is_refused() {
    let (server, mut admin) = server();
    if admin.run("ACL SETUSER app alldbs") != "OK" {
        return skip("the server has no rights for each database");
    }
    admin.run("SELECT 3");
    admin.grant("LOCK.ACQUIRE app:l you 60000");
    let before = ["AUTH app any", "SELECT 3"];
    let mut waiter = Waiter::start_after(&server, &before, "LOCK.ACQUIRE app:l x 60000 WAIT 0");
    assert_eq!(admin.run("ACL SETUSER app resetdbs db=1"), "OK");
    assert_eq!(admin.run("LOCK.RELEASE app:l you"), "0");
    let reply = waiter.reply();
    assert!(reply.starts_with("NOPERM "), "{reply}");
}

#[test]
fn a_session_whose_user_lost_the_rights_is_not_renewed_and_its_connection_is_closed() {
    for change in ["ACL SETUSER app resetkeys", "ACL SETUSER app -lock.acquire"] {
        let (server, mut admin) = server();
        let mut holder = Waiter::begin(
            &server,
            &["AUTH app any"],
            "LOCK.ACQUIRE app:l me 1000 SESSION",
        );
        assert_eq!(holder.grant()[0], 1);
        let mut next = Waiter::start(&server, "LOCK.ACQUIRE app:l next 60000 WAIT 0");
        assert_eq!(admin.run(change), "OK");
        assert_eq!(holder.reply(), "closed", "{change}");
        assert_eq!(admin.counter("sessions_lost"), 1);
        assert_eq!(next.grant()[..2], [1, 1], "{change}");
    }
}

#[test]
fn a_session_is_renewed_by_the_user_who_took_it_whoever_its_connection_is_now() {
    let (server, mut admin) = server();
    admin.run("ACL SETUSER nobody reset on nopass +ping +auth");
    for line in ["AUTH nobody any", "RESET"] {
        let mut holder = Waiter::begin(
            &server,
            &["AUTH app any"],
            "LOCK.ACQUIRE app:l me 1000 SESSION",
        );
        assert_eq!(holder.grant()[0], 1);
        holder.run(line);
        let before = admin.counter("sessions_renewed");
        eventually("it is renewed", || {
            admin.counter("sessions_renewed") >= before + 3
        });
        assert_eq!(holder.run("PING"), "PONG", "{line}");
        assert_eq!(admin.run("LOCK.FORCERELEASE app:l"), "1");
    }
}

/// The module freed a null pointer for a user that the server did not know any more, and ended the server.
#[test]
fn a_session_whose_user_was_deleted_ended_the_server_at_its_renewal() {
    let (server, mut admin) = server();
    let mut holder = Waiter::begin(
        &server,
        &["AUTH app any"],
        "LOCK.ACQUIRE app:l me 1000 SESSION",
    );
    assert_eq!(holder.grant()[0], 1);
    // Now its connection has another user, so that it is not closed with the user that took the session.
    assert_eq!(holder.run("RESET"), "RESET");
    assert_eq!(admin.run("ACL DELUSER app"), "1");
    assert_eq!(holder.reply(), "closed");
    assert_eq!(admin.counter("sessions_lost"), 1);
}
