//! `LOCK.ACQUIRE key owner [ttl] [WAIT timeout] [SESSION [LINGER linger]] [HOLDS n] [TOKEN token]`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{holds, Access, Command, Spec, OWNER, SESSION, TOKEN, TTL, WAIT};
use crate::engine::{AcquireCall, Acquired, Server, Step};
use crate::lock;

/// Takes the lock or reenters it.
pub struct Acquire;

impl Command for Acquire {
    const SPEC: Spec = Spec {
        name: "lock.acquire",
        flags: "write deny-oom fast blocking",
        categories: "write fast blocking",
        access: Access::Update,
        summary: "Takes a lock, or reenters it if the owner holds it",
        complexity: "O(1)",
        arguments: &[OWNER, TTL, WAIT, SESSION, holds(1), TOKEN],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let request = lock::Acquire {
            ttl: args.ttl(step.settings())?,
            holds: args.holds,
            token: args.token,
        };
        let call = AcquireCall {
            key: args.key(step.db()),
            owner: args.owner,
            request,
            session: args.session(step.settings())?,
            wait: args.wait,
        };
        Ok(match step.acquire(&call)? {
            Acquired::Reply(grant) => Reply::Grant(grant),
            Acquired::Waits(id, busy) => Reply::Waits(id, busy),
        })
    }
}
