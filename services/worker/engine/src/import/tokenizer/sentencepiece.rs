//! SentencePiece BPE (GGUF's `llama`): pieces with scores, spaces written as `▁`, bytes for what has no piece.
//!
//! A score says which merge comes first, so the merges can be listed: every way to cut a piece in two pieces, best score
//! first. Pieces of equal score keep the order of their ids, where SentencePiece would go from left to right.

use std::collections::HashMap;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::super::Error;
use super::super::gguf::{File, Value};
use super::Vocabulary;

const SPACE: &str = "▁";

/// The tokenizer, and whether such models want their first token before every prompt when the file doesn't say (they do).
pub(super) fn build(file: &File, vocabulary: &Vocabulary<'_>) -> Result<(Tokenizer, bool), Error> {
    let failed = |error: tokenizers::Error| Error::Tokenizer(error.to_string());
    let prefixed =
        file.metadata().get("tokenizer.ggml.add_space_prefix").and_then(Value::as_bool).unwrap_or(true);
    let vocab: Vocab = vocabulary.ids().map(|(id, text)| (text.to_owned(), id)).collect();
    let mut model =
        BPE::builder().vocab_and_merges(vocab, merges(file, vocabulary)?).byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = vocabulary.named(file, "tokenizer.ggml.unknown_token_id")? {
        model = model.unk_token(vocabulary.tokens[unknown as usize].clone());
    }
    let mut tokenizer = Tokenizer::new(model.build().map_err(failed)?);
    tokenizer.with_normalizer(Some(normalizer(prefixed)?)).map_err(failed)?;
    tokenizer.with_decoder(Some(decoder(prefixed)?));
    vocabulary.add_to(&mut tokenizer)?;
    Ok((tokenizer, true))
}

fn merges(file: &File, vocabulary: &Vocabulary<'_>) -> Result<Vec<(String, String)>, Error> {
    let key = "tokenizer.ggml.scores";
    let scores = file.metadata().get(key).and_then(Value::as_floats).unwrap_or_default();
    if scores.len() != vocabulary.tokens.len() {
        let problem = format!("has {} entries for {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(Error::source(key, problem));
    }
    let ids: HashMap<&str, u32> = vocabulary.ids().map(|(id, text)| (text, id)).collect();
    let mut order: Vec<(u32, &str)> = vocabulary.ids().collect();
    order.sort_by(|a, b| scores[b.0 as usize].total_cmp(&scores[a.0 as usize]));
    Ok(order.into_iter().flat_map(|(_, piece)| cuts(piece, &ids)).collect())
}

/// Every way to cut `piece` in two pieces of the vocabulary.
fn cuts(piece: &str, ids: &HashMap<&str, u32>) -> Vec<(String, String)> {
    let halves = piece.char_indices().skip(1).map(|(at, _)| piece.split_at(at));
    let mut known: Vec<_> =
        halves.filter_map(|(left, right)| Some((ids.get(left)?, ids.get(right)?, left, right))).collect();
    known.sort_unstable();
    known.into_iter().map(|(_, _, left, right)| (left.to_owned(), right.to_owned())).collect()
}

fn normalizer(prefixed: bool) -> Result<NormalizerWrapper, Error> {
    let replace = Replace::new(" ", SPACE).map_err(|error| Error::Tokenizer(error.to_string()))?;
    let prepend = prefixed.then(|| Prepend::new(SPACE.to_owned()).into());
    Ok(Normalizers::new(prepend.into_iter().chain([replace.into()]).collect()).into())
}

fn decoder(prefixed: bool) -> Result<DecoderWrapper, Error> {
    let replace = Replace::new(SPACE, " ").map_err(|error| Error::Tokenizer(error.to_string()))?;
    let mut parts: Vec<DecoderWrapper> = vec![replace.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefixed {
        parts.push(Strip::new(' ', 1, 0).into());
    }
    Ok(Decoders::new(parts).into())
}
