//! Jobs that wait: the most that each could cost is set aside, or the job is rejected.
//!
//! Nobody is rejected for money that this very round sets aside or gives back: it is looked at again when the round
//! stands, so a rejection is always true of a balance that really was.

use lowland_events::{
    Money,
    account::HoldPlaced,
    job::{Problem, ProblemCode, Rejected},
};
use lowland_host::Decision;

use super::{Facts, batch::Batch};
use crate::{
    ledger,
    prices::Price,
    rating,
    state::{Account, State, Waiting},
};

/// Places what holds there is money for, oldest job first; gives the rejections of those there is none for.
pub(super) fn place_or_reject(
    batch: &mut Batch<'_>,
    account: &Account,
    state: &State,
    facts: &Facts<'_>,
) -> Vec<Decision> {
    let settled = batch.is_empty() && account.ended.is_empty();
    let available = state.ledger.available(batch.account);
    let mut rejections = Vec::new();
    for waiting in account.waiting.values() {
        if !batch.has_room() {
            break;
        }
        let price = match facts.book.price(&waiting.model, &waiting.bounds, waiting.submitted_at) {
            Ok(price) => price,
            Err(why) => {
                rejections.push(reject(batch, waiting, ProblemCode::NoPrice, why.to_string()));
                continue;
            }
        };
        let amount = rating::most(&price.rates, &waiting.bounds);
        if amount <= batch.free {
            place(batch, waiting, price, amount);
        } else if settled && amount > available {
            let message = insufficient(amount, available, state.ledger.set_aside(batch.account));
            rejections.push(reject(batch, waiting, ProblemCode::InsufficientFunds, message));
        }
    }
    rejections
}

fn place(batch: &mut Batch<'_>, waiting: &Waiting, price: Price, amount: Money) {
    let placed = HoldPlaced {
        job: waiting.job.clone(),
        model: waiting.model.clone(),
        amount,
        price_version: price.version,
        rates: price.rates,
        bounds: waiting.bounds.clone(),
        postings: ledger::hold(batch.account, amount),
    };
    batch.push("hold_placed", placed, &waiting.cause);
    batch.free -= amount;
}

fn reject(batch: &Batch<'_>, waiting: &Waiting, code: ProblemCode, message: String) -> Decision {
    let rejected = Rejected { problem: Problem { code, message, field: None } };
    Decision::one(batch.job_draft(&waiting.job, "rejected", rejected, &waiting.cause), waiting.last)
}

fn insufficient(needed: Money, available: Money, set_aside: Money) -> String {
    format!(
        "the job could cost up to {}, and the account has {} to spend ({} more is set aside for its running jobs); \
         top the account up, or ask for less with max_tokens",
        needed.to_units(),
        available.to_units(),
        set_aside.to_units()
    )
}
