//! Who gets in.

use super::{make, House};
use crate::support::{eventually, PATIENCE};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a server that lets a client in replies before the login.
const NO_LOGIN: &str = "NOAUTH Authentication required.";

/// Fails unless a client was refused for this reason.
fn assert_refused(reply: &Result<String, String>, reason: &str) {
    assert!(
        reply.as_ref().is_err_and(|why| why.contains(reason)),
        "not refused by {reason}: {reply:?}"
    );
}

/// A certificate that the authority of clients issues, valid for some days from now.
fn certificate(authority: &Path, days: &str) -> (PathBuf, PathBuf) {
    let file = |ending: &str| authority.join(format!("issued-{days}.{ending}"));
    let (key, request, issued) = (file("key"), file("csr"), file("crt"));
    let openssl = |line: &str, files: &[(&str, &Path)]| {
        let mut openssl = Command::new("openssl");
        openssl.args(line.split(' '));
        for (option, path) in files {
            openssl.arg(option).arg(path);
        }
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let line = "req -new -newkey rsa:2048 -nodes -subj /CN=worker";
    openssl(line, &[("-keyout", &key), ("-out", &request)]);
    let ca = authority.join("client-ca.crt");
    let ca_key = authority.join("client-ca.key");
    let line = format!("x509 -req -days {days} -set_serial 1");
    let files = [("-in", &request), ("-CA", &ca), ("-CAkey", &ca_key)];
    let files = files.map(|(option, path)| (option, path.as_path()));
    openssl(&line, &[&files[..], &[("-out", &issued)]].concat());
    (issued, key)
}

#[test]
fn a_client_with_a_certificate_of_ours_gets_in_and_may_do_nothing_before_its_login() {
    let Some(house) = House::build() else { return };
    assert_eq!(house.key("worker-1").knock().unwrap(), NO_LOGIN);
    let mut door = house.key("worker-1").connect();
    for line in [
        "LOCK.INFO lock:orders",
        "LOCK.ACQUIRE lock:orders me",
        "INFO",
    ] {
        assert_eq!(door.run(line).unwrap(), NO_LOGIN, "{line}");
    }
    assert!(door.run("AUTH any").unwrap().starts_with("WRONGPASS"));
    assert!(door
        .run("AUTH worker wrong")
        .unwrap()
        .starts_with("WRONGPASS"));
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let Some(house) = House::build() else { return };
    assert_refused(&house.key_with(None).knock(), "alert certificate required");
}

#[test]
fn a_client_with_a_certificate_of_a_foreign_authority_is_refused() {
    let Some(house) = House::build() else { return };
    let foreign = TempDir::new().unwrap();
    make("init", foreign.path(), &[]);
    make("client", foreign.path(), &["worker-1"]);
    let file = |name: &str| foreign.path().join(name);
    let shown = (file("clients/worker-1.crt"), file("clients/worker-1.key"));
    assert_refused(&house.key_with(Some(shown)).knock(), "alert unknown ca");
}

#[test]
fn a_client_that_shows_the_certificate_of_a_server_is_refused() {
    let Some(house) = House::build() else { return };
    let shown = (house.path("server.crt"), house.path("server.key"));
    assert_refused(&house.key_with(Some(shown)).knock(), "alert unknown ca");
}

#[test]
fn a_client_whose_certificate_has_expired_is_refused() {
    let Some(house) = House::build() else { return };
    let valid = house.key_with(Some(certificate(house.dir.path(), "1")));
    assert_eq!(valid.knock().unwrap(), NO_LOGIN);
    // It expires in the second in which it is issued.
    let expired = house.key_with(Some(certificate(house.dir.path(), "0")));
    eventually("it expires", || expired.knock().is_err());
    assert_refused(&expired.knock(), "alert certificate expired");
}

#[test]
fn plain_text_gets_no_reply_of_the_server() {
    let Some(house) = House::build() else { return };
    let mut plain = TcpStream::connect(("127.0.0.1", house.server.port())).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"PING\r\n").unwrap();
    let mut reply = Vec::new();
    // Closed, or reset.
    let _ = plain.read_to_end(&mut reply);
    let text = String::from_utf8_lossy(&reply);
    assert!(!text.contains("PONG") && !text.contains("NOAUTH"), "{text}");
}

#[test]
fn a_client_refuses_a_server_of_a_foreign_authority() {
    let Some(house) = House::build() else { return };
    let mut key = house.key("worker-1");
    key.trusted = house.path("client-ca.crt");
    assert_refused(&key.knock(), "certificate verify failed");
}

