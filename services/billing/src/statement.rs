//! Where an account stands: what it may spend, what is set aside, and what moved lately.

use std::collections::{BTreeMap, VecDeque};

use comfy_table::{CellAlignment, Table, presets};
use lowland_events::{
    Domain, Event, Filter, Money, Stored, Time,
    account::Event as Account,
    id::{AccountId, JobId},
    log::{Error, SharedLog},
};
use lowland_host::fold::State as _;
use serde::Serialize;

use crate::{reading, state::State};

/// Movements that a statement lists; older ones are in the log and on invoices.
pub const MOVEMENTS_MAX: usize = 20;

/// Where an account stands. As JSON, amounts are strings of micro-units and times RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Whose it is.
    pub account: AccountId,
    /// What may be spent.
    pub available: Money,
    /// What is set aside for jobs that have not ended.
    pub set_aside: Money,
    /// All that ever came in.
    pub topped_up: Money,
    /// All that was ever charged.
    pub charged: Money,
    /// Jobs that were charged.
    pub charges: u64,
    /// Open holds by job.
    pub holds: BTreeMap<JobId, Money>,
    /// The latest movements, oldest first; at most [`MOVEMENTS_MAX`].
    pub movements: VecDeque<Movement>,
}

/// Money that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Time,
    /// The event's name.
    pub event: String,
    /// The job or top-up.
    pub of: JobId,
    /// How much.
    pub amount: Money,
    /// What could be spent afterwards.
    pub available: Money,
}

pub(crate) fn as_text<S: serde::Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// The statement of `account`, from its events; all zero if it has none.
pub async fn statement(log: &SharedLog, account: &AccountId) -> Result<Statement, Error> {
    let mut building = Building::new(account);
    reading::each(log, Filter::scope(Domain::Account, account.as_str()), |event| building.take(event))
        .await?;
    Ok(building.finish())
}

/// What each account may spend and what is set aside, for the operator.
pub async fn balances(log: &SharedLog) -> Result<BTreeMap<AccountId, (Money, Money)>, Error> {
    let mut state = State::default();
    reading::each(log, Filter::domain(Domain::Account), |event| state.evolve(event)).await?;
    let balance = |id: &AccountId| (state.ledger.available(id), state.ledger.set_aside(id));
    Ok(state.accounts().map(|(id, _)| (id.clone(), balance(id))).collect())
}

struct Building {
    state: State,
    statement: Statement,
}

impl Building {
    fn new(account: &AccountId) -> Self {
        let statement = Statement {
            account: account.clone(),
            available: Money::ZERO,
            set_aside: Money::ZERO,
            topped_up: Money::ZERO,
            charged: Money::ZERO,
            charges: 0,
            holds: BTreeMap::new(),
            movements: VecDeque::new(),
        };
        Self { state: State::default(), statement }
    }

    fn take(&mut self, event: &Stored) {
        let misfits = self.state.misfits;
        self.state.evolve(event);
        let Event::Account(body) = &event.event else { return };
        if self.state.misfits > misfits {
            return;
        }
        let (of, amount) = match body {
            Account::ToppedUp(body) => {
                self.statement.topped_up += body.amount;
                (&body.topup, body.amount)
            }
            Account::Charged(body) => {
                self.statement.charged += body.amount;
                self.statement.charges += 1;
                (&body.job, body.amount)
            }
            Account::HoldPlaced(body) => (&body.job, body.amount),
            Account::HoldReleased(body) => (&body.job, body.amount),
        };
        self.note(event, of.clone(), amount);
    }

    fn note(&mut self, event: &Stored, of: JobId, amount: Money) {
        let movements = &mut self.statement.movements;
        movements.push_back(Movement {
            at: event.meta.time,
            event: event.event.name().to_owned(),
            of,
            amount,
            available: self.state.ledger.available(&self.statement.account),
        });
        if movements.len() > MOVEMENTS_MAX {
            movements.pop_front();
        }
    }

    fn finish(mut self) -> Statement {
        let account = &self.statement.account;
        self.statement.available = self.state.ledger.available(account);
        self.statement.set_aside = self.state.ledger.set_aside(account);
        let holds = self.state.account(account).into_iter().flat_map(|known| &known.holds);
        self.statement.holds = holds.map(|(job, hold)| (job.clone(), hold.amount)).collect();
        self.statement
    }
}

impl Statement {
    /// For the terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut summary = table(&["", "amount"]);
        for (label, amount) in [
            ("topped up", self.topped_up),
            ("charged", -self.charged),
            ("set aside for running jobs", -self.set_aside),
            ("to spend", self.available),
        ] {
            summary.add_row([label.to_owned(), amount.to_units()]);
        }
        let mut latest = table(&["at", "event", "of", "amount", "to spend"]);
        for movement in &self.movements {
            latest.add_row([
                movement.at.to_string(),
                movement.event.clone(),
                movement.of.to_string(),
                movement.amount.to_units(),
                movement.available.to_units(),
            ]);
        }
        format!("account {}\n{summary}\n\nlatest movements\n{latest}\n", self.account)
    }
}

/// A table whose columns after the first that hold amounts are aligned to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for (index, name) in header.iter().enumerate() {
        let numeric = ["amount", "to spend", "quantity", "per million"].contains(name);
        if let (true, Some(column)) = (numeric, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
