//! `LOCK.FORCERELEASE key`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{Access, Command, Spec};
use crate::engine::{Server, Step};

/// Frees a lock whoever holds it.
pub struct ForceRelease;

impl Command for ForceRelease {
    const SPEC: Spec = Spec {
        name: "lock.forcerelease",
        flags: "write",
        categories: "write slow dangerous",
        access: Access::Release,
        summary: "Frees a lock whoever holds it",
        complexity: "O(1)",
        arguments: &[],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let key = args.key(step.db());
        let freed = step.force_release(key)?;
        Ok(Reply::Integer(i64::from(freed)))
    }
}
