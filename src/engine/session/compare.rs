//! Compares a session with the data.

use super::sessions::Session;
use crate::lock::{Hold, View};

/// What the data says about a session's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Held(Hold),
    /// Its lease ran out: the server was stopped or paused, or the clock stepped.
    Lapsed {
        /// What is over is still stored.
        stored: bool,
    },
    /// It was deleted, or another owner holds the lock, or it is not a lock any more.
    Lost,
}

/// Compares a session with the lock as its owner sees it.
pub fn compare<E>(session: &Session, view: Result<View, E>) -> Found {
    match view {
        Ok(View::Mine(hold)) if hold.token() == Some(session.fence.token) => Found::Held(hold),
        Ok(View::Free { lapsed }) if !session.changed => Found::Lapsed { stored: lapsed },
        _ => Found::Lost,
    }
}
