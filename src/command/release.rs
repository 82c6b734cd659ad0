//! `LOCK.RELEASE key owner [HOLDS n] [TOKEN token]`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{holds, Access, Command, Spec, OWNER, TOKEN};
use crate::engine::{Server, Step};
use crate::lock;

/// Releases a hold; the last one frees the lock.
pub struct Release;

impl Command for Release {
    const SPEC: Spec = Spec {
        name: "lock.release",
        flags: "write fast",
        categories: "write fast",
        access: Access::Release,
        summary: "Releases one hold of a lock, and frees the lock with the last one",
        complexity: "O(1)",
        arguments: &[OWNER, holds(0), TOKEN],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let request = lock::Release {
            holds: args.holds,
            token: args.token,
        };
        let key = args.key(step.db());
        let left = step.release(key, args.owner, &request)?;
        Ok(Reply::Integer(match left {
            lock::Left::Holds(left) => i64::from(left),
            lock::Left::NoneBefore => -1,
        }))
    }
}
