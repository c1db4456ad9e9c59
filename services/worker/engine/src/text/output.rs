//! One answer's text as its tokens come: end tokens are no text, stop sequences cut it, what is undecided
//! waits.
//!
//! A pure function of the tokens pushed, so that a job taken over from another engine, fed the tokens that
//! were published, stands where the other stood: with the same text given out and the same text held back.

use super::{Tokenizer, detokenize::Detokenizer, stop::Stops};
use crate::Error;

/// State of one answer.
#[derive(Debug)]
pub(crate) struct Output {
    end: Vec<u32>,
    detokenizer: Detokenizer,
    stops: Stops,
    text: String,
}

/// What one token did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// Text that it released.
    pub(crate) text: String,
    /// Whether it ended the answer, as an end token or by completing a stop sequence.
    pub(crate) stopped: bool,
}

impl Output {
    /// An answer that ends with one of the tokens `end` or the sequences `stops`.
    pub(crate) fn new(end: &[u32], stops: Vec<String>) -> Self {
        Self {
            end: end.to_vec(),
            detokenizer: Detokenizer::default(),
            stops: Stops::new(stops),
            text: String::new(),
        }
    }

    /// Takes the next token. Nothing may be pushed once the answer has stopped.
    pub(crate) fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> Result<Pushed, Error> {
        if self.end.contains(&token) {
            let text = self.finish();
            return Ok(Pushed { text, stopped: true });
        }
        let piece = self.detokenizer.push(token, tokenizer)?;
        let passed = self.stops.push(&piece);
        self.text.push_str(&passed.text);
        Ok(Pushed { text: passed.text, stopped: passed.stopped })
    }

    /// Releases what a stop sequence might have begun with, when no more tokens come.
    pub(crate) fn finish(&mut self) -> String {
        let rest = self.stops.finish();
        self.text.push_str(&rest);
        rest
    }

    /// All text given out.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u32 = 256;

    fn push_all(output: &mut Output, tokens: impl IntoIterator<Item = u32>) -> (String, bool) {
        let tokenizer = Tokenizer::bytes();
        let mut text = String::new();
        for token in tokens {
            let pushed = output.push(token, &tokenizer).unwrap();
            text.push_str(&pushed.text);
            if pushed.stopped {
                return (text, true);
            }
        }
        (text, false)
    }

    #[test]
    fn an_end_token_is_no_text_and_releases_what_was_held() {
        let mut output = Output::new(&[END], vec!["\nUser".to_owned()]);
        assert_eq!(push_all(&mut output, "hi\nUs".bytes().map(u32::from)), ("hi".to_owned(), false));
        assert_eq!(push_all(&mut output, [END]), ("\nUs".to_owned(), true));
        assert_eq!(output.text(), "hi\nUs");
    }

    #[test]
    fn a_stop_sequence_is_cut_across_tokens() {
        let mut output = Output::new(&[END], vec!["€!".to_owned()]);
        assert_eq!(push_all(&mut output, "5 €! and".bytes().map(u32::from)), ("5 ".to_owned(), true));
    }
}
