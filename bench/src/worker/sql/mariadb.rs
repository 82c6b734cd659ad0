//! Three locks that people make of MariaDB (and MySQL).

use crate::protocol::Job;
use crate::worker::Locker;
use mysql::prelude::Queryable;
use mysql::{Conn, Error, OptsBuilder, Statement};
use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nobody is told that a row is gone, so whoever waits asks again, as often as the systems that poll Redis here. (Spring's
/// `JdbcLockRegistry` sleeps 100 ms by default: fewer statements, and later hand-overs.)
const POLL: Duration = Duration::from_millis(10);

/// How often one who waits looks whether the lease of the row has ended.
const SWEEP: Duration = Duration::from_secs(1);

/// A year, in seconds: for MariaDB's `GET_LOCK`, unlike MySQL's, less than 0 is an error and not forever.
const FOREVER: u32 = 365 * 24 * 60 * 60;

/// The row is there.
const DUPLICATE: u16 = 1062;
/// A row was locked for `innodb_lock_wait_timeout`, by default 50 s.
const TOOK_TOO_LONG: u16 = 1205;
/// Of those who wait with the same INSERT for the end of a DELETE, InnoDB may let two begin, and then end one.
const DEADLOCK: u16 = 1213;

fn connect(job: &Job) -> Result<Conn, Error> {
    let opts = mysql::Opts::from_url(&job.urls[0])?;
    // By default the library looks for the server's socket in the file system.
    Conn::new(OptsBuilder::from_opts(opts).prefer_socket(false))
}

fn text(error: Error) -> String {
    error.to_string()
}

fn boxed<L: Locker + 'static>(made: Result<L, Error>) -> Result<Box<dyn Locker>, String> {
    Ok(Box::new(made.map_err(text)?))
}

/// `mariadb-row`: a row is a lock that is held. INSERT takes it, DELETE gives it back. A crash leaves it behind, so that it
/// needs a lease.
pub fn row(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    let connect = || -> Result<Row, Error> {
        let mut conn = connect(job)?;
        let uuid: Option<String> = conn.query_first("SELECT UUID()")?;
        let until = "NOW(6) + INTERVAL ? MICROSECOND";
        Ok(Row {
            owner: format!("{}:{number}", uuid.unwrap_or_default()),
            lease: job.lease_ms * 1000,
            insert: conn.prep(format!(
                "INSERT INTO held (name, owner, until) VALUES (?, ?, {until})"
            ))?,
            delete: conn.prep("DELETE FROM held WHERE name = ? AND owner = ?")?,
            renew: conn.prep(format!(
                "UPDATE held SET until = {until} WHERE name = ? AND owner = ?"
            ))?,
            sweep: conn.prep("DELETE FROM held WHERE name = ? AND until < NOW(6)")?,
            conn,
        })
    };
    boxed(connect())
}

struct Row {
    conn: Conn,
    owner: String,
    /// Microseconds.
    lease: u64,
    insert: Statement,
    delete: Statement,
    renew: Statement,
    sweep: Statement,
}

impl Row {
    fn insert(&mut self, lock: &str) -> Result<(), Error> {
        self.conn
            .exec_drop(&self.insert, (lock, &self.owner, self.lease))
    }

    /// That a statement has changed the owner's row.
    fn changed(&self, lock: &str) -> Result<(), String> {
        match self.conn.affected_rows() {
            1 => Ok(()),
            _ => Err(format!("{lock} is not held")),
        }
    }
}

impl Locker for Row {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        let mut swept: Option<Instant> = None;
        loop {
            match self.insert(lock) {
                Ok(()) => return Ok(()),
                Err(Error::MySqlError(error)) if error.code == DUPLICATE => (),
                Err(error) if goes_on(&error) => continue,
                Err(error) => return Err(text(error)),
            }
            if swept.get_or_insert_with(Instant::now).elapsed() > SWEEP {
                match self.conn.exec_drop(&self.sweep, (lock,)) {
                    Err(error) if !goes_on(&error) => return Err(text(error)),
                    _ => swept = None,
                }
            }
            sleep(POLL);
        }
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        loop {
            match self.conn.exec_drop(&self.delete, (lock, &self.owner)) {
                Ok(()) => return self.changed(lock),
                Err(error) if goes_on(&error) => (),
                Err(error) => return Err(text(error)),
            }
        }
    }

    fn renew(&mut self, lock: &str) -> Option<Result<(), String>> {
        let renewed = self
            .conn
            .exec_drop(&self.renew, (self.lease, lock, &self.owner));
        Some(renewed.map_err(text).and_then(|()| self.changed(lock)))
    }
}

