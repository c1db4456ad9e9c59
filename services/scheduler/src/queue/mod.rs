//! Who goes next: fair queueing of one model's waiting jobs over accounts.
//!
//! Each account has a virtual service counter (start-time fair queueing, Goyal et al. 1996; as the Virtual Token Counter
//! of Sheng et al. 2024 applies it to tokens): the account that was served least goes first; a job's bounds are charged
//! when it is given out and corrected to what it used when it ends; an account that comes back starts at the least
//! counter of those that wait, so idling earns nothing. Within an account it is first come, first served.
//!
//! Jobs with unlike allowed regions wait in lanes of their own, so that a job that only a busy region may run holds up
//! nobody else, and who goes next is found without looking at those that cannot.

mod draw;

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    id::{AccountId, JobId, RegionId},
    meter::{Meter, Usage},
};
use serde::{Deserialize, Serialize};

pub use draw::Draw;

/// Allowed regions in order, each once; empty for anywhere.
pub type Regions = Vec<RegionId>;

/// A written token costs about as much service as this many read ones (the weights of the Virtual Token Counter).
const OUTPUT_WEIGHT: u64 = 2;

/// The service that `usage` stands for: computed tokens, written ones weighted.
#[must_use]
pub fn service(usage: &Usage) -> u64 {
    usage
        .quantity(Meter::InputTokens)
        .saturating_add(usage.quantity(Meter::EmbeddingTokens))
        .saturating_add(usage.output_tokens().saturating_mul(OUTPUT_WEIGHT))
}

/// One model's waiting jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    accounts: BTreeMap<AccountId, Account>,
    /// For each set of regions, the accounts that wait there, least served first.
    order: BTreeMap<Regions, BTreeSet<(u64, AccountId)>>,
    /// Accounts with nothing here whose counter is still above the floor.
    resting: BTreeSet<(u64, AccountId)>,
    /// The highest counter at which somebody was served.
    served: u64,
}

/// An account's part of the queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    /// Virtual service, charged ahead for what is running.
    service: u64,
    running: u64,
    /// Waiting jobs by allowed regions and place in line.
    waiting: BTreeMap<Regions, BTreeMap<u64, JobId>>,
}

impl Queue {
    /// Puts a job in line; `ticket` is its place within its account.
    pub fn enter(&mut self, id: &AccountId, regions: &Regions, ticket: u64, job: JobId) {
        let floor = self.floor();
        let account = self.accounts.entry(id.clone()).or_default();
        if account.waiting.is_empty() {
            self.resting.remove(&(account.service, id.clone()));
            account.service = account.service.max(floor);
        }
        account.waiting.entry(regions.clone()).or_default().insert(ticket, job);
        self.order.entry(regions.clone()).or_default().insert((account.service, id.clone()));
    }

    /// Takes a job out of the line.
    pub fn leave(&mut self, id: &AccountId, regions: &Regions, ticket: u64) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        let Some(lane) = account.waiting.get_mut(regions) else { return };
        lane.remove(&ticket);
        if !lane.is_empty() {
            return;
        }
        account.waiting.remove(regions);
        if let Some(order) = self.order.get_mut(regions) {
            order.remove(&(account.service, id.clone()));
            if order.is_empty() {
                self.order.remove(regions);
            }
        }
    }

    /// A job of the account is given out: its bounds are charged.
    pub fn begin(&mut self, id: &AccountId, bounds: u64) {
        let account = self.accounts.entry(id.clone()).or_default();
        account.running += 1;
        self.served = self.served.max(account.service);
        self.move_counter(id, |service| service.saturating_add(bounds));
    }

    /// A job that was given out is no longer running: what was charged becomes what it used.
    pub fn end(&mut self, id: &AccountId, bounds: u64, used: u64) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        account.running = account.running.saturating_sub(1);
        self.move_counter(id, |service| service.saturating_sub(bounds).saturating_add(used));
    }

    /// Forgets what no longer matters after a change to `id`.
    pub fn tidy(&mut self, id: &AccountId) {
        let idle = |account: &Account| account.waiting.is_empty() && account.running == 0;
        if let Some(account) = self.accounts.get(id).filter(|account| idle(account)) {
            self.resting.insert((account.service, id.clone()));
        }
        let floor = self.floor();
        while let Some((_, id)) = self.resting.first().filter(|(service, _)| *service <= floor).cloned() {
            self.resting.pop_first();
            self.accounts.remove(&id);
        }
    }

    /// Whether nothing waits and nothing runs: whoever comes next meets no competition, so counters have no meaning.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.order.is_empty() && self.accounts.len() == self.resting.len()
    }

    /// Jobs that wait. Costs in proportion to the accounts and regions with any.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.accounts.values().flat_map(|account| account.waiting.values()).map(BTreeMap::len).sum()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The jobs in the order in which they are to be given out, of which at most `most` will be.
    #[must_use]
    pub fn draw(&self, most: usize) -> Draw<'_> {
        Draw::new(self, most)
    }

    /// Where an account that comes anew begins.
    fn floor(&self) -> u64 {
        let least = self.order.values().filter_map(|order| order.first()).map(|(service, _)| *service).min();
        least.unwrap_or(self.served)
    }

    fn move_counter(&mut self, id: &AccountId, to: impl Fn(u64) -> u64) {
        let Some(account) = self.accounts.get_mut(id) else { return };
        let old = account.service;
        account.service = to(old);
        self.resting.remove(&(old, id.clone()));
        for regions in account.waiting.keys() {
            let Some(order) = self.order.get_mut(regions) else { continue };
            order.remove(&(old, id.clone()));
            order.insert((account.service, id.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
