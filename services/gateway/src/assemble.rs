//! From records that come twice, late, or not at all, to each token once and in order.
//!
//! Pure. Two places are kept: `shown`, what the caller has, and where reading the token records stands. The records of
//! a job follow each other without a gap in their stream (each append is guarded by the one before); a record whose
//! `first` is 0 holds the text from its beginning, also when a worker publishes anew what the bus had lost, and begins
//! the reading again. Whatever does not follow is a gap: the stream is to be read again from the job's first record,
//! and if that does not close it, `completed` will, which holds the output whole.

use lowland_events::{
    Time,
    job::{Output, TokenLogprob},
    token::Published,
};

use crate::position::Position;

/// A piece of the output that the caller doesn't have yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// What the caller has with it.
    pub end: Position,
    /// Characters of the text before it.
    pub chars_before: usize,
    /// Its text; may be empty when its tokens end within a character.
    pub text: String,
    /// Log probabilities of its tokens, if they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// What a token record comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing new.
    Nothing,
    /// A piece to show.
    Delta(Delta),
    /// Records are missing before this one: read the job's records again, from the first.
    Gap,
}

/// How far a job's output has come, for one caller.
#[derive(Debug, Clone)]
pub struct Assembly {
    shown: Position,
    reading: Option<Reading>,
}

/// Where reading the token records stands.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    at: Position,
    chars: usize,
    last: Place,
    attempt: u32,
}

/// Where and when a record was stored. A stream that vanished counts from 1 again, but later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Its sequence in its stream.
    pub sequence: u64,
    /// When it was stored.
    pub stored_at: Time,
}

impl Place {
    fn follows(self, earlier: Self) -> bool {
        self.sequence > earlier.sequence || self.stored_at > earlier.stored_at
    }
}

impl Assembly {
    /// The output of a job that doesn't exist yet.
    #[must_use]
    pub fn of_new_job() -> Self {
        Self { shown: Position::default(), reading: Some(Reading::default()) }
    }

    /// The output of a job of which the caller has the part before `shown`.
    #[must_use]
    pub fn resumed(shown: Position) -> Self {
        Self { shown, reading: None }
    }

    /// What the caller has.
    #[must_use]
    pub fn shown(&self) -> Position {
        self.shown
    }

    /// The last record that was read, while it is known where it belongs.
    #[must_use]
    pub fn last_read(&self) -> Option<Place> {
        self.reading.map(|reading| reading.last).filter(|place| place.sequence > 0)
    }

    /// Records may have been missed: what follows is only understood from a job's first record on.
    pub fn lose_place(&mut self) {
        self.reading = None;
    }

    /// Takes in a record of the token stream.
    pub fn record(&mut self, place: Place, record: &Published) -> Step {
        match self.reading {
            Some(reading) if !reading.is_before(place, record) => Step::Nothing,
            _ if record.first == 0 => self.go_on(Reading::default(), place, record),
            Some(reading) if reading.is_followed_by(place, record) => self.go_on(reading, place, record),
            Some(_) => {
                self.reading = None;
                Step::Gap
            }
            None => Step::Nothing,
        }
    }

    /// Takes in the whole output.
    pub fn whole(&mut self, output: &Output) -> Option<Delta> {
        self.show(Reading::default(), output.tokens.len(), &output.text, &output.logprobs)
    }

    fn go_on(&mut self, from: Reading, place: Place, record: &Published) -> Step {
        let at = from.at.plus(record.tokens.len(), record.text.len());
        let chars = from.chars + record.text.chars().count();
        self.reading = Some(Reading { at, chars, last: place, attempt: record.attempt });
        self.show(from, record.tokens.len(), &record.text, &record.logprobs)
            .map_or(Step::Nothing, Step::Delta)
    }

    /// Cuts off what the caller has.
    fn show(&mut self, from: Reading, tokens: usize, text: &str, logprobs: &[TokenLogprob]) -> Option<Delta> {
        let end = from.at.plus(tokens, text.len());
        if end.tokens <= self.shown.tokens && end.bytes <= self.shown.bytes {
            return None;
        }
        let known_bytes = self.shown.bytes.saturating_sub(from.at.bytes) as usize;
        let known_tokens = self.shown.tokens.saturating_sub(from.at.tokens) as usize;
        let cut = (known_bytes..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        self.shown =
            Position { tokens: end.tokens.max(self.shown.tokens), bytes: end.bytes.max(self.shown.bytes) };
        Some(Delta {
            end: self.shown,
            chars_before: from.chars + text[..cut].chars().count(),
            text: text[cut..].to_owned(),
            logprobs: logprobs.get(known_tokens..).unwrap_or_default().to_vec(),
        })
    }
}

impl Reading {
    /// Whether `record` can say anything new: it was stored later, and not by an attempt that another had succeeded.
    fn is_before(self, place: Place, record: &Published) -> bool {
        place.follows(self.last) && record.attempt >= self.attempt
    }

    /// Whether `record` is the next one of the same stream.
    fn is_followed_by(self, place: Place, record: &Published) -> bool {
        place.sequence > self.last.sequence && record.first == self.at.tokens
    }
}

impl Position {
    fn plus(self, tokens: usize, bytes: usize) -> Self {
        let add = |a: u32, b: usize| a.saturating_add(u32::try_from(b).unwrap_or(u32::MAX));
        Self { tokens: add(self.tokens, tokens), bytes: add(self.bytes, bytes) }
    }
}

#[cfg(test)]
mod tests;
