//! The books, kept once more from the events of accounts: double entry, holds, charges, in plain maps of numbers.

use std::collections::BTreeMap;

use lowland_events::{
    account::{ChargeLine, Charged, Event, HoldPlaced, HoldReleased, Posting},
    job::Assigned,
    meter::{Rates, Usage},
};

use super::{
    Job, Key,
    prices::{self, Prices},
};

/// The books.
#[derive(Debug, Default)]
pub struct Ledger {
    prices: Prices,
    balances: BTreeMap<String, i128>,
    /// Top-ups by account and id.
    pub(super) topups: BTreeMap<Key, i128>,
    holds: BTreeMap<Key, Hold>,
}

/// What was set aside for a job, and what became of it.
#[derive(Debug)]
struct Hold {
    placed: i128,
    rates: Rates,
    version: String,
    model: String,
    /// What is left of it while it is open.
    left: Option<i128>,
    charged: Option<(i128, Usage)>,
}

/// Where an account stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What may be spent, in micro-units.
    pub available: i128,
    /// What is set aside.
    pub set_aside: i128,
    /// All that was charged.
    pub charged: i128,
    /// Quantities that were charged, by model, meter and version of the price book.
    pub used: BTreeMap<(String, String, String), u64>,
}

impl Ledger {
    /// Books that hold every price to `prices`.
    pub(super) fn priced(prices: Prices) -> Self {
        Self { prices, ..Self::default() }
    }

    pub(super) fn take(&mut self, account: &str, body: &Event, jobs: &BTreeMap<Key, Job>) {
        let key = |job: &str| (account.to_owned(), job.to_owned());
        match body {
            Event::ToppedUp(body) => {
                let credits = [(&*format!("customer:{account}"), body.amount.0)];
                self.post(&body.postings, "cash", &credits);
                let before = self.topups.insert(key(body.topup.as_str()), body.amount.0);
                assert_eq!(before, None, "top-up {} is entered twice", body.topup);
            }
            Event::HoldPlaced(body) => self.place(key(body.job.as_str()), body, jobs),
            Event::Charged(body) => self.charge(key(body.job.as_str()), body, jobs),
            Event::HoldReleased(body) => self.release(&key(body.job.as_str()), body),
        }
    }

    fn place(&mut self, key: Key, body: &HoldPlaced, jobs: &BTreeMap<Key, Job>) {
        let (customer, held) = (format!("customer:{}", key.0), format!("held:{}", key.0));
        self.post(&body.postings, &customer, &[(&held, body.amount.0)]);
        let job = jobs.get(&key).unwrap_or_else(|| panic!("{key:?} is held before it is submitted"));
        let submitted = job.submitted.as_ref().unwrap_or_else(|| panic!("{key:?} is held and was rejected"));
        assert_eq!((&submitted.model, &submitted.bounds), (&body.model, &body.bounds), "{key:?}");
        self.prices.in_force(body.model.as_str(), job.submitted_at, &body.price_version, &body.rates);
        assert_eq!(
            body.amount.0,
            prices::most(&body.rates, &body.bounds),
            "{key:?} holds the most it can cost"
        );
        let hold = Hold {
            placed: body.amount.0,
            rates: body.rates.clone(),
            version: body.price_version.clone(),
            model: body.model.to_string(),
            left: Some(body.amount.0),
            charged: None,
        };
        assert!(self.holds.insert(key.clone(), hold).is_none(), "{key:?} is held twice");
    }

    /// Only what is paid for in advance is given to a worker, by the prices that its hold fixed.
    pub(super) fn pays_for(&self, key: &Key, body: &Assigned) {
        let hold = self.holds.get(key).filter(|hold| hold.left.is_some());
        let hold = hold.unwrap_or_else(|| panic!("{key:?} is assigned without a hold"));
        assert_eq!(hold.version, body.price_version, "{key:?} knows its hold");
    }

