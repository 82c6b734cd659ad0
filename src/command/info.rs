//! `LOCK.INFO key`

use super::{Access, Command, Error, LockInfo, Reply, Spec, Store};

/// Shows who holds a lock.
pub struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: "lock.info",
        flags: c"readonly fast",
        categories: c"read fast",
        min_args: 2,
        fixed_args: true,
        access: Access::Read,
        summary: c"Shows who holds a lock, how often, with which token and for how long",
        complexity: c"O(1)",
        arguments: &[],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        if args.len() != 2 {
            return Err(Error::Arity("lock.info"));
        }
        let now = store.now();
        Ok(match store.holder()? {
            None => Reply::Null,
            Some(holder) => Reply::Info(LockInfo::of(
                Some(holder),
                store.has_session(),
                store.line(),
                now,
            )),
        })
    }
}
