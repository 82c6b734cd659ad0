//! The systems that are compared. One more is one more entry here, and its client in a worker.

use crate::service::{Kind, Loads};

/// Which worker plays a system's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// `lock-bench worker`.
    Rust,
    /// `bench/workers/java`.
    Java,
    /// `bench/workers/python`.
    Python,
    /// `bench/workers/go`.
    Go,
    /// `bench/workers/node`.
    Node,
}

impl Language {
    /// The folder's name below `bench/workers`.
    pub fn folder(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Java => "java",
            Language::Python => "python",
            Language::Go => "go",
            Language::Node => "node",
        }
    }
}

/// A system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What a reader calls it.
    pub title: &'static str,
    /// Whose worker plays its clients.
    pub language: Language,
    /// What it needs.
    pub service: Kind,
    /// Whether it is this project's.
    pub ours: bool,
}

/// That to which the others are compared.
pub const BASE: &str = "lock";

const PLAIN: Kind = Kind::Redis(Loads::Nothing);
const MODULE: Kind = Kind::Redis(Loads::Locks);
const BARE: Kind = Kind::Redis(Loads::Bare);

const fn ours(name: &'static str, title: &'static str, language: Language) -> System {
    System {
        name,
        title,
        language,
        service: MODULE,
        ours: true,
    }
}

const fn other(
    name: &'static str,
    title: &'static str,
    language: Language,
    service: Kind,
) -> System {
    System {
        name,
        title,
        language,
        service,
        ours: false,
    }
}

/// All of them, in the order of the tables.
pub const SYSTEMS: [System; 31] = {
    use Language::{Go, Java, Node, Python, Rust};
    [
        other("ping", "two PINGs (no lock)", Rust, PLAIN),
        other("blpop", "BLPOP token (no owner, no lease)", Rust, PLAIN),
        other("bare", "token of a bare module (no lock)", Rust, BARE),
        ours("lock", "LOCK.ACQUIRE", Rust),
        ours("lock-wait", "LOCK.ACQUIRE WAIT", Rust),
        ours("lock-session", "LOCK.ACQUIRE WAIT SESSION", Rust),
        ours("lock-rust", "our Rust client", Rust),
        ours("lock-rust-session", "our Rust client, SESSION", Rust),
        ours("lock-java", "our Java client", Java),
        ours("lock-java-session", "our Java client, SESSION", Java),
        ours("lock-python", "our Python client", Python),
        ours("lock-python-session", "our Python client, SESSION", Python),
        other("set-del", "SET NX + DEL (unsafe)", Rust, PLAIN),
        other("set-compare", "SET NX + compare-and-delete", Rust, PLAIN),
        other("set-delifeq", "SET NX + DELIFEQ (Valkey 9)", Rust, PLAIN),
        other("set-delex", "SET NX + DELEX (Redis 8.4)", Rust, PLAIN),
        other(
            "redisson-scripts",
            "Redisson's scripts, N processes",
            Rust,
            PLAIN,
        ),
        other("redisson-rlock", "Redisson RLock", Java, PLAIN),
        other("redisson-rfairlock", "Redisson RFairLock", Java, PLAIN),
        other("redisson-rspinlock", "Redisson RSpinLock", Java, PLAIN),
        other("redis-py", "redis-py Lock", Python, PLAIN),
        other("redsync", "redsync, one server", Go, PLAIN),
        other(
            "redsync-five",
            "redsync, Redlock of five",
            Go,
            Kind::RedisFive,
        ),
        other("node-redlock", "node-redlock", Node, PLAIN),
        other("mariadb-row", "MariaDB unique insert", Rust, Kind::MariaDb),
        other(
            "mariadb-for-update",
            "MariaDB FOR UPDATE",
            Rust,
            Kind::MariaDb,
        ),
        other("mariadb-get-lock", "MariaDB GET_LOCK", Rust, Kind::MariaDb),
        other(
            "postgres-advisory",
            "PostgreSQL advisory lock",
            Rust,
            Kind::Postgres,
        ),
        other("curator", "ZooKeeper, Curator", Java, Kind::ZooKeeper),
        other("kazoo", "ZooKeeper, kazoo", Python, Kind::ZooKeeper),
        other("etcd", "etcd, its own mutex", Go, Kind::Etcd),
    ]
};

/// Those that need nothing but `redis-server`.
pub const SMOKE: [&str; 8] = [
    "ping",
    "blpop",
    "lock",
    "lock-session",
    "lock-rust",
    "set-del",
    "set-compare",
    "redisson-scripts",
];

/// The systems of these names, in the order of the catalogue; all where none is named.
///
/// # Errors
/// A name that there is not, and those that there are.
pub fn choose<Name: AsRef<str>>(names: &[Name]) -> Result<Vec<System>, String> {
    for name in names.iter().map(AsRef::as_ref) {
        if !SYSTEMS.iter().any(|system| system.name == name) {
            let all = SYSTEMS.map(|system| system.name).join(", ");
            return Err(format!("there is no system {name}: there are {all}"));
        }
    }
    let chosen = |system: &&System| {
        names.is_empty() || names.iter().any(|name| name.as_ref() == system.name)
    };
    Ok(SYSTEMS.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_there_once() {
        let names: BTreeSet<&str> = SYSTEMS.iter().map(|system| system.name).collect();
        assert_eq!(names.len(), SYSTEMS.len());
        assert!(names.contains(BASE));
        assert!(SMOKE.iter().all(|name| names.contains(name)));
    }

    #[test]
    fn a_wrong_name_is_answered_with_those_that_there_are() {
        let error = choose(&["lock", "redison"]).unwrap_err();
        assert!(
            error.starts_with("there is no system redison: there are ping, blpop, bare, lock,")
        );
        assert!(!error.contains('\n'));
    }

    #[test]
    fn the_chosen_ones_come_in_the_order_of_the_catalogue() {
        let names = choose(&["set-del", "ping"]).unwrap();
        assert_eq!(
            names.iter().map(|system| system.name).collect::<Vec<_>>(),
            ["ping", "set-del"]
        );
        assert_eq!(choose::<&str>(&[]).unwrap().len(), SYSTEMS.len());
    }
}