    fn charge(&mut self, key: Key, body: &Charged, jobs: &BTreeMap<Key, Job>) {
        let back = body.released.map_or(0, |rest| rest.0);
        let credits = [("revenue", body.amount.0), (&*format!("customer:{}", key.0), back)];
        self.post(&body.postings, &format!("held:{}", key.0), &credits);
        let hold = self.holds.get_mut(&key).unwrap_or_else(|| panic!("{key:?} is charged without a hold"));
        let end = jobs.get(&key).and_then(|job| job.end.as_ref());
        let end = end.unwrap_or_else(|| panic!("{key:?} is charged before its end"));
        let price = prices::price(&hold.rates, &end.usage);
        assert_eq!(body.amount.0, price.min(hold.placed), "{key:?} costs its price, at most its hold");
        assert_eq!((body.waived.0, &body.outcome), (price - body.amount.0, &end.name), "{key:?}");
        let listed = Usage::of(body.lines.iter().map(|line| (line.meter, line.quantity)));
        assert_eq!(listed, end.usage, "{key:?} is charged for what was delivered");
        let at = |line: &ChargeLine| hold.rates.0.get(&line.meter) == Some(&line.rate);
        assert!(body.lines.iter().all(at), "{key:?} is charged at the rates of its hold: {body:?}");
        let left = hold.left.take();
        let left = left.unwrap_or_else(|| panic!("{key:?} is charged after its hold was closed"));
        let rest = Some(left - body.amount.0);
        assert_eq!(body.released.map(|back| back.0), rest, "{key:?}: exactly the rest goes back, once");
        assert!(hold.charged.replace((body.amount.0, listed)).is_none(), "{key:?} is charged twice");
    }

    fn release(&mut self, key: &Key, body: &HoldReleased) {
        let credits = [(&*format!("customer:{}", key.0), body.amount.0)];
        self.post(&body.postings, &format!("held:{}", key.0), &credits);
        let hold = self.holds.get_mut(key).unwrap_or_else(|| panic!("{key:?} is released without a hold"));
        assert_eq!(hold.left.take(), Some(body.amount.0), "{key:?}: exactly the rest goes back, once");
    }

    /// Enters one transfer, held to the accounts that it may touch; nobody's money goes below zero. A credit of nothing may
    /// be left out, but for the first.
    fn post(&mut self, postings: &[Posting], debit: &str, credits: &[(&str, i128)]) {
        let sum = credits.iter().map(|(_, amount)| amount).sum();
        let credits = credits.iter().enumerate().filter(|(n, (_, amount))| *n == 0 || *amount != 0);
        let mut wanted = vec![(debit, sum)];
        wanted.extend(credits.map(|(_, (name, amount))| (*name, -amount)));
        let mut told: Vec<_> = postings.iter().map(|line| (line.ledger.as_str(), line.amount.0)).collect();
        wanted.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, wanted, "one transfer out of {debit}");
        for (name, amount) in wanted {
            let balance = self.balances.entry(name.to_owned()).or_default();
            *balance += amount;
            let owed = name != "cash";
            assert!(if owed { *balance <= 0 } else { *balance >= 0 }, "{name} is below zero");
        }
        assert_eq!(self.balances.values().sum::<i128>(), 0, "the books add up to nothing");
    }

    /// Jobs whose holds are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Key> {
        self.holds.iter().filter(|(_, hold)| hold.left.is_some()).map(|(key, _)| key)
    }

    /// Holds that an ended job was paid for once, if anything was delivered, and that nothing is set aside for it.
    pub(super) fn paid(&self, key: &Key, job: &Job) {
        let (Some(end), hold) = (&job.end, self.holds.get(key)) else { return };
        let Some(hold) = hold else {
            assert!(end.usage.0.is_empty(), "{key:?} delivered without a hold: {job:?}");
            return;
        };
        assert_eq!(hold.left, None, "{key:?} has ended, and its hold is open");
        let charged = hold.charged.as_ref().map(|(_, usage)| usage);
        let delivered = Some(&end.usage).filter(|usage| !usage.0.is_empty());
        assert_eq!(charged, delivered, "{key:?} is charged for what was delivered");
    }

    /// Where each account stands.
    #[must_use]
    pub fn accounts(&self) -> BTreeMap<String, Account> {
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        for (name, balance) in &self.balances {
            match name.split_once(':') {
                Some(("customer", id)) => accounts.entry(id.to_owned()).or_default().available = -balance,
                Some(("held", id)) => accounts.entry(id.to_owned()).or_default().set_aside = -balance,
                _ => {}
            }
        }
        for ((account, _), hold) in &self.holds {
            if let Some((amount, usage)) = &hold.charged {
                accounts.entry(account.clone()).or_default().add(hold, *amount, usage);
            }
        }
        accounts
    }
}

impl Account {
    fn add(&mut self, hold: &Hold, amount: i128, usage: &Usage) {
        self.charged += amount;
        for (meter, quantity) in &usage.0 {
            let key = (hold.model.clone(), prices::name(*meter).to_owned(), hold.version.clone());
            *self.used.entry(key).or_default() += quantity;
        }
    }
}
