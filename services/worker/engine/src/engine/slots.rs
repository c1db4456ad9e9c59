//! The slots of a model: each holds one sequence's cache, runs one job at a time, and keeps what it computed
//! for the next.

use super::{
    pick::{self, Idle},
    sequence::{Rules, Sequence},
    sink::Finish,
};
use crate::{
    Error,
    sampling::Scratch,
    session::{Cache, Decoder, LEAST_TOKENS},
};

/// Tokens of a prompt read in one step. Larger steps are hardly faster on a CPU, and every other job of the
/// model waits for the step to end. The same whatever the company, so that a prompt's logits don't depend on
/// who else is there.
pub(crate) const PROMPT_CHUNK_TOKENS: usize = 64;

struct Slot {
    cache: Cache,
    /// Tokens in the cache while no job runs.
    held: Vec<u32>,
    used: u64,
    job: Option<Sequence>,
}

/// All slots, and the session that serves them in turn.
pub(super) struct Slots {
    decoder: Decoder,
    slots: Vec<Slot>,
    scratch: Scratch,
    last: usize,
    clock: u64,
}

impl Slots {
    pub(super) fn new(decoder: Decoder, count: usize) -> Result<Self, Error> {
        let slot = |_| Ok(Slot { cache: decoder.cache()?, held: Vec::new(), used: 0, job: None });
        let slots = (0..count).map(slot).collect::<Result<_, Error>>()?;
        Ok(Self { decoder, slots, scratch: Scratch::default(), last: 0, clock: 0 })
    }

    pub(super) fn has_idle(&self) -> bool {
        self.slots.iter().any(|slot| slot.job.is_none())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.job.is_none())
    }

    /// Gives the job the idle slot that holds most of it. Without an idle slot, or when the slot fails, the
    /// job ends with the error.
    pub(super) fn start(&mut self, mut job: Sequence) {
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let idle = idle.map(|(at, slot)| Idle { slot: at, tokens: &slot.held, used: slot.used });
        let Some((at, reuse)) = pick::slot(idle, job.tokens(), LEAST_TOKENS) else {
            job.finish(Finish::Error(Error::Busy { slots: self.slots.len(), queued: 0 }));
            return;
        };
        let slot = &mut self.slots[at];
        slot.held.clear();
        if let Err(error) = self.decoder.truncate(&mut slot.cache, reuse) {
            job.finish(Finish::Error(error));
            return;
        }
        job.start(slot.cache.length());
        slot.job = Some(job);
    }

    /// Ends cancelled jobs, then runs one step for the job whose turn it is.
    pub(super) fn step(&mut self, rules: &Rules<'_>) {
        for at in 0..self.slots.len() {
            if self.slots[at].job.as_ref().is_some_and(Sequence::is_cancelled) {
                self.finish(at, Finish::Cancelled);
            }
        }
        let active: Vec<bool> = self.slots.iter().map(|slot| slot.job.is_some()).collect();
        let Some(at) = pick::turn(&active, self.last) else { return };
        self.last = at;
        match self.advance(at, rules) {
            Ok(None) => {}
            Ok(Some(finish)) => self.finish(at, finish),
            Err(error) => {
                self.finish(at, Finish::Error(error));
                self.forget(at);
            }
        }
    }

    /// Reads the next chunk of the slot's job and, when all of it is read, takes its next token.
    fn advance(&mut self, at: usize, rules: &Rules<'_>) -> Result<Option<Finish>, Error> {
        let slot = &mut self.slots[at];
        let Some(job) = &mut slot.job else { return Ok(None) };
        let total = job.tokens().len();
        let from = slot.cache.length().min(total.saturating_sub(LEAST_TOKENS));
        self.decoder.truncate(&mut slot.cache, from)?;
        let unread = &job.tokens()[slot.cache.length()..];
        let chunk = unread.len().min(PROMPT_CHUNK_TOKENS);
        let last = chunk == unread.len();
        let logits = self.decoder.run(&mut slot.cache, &unread[..chunk])?;
        if last { job.advance(logits, rules, &mut self.scratch) } else { Ok(None) }
    }

    fn finish(&mut self, at: usize, finish: Finish) {
        let slot = &mut self.slots[at];
        let Some(job) = slot.job.take() else { return };
        self.clock += 1;
        slot.used = self.clock;
        slot.held = job.finish(finish);
        slot.held.truncate(slot.cache.length());
        tracing::debug!(slot = at, held = slot.held.len(), capacity = slot.cache.capacity(), "job ended");
    }

    /// After an error the cache's content means nothing.
    fn forget(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        slot.held.clear();
        if let Err(error) = self.decoder.truncate(&mut slot.cache, 0) {
            tracing::warn!(slot = at, %error, "cache not cut");
        }
    }

    /// Takes the jobs away.
    pub(super) fn take_jobs(&mut self) -> impl Iterator<Item = Sequence> {
        self.slots.iter_mut().filter_map(|slot| slot.job.take())
    }
}
