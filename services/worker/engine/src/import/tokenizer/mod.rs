//! Tokenizers from GGUF metadata, as `tokenizer.json` for crate `tokenizers`.
//!
//! GGUF keeps the vocabulary, the merges or scores, each token's kind, and only a name for how text is cut into words;
//! that name is looked up in `bpe`.
mod bpe;
mod sentencepiece;
mod vocabulary;

use std::path::Path;

use tokenizers::Tokenizer;

use super::Error;
use super::gguf::{File, Value};
pub(crate) use vocabulary::Vocabulary;

/// Texts of control tokens that end a turn or a text, in the families that are imported. Files often name only one of them.
const ENDS: [&str; 7] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
];

/// What a model folder needs to know of a tokenizer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Special {
    /// Put before every prompt.
    pub(crate) bos: Option<u32>,
    /// Each of these ends a text.
    pub(crate) eos: Vec<u32>,
    /// `bos_token` of chat templates.
    pub(crate) bos_text: Option<String>,
    /// `eos_token` of chat templates.
    pub(crate) eos_text: Option<String>,
}

/// Writes the tokenizer of `file` to `path`.
///
/// # Errors
/// When the file has none, has one of a kind that isn't read, or it contradicts itself.
pub(crate) fn write(file: &File, path: &Path) -> Result<Special, Error> {
    let vocabulary = Vocabulary::read(file)?;
    let (tokenizer, adds_bos) = match vocabulary.model {
        "gpt2" => bpe::build(file, &vocabulary)?,
        "llama" => sentencepiece::build(file, &vocabulary)?,
        other => {
            return Err(Error::Unsupported(format!("tokenizer model {other:?} (gpt2 and llama are read)")));
        }
    };
    save(&tokenizer, path)?;
    special(file, &vocabulary, adds_bos)
}

fn save(tokenizer: &Tokenizer, path: &Path) -> Result<(), Error> {
    let text = tokenizer.to_string(false).map_err(|error| Error::Tokenizer(error.to_string()))?;
    std::fs::write(path, text).map_err(Error::io(path))
}

fn special(file: &File, vocabulary: &Vocabulary<'_>, adds_bos: bool) -> Result<Special, Error> {
    let bos = vocabulary.named(file, "tokenizer.ggml.bos_token_id")?;
    let named_ends = ["eos_token_id", "eot_token_id", "eom_token_id"];
    let mut eos = Vec::new();
    for key in named_ends {
        eos.extend(vocabulary.named(file, &format!("tokenizer.ggml.{key}"))?);
    }
    eos.extend(vocabulary.controls().filter(|(_, text)| ENDS.contains(text)).map(|(id, _)| id));
    let first = eos.first().copied();
    let mut seen = std::collections::HashSet::new();
    eos.retain(|&id| seen.insert(id));
    if eos.is_empty() {
        return Err(Error::Tokenizer(
            "no token ends a text: the file names none and has none of the usual".to_owned(),
        ));
    }
    let adds =
        file.metadata().get("tokenizer.ggml.add_bos_token").and_then(Value::as_bool).unwrap_or(adds_bos);
    let text = |id: Option<u32>| id.map(|id| vocabulary.tokens[id as usize].clone());
    Ok(Special { bos: bos.filter(|_| adds), eos, bos_text: text(bos), eos_text: text(first) })
}
