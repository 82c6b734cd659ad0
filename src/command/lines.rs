//! `LOCK.LINES [COUNT n]`

use super::args::count;
use super::spec::COUNT;
use super::{Access, Command, Error, LockInfo, Reply, Spec, Store};

/// Lists the locks that are waited for, the longest wait queue first.
pub struct Lines;

/// The default of `COUNT`.
const MOST: usize = 10;

impl Command for Lines {
    const SPEC: Spec = Spec {
        name: "lock.lines",
        flags: c"readonly",
        categories: c"read slow dangerous",
        min_args: 1,
        fixed_args: false,
        access: Access::NoKey,
        summary: c"Lists the locks that are waited for, the longest wait queue first",
        complexity:
            c"O(N log(N)) with N being the number of locks of the database that are waited for",
        arguments: &[COUNT],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        let most = count(args)?.unwrap_or(MOST);
        let now = store.now();
        let lines = store.lines(most).into_iter();
        Ok(Reply::Lines(
            lines
                .map(|l| (l.lock, LockInfo::of(l.holder, l.session, l.line, now)))
                .collect(),
        ))
    }
}
