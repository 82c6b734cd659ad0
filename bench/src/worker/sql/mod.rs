//! The locks of SQL databases. Each client has a connection of its own, over TCP as all other systems here, and prepares its
//! statements once.

mod mariadb;
mod postgres;

use super::{Connect, System};

/// The system of this name.
pub fn system(name: &str) -> Option<System> {
    let (connect, version): (Connect, &'static str) = match name {
        "mariadb-row" => (mariadb::row, MYSQL),
        "mariadb-for-update" => (mariadb::for_update, MYSQL),
        "mariadb-get-lock" => (mariadb::get_lock, MYSQL),
        "postgres-advisory" => (postgres::advisory, POSTGRES),
        _ => return None,
    };
    let version: fn() -> String = match version {
        MYSQL => || MYSQL.to_owned(),
        _ => || POSTGRES.to_owned(),
    };
    Some(System {
        connect,
        version,
        lacks: |_| None,
    })
}

/// The client libraries, as `Cargo.toml` pins them.
const MYSQL: &str = "mysql 28.0.4 (Rust)";
const POSTGRES: &str = "postgres 0.19.14 (Rust)";
