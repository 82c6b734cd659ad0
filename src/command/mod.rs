//! The commands, a file each: from bytes to a call of the engine, and to a typed reply. They know no server, only the
//! engine's port [`crate::engine::Server`].

mod acquire;
mod args;
mod assert;
mod error;
mod forcerelease;
mod info;
mod lines;
mod release;
mod renew;
mod reply;
mod spec;
mod table;

pub use error::Error;
pub use reply::Reply;
pub use spec::{Access, Argument, Command, Kind, Spec};
pub use table::{run, run_by_name, visit_all, Visitor, MOST_ARGS};
