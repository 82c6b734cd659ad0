//! `lockctl ls`

use crate::args::Ls;
use crate::held::Held;
use crate::print;
use crate::servers::{Server, Target, unexpected};
use crate::status::{FAILED, Failure};
use crate::text::{shown, span, table};
use redis::Value;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// So many keys a call of SCAN looks at: few enough not to hold up other clients.
const STEP: u32 = 1000;

/// Lists the locks that are held, of all primaries, by name.
pub async fn ls(target: &Target, args: Ls) -> Result<u8, Failure> {
    let mut found = Vec::new();
    let mut status = 0;
    for (address, server) in target.primaries().await? {
        let locks = match server {
            Ok(mut server) => scan(&mut server, &args.pattern).await,
            Err(failure) => Err(failure),
        };
        match locks {
            Ok(locks) => found.extend(locks.into_iter().map(|lock| (address.clone(), lock))),
            // The others' locks are worth showing, but the list is not whole.
            Err(failure) => {
                say!("the locks of {address} are missing: {failure}");
                status = FAILED;
            }
        }
    }
    found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    print(&match args.json {
        true => json(&found)?,
        false => listed(&found),
    })?;
    Ok(status)
}

async fn scan(server: &mut Server, pattern: &OsStr) -> Result<Vec<Held>, Failure> {
    // A key may come twice.
    let mut seen = HashSet::new();
    let mut locks = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut cmd = redis::cmd("SCAN");
        cmd.arg(&cursor).arg("MATCH").arg(pattern.as_bytes());
        cmd.arg("COUNT").arg(STEP).arg("TYPE").arg("hash");
        let reply = server.call(&cmd).await?;
        let (next, keys): (String, Vec<Vec<u8>>) =
            redis::from_redis_value(reply).map_err(|_| unexpected("SCAN"))?;
        let keys: Vec<_> = keys
            .into_iter()
            .filter(|key| seen.insert(key.clone()))
            .collect();
        if !keys.is_empty() {
            let asks = keys.iter().map(|key| {
                let mut cmd = redis::cmd("LOCK.INFO");
                cmd.arg(key);
                cmd
            });
            let replies = server.call_all(asks).await?;
            for (name, reply) in keys.into_iter().zip(replies) {
                locks.extend(lock(name, reply)?);
            }
        }
        if next == "0" {
            return Ok(locks);
        }
        cursor = next;
    }
}

/// None if it is no lock, or not held any more.
fn lock(name: Vec<u8>, reply: Value) -> Result<Option<Held>, Failure> {
    match reply.extract_error() {
        Ok(Value::Nil) => Ok(None),
        Ok(reply) => {
            let held = Held::of(&reply).ok_or_else(|| unexpected("LOCK.INFO"))?;
            Ok(Some(Held { name, ..held }))
        }
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn json(found: &[(String, Held)]) -> Result<String, Failure> {
    let mut text = String::new();
    for (address, lock) in found {
        text.push_str(&crate::info::json(&lock.record(address, false))?);
    }
    Ok(text)
}

fn listed(found: &[(String, Held)]) -> String {
    let servers: HashSet<&String> = found.iter().map(|(address, _)| address).collect();
    let mut head = vec![
        "LOCK", "HOLDER", "HOLDS", "TOKEN", "LEFT", "SESSION", "WAITERS",
    ];
    if servers.len() > 1 {
        head.push("SERVER");
    }
    let rows = found.iter().map(|(address, lock)| {
        let mut row = vec![
            shown(&lock.name),
            lock.shown_owner(),
            lock.holds.to_string(),
            lock.token.to_string(),
            span(lock.ttl),
            if lock.session { "yes" } else { "no" }.to_owned(),
            lock.waiters.to_string(),
        ];
        if servers.len() > 1 {
            row.push(address.clone());
        }
        row
    });
    table(&head, &[2, 3, 4, 6], &rows.collect::<Vec<_>>())
}
