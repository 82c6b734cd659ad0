//! Has the server deliver replies to waiters.

use super::state::{Handle, HOST};
use crate::engine::WaiterId;
use std::ffi::c_void;

/// Asks the server to deliver the replies that are recorded, which it does before it sleeps.
pub fn deliver_all() {
    // One after the other: the set keeps its memory for the next iteration.
    while let Some(id) = HOST.with(|host| host.to_deliver.pop_first()) {
        let handle = HOST.with(|host| Some(host.blocked.get(&id)?.handle));
        if let Some(handle) = handle {
            unblock_client(handle, id);
        }
    }
}

/// Tells the server to unblock a client.
pub fn unblock_client(handle: Handle, id: WaiterId) {
    let unblock = api!(RedisModule_UnblockClient);
    // SAFETY: the handle is of a client that was blocked and not yet unblocked; the data is a
    // number, not a pointer.
    unsafe { unblock(handle, id.0 as *mut c_void) };
}
