//! The step thread: takes jobs from the queue, gives them slots, and steps one slot after the other.
//!
//! A panic on it, a sink's included, ends every job with an error and the engine with it; nobody waits for ever.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
};

use super::{
    sequence::{Rules, Sequence},
    sink::Finish,
    slots::Slots,
};
use crate::{Error, text::Tokenizer};

/// A job on its way to the thread.
pub(super) struct Job {
    pub(super) sequence: Sequence,
    pub(super) forced: Vec<u32>,
    /// Counts the job as long as it lives.
    pub(super) ticket: Ticket,
}

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
