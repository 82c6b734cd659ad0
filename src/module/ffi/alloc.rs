//! The allocator: the server's own, so that the module's memory counts as the server's.

use redis_module::raw::{RedisModule_Alloc, RedisModule_Free};
use std::alloc::{GlobalAlloc, Layout, System};

/// What every server's allocator aligns to: the jemalloc that Redis brings has size classes of 24, 40 and 56 bytes,
/// whose blocks are aligned to 8 only. (A hash table of 56 bytes, which has to be aligned to 16, crashed 8.2.)
const ALIGN: usize = 8;

/// Allocates by the server if one has loaded the module, and by the system in test binaries. Nothing
/// is allocated before the server's functions are known: the module looks them up first of all.
struct ServerAlloc;

#[global_allocator]
static ALLOC: ServerAlloc = ServerAlloc;

// SAFETY: blocks come from the server's or the system's allocator and go back to the one they came
// from; larger alignments than the server's are made by hand below.
unsafe impl GlobalAlloc for ServerAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: written once, while the module loads.
        let Some(alloc) = (unsafe { RedisModule_Alloc }) else {
            // SAFETY: the caller's promise on `layout` is passed on.
            return unsafe { System.alloc(layout) };
        };
        if layout.align() <= ALIGN {
            // SAFETY: any size will do.
            return unsafe { alloc(layout.size()) }.cast();
        }
        // SAFETY: any size will do; the sum of a valid layout's size and alignment fits.
        let block: *mut u8 = unsafe { alloc(layout.size() + layout.align()) }.cast();
        if block.is_null() {
            return block;
        }
        // The block is aligned to 8, so at least 8 bytes are before the next aligned address: a pointer fits there.
        let offset = layout.align() - (block as usize & (layout.align() - 1));
        // SAFETY: `offset` is at most the alignment, which was added to the size.
        let aligned = unsafe { block.add(offset) };
        let start = aligned.cast::<*mut u8>();
        // SAFETY: those bytes are inside the block.
        let slot = unsafe { start.sub(1) };
        // SAFETY: a pointer fits there, aligned.
        unsafe { slot.write(block) };
        aligned
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: written once, while the module loads.
        let Some(free) = (unsafe { RedisModule_Free }) else {
            // SAFETY: without a server the block came from the system.
            return unsafe { System.dealloc(block, layout) };
        };
        if layout.align() <= ALIGN {
            // SAFETY: the block came from the server as it is.
            return unsafe { free(block.cast()) };
        }
        let start = block.cast::<*mut u8>();
        // SAFETY: `alloc` left the block's true start in front of it.
        let slot = unsafe { start.sub(1) };
        // SAFETY: as above.
        let start = unsafe { slot.read() };
        // SAFETY: it is what the server gave.
        unsafe { free(start.cast()) };
    }
}
