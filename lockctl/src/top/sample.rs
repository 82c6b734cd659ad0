//! What the servers say at one moment.

use crate::held::Held;
use crate::metrics::parse;
use crate::servers::{Each, Server, Target, unexpected};
use crate::status::Failure;
use redis::{Cmd, Value};
use redis_reentrant_lock_client::Error;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So often the primaries are looked for again: another server may have become one.
const RENEWED: Duration = Duration::from_secs(10);

/// What the servers say at one moment, each by its address; or why none could be asked.
pub struct Sample {
    pub at: Instant,
    pub servers: Result<Each<Reading>, Failure>,
}

/// What one server says.
pub struct Reading {
    /// The fields of INFO lock.
    pub fields: HashMap<String, u64>,
    pub queues: Vec<Held>,
    /// Its clock, since 1970. None if the user may not ask for it.
    pub now: Option<Duration>,
}

/// Asks the servers again and again, on the same connections.
pub struct Watcher {
    target: Target,
    count: u32,
    servers: Each<Server>,
    found: Option<Instant>,
}

impl Watcher {
    /// Asks for at most so many wait queues.
    pub fn new(target: Target, count: u32) -> Watcher {
        Watcher {
            target,
            count,
            servers: Vec::new(),
            found: None,
        }
    }

    /// Asks them.
    pub async fn sample(&mut self) -> Sample {
        let servers = self.read().await;
        if servers
            .as_ref()
            .map_or(true, |all| all.iter().any(|(_, reading)| reading.is_err()))
        {
            self.found = None;
        }
        let at = Instant::now();
        Sample { at, servers }
    }

    async fn read(&mut self) -> Result<Each<Reading>, Failure> {
        if self.found.is_none_or(|found| found.elapsed() > RENEWED) {
            self.servers = self.target.primaries().await?;
            self.found = Some(Instant::now());
        }
        let mut readings = Vec::new();
        for (address, server) in &mut self.servers {
            let reading = match server {
                Ok(server) => read(server, self.count).await,
                Err(failure) => Err(Failure::new(failure.0.as_str())),
            };
            readings.push((address.clone(), reading));
        }
        Ok(readings)
    }
}

async fn read(server: &mut Server, count: u32) -> Result<Reading, Failure> {
    let ask = |name: &str| redis::cmd(name);
    let asks: [Cmd; 3] = [
        ask("INFO").arg("lock").clone(),
        ask("LOCK.LINES").arg("COUNT").arg(count).clone(),
        ask("TIME"),
    ];
    let replies: [Value; 3] = server
        .call_all(asks)
        .await?
        .try_into()
        .map_err(|_| unexpected("a pipeline"))?;
    let [info, lines, time] = replies.map(Value::extract_error);
    let text: String = redis::from_redis_value(info?).map_err(|_| unexpected("INFO"))?;
    let fields = parse(&text);
    if fields.is_empty() {
        return Err(Error::NoModule.into());
    }
    let Value::Array(lines) = lines? else {
        return Err(unexpected("LOCK.LINES"));
    };
    let queues = lines.iter().map(Held::of).collect::<Option<_>>();
    let time = time
        .ok()
        .and_then(|time| redis::from_redis_value::<(u64, u64)>(time).ok());
    Ok(Reading {
        fields,
        queues: queues.ok_or_else(|| unexpected("LOCK.LINES"))?,
        now: time
            .map(|(seconds, micros)| Duration::from_secs(seconds) + Duration::from_micros(micros)),
    })
}
