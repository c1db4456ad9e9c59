//! A job's output as it grows: tokens, text and log probabilities, with the places where it may be cut.
//!
//! Text belongs to tokens only at the ends of pieces (a token may release the text of several, or none), so a record
//! always begins and ends at such a place.

use lowland_events::job::TokenLogprob;

/// A place in the output: the end of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Tokens before it.
    pub tokens: usize,
    /// Bytes of text before it.
    pub bytes: usize,
}

/// Some tokens with the text that they released.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    /// The tokens; none, when the end of the output releases text that was held back.
    pub tokens: Vec<u32>,
    /// Their text; empty, while it is held back.
    pub text: String,
    /// A log probability for each token, or none at all.
    pub logprobs: Vec<TokenLogprob>,
}

/// Bytes that a record's headers and fixed fields may take: generous, since the bound is not sharp.
const RECORD_OVERHEAD_BYTES: usize = 1024;
/// Bytes of a token's number in MessagePack, at most.
const TOKEN_BYTES: usize = 5;
/// Bytes of a log probability beside its text: field names, numbers and lengths.
const LOGPROB_BYTES: usize = 64;
/// Bytes of an alternative beside its text.
const ALTERNATIVE_BYTES: usize = 16;

impl Piece {
    /// Roughly, and never less than, the bytes that it adds to a record.
    fn bytes(&self) -> usize {
        let logprob = |of: &TokenLogprob| {
            let alternatives = of.top.iter().map(|(_, text, _)| ALTERNATIVE_BYTES + text.len());
            LOGPROB_BYTES + of.text.len() + alternatives.sum::<usize>()
        };
        TOKEN_BYTES * self.tokens.len() + self.text.len() + self.logprobs.iter().map(logprob).sum::<usize>()
    }
}

/// The output of a job so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    whole: Piece,
    /// The ends of the pieces, in order, each with the bytes that its piece adds to a record.
    ends: Vec<(Mark, usize)>,
}

impl Text {
    /// All of it.
    #[must_use]
    pub fn whole(&self) -> &Piece {
        &self.whole
    }

    /// All of it, given away.
    #[must_use]
    pub fn into_whole(self) -> Piece {
        self.whole
    }

    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Mark {
        Mark { tokens: self.whole.tokens.len(), bytes: self.whole.text.len() }
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: Piece) {
        let bytes = piece.bytes();
        self.whole.tokens.extend(piece.tokens);
        self.whole.text.push_str(&piece.text);
        self.whole.logprobs.extend(piece.logprobs);
        self.ends.push((self.end(), bytes));
    }

    /// The last place that has `tokens` tokens before it, if the text can be cut there.
    #[must_use]
    pub fn mark_at(&self, tokens: usize) -> Option<Mark> {
        if tokens == 0 {
            return Some(Mark::default());
        }
        let after = self.ends.partition_point(|(end, _)| end.tokens <= tokens);
        let (end, _) = self.ends.get(after.checked_sub(1)?)?;
        (end.tokens == tokens).then_some(*end)
    }

    /// Drops what comes after `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.ends.truncate(self.ends.partition_point(|(end, _)| *end <= mark));
        self.whole.tokens.truncate(mark.tokens);
        self.whole.text.truncate(mark.bytes);
        self.whole.logprobs.truncate(mark.tokens);
    }

    /// The farthest place such that a record from `from` up to it stays within `bytes_max`; at least one piece, if there
    /// is one.
    #[must_use]
    pub fn reach(&self, from: Mark, bytes_max: usize) -> Mark {
        let start = self.ends.partition_point(|(end, _)| *end <= from);
        let (mut reach, mut bytes) = (from, RECORD_OVERHEAD_BYTES);
        for (end, piece_bytes) in &self.ends[start..] {
            bytes += piece_bytes;
            if reach != from && bytes > bytes_max {
                break;
            }
            reach = *end;
        }
        reach
    }

    /// What lies between two places.
    #[must_use]
    pub fn between(&self, from: Mark, to: Mark) -> Piece {
        Piece {
            tokens: self.whole.tokens[from.tokens..to.tokens].to_vec(),
            text: self.whole.text[from.bytes..to.bytes].to_owned(),
            logprobs: self.whole.logprobs.get(from.tokens..to.tokens).unwrap_or_default().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pieces: &[(&[u32], &str)]) -> Text {
        let mut text = Text::default();
        for (tokens, piece) in pieces {
            text.push(Piece { tokens: tokens.to_vec(), text: (*piece).to_owned(), logprobs: Vec::new() });
        }
        text
    }

    #[test]
    fn cuts_only_at_the_ends_of_pieces() {
        let text = text(&[(&[1, 2], "ab"), (&[3], ""), (&[4], "é")]);
        assert_eq!(text.mark_at(0), Some(Mark::default()));
        assert_eq!(text.mark_at(1), None);
        assert_eq!(text.mark_at(2), Some(Mark { tokens: 2, bytes: 2 }));
        assert_eq!(text.mark_at(3), Some(Mark { tokens: 3, bytes: 2 }));
        assert_eq!(text.mark_at(4), Some(text.end()));
        assert_eq!(text.mark_at(5), None);
    }

    #[test]
    fn a_tail_without_tokens_belongs_to_the_last_token() {
        let text = text(&[(&[1], "a"), (&[], "tail")]);
        assert_eq!(text.mark_at(1), Some(Mark { tokens: 1, bytes: 5 }));
        assert_eq!(text.between(Mark { tokens: 1, bytes: 1 }, text.end()).text, "tail");
    }

    #[test]
    fn what_is_cut_off_is_gone() {
        let mut text = text(&[(&[1, 2], "ab"), (&[3], "c")]);
        text.truncate(Mark { tokens: 2, bytes: 2 });
        assert_eq!(text, self::text(&[(&[1, 2], "ab")]));
    }

    #[test]
    fn a_record_holds_what_fits_and_never_nothing() {
        let text = text(&[(&[1], "aaaa"), (&[2], "bbbb"), (&[3], "cccc")]);
        let two = RECORD_OVERHEAD_BYTES + 2 * (TOKEN_BYTES + 4);
        assert_eq!(text.reach(Mark::default(), two).tokens, 2);
        assert_eq!(text.reach(Mark::default(), two - 1).tokens, 1);
        assert_eq!(text.reach(Mark::default(), 0).tokens, 1);
        assert_eq!(text.reach(text.end(), usize::MAX), text.end());
    }

    #[test]
    fn the_estimate_is_never_below_the_encoding() {
        let logprob = TokenLogprob {
            token: u32::MAX,
            text: "töken".into(),
            logprob: -1.5,
            top: vec![(u32::MAX, "alternative".into(), -0.25); 20],
        };
        let piece = Piece { tokens: vec![u32::MAX; 3], text: "x".repeat(300), logprobs: vec![logprob; 3] };
        let published = lowland_events::token::Published {
            attempt: u32::MAX,
            first: u32::MAX,
            tokens: piece.tokens.clone(),
            text: piece.text.clone(),
            logprobs: piece.logprobs.clone(),
            usage: lowland_events::meter::Usage::default(),
        };
        let encoded = lowland_events::Event::from(published).encode().len();
        let estimate = piece.bytes() + RECORD_OVERHEAD_BYTES;
        assert!((encoded..2 * encoded + RECORD_OVERHEAD_BYTES).contains(&estimate), "{encoded} {estimate}");
    }
}
