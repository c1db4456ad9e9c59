//! A job's money, with the arithmetic spelt out: quantity x rate, summed exactly, rounded once. Pure.

use lowland_billing::rating::{RATE_PER, most, price};
use lowland_events::{
    Event, Money, Stored,
    account::{ChargeLine, Charged, Event as Account, HoldPlaced},
    meter::{Meter, Rates, Usage},
};
use serde::Serialize;

/// Decimals of an exact amount in units: micro-units have six, and rates are for a million.
const EXACT_DECIMALS: usize = 12;

/// What was set aside, charged and given back.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bill {
    /// Version of the price book, fixed when the hold was placed.
    pub price_version: Option<String>,
    /// Its prices for the model, in micro-units a million.
    pub rates: Option<Rates>,
    /// The most that the job could cost, set aside.
    pub held: Option<Sum>,
    /// What was delivered, charged.
    pub charged: Option<Sum>,
    /// How the job ended, as the charge has it.
    pub outcome: Option<String>,
    /// Part of the price that was waived since it went beyond the hold.
    pub waived: Money,
    /// What was given back.
    pub released: Option<Money>,
    /// What is still set aside.
    pub open: Money,
    /// What was added, by a top-up.
    pub added: Option<Money>,
}

/// A sum and how it comes about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sum {
    /// The lines.
    pub lines: Vec<Line>,
    /// Their exact sum, in units.
    pub exact: String,
    /// What was booked, in micro-units.
    pub amount: Money,
    /// Whether the lines, added up and rounded up once, make the amount (with what was waived).
    pub adds_up: bool,
}

/// One quantity at its rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What is counted.
    pub meter: Meter,
    /// How much.
    pub quantity: u64,
    /// Price of a million, in micro-units.
    pub rate: Money,
    /// The product, exact, in units.
    pub exact: String,
}

impl Sum {
    fn of(lines: &[ChargeLine], amount: Money, adds_up: bool) -> Self {
        let product = |line: &ChargeLine| line.rate.0.saturating_mul(i128::from(line.quantity));
        let total = lines.iter().map(product).fold(0, i128::saturating_add);
        let line = |line: &ChargeLine| Line {
            meter: line.meter,
            quantity: line.quantity,
            rate: line.rate,
            exact: exact(product(line)),
        };
        Self { lines: lines.iter().map(line).collect(), exact: exact(total), amount, adds_up }
    }
}

/// The money in `events`; none where no money was moved for the job.
pub fn bill<'a>(events: impl Iterator<Item = &'a Stored>) -> Option<Bill> {
    let mut bill = Bill::default();
    let mut any = false;
    for stored in events {
        let Event::Account(event) = &stored.event else { continue };
        any = true;
        match event {
            Account::HoldPlaced(body) => bill.hold(body),
            Account::Charged(body) => bill.charge(body),
            Account::HoldReleased(body) => {
                bill.released = Some(body.amount);
                bill.open -= body.amount;
            }
            Account::ToppedUp(body) => bill.added = Some(body.amount),
        }
    }
    any.then_some(bill)
}

impl Bill {
    fn hold(&mut self, body: &HoldPlaced) {
        self.price_version = Some(body.price_version.clone());
        self.rates = Some(body.rates.clone());
        self.open = body.amount;
        let lines = lines_of_most(&body.rates, &body.bounds);
        self.held = Some(Sum::of(&lines, body.amount, most(&body.rates, &body.bounds) == body.amount));
    }

    fn charge(&mut self, body: &Charged) {
        self.price_version = Some(body.price_version.clone());
        self.outcome = Some(body.outcome.clone());
        self.waived = body.waived;
        self.released = body.released.filter(|rest| *rest != Money::ZERO);
        self.open -= body.amount + body.released.unwrap_or_default();
        let adds_up = price(&body.lines) == body.amount + body.waived;
        self.charged = Some(Sum::of(&body.lines, body.amount, adds_up));
    }
}

/// What a hold covers: an input token may turn out cached, so it counts at whichever rate is higher.
fn lines_of_most(rates: &Rates, bounds: &Usage) -> Vec<ChargeLine> {
    let rate = |meter: Meter| rates.0.get(&meter).copied().unwrap_or_default();
    let line = |(meter, quantity): (&Meter, &u64)| ChargeLine {
        meter: *meter,
        quantity: *quantity,
        rate: match meter {
            Meter::InputTokens => rate(Meter::InputTokens).max(rate(Meter::CachedTokens)),
            meter => rate(*meter),
        },
    };
    bounds.0.iter().map(line).collect()
}

/// Millionths of a micro-unit, as units without needless zeros.
fn exact(millionths: i128) -> String {
    let unit = (RATE_PER * RATE_PER).unsigned_abs();
    let magnitude = millionths.unsigned_abs();
    let sign = if millionths < 0 { "-" } else { "" };
    let digits = format!("{:0EXACT_DECIMALS$}", magnitude % unit);
    let part = digits.trim_end_matches('0');
    format!("{sign}{}.{part:0<6}", magnitude / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_amounts_keep_every_digit() {
        assert_eq!(exact(0), "0.000000");
        assert_eq!(exact(12 * 20_000), "0.00000024");
        assert_eq!(exact(1_500_000_000_000), "1.500000");
        assert_eq!(exact(-1), "-0.000000000001");
    }

    #[test]
    fn a_charge_that_does_not_add_up_is_seen() {
        let lines = [ChargeLine { meter: Meter::InputTokens, quantity: 12, rate: Money(20_000) }];
        let charged = |amount: i128, waived: i128| {
            let mut bill = Bill::default();
            bill.charge(&Charged {
                job: lowland_events::id::JobId::new("j").unwrap(),
                model: lowland_events::id::ModelId::new("m").unwrap(),
                amount: Money(amount),
                lines: lines.to_vec(),
                price_version: "v".into(),
                outcome: "completed".into(),
                waived: Money(waived),
                released: None,
                postings: Vec::new(),
            });
            bill.charged.unwrap()
        };
        assert!(charged(1, 0).adds_up, "0.24 micro-units, rounded up");
        assert!(charged(0, 1).adds_up, "waived whole");
        assert!(!charged(2, 0).adds_up);
        assert_eq!(charged(1, 0).exact, "0.00000024");
    }
}
