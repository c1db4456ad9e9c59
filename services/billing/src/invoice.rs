//! What an account is charged for a period, from its events alone: no price book, no job, no clock.
//!
//! Each charge was rounded once, up. Lines show what was used at which rate, cut to whole micro-units, so what rounding
//! added stands on a line of its own and everything adds up exactly.

use std::collections::BTreeMap;

use lowland_events::{
    Domain, Event, Filter, Money, Stored, Time,
    account::{Charged, Event as Account, ToppedUp},
    id::{AccountId, JobId, ModelId},
    log::{Error, SharedLog},
    meter::Meter,
};
use serde::Serialize;

use crate::{
    period::Period,
    prices::meter_name,
    rating::{self, RATE_PER},
    reading,
    statement::{as_text, table},
};

/// An invoice. As JSON, amounts are strings of micro-units and times RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invoice {
    /// Whose it is.
    pub account: AccountId,
    /// What it is for.
    pub period: Period,
    /// What was there at the beginning, set aside or not.
    pub opening: Money,
    /// What came in.
    pub topups: Vec<Topup>,
    /// What was used.
    pub lines: Vec<Line>,
    /// What rounding each job's price up to a whole micro-unit added to the lines.
    pub rounding: Money,
    /// What went beyond the holds and was waived.
    pub waived: Money,
    /// What was charged: lines and rounding, less what was waived.
    pub charged: Money,
    /// Jobs that were charged, by how they ended.
    pub jobs: BTreeMap<String, u64>,
    /// What was there at the end: opening and top-ups, less what was charged.
    pub closing: Money,
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topup {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Time,
    /// Its id.
    pub topup: JobId,
    /// The payment's own reference.
    pub reference: Option<String>,
    /// How much.
    pub amount: Money,
}

/// What was used of one meter at one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The model.
    pub model: ModelId,
    /// What was used.
    pub meter: Meter,
    /// Version of the price book.
    pub price_version: String,
    /// Price of a million, in micro-units.
    pub rate: Money,
    /// How much was used.
    pub quantity: u64,
    /// Quantity at the rate, cut to whole micro-units.
    pub amount: Money,
}

/// The invoice of `account` for `period`, from the log.
pub async fn invoice(log: &SharedLog, account: &AccountId, period: Period) -> Result<Invoice, Error> {
    let mut building = Building::new(account.clone(), period);
    reading::each(log, Filter::scope(Domain::Account, account.as_str()), |event| building.take(event))
        .await?;
    Ok(building.finish())
}

impl Invoice {
    /// The invoice of `account` for `period`, from the account's events from its beginning on.
    pub fn build<'e>(
        account: &AccountId,
        period: Period,
        events: impl IntoIterator<Item = &'e Stored>,
    ) -> Self {
        let mut building = Building::new(account.clone(), period);
        events.into_iter().for_each(|event| building.take(event));
        building.finish()
    }

    /// For the terminal and for print.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut used = table(&["model", "meter", "price book", "quantity", "per million", "amount"]);
        for line in &self.lines {
            used.add_row([
                line.model.to_string(),
                meter_name(line.meter),
                line.price_version.clone(),
                line.quantity.to_string(),
                line.rate.to_units(),
                line.amount.to_units(),
            ]);
        }
        let jobs: Vec<_> = self.jobs.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let jobs = if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") };
        format!(
            "invoice for account {}\n{} to {}\njobs charged: {jobs}\n\n{used}\n\n{}\n",
            self.account,
            self.period.from,
            self.period.to,
            self.totals()
        )
    }

    fn totals(&self) -> comfy_table::Table {
        let mut totals = table(&["", "amount"]);
        totals.add_row(["opening balance".to_owned(), self.opening.to_units()]);
        for topup in &self.topups {
            let reference = topup.reference.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
            totals.add_row([format!("top-up {}{reference}", topup.topup), topup.amount.to_units()]);
        }
        let lines: Money = self.lines.iter().map(|line| line.amount).sum();
        totals.add_row(["used".to_owned(), (-lines).to_units()]);
        totals.add_row(["rounding".to_owned(), (-self.rounding).to_units()]);
        if self.waived != Money::ZERO {
            totals.add_row(["waived".to_owned(), self.waived.to_units()]);
        }
        totals.add_row(["closing balance".to_owned(), self.closing.to_units()]);
        totals
    }
}

/// What makes a line: everything but the quantity.
type Key = (ModelId, Meter, String, Money);

struct Building {
    account: AccountId,
    period: Period,
    opening: Money,
    topups: Vec<Topup>,
    quantities: BTreeMap<Key, u64>,
    jobs: BTreeMap<String, u64>,
    charged: Money,
    waived: Money,
}

impl Building {
    fn new(account: AccountId, period: Period) -> Self {
        Self {
            account,
            period,
            opening: Money::ZERO,
            topups: Vec::new(),
            quantities: BTreeMap::new(),
            jobs: BTreeMap::new(),
            charged: Money::ZERO,
            waived: Money::ZERO,
        }
    }

    fn take(&mut self, event: &Stored) {
        let Event::Account(body) = &event.event else { return };
        if event.subject.account_id().as_ref() != Some(&self.account) {
            return;
        }
        let at = event.meta.time;
        match body {
            Account::ToppedUp(body) if at < self.period.from => self.opening += body.amount,
            Account::Charged(body) if at < self.period.from => self.opening -= body.amount,
            Account::ToppedUp(body) if self.period.contains(at) => self.topped_up(at, body),
            Account::Charged(body) if self.period.contains(at) => self.charged(body),
            _ => {}
        }
    }

    fn topped_up(&mut self, at: Time, body: &ToppedUp) {
        let (topup, reference) = (body.topup.clone(), body.reference.clone());
        self.topups.push(Topup { at, topup, reference, amount: body.amount });
    }

    fn charged(&mut self, body: &Charged) {
        for line in &body.lines {
            let key = (body.model.clone(), line.meter, body.price_version.clone(), line.rate);
            let quantity = self.quantities.entry(key).or_default();
            *quantity = quantity.saturating_add(line.quantity);
        }
        *self.jobs.entry(body.outcome.clone()).or_default() += 1;
        self.charged += body.amount;
        self.waived += body.waived;
    }

    fn finish(self) -> Invoice {
        let lines: Vec<Line> = self.quantities.into_iter().map(line).collect();
        let used: Money = lines.iter().map(|line| line.amount).sum();
        let came_in: Money = self.topups.iter().map(|topup| topup.amount).sum();
        Invoice {
            account: self.account,
            period: self.period,
            opening: self.opening,
            topups: self.topups,
            lines,
            rounding: self.charged + self.waived - used,
            waived: self.waived,
            charged: self.charged,
            jobs: self.jobs,
            closing: self.opening + came_in - self.charged,
        }
    }
}

fn line(((model, meter, price_version, rate), quantity): (Key, u64)) -> Line {
    let amount = Money(rating::exact(quantity, rate).div_euclid(RATE_PER));
    Line { model, meter, price_version, rate, quantity, amount }
}
