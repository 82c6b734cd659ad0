//! The state machine of all locks of a server: every decision is a function of its state, the event, the time, and
//! what the keys hold.
//!
//! The server tells what has happened by [`Engine::note`]. What may read and write locks is a [`Step`]: a command, or
//! a wakeup when [`Engine::next_wakeup`] is due. A step reads and writes through the port [`Server`]; all else that
//! follows from it is an [`Effect`], carried out when the step is over. No clock is read here, and nothing is kept
//! outside of [`Engine`] but the [`Audience`], which is asked while the engine is in use.

mod audience;
mod canonical;
mod counters;
mod deadlock;
mod effects;
mod error;
mod event;
mod grace;
mod info;
mod loss;
mod planted;
mod port;
mod session;
mod settings;
mod state;
mod step;
mod steps;
mod table;
mod visit;
mod wait;

pub use audience::Audience;
pub use counters::Counters;
pub use effects::{Answer, Effect, Effects, Message, Watch};
pub use error::Error;
pub use event::Event;
pub use grace::CutOffSettings;
pub use info::LockInfo;
#[cfg(feature = "planted-faults")]
pub use planted::PlantedFault;
pub use port::{ClientId, Clock, Server, UserName, Write, WriteCheck};
pub use session::{SessionOptions, MIN_TTL};
pub use settings::{
    Choice, Notify, Number, SessionLoss, Settings, CHANNEL_PREFIX, CHOICES, MAX_PREFIX,
    MAX_WAITERS, NUMBERS,
};
pub use state::Engine;
pub use step::Step;
pub use steps::{AcquireCall, Acquired};
pub use table::Table;
pub use visit::Visit;
pub use wait::{WaitTimes, WaiterId};
