//! Drawing jobs from a queue without changing it: a round plans several assignments, the fold of the events that it
//! leads to changes the queue.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Iter},
    iter::Peekable,
};

use lowland_events::id::{AccountId, JobId};

use super::{Queue, Regions};

/// The order in which jobs are to be given out.
pub struct Draw<'a> {
    queue: &'a Queue,
    order: BTreeSet<(u64, &'a AccountId)>,
    lanes: BTreeMap<&'a AccountId, Lanes<'a>>,
}

/// What is left of an account's lanes.
type Lanes<'a> = Vec<(&'a Regions, Peekable<Iter<'a, u64, JobId>>)>;

impl<'a> Draw<'a> {
    /// Of each lane only the first `most` accounts can be among the first `most` that are drawn.
    pub(super) fn new(queue: &'a Queue, most: usize) -> Self {
        let first = queue.order.values().flat_map(|order| order.iter().take(most));
        let order = first.map(|(service, account)| (*service, account)).collect();
        Self { queue, order, lanes: BTreeMap::new() }
    }

    /// The next job whose regions `admits`. Admission only ever narrows while jobs are drawn.
    pub fn next(&mut self, admits: impl Fn(&Regions) -> bool) -> Option<(&'a AccountId, &'a JobId)> {
        loop {
            let (service, account) = *self.order.first()?;
            match self.take(account, &admits) {
                Some(job) => return Some((account, job)),
                None => self.order.remove(&(service, account)),
            };
        }
    }

    /// Charges the account of the job that was drawn last.
    pub fn charge(&mut self, bounds: u64) {
        if let Some((service, account)) = self.order.pop_first() {
            self.order.insert((service.saturating_add(bounds), account));
        }
    }

    /// The account's foremost job among the lanes that `admits`.
    fn take(&mut self, account: &'a AccountId, admits: impl Fn(&Regions) -> bool) -> Option<&'a JobId> {
        let queue = self.queue;
        let lanes = self.lanes.entry(account).or_insert_with(|| {
            let waiting = queue.accounts.get(account).into_iter().flat_map(|account| &account.waiting);
            waiting.map(|(regions, lane)| (regions, lane.iter().peekable())).collect()
        });
        let open = lanes.iter_mut().filter(|(regions, _)| admits(regions));
        let foremost =
            open.filter_map(|(_, lane)| lane.peek().map(|(ticket, _)| **ticket).map(|t| (t, lane)));
        foremost.min_by_key(|(ticket, _)| *ticket)?.1.next().map(|(_, job)| job)
    }
}
