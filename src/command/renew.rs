//! `LOCK.RENEW key owner [ttl] [TOKEN token]`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{Access, Command, Spec, OWNER, TOKEN, TTL};
use crate::engine::{Server, Step};

/// Sets the time left of a hold.
pub struct Renew;

impl Command for Renew {
    const SPEC: Spec = Spec {
        name: "lock.renew",
        flags: "write fast",
        categories: "write fast",
        access: Access::Update,
        summary: "Sets the time left of the holder's lease",
        complexity: "O(1)",
        arguments: &[OWNER, TTL, TOKEN],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let ttl = args.ttl(step.settings())?;
        let key = args.key(step.db());
        let grant = step.renew(key, args.owner, ttl, args.token)?;
        Ok(Reply::Grant(grant))
    }
}
