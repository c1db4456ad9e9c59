//! Money: whole micro-units of the price book's currency, never a float.
//!
//! On the wire it is a decimal string, since JSON readers lose digits past 2^53.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub, SubAssign},
    str::FromStr,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Micro-units in one unit of the currency.
pub const MICROS_PER_UNIT: i128 = 1_000_000;

/// An amount in micro-units. Adding past the range of `i128` is a bug, and panics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(pub i128);

/// A text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount of money: a whole number of micro-units is wanted, such as \"1500000\"")]
pub struct Invalid(pub String);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads an amount as people write it, in units with at most six decimals: `1.5` is 1,500,000 micro-units.
    pub fn from_units(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid(text.to_owned());
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let only_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !only_digits(whole) || !only_digits(part) || part.len() > 6 {
            return Err(invalid());
        }
        let whole: i128 = whole.parse().map_err(|_| invalid())?;
        let part: i128 = format!("{part:0<6}").parse().map_err(|_| invalid())?;
        whole
            .checked_mul(MICROS_PER_UNIT)
            .and_then(|micros| micros.checked_add(part))
            .map(|micros| Self(sign * micros))
            .ok_or_else(invalid)
    }

    /// The amount in units, with six decimals: `1.500000`.
    #[must_use]
    pub fn to_units(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let unit = MICROS_PER_UNIT.unsigned_abs();
        format!("{sign}{}.{:06}", magnitude / unit, magnitude % unit)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Money {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self).map_err(|_| Invalid(text.to_owned()))
    }
}

impl TryFrom<String> for Money {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> String {
        money.to_string()
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("a sum of money fits i128"))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("a difference of money fits i128"))
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Whole micro-units of the price book's currency, as a decimal string.",
            "pattern": "^-?[0-9]+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_micros() {
        assert_eq!(Money::from_units("1.5"), Ok(Money(1_500_000)));
        assert_eq!(Money::from_units("-0.000001"), Ok(Money(-1)));
        assert_eq!(Money(-1).to_units(), "-0.000001");
        assert_eq!(Money(12_000_000).to_units(), "12.000000");
        for bad in ["", "1.", ".5", "1.1234567", "1e3", "--1", "1,5"] {
            assert!(Money::from_units(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn travels_as_a_string() {
        let large = Money(i128::from(u64::MAX) * 7);
        let json = serde_json::to_string(&large).unwrap();
        assert!(json.starts_with('"'));
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), large);
        assert!(serde_json::from_str::<Money>("12").is_err());
    }
}