/// Whether a statement has only met others, and may be sent again.
fn goes_on(error: &Error) -> bool {
    let Error::MySqlError(error) = error else {
        return false;
    };
    [DEADLOCK, TOOK_TOO_LONG].contains(&error.code)
}

/// `mariadb-for-update`: each lock is a row that stays, locked by a transaction. COMMIT gives it back, and so does the end of
/// the connection. Who waits, waits in the server.
pub fn for_update(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    let connect = || -> Result<ForUpdate, Error> {
        let mut conn = connect(job)?;
        // Each statement begins a transaction if there is none, as connections of a pool are often set up: BEGIN would be one
        // more round trip.
        conn.query_drop("SET autocommit = 0")?;
        let mut locker = ForUpdate {
            select: conn.prep("SELECT name FROM lockable WHERE name = ? FOR UPDATE")?,
            conn,
            known: HashSet::new(),
        };
        locker.ensure(&job.lock)?;
        Ok(locker)
    };
    boxed(connect())
}

struct ForUpdate {
    conn: Conn,
    select: Statement,
    /// The locks whose rows are there.
    known: HashSet<String>,
}

impl ForUpdate {
    /// Makes the row once. INSERT would wait for whoever has locked it, so it is looked for first, which never waits.
    fn ensure(&mut self, lock: &str) -> Result<(), Error> {
        if self.known.contains(lock) {
            return Ok(());
        }
        let exists = "SELECT 1 FROM lockable WHERE name = ?";
        let row: Option<u8> = self.conn.exec_first(exists, (lock,))?;
        if row.is_none() {
            self.conn
                .exec_drop("INSERT IGNORE INTO lockable VALUES (?)", (lock,))?;
        }
        self.conn.query_drop("COMMIT")?;
        self.known.insert(lock.to_owned());
        Ok(())
    }
}

impl Locker for ForUpdate {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        self.ensure(lock).map_err(text)?;
        loop {
            match self.conn.exec_first::<Vec<u8>, _, _>(&self.select, (lock,)) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => return Err(format!("{lock} has no row")),
                Err(error) if goes_on(&error) => (),
                Err(error) => return Err(text(error)),
            }
        }
    }

    fn release(&mut self, _lock: &str) -> Result<(), String> {
        self.conn.query_drop("COMMIT").map_err(text)
    }
}

/// `mariadb-get-lock`: a lock of the connection, which ends with it. Who waits, waits in the server.
pub fn get_lock(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    let connect = || -> Result<GetLock, Error> {
        let mut conn = connect(job)?;
        Ok(GetLock {
            get: conn.prep(format!("SELECT GET_LOCK(?, {FOREVER})"))?,
            release: conn.prep("SELECT RELEASE_LOCK(?)")?,
            conn,
        })
    };
    boxed(connect())
}

struct GetLock {
    conn: Conn,
    get: Statement,
    release: Statement,
}

impl Locker for GetLock {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        done(&mut self.conn, &self.get, lock)
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        done(&mut self.conn, &self.release, lock)
    }

    fn reentrant(&self) -> bool {
        true
    }
}

/// Calls a function that answers 1 when it has done what it is asked to.
fn done(conn: &mut Conn, function: &Statement, lock: &str) -> Result<(), String> {
    let answer: Option<Option<i64>> = conn.exec_first(function, (lock,)).map_err(text)?;
    match answer.flatten() {
        Some(1) => Ok(()),
        other => Err(format!("{lock}: the answer is {other:?}")),
    }
}
