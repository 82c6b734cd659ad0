//! `LOCK.FORCERELEASE key`

use super::{Access, Command, Error, Reply, Spec, Store};
use crate::lock::Change;

/// Frees a lock whoever holds it.
pub struct ForceRelease;

impl Command for ForceRelease {
    const SPEC: Spec = Spec {
        name: "lock.forcerelease",
        flags: c"write",
        categories: c"write slow dangerous",
        min_args: 2,
        fixed_args: true,
        access: Access::Release,
        summary: c"Frees a lock whoever holds it",
        complexity: c"O(1)",
        arguments: &[],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        if args.len() != 2 {
            return Err(Error::Arity("lock.forcerelease"));
        }
        let Some(holder) = store.holder_to_free()? else {
            return Ok(Reply::Integer(0));
        };
        store.apply(&holder.owner, &Change::Force);
        store.count(|counters| &mut counters.forced);
        Ok(Reply::Integer(1))
    }
}
