//! `LOCK.ASSERT key owner [TOKEN token]`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{Access, Command, Spec, OWNER, TOKEN};
use crate::engine::{Server, Step};

/// Fails unless the owner holds the lock: a guard for the writes that follow in a script.
pub struct Assert;

impl Command for Assert {
    const SPEC: Spec = Spec {
        name: "lock.assert",
        flags: "readonly fast",
        categories: "read fast",
        access: Access::Read,
        summary: "Fails unless the owner holds the lock",
        complexity: "O(1)",
        arguments: &[OWNER, TOKEN],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let key = args.key(step.db());
        step.assert(key, args.owner, args.token)?;
        Ok(Reply::Ok)
    }
}
