//! What usage costs: exact in millionths of a micro-unit, rounded once, up, when a job's whole price is known.

use lowland_events::{
    Money,
    account::ChargeLine,
    meter::{Meter, Rates, Usage},
};

/// Rates are for this many of a meter's unit.
pub const RATE_PER: i128 = 1_000_000;

/// Price of `quantity` at `rate`, in millionths of a micro-unit; at the end of `i128` it stays there.
pub(crate) fn exact(quantity: u64, rate: Money) -> i128 {
    rate.0.saturating_mul(i128::from(quantity))
}

/// Millionths of a micro-unit as money, rounded up.
pub(crate) fn rounded_up(exact: i128) -> Money {
    Money(exact.div_euclid(RATE_PER) + i128::from(exact.rem_euclid(RATE_PER) != 0))
}

/// The most that a job within `bounds` can cost. Any input token may turn out cached, whichever costs more.
#[must_use]
pub fn most(rates: &Rates, bounds: &Usage) -> Money {
    let price = |(meter, quantity): (&Meter, &u64)| {
        let rate = match meter {
            Meter::InputTokens => rate(rates, Meter::InputTokens).max(rate(rates, Meter::CachedTokens)),
            meter => rate(rates, *meter),
        };
        exact(*quantity, rate)
    };
    rounded_up(bounds.0.iter().map(price).fold(0, i128::saturating_add))
}

/// What was used, meter by meter, with its rate; a meter without a rate costs nothing and is listed all the same.
#[must_use]
pub fn lines(rates: &Rates, usage: &Usage) -> Vec<ChargeLine> {
    let line = |(meter, quantity): (&Meter, &u64)| ChargeLine {
        meter: *meter,
        quantity: *quantity,
        rate: rate(rates, *meter),
    };
    usage.0.iter().filter(|(_, quantity)| **quantity > 0).map(line).collect()
}

/// The lines' sum, rounded once, up.
#[must_use]
pub fn price(lines: &[ChargeLine]) -> Money {
    rounded_up(lines.iter().map(|line| exact(line.quantity, line.rate)).fold(0, i128::saturating_add))
}

fn rate(rates: &Rates, meter: Meter) -> Money {
    rates.0.get(&meter).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(pairs: &[(Meter, i128)]) -> Rates {
        Rates(pairs.iter().map(|(meter, rate)| (*meter, Money(*rate))).collect())
    }

    #[test]
    fn the_sum_is_rounded_once_and_up() {
        let rates = rates(&[(Meter::InputTokens, 400_000), (Meter::OutputTokens, 400_000)]);
        let one_each = Usage::of([(Meter::InputTokens, 1), (Meter::OutputTokens, 1)]);
        assert_eq!(price(&lines(&rates, &one_each)), Money(1), "0.4 + 0.4 is 0.8: one, not two");
        let two_each = Usage::of([(Meter::InputTokens, 2), (Meter::OutputTokens, 2)]);
        assert_eq!(price(&lines(&rates, &two_each)), Money(2), "1.6");
        let exact = Usage::of([(Meter::InputTokens, 5)]);
        assert_eq!(price(&lines(&rates, &exact)), Money(2), "2.0 stays");
        assert_eq!(price(&[]), Money::ZERO);
    }

    #[test]
    fn a_hold_covers_input_that_turns_out_dearer_when_cached() {
        let rates = rates(&[(Meter::InputTokens, 1_000_000), (Meter::CachedTokens, 3_000_000)]);
        assert_eq!(most(&rates, &Usage::of([(Meter::InputTokens, 2)])), Money(6));
    }

    #[test]
    fn extremes_do_not_wrap() {
        let rates = rates(&[(Meter::Bytes, i128::MAX)]);
        assert!(most(&rates, &Usage::of([(Meter::Bytes, u64::MAX)])) > Money::ZERO);
    }
}
