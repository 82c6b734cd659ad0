//! Who holds locks.

use crate::call::Who;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An owner, as a rule of one lock. The server notices deadlocks between locks of one owner.
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

    fn names(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// It was given back, or is kept for ever.
    is_over: AtomicBool,
}

impl Ticket {
    /// For this lock, unless there is one.
    pub fn new(owner: Arc<Owner>, name: &[u8]) -> Option<Arc<Ticket>> {
        let is_new = owner.names().insert(name.to_vec());
        is_new.then(|| {
            Arc::new(Ticket {
                owner,
                name: name.to_vec(),
                is_over: AtomicBool::new(false),
            })
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

    /// What a call of it is about.
    pub fn who(&self) -> Who<'_> {
        let (name, owner) = (self.name(), self.owner.id());
        Who { name, owner }
    }

    /// The owner may acquire this lock again.
    pub fn end(&self) {
        if !self.is_over.swap(true, Relaxed) {
            self.owner.names().remove(&self.name);
        }
    }

    /// The owner never acquires this lock again: a call may still be on its way.
    pub fn keep(&self) {
        self.is_over.store(true, Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end();
    }
}
