//! Reading a job's token records in stream order: the rule by which every reader sees one coherent text.
//!
//! - A record of an earlier attempt than one seen before is void. The guard of the stream keeps such records out; only
//!   when the bus lost the stream, and sequences began anew, can one slip in.
//! - A record that begins where the text ends continues it. One that begins at 0 holds the text from its beginning. One
//!   whose attempt is the same and that ends within the text says nothing new.
//! - A record that begins beyond the end means that records are missing: the text is not usable until one begins at 0.

use lowland_events::{
    meter::{Meter, Usage},
    token::Published,
};

use super::text::{Mark, Piece, Text};

/// What a job's prompt cost: counted once, by the attempt that read it first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Tokens that were computed.
    pub input: u64,
    /// Tokens whose computation was reused.
    pub cached: u64,
}

/// A job's text, as its records tell it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// Highest attempt that wrote; 0 if none did.
    pub attempt: u32,
    /// Sequence of the last record, void ones included; 0 if there is none.
    pub tip: u64,
    /// What the job used, as the record that tells of most of the text says.
    pub delivered: Usage,
    /// What the prompt cost, once a record says so.
    pub prompt: Option<Prompt>,
    text: Text,
    broken: bool,
}

impl Transcript {
    /// The text, unless records are missing.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        (!self.broken).then_some(&self.text)
    }

    /// The text to go on from: nothing, if records are missing.
    #[must_use]
    pub fn into_text(self) -> Text {
        if self.broken { Text::default() } else { self.text }
    }

    /// Takes the next record of the stream.
    pub fn take(&mut self, record: Published, sequence: u64) {
        self.tip = sequence;
        if record.attempt < self.attempt {
            return;
        }
        let same_attempt = record.attempt == self.attempt;
        self.attempt = record.attempt;
        self.prompt = self.prompt.or(prompt_of(&record.usage));
        self.splice(record, same_attempt);
    }

    fn splice(&mut self, record: Published, same_attempt: bool) {
        let first = record.first as usize;
        let end = self.text.end();
        let from = match first {
            0 if self.broken => Some(Mark::default()),
            _ if self.broken => return,
            first if first == end.tokens => Some(end),
            first if same_attempt && first + record.tokens.len() <= end.tokens => return,
            first => self.text.mark_at(first),
        };
        self.broken = from.is_none();
        if let Some(from) = from {
            if record.usage.output_tokens() >= self.delivered.output_tokens() {
                self.delivered = record.usage;
            }
            self.text.truncate(from);
            self.text.push(Piece { tokens: record.tokens, text: record.text, logprobs: record.logprobs });
        }
    }
}

/// A record that was written before the prompt was read says nothing about it.
fn prompt_of(usage: &Usage) -> Option<Prompt> {
    let prompt =
        Prompt { input: usage.quantity(Meter::InputTokens), cached: usage.quantity(Meter::CachedTokens) };
    (prompt != Prompt::default()).then_some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(attempt: u32, first: u32, text: &str) -> Published {
        let tokens = text.bytes().map(u32::from).collect();
        Published { attempt, first, tokens, text: text.into(), logprobs: Vec::new(), usage: Usage::default() }
    }

    fn read(records: &[Published]) -> Transcript {
        let mut transcript = Transcript::default();
        for (sequence, record) in (1..).zip(records) {
            transcript.take(record.clone(), sequence);
        }
        transcript
    }

    fn text(records: &[Published]) -> Option<String> {
        read(records).text().map(|text| text.whole().text.clone())
    }

    #[test]
    fn records_put_together_are_the_text() {
        assert_eq!(text(&[]).unwrap(), "");
        assert_eq!(
            text(&[record(1, 0, "ab"), record(1, 2, "c"), record(2, 3, ""), record(2, 3, "d")]).unwrap(),
            "abcd"
        );
    }

    #[test]
    fn an_earlier_attempt_is_void_once_a_later_one_wrote() {
        let records = [record(1, 0, "ab"), record(2, 2, ""), record(1, 2, "zombie"), record(2, 2, "c")];
        assert_eq!(text(&records[..3]).unwrap(), "ab");
        let transcript = read(&records);
        assert_eq!(transcript.text().unwrap().whole().text, "abc");
        assert_eq!((transcript.attempt, transcript.tip), (2, 4));
    }

    #[test]
    fn a_text_published_anew_replaces_what_was_known() {
        assert_eq!(text(&[record(1, 0, "ab"), record(2, 0, "abcd"), record(2, 4, "e")]).unwrap(), "abcde");
        assert_eq!(text(&[record(1, 0, "abc"), record(1, 0, "ab"), record(1, 3, "d")]).unwrap(), "abcd");
    }

    #[test]
    fn a_later_attempt_may_go_back_to_the_end_of_a_record() {
        assert_eq!(text(&[record(1, 0, "ab"), record(1, 2, "cd"), record(2, 2, "xyz")]).unwrap(), "abxyz");
        assert_eq!(text(&[record(1, 0, "abcd"), record(2, 2, "xyz")]), None);
    }

    #[test]
    fn a_gap_makes_the_text_unusable_until_it_is_told_from_the_beginning() {
        let gap = [record(1, 2, "c"), record(1, 3, "d")];
        assert_eq!(text(&gap), None);
        assert_eq!(read(&gap).into_text(), Text::default());
        assert_eq!(text(&[record(1, 2, "c"), record(1, 0, "abcd"), record(1, 4, "e")]).unwrap(), "abcde");
        assert_eq!(text(&[record(1, 0, "ab"), record(1, 5, "f"), record(1, 0, "ab")]).unwrap(), "ab");
    }

    #[test]
    fn the_last_record_tells_what_was_used() {
        let used = |input, cached, output| {
            Usage::of([
                (Meter::InputTokens, input),
                (Meter::CachedTokens, cached),
                (Meter::OutputTokens, output),
            ])
        };
        let first = Published { usage: used(7, 3, 1), ..record(1, 0, "a") };
        let second = Published { usage: used(7, 3, 2), ..record(2, 1, "b") };
        let transcript = read(&[record(1, 0, ""), first, second.clone()]);
        assert_eq!(transcript.prompt, Some(Prompt { input: 7, cached: 3 }));
        assert_eq!(transcript.delivered, second.usage);
        let beyond = Published { usage: used(7, 3, 9), ..record(1, 8, "z") };
        assert_eq!(
            read(&[record(1, 0, "a"), beyond]).delivered,
            Usage::default(),
            "what has a gap before it is not read"
        );
        assert_eq!(read(&[record(1, 0, "")]).prompt, None);
    }
}
