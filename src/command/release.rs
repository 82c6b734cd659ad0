//! `LOCK.RELEASE key owner [HOLDS n] [TOKEN token]`

use super::args::{parse, Accepts};
use super::spec::{HOLDS, OWNER, TOKEN};
use super::{Access, Command, Error, Reply, Spec, Store};
use crate::lock;

/// Releases a hold; the last one frees the lock.
pub struct Release;

impl Command for Release {
    const SPEC: Spec = Spec {
        name: "lock.release",
        flags: c"write fast",
        categories: c"write fast",
        min_args: 3,
        fixed_args: false,
        access: Access::Release,
        summary: c"Releases one hold of a lock, and frees the lock with the last one",
        complexity: c"O(1)",
        arguments: &[OWNER, HOLDS, TOKEN],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        let accepts = Accepts {
            holds: Some(0),
            token: true,
            ..Accepts::default()
        };
        let (owner, options) = parse("lock.release", args, &accepts)?;
        let request = lock::Release {
            holds: options.holds,
            token: options.token,
        };
        let view = store.view(owner)?;
        let (change, left) = lock::release(&view, &request)?;
        store.apply(owner, &change);
        if change == lock::Change::Free {
            store.count(|counters| &mut counters.released);
        }
        Ok(Reply::Integer(match left {
            lock::Left::Holds(left) => i64::from(left),
            lock::Left::NoneBefore => -1,
        }))
    }
}
