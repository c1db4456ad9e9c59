//! The receiver's half: Gaussian elimination over the packets that are missing, a repair at a time.

use super::{Header, LENGTH_BYTES, PAYLOAD_BYTES_MAX, add_source, gf256};
use crate::proto::Time;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

/// Repairs kept while they miss too much to be solved; the oldest leave first.
const ROWS_MAX: usize = 128;

/// Bytes that a missing packet's coefficient is counted for.
const TERM_BYTES: usize = 16;

/// A packet that was lost and is here all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its number.
    pub pn: u64,
    /// Its payload.
    pub payload: Bytes,
}

/// What became of the repairs that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets recovered.
    pub recovered: u64,
    /// Repairs that said nothing new.
    pub redundant: u64,
    /// Repairs that were given up unsolved: too old, too many, over packets long forgotten, or not a combination of what was sent.
    pub dropped: u64,
}

/// An equation: the sum of coefficient times missing packet over `terms` is `symbol`.
#[derive(Debug)]
struct Row {
    /// By packet number; none of them zero. The first is the row's pivot, has coefficient 1 and stands in no other row.
    terms: BTreeMap<u64, u8>,
    symbol: Vec<u8>,
    arrived: Time,
}

/// Packets that came of late, and repairs for those that did not.
#[derive(Debug)]
pub struct Decoder {
    sources: BTreeMap<u64, (Bytes, Time)>,
    source_bytes: usize,
    /// Packets below are forgotten.
    floor: u64,
    rows: Vec<Row>,
    counters: Counters,
    symbols_max: usize,
    bytes_max: usize,
    age_max: Duration,
}

impl Decoder {
    /// A decoder that keeps at most so many packets, so many bytes of packets and as many again of repairs, and either for so long.
    #[must_use]
    pub fn new(symbols_max: usize, bytes_max: usize, age_max: Duration) -> Self {
        let (sources, rows, counters) = (BTreeMap::new(), Vec::new(), Counters::default());
        Self { sources, source_bytes: 0, floor: 0, rows, counters, symbols_max, bytes_max, age_max }
    }

    /// What became of the repairs so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// A packet came; gives those that can be recovered now.
    pub fn source(&mut self, now: Time, pn: u64, payload: Bytes) -> Vec<Recovered> {
        self.expire(now);
        if !self.remember(now, pn, payload.clone()) {
            return Vec::new();
        }
        // The rows that miss it may lose their pivot; taken out and put in again they get another.
        let touched: Vec<Row> = self.rows.extract_if(.., |row| row.terms.contains_key(&pn)).collect();
        for mut row in touched {
            let c = row.terms.remove(&pn).unwrap_or(0);
            add_source(&mut row.symbol, &payload, c);
            self.insert(row);
        }
        let recovered = self.solved(now);
        self.shrink();
        recovered
    }

    /// A repair came; gives the packets that can be recovered now.
    pub fn repair(&mut self, now: Time, header: &Header, symbol: &[u8]) -> Vec<Recovered> {
        self.expire(now);
        if symbol.len() < LENGTH_BYTES
            || symbol.len() > LENGTH_BYTES + PAYLOAD_BYTES_MAX
            || header.first() < self.floor
        {
            self.counters.dropped += 1;
            return Vec::new();
        }
        let mut row = Row { terms: BTreeMap::new(), symbol: symbol.to_vec(), arrived: now };
        for (pn, c) in header.terms() {
            match self.sources.get(&pn) {
                Some((payload, _)) => add_source(&mut row.symbol, payload, c),
                None => _ = row.terms.insert(pn, c),
            }
        }
        self.insert(row);
        let recovered = self.solved(now);
        self.shrink();
        recovered
    }

    /// Whether the packet is new and not too old.
    fn remember(&mut self, now: Time, pn: u64, payload: Bytes) -> bool {
        if pn < self.floor || payload.len() > PAYLOAD_BYTES_MAX {
            return false;
        }
        let Entry::Vacant(place) = self.sources.entry(pn) else { return false };
        self.source_bytes += payload.len();
        place.insert((payload, now));
        true
    }

