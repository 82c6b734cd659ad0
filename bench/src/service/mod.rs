//! The servers that are compared. The harness starts them, and they end with it.

pub mod bare;
mod etcd;
mod mariadb;
mod postgres;
mod process;
pub mod redis;
mod zookeeper;

use crate::core::Core;
pub use redis::{Loads, Redis, Setting};

/// A server, or several, that a system needs. It ends when this is dropped.
pub trait Service {
    /// What a job gets.
    fn urls(&self) -> Vec<String>;

    /// The processes whose CPU time and memory are the server's.
    fn pids(&self) -> Vec<u32>;

    /// Its name and version, as a reader knows it: `MariaDB 10.11.6`.
    fn version(&self) -> String;
}

/// Why a service cannot be had, in one clause, and what to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// What a system needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Redis or Valkey server.
    Redis(Loads),
    /// Five masters that know nothing of each other, for Redlock.
    RedisFive,
    /// MariaDB.
    MariaDb,
    /// PostgreSQL.
    Postgres,
    /// ZooKeeper.
    ZooKeeper,
    /// etcd.
    Etcd,
}

impl Kind {
    /// Whether it is a single Redis or Valkey server, which can have a replica, an append-only file, and other traffic.
    pub fn is_redis(self) -> bool {
        matches!(self, Kind::Redis(_))
    }

    /// Starts it.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn start(self, core: &Core, setting: Setting) -> Result<Box<dyn Service>, Missing> {
        match self {
            Kind::Redis(loads) => Ok(Box::new(Redis::start(core, loads, setting)?)),
            _ if setting != Setting::Alone => Err(Missing("it is no Redis server".to_owned())),
            Kind::RedisFive => Ok(Box::new(redis::start_five(core)?)),
            Kind::MariaDb => mariadb::start(core),
            Kind::Postgres => postgres::start(core),
            Kind::ZooKeeper => zookeeper::start(core),
            Kind::Etcd => etcd::start(core),
        }
    }
}

#[cfg(test)]
mod tests;
