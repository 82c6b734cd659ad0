//! Connections by TLS.

use crate::{lockctl, outcome};
use lock_test_support::tls::TlsServer;

#[test]
fn a_command_runs_under_a_lock_of_a_server_that_takes_tls_only() {
    let Some(house) = TlsServer::start(&[], &["tls-auth-clients no"]) else {
        return;
    };
    let run = |trusted: &str| {
        let mut command = lockctl(&house.url("worker"), "run lock:orders -- echo done");
        outcome(command.env("SSL_CERT_FILE", house.path(trusted)))
    };
    assert_eq!(
        run("server-ca.crt"),
        ("done\n".to_owned(), String::new(), 0)
    );
    // Nothing runs where the server is not the one that is trusted.
    let (printed, text, status) = run("client-ca.crt");
    assert_eq!((printed.as_str(), status), ("", 122));
    crate::assert_one_line(&text, "certificate");
}