    /// Puts a row among the others: reduced by them, and they by it.
    fn insert(&mut self, mut row: Row) {
        for other in &self.rows {
            row.eliminate(other);
        }
        let Some((pivot, c)) = row.terms.first_key_value().map(|(pn, c)| (*pn, *c)) else {
            self.counters.redundant += 1;
            return;
        };
        row.scale(gf256::inverse(c));
        for other in &mut self.rows {
            debug_assert_ne!(other.pivot(), Some(pivot));
            other.eliminate(&row);
        }
        self.rows.push(row);
    }

    /// Takes out the rows in which one packet is left. It stands in no other, being their pivot.
    fn solved(&mut self, now: Time) -> Vec<Recovered> {
        let mut recovered = Vec::new();
        let solved: Vec<Row> = self.rows.extract_if(.., |row| row.terms.len() == 1).collect();
        for row in solved {
            let payload = row.payload();
            match (row.pivot(), payload) {
                (Some(pn), Some(payload)) if self.remember(now, pn, payload.clone()) => {
                    recovered.push(Recovered { pn, payload });
                }
                _ => self.counters.dropped += 1,
            }
        }
        self.counters.recovered += recovered.len() as u64;
        recovered
    }

    fn expire(&mut self, now: Time) {
        let old = now - self.age_max;
        while self.sources.first_key_value().is_some_and(|(_, (_, arrived))| *arrived < old) {
            self.forget_oldest();
        }
        self.drop_rows(|row| row.arrived < old);
    }

    fn shrink(&mut self) {
        while self.sources.len() > self.symbols_max || self.source_bytes > self.bytes_max {
            self.forget_oldest();
        }
        while self.rows.len() > ROWS_MAX || self.rows.iter().map(Row::bytes).sum::<usize>() > self.bytes_max {
            let oldest = self.rows.iter().map(|row| row.arrived).min();
            self.drop_rows(|row| Some(row.arrived) == oldest);
        }
    }

    fn forget_oldest(&mut self) {
        let Some((pn, (payload, _))) = self.sources.pop_first() else { return };
        self.source_bytes -= payload.len();
        self.floor = pn + 1;
        self.drop_rows(|row| row.pivot().is_some_and(|pivot| pivot < pn));
    }

    fn drop_rows(&mut self, which: impl Fn(&Row) -> bool) {
        let before = self.rows.len();
        self.rows.retain(|row| !which(row));
        self.counters.dropped += (before - self.rows.len()) as u64;
    }
}

impl Row {
    fn pivot(&self) -> Option<u64> {
        self.terms.first_key_value().map(|(pn, _)| *pn)
    }

    fn bytes(&self) -> usize {
        self.symbol.len() + self.terms.len() * TERM_BYTES
    }

    fn scale(&mut self, c: u8) {
        self.terms.values_mut().for_each(|term| *term = gf256::mul(*term, c));
        gf256::scale(&mut self.symbol, c);
    }

    /// Frees this row of the other's pivot.
    fn eliminate(&mut self, other: &Self) {
        let Some(c) = other.pivot().and_then(|pivot| self.terms.get(&pivot).copied()) else { return };
        for (pn, term) in &other.terms {
            let sum = self.terms.entry(*pn).or_insert(0);
            *sum ^= gf256::mul(*term, c);
            if *sum == 0 {
                self.terms.remove(pn);
            }
        }
        self.symbol.resize(self.symbol.len().max(other.symbol.len()), 0);
        gf256::mul_add(&mut self.symbol, &other.symbol, c);
    }

    /// The payload of the one packet that is left; none if its length is not true or its padding not zero.
    fn payload(&self) -> Option<Bytes> {
        let (length, rest) = self.symbol.split_first_chunk()?;
        let (payload, padding) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        padding.iter().all(|byte| *byte == 0).then(|| Bytes::copy_from_slice(payload))
    }
}

#[cfg(test)]
impl Decoder {
    /// Whether every bound holds and the rows are reduced.
    pub(super) fn within_bounds(&self) -> bool {
        let bytes: usize = self.sources.values().map(|(payload, _)| payload.len()).sum();
        let pivots: Vec<u64> = self.rows.iter().filter_map(Row::pivot).collect();
        let reduced = self.rows.iter().all(|row| row.terms.keys().skip(1).all(|pn| !pivots.contains(pn)));
        let rows: usize = self.rows.iter().map(Row::bytes).sum();
        bytes == self.source_bytes
            && bytes <= self.bytes_max
            && rows <= self.bytes_max
            && self.sources.len() <= self.symbols_max
            && reduced
    }
}
