//! Times of calls, and what is told of them.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Ok(Duration),
    Bad,
    Lost,
}

/// What became of all of them.
#[derive(Debug, Default)]
pub(super) struct Fates {
    took: Vec<Duration>,
    bad: usize,
    lost: usize,
}

impl Fates {
    pub(super) fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Ok(took) => self.took.push(took),
            Fate::Bad => self.bad += 1,
            Fate::Lost => self.lost += 1,
        }
    }

    /// The share `q` of the calls took at most so many milliseconds; lost ones count as endless (null).
    fn quantile(&self, sorted: &[Duration], q: f64) -> Value {
        let all = self.took.len() + self.bad + self.lost;
        let rank = ((all as f64 * q).ceil() as usize).clamp(1, all.max(1)) - 1;
        sorted.get(rank).map_or(Value::Null, |took| json!((took.as_secs_f64() * 1e6).round() / 1e3))
    }

    /// The fields that every measurement of calls has.
    pub(super) fn fields(&self, run: &str) -> Map<String, Value> {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let quantiles = [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999)];
        let mut fields = Map::from_iter([("run".to_owned(), json!(run))]);
        fields.extend(quantiles.map(|(name, q)| (name.to_owned(), self.quantile(&sorted, q))));
        let counts = [("ok", self.took.len()), ("lost", self.lost), ("bad_content", self.bad)];
        fields.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_calls_count_as_endless() {
        let mut fates = Fates::default();
        (1..=98).for_each(|ms| fates.add(Fate::Ok(Duration::from_millis(ms))));
        fates.add(Fate::Lost);
        fates.add(Fate::Bad);
        let fields = fates.fields("rpc");
        assert_eq!((&fields["p50_ms"], &fields["p99_ms"]), (&json!(50.0), &Value::Null));
        assert_eq!(
            (&fields["ok"], &fields["lost"], &fields["bad_content"]),
            (&json!(98), &json!(1), &json!(1))
        );
    }
}
