//! The doors of `deploy/tls`: who gets in, with which certificate, and what each user may do there.

mod certificates;
mod door;
mod guide;
mod script;
mod secrets;
mod users;

use crate::support::tls::{configured, folder, make, password, pki, TlsServer};
use door::{Door, Key};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A server as `deploy/tls` describes it.
struct House(TlsServer);

impl Deref for House {
    type Target = TlsServer;
    fn deref(&self) -> &TlsServer {
        &self.0
    }
}

impl House {
    /// Builds one with the clients `worker-1`, `worker-2` and `admin-1`. None on a server without TLS.
    fn build() -> Option<House> {
        TlsServer::start(&["worker-1", "worker-2", "admin-1"], &[]).map(House)
    }

    /// The key of a client that was given a certificate.
    fn key(&self, client: &str) -> Key {
        let file = |ending| self.path(&format!("clients/{client}.{ending}"));
        self.key_with(Some((file("crt"), file("key"))))
    }

    fn key_with(&self, shown: Option<(PathBuf, PathBuf)>) -> Key {
        Key {
            port: self.server.port(),
            trusted: self.path("server-ca.crt"),
            shown,
            resumed: None,
        }
    }

    /// A connection with a client's certificate that is logged in as a user.
    fn login(&self, client: &str, user: &str) -> Door {
        let mut door = self.key(client).connect();
        assert_eq!(door.run(&auth(self.dir.path(), user)).unwrap(), "OK");
        door
    }

    /// Lets the running server read again whose clients it trusts.
    fn reload(&self, admin: &mut Door) {
        let trusted = self.path("trusted-clients.crt");
        let line = format!("CONFIG SET tls-ca-cert-file {}", trusted.display());
        assert_eq!(admin.run(&line).unwrap(), "OK");
    }
}

/// The line that logs a user in.
fn auth(dir: &Path, user: &str) -> String {
    let password = password(dir, user);
    format!("AUTH {user} {password}")
}
