//! Texts to vectors.

mod batch;
mod pool;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{
    Config, Error,
    engine::Cancel,
    manifest::{Embed, Manifest},
    session::Encoder,
    text::Tokenizer,
};

/// One text to turn into a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// Plain text; the tokenizer frames it as the model was trained.
    Text(String),
    /// Tokens as they are, framing included.
    Tokens(Vec<u32>),
}

/// Vectors, in the order of their inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// One vector an input.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs, framing included, padding not.
    pub prompt_tokens: usize,
}

/// A loaded encoder; callers take turns.
#[derive(Debug)]
pub(crate) struct Embedder {
    encoder: Mutex<Encoder>,
    model: Embed,
    limit: usize,
    vocab: usize,
}

impl Embedder {
    /// Opens the folder's graph; also how many of its nodes each provider runs.
    pub(crate) fn open(
        folder: &Path,
        manifest: &Manifest,
        model: &Embed,
        config: &Config,
    ) -> Result<(Self, BTreeMap<String, usize>), Error> {
        let encoder = Encoder::open(folder, manifest, config)?;
        let nodes = encoder.nodes().clone();
        Ok((
            Self {
                encoder: Mutex::new(encoder),
                model: model.clone(),
                limit: manifest.context_tokens,
                vocab: manifest.vocab,
            },
            nodes,
        ))
    }

    /// Vectors of the inputs, batch by batch.
    pub(crate) fn embed(
        &self,
        inputs: &[EmbedInput],
        tokenizer: &Tokenizer,
        cancel: &Cancel,
    ) -> Result<Embeddings, Error> {
        let texts = self.tokenize(inputs, tokenizer)?;
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in batch::batches(&lengths) {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let rows: Vec<&[u32]> = batch.iter().map(|index| texts[*index].as_slice()).collect();
            for (index, vector) in batch.iter().zip(self.run(&rows)?) {
                vectors[*index] = vector;
            }
        }
        Ok(Embeddings { vectors, prompt_tokens: lengths.iter().sum() })
    }

    fn run(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>, Error> {
        let found = self.encoder.lock().unwrap_or_else(PoisonError::into_inner).run(rows)?;
        if found.dimensions != self.model.dimensions {
            let (is, said) = (found.dimensions, self.model.dimensions);
            return Err(Error::Runtime(format!(
                "token vectors have {is} dimensions, the manifest says {said}"
            )));
        }
        let vector = |(row, tokens): (usize, &&[u32])| {
            let mut vector =
                pool::pool(found.tokens(row, tokens.len()), found.dimensions, self.model.pooling);
            if self.model.normalize {
                pool::normalize(&mut vector);
            }
            vector
        };
        Ok(rows.iter().enumerate().map(vector).collect())
    }

    /// Tokens of each input; too long, empty or unknown ones are refused by their index.
    fn tokenize(&self, inputs: &[EmbedInput], tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, Error> {
        let tokens = |(index, input): (usize, &EmbedInput)| {
            let tokens = match input {
                EmbedInput::Text(text) => tokenizer.encode(text, true)?,
                EmbedInput::Tokens(tokens) => tokens.clone(),
            };
            if tokens.len() > self.limit {
                return Err(Error::InputTooLong { index, tokens: tokens.len(), limit: self.limit });
            }
            if tokens.is_empty() {
                return Err(Error::invalid("input", format!("number {index} is empty")));
            }
            match tokens.iter().find(|token| **token as usize >= self.vocab) {
                Some(token) => Err(Error::invalid(
                    "input",
                    format!("number {index} holds token {token}, the vocabulary has {}", self.vocab),
                )),
                None => Ok(tokens),
            }
        };
        inputs.iter().enumerate().map(tokens).collect()
    }
}
