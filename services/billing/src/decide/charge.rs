//! Jobs that have ended: what was delivered is charged, and what the hold did not need goes back.
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

/// Events that closing a hold takes at most.
const EVENTS_EACH: usize = 2;

pub(super) fn close_ended(batch: &mut Batch<'_>, account: &Account) {
    for job in &account.ended {
        if !batch.has_room(EVENTS_EACH) {
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
    let rest = hold.amount - charged.as_ref().map_or_else(Default::default, |charged| charged.amount);
    let charge_closes = charged.is_some() && rest.0 == 0;
    if let Some(charged) = charged {
        batch.on_account("charged", charged, &end.cause);
    }
    if !charge_closes {
        let postings = ledger::release(batch.account, rest);
        let released = HoldReleased { job: job.clone(), amount: rest, postings };
        batch.on_account("hold_released", released, &end.cause);
    }
    batch.free += rest;
}

/// The charge for what was delivered, never more than was set aside; none if nothing was.
fn charge(batch: &Batch<'_>, job: &JobId, hold: &Hold, end: &End) -> Option<Charged> {
    let lines = rating::lines(&hold.rates, &end.usage);
    if lines.is_empty() {
        return None;
    }
    let price = rating::price(&lines);
    let amount = price.min(hold.amount);
    Some(Charged {
        job: job.clone(),
        model: hold.model.clone(),
        amount,
        lines,
        price_version: hold.price_version.clone(),
        outcome: end.outcome.clone(),
        waived: price - amount,
        postings: ledger::charge(batch.account, amount),
    })
}
