//! `LOCK.INFO key`

use super::{Access, Command, Error, LockInfo, Reply, Spec, Store};
use crate::lock::Grant;

/// Tells who holds a lock.
pub struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: "lock.info",
        flags: c"readonly fast",
        categories: c"read fast",
        min_args: 2,
        fixed_args: true,
        access: Access::Read,
        summary: c"Tells who holds a lock, how often, with which token and for how long",
        arguments: &[],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        if args.len() != 2 {
            return Err(Error::Arity("lock.info"));
        }
        let now = store.now();
        Ok(match store.holder()? {
            None => Reply::Null,
            Some(holder) => {
                let (waiters, queue) = store.line();
                Reply::Info(LockInfo {
                    owner: holder.owner,
                    grant: Grant {
                        holds: holder.hold.holds,
                        token: holder.hold.token,
                        ttl: holder.hold.deadline.left(now),
                    },
                    waiters,
                    queue,
                })
            }
        })
    }
}
