//! Jobs that have ended: what was delivered is charged, and what the hold did not need goes back, in one event.
//!
//! The hold closes with that, and a charge needs an open hold: however often an ending is delivered, it is charged once.

use lowland_events::{
    account::{Charged, HoldReleased},
    id::JobId,
};

use super::batch::Batch;
use crate::{
    ledger, rating,
    state::{Account, End, Hold},
};

pub(super) fn close_ended(batch: &mut Batch<'_>, account: &Account) {
    for job in &account.ended {
        if !batch.has_room() {
            return;
        }
        if let Some(hold) = account.holds.get(job)
            && let Some(end) = &hold.end
        {
            close(batch, job, hold, end);
        }
    }
}

fn close(batch: &mut Batch<'_>, job: &JobId, hold: &Hold, end: &End) {
    let charged = if hold.charged { None } else { charge(batch, job, hold, end) };
    batch.free += charged.as_ref().map_or(hold.amount, |charged| hold.amount - charged.amount);
    match charged {
        Some(charged) => batch.push("charged", charged, &end.cause),
        None => batch.push("hold_released", release(batch, job, hold), &end.cause),
    }
}

fn release(batch: &Batch<'_>, job: &JobId, hold: &Hold) -> HoldReleased {
    let postings = ledger::release(batch.account, hold.amount);
    HoldReleased { job: job.clone(), amount: hold.amount, postings }
}

/// The charge for what was delivered, never more than was set aside; none if nothing was.
fn charge(batch: &Batch<'_>, job: &JobId, hold: &Hold, end: &End) -> Option<Charged> {
    let lines = rating::lines(&hold.rates, &end.usage);
    if lines.is_empty() {
        return None;
    }
    let price = rating::price(&lines);
    let amount = price.min(hold.amount);
    let rest = hold.amount - amount;
    Some(Charged {
        job: job.clone(),
        model: hold.model.clone(),
        amount,
        lines,
        price_version: hold.price_version.clone(),
        outcome: end.outcome.clone(),
        waived: price - amount,
        released: Some(rest),
        postings: ledger::charge(batch.account, amount, rest),
    })
}
