//! `LOCK.INFO key`

use super::args::Args;
use super::error::Error;
use super::reply::Reply;
use super::spec::{Access, Command, Spec};
use crate::engine::{Server, Step};

/// Shows who holds a lock.
pub struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: "lock.info",
        flags: "readonly fast",
        categories: "read fast",
        access: Access::Read,
        summary: "Shows who holds a lock, how often, with which token and for how long",
        complexity: "O(1)",
        arguments: &[],
    };

    fn run<S: Server>(args: &[&[u8]], step: &mut Step<S>) -> Result<Reply, Error> {
        let args = Args::parse(&Self::SPEC, args)?;
        let key = args.key(step.db());
        let info = step.info(key)?;
        Ok(info.map_or(Reply::Null, Reply::Info))
    }
}
