//! Counts the bytes that a thread has allocated: a test's world lives on one thread, so the count is what the world takes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
pub struct Counted;

fn count(by: isize) {
    // While a thread ends there is nothing to count with any more, and nobody who asks.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(now.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator as it came; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps what `GlobalAlloc` asks of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above; every block came from the system's allocator.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Forgets the most, and counts from what there is now on.
pub fn restart() {
    MOST.set(NOW.get());
    BASE.set(NOW.get());
}

thread_local! {
    static BASE: Cell<isize> = const { Cell::new(0) };
}

/// The most bytes that there were since [`restart`], above what there were then. 0 where nothing is counted.
pub fn most() -> u64 {
    u64::try_from(MOST.get() - BASE.get()).unwrap_or(0)
}