#[test]
fn a_revoked_certificate_is_refused_after_the_reload_and_the_other_clients_get_in_with_new_ones() {
    let Some(house) = House::build() else { return };
    let mut admin = house.login("admin-1", "admin");
    let old = |client: &str| {
        let copy = |ending: &str| {
            let to = house.path(&format!("old-{client}.{ending}"));
            fs::copy(house.path(&format!("clients/{client}.{ending}")), &to).unwrap();
            to
        };
        house.key_with(Some((copy("crt"), copy("key"))))
    };
    let (revoked, replaced) = (old("worker-1"), old("worker-2"));
    let mut open = house.login("worker-1", "worker");
    // A TLS session is resumed without any certificate.
    let session = house.path("session");
    let mut kept = revoked.connect_with(&["-sess_out", session.to_str().unwrap()]);
    assert_eq!(kept.run("PING").unwrap(), NO_LOGIN);
    let mut resumed = house.key_with(None);
    resumed.resumed = Some(session);
    assert_eq!(resumed.knock().unwrap(), NO_LOGIN);

    make("revoke", house.dir.path(), &["worker-1"]);
    assert!(!house.path("clients/worker-1.key").exists());
    house.reload(&mut admin);
    make("reissue", house.dir.path(), &[]);
    // Until the old authority is retired, the old certificates and the new ones do.
    assert_eq!(revoked.knock().unwrap(), NO_LOGIN);
    assert_eq!(replaced.knock().unwrap(), NO_LOGIN);
    assert_eq!(house.key("worker-2").knock().unwrap(), NO_LOGIN);

    make("retire", house.dir.path(), &[]);
    assert_eq!(
        revoked.knock().unwrap(),
        NO_LOGIN,
        "nothing is reloaded yet"
    );
    house.reload(&mut admin);
    assert_refused(&revoked.knock(), "alert unknown ca");
    assert_refused(&replaced.knock(), "alert unknown ca");
    assert_refused(&resumed.knock(), "alert certificate required");
    assert_eq!(house.key("worker-2").knock().unwrap(), NO_LOGIN);

    // What was open stays open until it is closed.
    assert_eq!(open.run("PING").unwrap(), "PONG");
    let killed = admin.run("CLIENT KILL TYPE normal SKIPME yes").unwrap();
    assert!(killed.parse::<i64>().unwrap() >= 1, "{killed}");
    assert!(open.run("PING").is_err());
}

#[test]
fn a_user_who_is_switched_off_cannot_log_in_and_a_kill_ends_its_connections() {
    let Some(house) = House::build() else { return };
    let mut admin = house.login("admin-1", "admin");
    let mut worker = house.login("worker-1", "worker");
    assert_eq!(admin.run("ACL SETUSER worker off").unwrap(), "OK");
    assert_eq!(worker.run("PING").unwrap(), "PONG");
    assert_eq!(admin.run("CLIENT KILL USER worker").unwrap(), "1");
    assert!(worker.run("PING").is_err());
    let mut again = house.key("worker-1").connect();
    let reply = again.run(&super::auth(house.dir.path(), "worker")).unwrap();
    assert!(reply.starts_with("WRONGPASS"), "{reply}");
}

#[test]
fn a_server_takes_a_new_certificate_of_its_own_without_a_restart() {
    let Some(house) = House::build() else { return };
    let mut admin = house.login("admin-1", "admin");
    let before = fs::read(house.path("server.crt")).unwrap();
    // It is not for the name that clients connect to, so that they tell it from the old one.
    make("server", house.dir.path(), &["elsewhere"]);
    assert_ne!(fs::read(house.path("server.crt")).unwrap(), before);
    assert_eq!(house.key("worker-1").knock().unwrap(), NO_LOGIN);
    let (crt, key) = (house.path("server.crt"), house.path("server.key"));
    let (crt, key) = (crt.display(), key.display());
    let line = format!("CONFIG SET tls-cert-file {crt} tls-key-file {key}");
    assert_eq!(admin.run(&line).unwrap(), "OK");
    assert_refused(&house.key("worker-1").knock(), "certificate verify failed");
    make("server", house.dir.path(), &["localhost"]);
    assert_eq!(admin.run(&line).unwrap(), "OK");
    assert_eq!(house.key("worker-1").knock().unwrap(), NO_LOGIN);
}
