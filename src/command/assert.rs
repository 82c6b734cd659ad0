//! `LOCK.ASSERT key owner [TOKEN token]`

use super::args::{parse, Accepts};
use super::spec::{OWNER, TOKEN};
use super::{Access, Command, Error, Reply, Spec, Store};
use crate::lock;

/// Fails unless the owner holds the lock: a guard for the writes that follow in a script.
pub struct Assert;

impl Command for Assert {
    const SPEC: Spec = Spec {
        name: "lock.assert",
        flags: c"readonly fast",
        categories: c"read fast",
        min_args: 3,
        fixed_args: false,
        access: Access::Read,
        summary: c"Fails unless the owner holds the lock",
        complexity: c"O(1)",
        arguments: &[OWNER, TOKEN],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        let accepts = Accepts {
            token: true,
            ..Accepts::default()
        };
        let (owner, options) = parse("lock.assert", args, &accepts)?;
        let view = store.view(owner)?;
        let in_grace = match store.grace() {
            Some(grace) => grace.check(&view, options.token),
            None => Ok(()),
        };
        if let Err(error) = in_grace.and(lock::assert(&view, options.token)) {
            store.count(|counters| &mut counters.asserts_failed);
            return Err(error.into());
        }
        Ok(Reply::Ok)
    }
}
