//! The commands: each one parses its arguments, applies a rule of [`crate::lock`] to what is
//! stored, and returns the reply. They know no server, only a [`Store`].

mod acquire;
mod args;
mod assert;
mod error;
mod forcerelease;
mod info;
mod lines;
mod release;
mod renew;
mod spec;
mod store;

pub use args::Binding;
pub use error::Error;
pub use spec::{Access, Argument, Kind, Spec};
pub use store::{Counters, Holder, Line, LineOf, LockInfo, Reply, Store};

/// A command: its description, and what it does.
pub trait Command {
    /// Its name, flags, arguments and documentation.
    const SPEC: Spec;

    /// Runs it on the key that is its first argument. `args` starts with the command's name.
    ///
    /// # Errors
    /// The error reply. Nothing was changed then.
    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error>;
}

pub use acquire::Acquire;
pub use assert::Assert;
pub use forcerelease::ForceRelease;
pub use info::Info;
pub use lines::Lines;
pub use release::Release;
pub use renew::Renew;
