//! What has become of a session's hold.

use super::Session;
use crate::lock::Hold;

/// What the data says of a session's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is there, held so often.
    Held(u32),
    /// Its lease ran out: the server was stopped or paused, or the clock stepped.
    Lapsed,
    /// It was deleted, or is another's, or is no lock any more.
    Lost,
}

/// Compares a session with who holds the lock: `None` where nobody does, an error where the key is
/// no lock.
pub fn compare<E>(session: &Session, holder: Result<Option<(&[u8], Hold)>, E>) -> Found {
    match holder {
        Ok(Some((owner, hold)))
            if *owner == *session.owner && hold.token == Some(session.token) =>
        {
            Found::Held(hold.holds)
        }
        Ok(None) if !session.changed => Found::Lapsed,
        _ => Found::Lost,
    }
}
