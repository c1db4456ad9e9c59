//! The ledger once more, worked out from the log by other means: plain maps of numbers, no code of billing's. What it
//! demands must hold after every single event, whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};

use lowland_billing::{State, ledger};
use lowland_events::{
    Event, Stored,
    account::{self, Charged, HoldPlaced, HoldReleased, Posting},
    job,
    meter::{Meter, Rates, Usage},
};

/// Account and job.
type Key = (String, String);

#[derive(Default)]
pub(crate) struct Oracle {
    balances: BTreeMap<String, i128>,
    topups: BTreeSet<Key>,
    bounds: BTreeMap<Key, Usage>,
    /// Placed holds: what was placed, its rates, and what is left of it (none once closed).
    holds: BTreeMap<Key, (i128, Rates, Option<i128>)>,
    ends: BTreeMap<Key, Usage>,
    charged: BTreeSet<Key>,
}

/// Works through the log; panics where something does not hold.
pub(crate) fn check(log: &[Stored]) -> Oracle {
    let mut oracle = Oracle::default();
    for event in log {
        oracle.take(event);
        oracle.holds_now(event);
    }
    oracle
}

impl Oracle {
    fn take(&mut self, event: &Stored) {
        let scope = event.subject.scope().to_owned();
        let key = (scope.clone(), event.subject.aggregate().to_owned());
        match &event.event {
            Event::Job(body) => self.job(key, body),
            Event::Account(account::Event::ToppedUp(body)) => {
                self.post(&body.postings);
                assert!(self.topups.insert((scope, body.topup.to_string())), "top-up {} twice", body.topup);
            }
            Event::Account(account::Event::HoldPlaced(body)) => {
                self.placed((scope, body.job.to_string()), body);
            }
            Event::Account(account::Event::Charged(body)) => self.charge((scope, body.job.to_string()), body),
            Event::Account(account::Event::HoldReleased(body)) => {
                self.released((scope, body.job.to_string()), body);
            }
            _ => {}
        }
    }

    fn job(&mut self, key: Key, body: &job::Event) {
        let usage = match body {
            job::Event::Submitted(body) => {
                self.bounds.insert(key, body.bounds.clone());
                return;
            }
            job::Event::Completed(body) => body.usage.clone(),
            job::Event::Failed(body) => body.usage.clone(),
            job::Event::Cancelled(body) => body.usage.clone(),
            job::Event::Expired(body) => body.usage.clone(),
            job::Event::Rejected(_) => Usage::default(),
            _ => return,
        };
        assert!(self.ends.insert(key, usage).is_none(), "ended twice");
    }

    fn placed(&mut self, key: Key, body: &HoldPlaced) {
        self.post(&body.postings);
        let most: i128 = body.bounds.0.iter().map(|(m, q)| i128::from(*q) * dearest(&body.rates, *m)).sum();
        assert_eq!(body.amount.0, (most + 999_999) / 1_000_000, "{key:?} holds what it can cost");
        assert_eq!(Some(&body.bounds), self.bounds.get(&key));
        let hold = (body.amount.0, body.rates.clone(), Some(body.amount.0));
        assert!(self.holds.insert(key, hold).is_none(), "a second hold");
    }

    fn charge(&mut self, key: Key, body: &Charged) {
        self.post(&body.postings);
        let (placed, rates, left) = self.holds.get_mut(&key).expect("a charge draws on a hold");
        let usage = self.ends.get(&key).expect("a charge follows the job's end");
        let exact: i128 =
            usage.0.iter().map(|(m, q)| i128::from(*q) * rates.0.get(m).map_or(0, |r| r.0)).sum();
        let price = (exact + 999_999) / 1_000_000;
        assert_eq!(body.amount.0, price.min(*placed), "{key:?}: the price, never more than the hold");
        assert_eq!(body.waived.0, price - body.amount.0);
        let listed: BTreeMap<Meter, u64> =
            body.lines.iter().map(|line| (line.meter, line.quantity)).collect();
        assert_eq!(listed, usage.0);
        let rest = left.take().expect("the hold is open") - body.amount.0;
        assert_eq!(body.released.map(|back| back.0), Some(rest), "{key:?}: exactly the rest goes back");
        assert!(self.charged.insert(key), "charged twice");
    }

    fn released(&mut self, key: Key, body: &HoldReleased) {
        self.post(&body.postings);
        let (_, _, left) = self.holds.get_mut(&key).expect("a release draws on a hold");
        assert_eq!(left.take(), Some(body.amount.0), "{key:?}: exactly the rest goes back");
        let delivered = self.ends.get(&key).is_some_and(|usage| !usage.0.is_empty());
        assert!(!delivered, "{key:?}: what was delivered is charged");
    }

    fn post(&mut self, postings: &[Posting]) {
        assert_eq!(postings.iter().map(|posting| posting.amount.0).sum::<i128>(), 0, "debits equal credits");
        for posting in postings {
            *self.balances.entry(posting.ledger.clone()).or_default() += posting.amount.0;
        }
    }

    /// What holds after every event.
    fn holds_now(&self, event: &Stored) {
        assert_eq!(self.balances.values().sum::<i128>(), 0, "after {event:?}");
        for (name, balance) in &self.balances {
            let owed = name.starts_with("customer:") || name.starts_with("held:") || name == ledger::REVENUE;
            let sign = if owed { -1 } else { 1 };
            assert!(sign * balance >= 0, "{name} is below zero after {event:?}");
        }
    }

    /// What holds when billing has done all that there was to do.
    pub(crate) fn is_settled(&self) {
        for (key, (_, _, left)) in &self.holds {
            let ended = self.ends.contains_key(key);
            assert_eq!(left.is_none(), ended, "{key:?}: open until the job ends, closed then");
            let delivered = self.ends.get(key).is_some_and(|usage| !usage.0.is_empty());
            assert_eq!(self.charged.contains(key), delivered, "{key:?}: charged once for what was delivered");
        }
        for key in self.bounds.keys() {
            assert!(self.holds.contains_key(key) || self.ends.contains_key(key), "{key:?} still waits");
        }
    }

    /// Whether billing's own state says the same.
    pub(crate) fn agrees_with(&self, state: &State) {
        assert_eq!(state.misfits, 0);
        let balances: BTreeMap<String, i128> =
            state.ledger.balances().map(|(l, b)| (l.to_owned(), b.0)).collect();
        assert_eq!(balances, self.balances);
        let open: BTreeMap<Key, i128> = self
            .holds
            .iter()
            .filter_map(|(key, (_, _, left))| left.map(|left| (key.clone(), left)))
            .collect();
        let known: BTreeMap<Key, i128> = state
            .accounts()
            .flat_map(|(id, account)| {
                account.holds.iter().map(|(job, hold)| ((id.to_string(), job.to_string()), hold.amount.0))
            })
            .collect();
        assert_eq!(known, open);
        assert!(state.due().is_empty());
    }
}

/// An input token may turn out cached; the hold covers the dearer.
fn dearest(rates: &Rates, meter: Meter) -> i128 {
    let of = |meter| rates.0.get(&meter).map_or(0, |rate| rate.0);
    if meter == Meter::InputTokens { of(Meter::InputTokens).max(of(Meter::CachedTokens)) } else { of(meter) }
}
