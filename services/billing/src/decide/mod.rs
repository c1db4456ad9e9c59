//! What is to be written, given what is known: top-ups are entered, ended jobs charged, waiting jobs held or rejected.
//!
//! Pure: no clock, no I/O. Everything of one account in one round is one decision, guarded by the account's last
//! sequence: whoever decided on an older balance is refused, so nobody can spend what another has just spent.

mod batch;
mod charge;
mod hold;
pub mod topup;

use std::collections::BTreeSet;

use lowland_events::{Time, id::AccountId};
use lowland_host::Decision;

use crate::{
    prices::Book,
    state::{Account, State},
};
use batch::Batch;
pub use topup::{AMOUNT_MAX, Fate, Request, fate};

/// What is known beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The price book.
    pub book: &'a Book,
    /// Top-ups that are asked for.
    pub topups: &'a [Request],
    /// Who decides, for the events' source.
    pub source: &'a str,
    /// The time.
    pub now: Time,
}

/// One round of decisions; none when nothing is left to decide. Each is stored whole or refused whole, and may be taken
/// again: what it writes has the same ids each time.
#[must_use]
pub fn decide(state: &State, facts: &Facts<'_>) -> Vec<Decision> {
    let asked = facts.topups.iter().map(|request| &request.account);
    let accounts: BTreeSet<_> = state.due().iter().chain(asked).collect();
    accounts.into_iter().flat_map(|account| round(state, facts, account)).collect()
}

fn round(state: &State, facts: &Facts<'_>, id: &AccountId) -> Vec<Decision> {
    let unknown = Account::default();
    let account = state.account(id).unwrap_or(&unknown);
    let mut batch = Batch::new(id, account.last, state.ledger.available(id), facts);
    topup::enter(&mut batch, state, facts.topups);
    charge::close_ended(&mut batch, account);
    let rejected = hold::place_or_reject(&mut batch, account, state, facts);
    batch.into_decision().into_iter().chain(rejected).collect()
}
