//! The step thread: takes jobs from the queue, gives them slots, and steps one slot after the other.
//!
//! A panic on it, a sink's included, ends every job with an error and the engine with it; nobody waits for
//! ever.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
};

use super::{
    sequence::{Rules, Sequence},
    sink::Finish,
    slots::Slots,
};
use crate::{Error, text::Tokenizer};

/// A job on its way to a slot.
pub(super) struct Job {
    pub(super) sequence: Sequence,
    /// Tokens of an earlier attempt, not yet replayed.
    pub(super) forced: Vec<u32>,
}

/// What the thread owns.
pub(super) struct Stepper {
    pub(super) slots: Slots,
    pub(super) jobs: Receiver<Job>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) context: usize,
    pub(super) eos: Vec<u32>,
}

impl Stepper {
    /// Steps until the engine is dropped.
    pub(super) fn run(mut self) {
        let mut waiting = VecDeque::new();
        let end = catch_unwind(AssertUnwindSafe(|| self.steps(&mut waiting)));
        let error = Error::Stopped(match end {
            Ok(()) => "it was dropped".to_owned(),
            Err(panic) => format!("a bug: {}", words(panic.as_ref())),
        });
        // First, so that nobody who hears of the end can start another job.
        if !self.stop.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "step thread");
        }
        waiting.extend(self.jobs.try_iter());
        for sequence in self.slots.take_jobs().chain(waiting.into_iter().map(|job| job.sequence)) {
            let end = || sequence.finish(Finish::Error(error.clone()));
            // The sink that panicked may do so again; the others must still hear of it.
            let _ = catch_unwind(AssertUnwindSafe(end));
        }
    }

    fn steps(&mut self, waiting: &mut VecDeque<Job>) {
        while self.receive(waiting) {
            end_cancelled(waiting);
            self.admit(waiting);
            let rules = Rules { context: self.context, eos: &self.eos, tokenizer: &self.tokenizer };
            self.slots.step(&rules);
        }
    }

    /// Takes what has arrived; waits only when there is nothing else to do. False when the engine is to stop.
    fn receive(&self, waiting: &mut VecDeque<Job>) -> bool {
        if self.slots.is_idle() && waiting.is_empty() {
            match self.jobs.recv() {
                Ok(job) => waiting.push_back(job),
                Err(_) => return false,
            }
        }
        loop {
            match self.jobs.try_recv() {
                Ok(job) => waiting.push_back(job),
                Err(TryRecvError::Empty) => return !self.stop.load(Ordering::Relaxed),
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn admit(&mut self, waiting: &mut VecDeque<Job>) {
        while self.slots.has_idle()
            && let Some(Job { mut sequence, forced }) = waiting.pop_front()
        {
            let rules = Rules { context: self.context, eos: &self.eos, tokenizer: &self.tokenizer };
            match sequence.replay(&forced, &rules) {
                Ok(None) => self.slots.start(sequence),
                Ok(Some(finish)) => {
                    sequence.start(sequence.tokens().len());
                    sequence.finish(finish);
                }
                Err(error) => {
                    sequence.finish(Finish::Error(error));
                }
            }
        }
    }
}

fn end_cancelled(waiting: &mut VecDeque<Job>) {
    for _ in 0..waiting.len() {
        let Some(job) = waiting.pop_front() else { return };
        if job.sequence.is_cancelled() {
            job.sequence.finish(Finish::Cancelled);
        } else {
            waiting.push_back(job);
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
