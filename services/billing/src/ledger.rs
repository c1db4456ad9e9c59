//! Double entry. Debits are positive, credits negative, and whatever is entered adds up to zero, so everything always
//! adds up to zero.
//!
//! `cash` is what came in. `customer:<account>` and `held:<account>` are what we owe: free to spend, and set aside for
//! jobs. `revenue` is what was earned.

use std::collections::BTreeMap;

use lowland_events::{Money, account::Posting, id::AccountId};
use serde::{Deserialize, Serialize};

/// Ledger account of money that came in.
pub const CASH: &str = "cash";
/// Ledger account of money that was earned.
pub const REVENUE: &str = "revenue";

/// Ledger account of what a customer may still spend.
#[must_use]
pub fn customer(account: &AccountId) -> String {
    format!("customer:{account}")
}

/// Ledger account of what is set aside for a customer's jobs.
#[must_use]
pub fn held(account: &AccountId) -> String {
    format!("held:{account}")
}

/// Money comes in.
#[must_use]
pub fn topup(account: &AccountId, amount: Money) -> Vec<Posting> {
    entry(CASH.to_owned(), customer(account), amount)
}

/// Money is set aside.
#[must_use]
pub fn hold(account: &AccountId, amount: Money) -> Vec<Posting> {
    entry(customer(account), held(account), amount)
}

/// Of money that was set aside, `amount` is earned and `rest` goes back.
#[must_use]
pub fn charge(account: &AccountId, amount: Money, rest: Money) -> Vec<Posting> {
    let mut postings = entry(held(account), REVENUE.to_owned(), amount);
    if rest != Money::ZERO {
        postings[0].amount += rest;
        postings.push(Posting { ledger: customer(account), amount: -rest });
    }
    postings
}

/// Money that was set aside goes back.
#[must_use]
pub fn release(account: &AccountId, amount: Money) -> Vec<Posting> {
    entry(held(account), customer(account), amount)
}

fn entry(debit: String, credit: String, amount: Money) -> Vec<Posting> {
    vec![Posting { ledger: debit, amount }, Posting { ledger: credit, amount: -amount }]
}

/// Balances by ledger account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger(BTreeMap<String, Money>);

impl Ledger {
    /// Whether `postings` may be entered: they add up to zero, here and within the range of money.
    #[must_use]
    pub fn fits(&self, postings: &[Posting]) -> bool {
        let sum = postings.iter().try_fold(0_i128, |sum, posting| sum.checked_add(posting.amount.0));
        sum == Some(0) && postings.iter().all(|posting| self.after(posting).is_some())
    }

    /// Enters `postings`, which [`Self::fits`] has let through.
    pub fn post(&mut self, postings: &[Posting]) {
        for posting in postings {
            *self.0.entry(posting.ledger.clone()).or_default() += posting.amount;
        }
    }

    /// Debits less credits of a ledger account.
    #[must_use]
    pub fn balance(&self, ledger: &str) -> Money {
        self.0.get(ledger).copied().unwrap_or_default()
    }

    /// What `account` may still spend.
    #[must_use]
    pub fn available(&self, account: &AccountId) -> Money {
        -self.balance(&customer(account))
    }

    /// What is set aside for jobs of `account`.
    #[must_use]
    pub fn set_aside(&self, account: &AccountId) -> Money {
        -self.balance(&held(account))
    }

    /// Every ledger account and its balance.
    pub fn balances(&self) -> impl Iterator<Item = (&str, Money)> {
        self.0.iter().map(|(ledger, balance)| (ledger.as_str(), *balance))
    }

    /// Debits less credits of everything: always zero.
    #[must_use]
    pub fn total(&self) -> Money {
        self.0.values().copied().sum()
    }

    fn after(&self, posting: &Posting) -> Option<i128> {
        self.balance(&posting.ledger).0.checked_add(posting.amount.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_goes_round_and_adds_up_to_zero() {
        let acme = AccountId::new("acme").unwrap();
        let mut ledger = Ledger::default();
        let steps = [
            (topup(&acme, Money(100)), [100, 0]),
            (hold(&acme, Money(30)), [70, 30]),
            (charge(&acme, Money(20), Money(10)), [80, 0]),
            (hold(&acme, Money(30)), [50, 30]),
            (release(&acme, Money(30)), [80, 0]),
        ];
        for (postings, [available, set_aside]) in steps {
            assert!(ledger.fits(&postings));
            ledger.post(&postings);
            assert_eq!(ledger.available(&acme), Money(available));
            assert_eq!(ledger.set_aside(&acme), Money(set_aside));
            assert_eq!(ledger.total(), Money::ZERO);
        }
        assert_eq!((ledger.balance(CASH), ledger.balance(REVENUE)), (Money(100), Money(-20)));
    }

    #[test]
    fn what_does_not_balance_does_not_fit() {
        let posting = |ledger: &str, amount| Posting { ledger: ledger.into(), amount: Money(amount) };
        let mut ledger = Ledger::default();
        assert!(!ledger.fits(&[posting("a", 1), posting("b", -2)]));
        ledger.post(&[posting("a", i128::MAX), posting("b", -i128::MAX)]);
        assert!(!ledger.fits(&[posting("a", 1), posting("b", -1)]), "past the range");
    }
}
