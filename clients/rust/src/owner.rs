//! Who holds locks.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// An owner: as a rule of one lock. The server notices deadlocks between locks of one owner.
#[derive(Debug)]
pub(crate) struct Owner {
    id: String,
    /// The locks that it uses its id for.
    names: Mutex<HashSet<Vec<u8>>>,
}

impl Owner {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A new one, with an id that nobody can guess.
    pub fn new() -> Arc<Owner> {
        Arc::new(Owner {
            id: uuid::Uuid::new_v4().to_string(),
            names: Mutex::default(),
        })
    }
}

/// The right to use an owner's id for one lock. There is one at a time: calls of a second one would be taken for
/// repeats of the first one's.
#[derive(Debug)]
pub(crate) struct Ticket {
    owner: Arc<Owner>,
    name: Vec<u8>,
    is_kept: bool,
}

impl Ticket {
    /// For this lock, unless there is one.
    pub fn new(owner: &Arc<Owner>, name: &[u8]) -> Option<Ticket> {
        let mut names = owner.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_vec()).then(|| Ticket {
            owner: owner.clone(),
            name: name.to_vec(),
            is_kept: false,
        })
    }

    /// The lock.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The owner.
    pub fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// Keeps others from using it for this lock for ever: a call may still be on its way.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_kept {
            let mut names = self
                .owner
                .names
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            names.remove(&self.name);
        }
    }
}
