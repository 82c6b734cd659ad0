//! Charges an order under the lock `lock:orders`; REDIS_URL says which server.

use redis::{Connection, RedisResult};
use uuid::Uuid;

/// The work. Its ledger remembers the largest token it has seen and refuses a smaller one.
fn charge(_order: &str, token: u64) -> RedisResult<()> {
    println!("acquired token={token}");
    Ok(())
}

fn charge_alone(db: &mut Connection) -> RedisResult<()> {
    let owner = Uuid::new_v4().to_string(); // a new one for each hold
    // HOLDS makes both calls safe to send again when a reply was lost.
    let (acquired, _, token, ttl): (bool, u64, u64, u64) = redis::cmd("LOCK.ACQUIRE")
        .arg(("lock:orders", &owner, 30_000, "HOLDS", 1))
        .query(db)?;
    if !acquired {
        println!("busy, {ttl} ms left");
        return Ok(());
    }
    let charged = charge("order-17", token); // with the token, so that a late write can be refused
    redis::cmd("LOCK.RELEASE")
        .arg(("lock:orders", &owner, "HOLDS", 0, "TOKEN", token))
        .exec(db)?;
    println!("released");
    charged
}

fn main() -> RedisResult<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let mut db = redis::Client::open(url)?.get_connection()?;
    charge_alone(&mut db)
}
