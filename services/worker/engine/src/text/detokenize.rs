//! Text out of a growing list of tokens, in pieces that never hold half a character.
//!
//! Tokens can't be decoded one by one: a character may span several, and some decoders treat the first token
//! of a text specially. So a window of tokens is decoded again with each new one, and only what can't change
//! any more leaves it: U+FFFD at its end may be the beginning of a character, and is held back. The pieces
//! together are the decoded whole, without trailing U+FFFD.

use super::Tokenizer;
use crate::Error;

/// Longest window, in tokens. Only a model that writes bytes which never become text reaches it; they are
/// then given out as U+FFFD, so that neither time nor memory grows without bound.
const WINDOW_TOKENS_MAX: usize = 256;

/// State of one text.
#[derive(Debug, Default)]
pub(crate) struct Detokenizer {
    /// Tokens that give context, then tokens whose text has not left yet.
    window: Vec<u32>,
    /// How many tokens give context only.
    context: usize,
    /// Text of the window that has left already, context included.
    left: String,
}

impl Detokenizer {
    /// Takes one token and returns the text that is now certain, often none.
    pub(crate) fn push(&mut self, token: u32, tokenizer: &Tokenizer) -> Result<String, Error> {
        self.window.push(token);
        let full = self.window.len() >= WINDOW_TOKENS_MAX;
        let text = tokenizer.decode(&self.window)?;
        let certain = if full { text.as_str() } else { text.trim_end_matches(char::REPLACEMENT_CHARACTER) };
        let Some(piece) = certain.strip_prefix(self.left.as_str()).map(str::to_owned) else {
            // The decoder took back what it had said, as byte-fallback decoders do within a run of bytes:
            // wait for the rest.
            if full {
                self.slide(tokenizer)?;
            }
            return Ok(String::new());
        };
        let whole = certain.len() == text.len();
        self.left.push_str(&piece);
        if full || (whole && !piece.is_empty()) {
            self.slide(tokenizer)?;
        }
        Ok(piece)
    }

    /// Forgets the old context; the tokens whose text has just left are the new one.
    fn slide(&mut self, tokenizer: &Tokenizer) -> Result<(), Error> {
        self.window.drain(..self.context);
        self.context = self.window.len();
        self.left = tokenizer.decode(&self.window)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(tokens: &[u32], tokenizer: &Tokenizer) -> Vec<String> {
        let mut detokenizer = Detokenizer::default();
        tokens.iter().map(|token| detokenizer.push(*token, tokenizer).unwrap()).collect()
    }

    #[test]
    fn a_character_waits_for_its_last_byte() {
        let tokens: Vec<u32> = "a€".bytes().map(u32::from).collect();
        assert_eq!(pieces(&tokens, &Tokenizer::bytes()), ["a", "", "", "€"]);
    }

    #[test]
    fn bytes_that_become_no_text_are_given_out_in_the_end() {
        let tokens = vec![0xE2; 2 * WINDOW_TOKENS_MAX];
        let text = pieces(&tokens, &Tokenizer::bytes()).concat();
        assert!(
            text.chars().count() >= WINDOW_TOKENS_MAX
                && text.chars().all(|c| c == char::REPLACEMENT_CHARACTER)
        );
    }

    #[test]
    fn a_byte_that_unmakes_a_run_takes_nothing_back() {
        let tokens: Vec<u32> = "€".bytes().chain("é".bytes()).map(u32::from).collect();
        assert_eq!(pieces(&tokens, &Tokenizer::byte_fallback()), ["", "", "€", "", "é"]);
    }

    fn character() -> impl Strategy<Value = Vec<u32>> {
        any::<char>().prop_map(|c| c.to_string().bytes().map(u32::from).collect())
    }

    fn bytes() -> impl Strategy<Value = Vec<u32>> {
        let token = prop_oneof![
            4 => character(),
            2 => (0u32..=257).prop_map(|token| vec![token]),
            1 => prop::collection::vec(0x80u32..=0xFF, 1..5),
        ];
        prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
    }

    fn fallback() -> impl Strategy<Value = Vec<u32>> {
        let token = prop_oneof![character(), (256u32..=258).prop_map(|token| vec![token])];
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
    }

    fn check(tokens: &[u32], tokenizer: &Tokenizer) {
        let whole = tokenizer.decode(tokens).unwrap();
        let whole = whole.trim_end_matches(char::REPLACEMENT_CHARACTER);
        assert_eq!(pieces(tokens, tokenizer).concat(), whole);
    }

    proptest! {
        #[test]
        fn pieces_are_the_decoded_whole(tokens in bytes()) {
            check(&tokens, &Tokenizer::bytes());
        }

        #[test]
        fn with_byte_fallback_as_well(tokens in fallback()) {
            check(&tokens, &Tokenizer::byte_fallback());
        }
    }
}
