//! Money that comes in while jobs are paid for, each payment said until it is acknowledged, some said twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lowland_events::{
    Draft, Money, Subject, Time,
    id::{AccountId, JobId},
    log::SharedLog,
    request::TopupPosted,
};
use rand::{Rng, RngExt};
use tokio::time::{sleep, timeout};

use super::{AGAIN, Notes, PATIENCE};

/// Pauses between two payments, in milliseconds.
const PAUSES_MS: std::ops::RangeInclusive<u64> = 100..=600;
/// What a payment brings to whoever can pay, in micro-units.
const AMOUNTS: std::ops::RangeInclusive<i128> = 1..=50_000;
/// What a payment brings to the poor account: less than its jobs cost.
const ALMS: i128 = 40;

/// Whoever pays.
pub(super) struct Payer {
    pub(super) log: SharedLog,
    /// The last one is poor.
    pub(super) accounts: Vec<String>,
    pub(super) notes: Notes,
}

impl Payer {
    /// Pays again and again, until it is over.
    pub(super) async fn live(self, mut chance: impl Rng) {
        while !self.notes.over() {
            let which = chance.random_range(0..self.accounts.len());
            let amount = if which + 1 == self.accounts.len() { ALMS } else { chance.random_range(AMOUNTS) };
            let (account, id) = (self.accounts[which].clone(), format!("pay-{:x}", chance.next_u64()));
            let times = 1 + u32::from(chance.random_ratio(1, 4));
            for _ in 0..times {
                self.pay(&account, &id, amount).await;
            }
            sleep(Duration::from_millis(chance.random_range(PAUSES_MS))).await;
        }
    }

    async fn pay(&self, account: &str, id: &str, amount: i128) {
        let said = timeout(PATIENCE, async {
            while let Err(_later) = self.log.append(topup(account, id, amount).entry()).await {
                sleep(AGAIN).await;
            }
        });
        let in_time = said.await.is_ok();
        self.notes.write(|report| {
            if in_time {
                report.topups.insert((account.to_owned(), id.to_owned()), amount);
            } else {
                report.complaints.push(format!("top-up {account}/{id} was not acknowledged in {PATIENCE:?}"));
            }
        });
    }
}

/// The request for a top-up. Its id follows from what it is about, so that saying it twice is saying it once.
pub(crate) fn topup(account: &str, id: &str, amount: i128) -> Draft {
    let (account, topup) = (AccountId::new(account).expect("an id"), JobId::new(id).expect("an id"));
    let subject = Subject::request(&account, &topup, "topup_posted");
    let body = TopupPosted { amount: Money(amount), reference: None };
    Draft::new(subject, body, &format!("{account}/{topup}"), "tests", now())
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
