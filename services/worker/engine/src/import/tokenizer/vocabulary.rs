//! The vocabulary as GGUF has it: each token's text and kind.

use tokenizers::{AddedToken, Tokenizer};

use super::super::Error;
use super::super::gguf::{File, Value};

const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A tokenizer's vocabulary.
pub(crate) struct Vocabulary<'a> {
    /// The kind of tokenizer, by llama.cpp's name for it.
    pub(crate) model: &'a str,
    /// Text of each token; its index is its id.
    pub(crate) tokens: &'a [String],
    kinds: &'a [i64],
}

impl<'a> Vocabulary<'a> {
    pub(crate) fn read(file: &'a File) -> Result<Vocabulary<'a>, Error> {
        let value = |key: &'static str| {
            let value = file.metadata().get(key);
            value.ok_or_else(|| Error::source(key, "is missing: the file holds no tokenizer"))
        };
        let model = value("tokenizer.ggml.model")?.as_str().unwrap_or_default();
        let key = "tokenizer.ggml.tokens";
        let tokens =
            value(key)?.as_strings().ok_or_else(|| Error::source(key, "is not an array of texts"))?;
        let kinds =
            file.metadata().get("tokenizer.ggml.token_type").and_then(Value::as_integers).unwrap_or_default();
        if !kinds.is_empty() && kinds.len() != tokens.len() {
            let problem = format!("has {} entries for {} tokens", kinds.len(), tokens.len());
            return Err(Error::source("tokenizer.ggml.token_type", problem));
        }
        Ok(Vocabulary { model, tokens, kinds })
    }

    /// Each token's text with its id.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (u32, &'a str)> {
        self.tokens.iter().enumerate().map(|(id, text)| (id as u32, text.as_str()))
    }

    /// Tokens that steer the model and are never typed by a person.
    pub(crate) fn controls(&self) -> impl Iterator<Item = (u32, &'a str)> {
        self.ids().filter(|&(id, _)| self.kind(id) == CONTROL)
    }

    /// The token whose id the metadata key names, if it names one.
    pub(crate) fn named(&self, file: &File, key: &str) -> Result<Option<u32>, Error> {
        let Some(value) = file.metadata().get(key) else { return Ok(None) };
        let id = value.as_u64().filter(|&id| id < self.tokens.len() as u64);
        match id {
            Some(id) => Ok(Some(id as u32)),
            None => Err(Error::source(
                key,
                format!("{value:?} is not the id of one of {} tokens", self.tokens.len()),
            )),
        }
    }

    /// Makes the tokenizer find control and user-defined tokens before it cuts text into words.
    pub(crate) fn add_to(&self, tokenizer: &mut Tokenizer) -> Result<(), Error> {
        let token = |special| move |(_, text): (u32, &str)| AddedToken::from(text, special).normalized(false);
        let steering =
            self.ids().filter(|&(id, _)| matches!(self.kind(id), CONTROL | UNKNOWN)).map(token(true));
        let typed = self.ids().filter(|&(id, _)| self.kind(id) == USER_DEFINED).map(token(false));
        let failed = |error: tokenizers::Error| Error::Tokenizer(error.to_string());
        tokenizer.add_special_tokens(steering).map_err(failed)?;
        tokenizer.add_tokens(typed).map_err(failed)?;
        Ok(())
    }

    fn kind(&self, id: u32) -> i64 {
        self.kinds.get(id as usize).copied().unwrap_or(1)
    }
}
