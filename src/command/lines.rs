//! `LOCK.LINES [COUNT n]`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{Access, Command, Spec, COUNT};
use crate::engine::{Server, Step};

/// Lists the locks that are waited for, the longest wait queue first.
pub struct Lines;

/// The default of `COUNT`.
const MOST: usize = 10;

impl Command for Lines {
    const SPEC: Spec = Spec {
        name: "lock.lines",
        flags: "readonly",
        categories: "read slow dangerous",
        access: Access::NoKey,
        summary: "Lists the locks that are waited for, the longest wait queue first",
        complexity:
            "O(N log(N)) with N being the number of locks of the database that are waited for",
        arguments: &[COUNT],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let most = args.count.unwrap_or(MOST);
        Ok(Reply::Queues(step.queues(most)))
    }
}
