//! The bound on jobs in an engine: running and waiting ones hold a ticket each.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A place among the jobs that run or wait; given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    /// A place, if fewer than `most` are taken.
    pub(super) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let add = |count| (count < most).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let taken = Arc::default();
        let first = Ticket::take(&taken, 1);
        assert!(first.is_some() && Ticket::take(&taken, 1).is_none());
        drop(first);
        assert!(Ticket::take(&taken, 1).is_some());
    }
}
