//! Byte-level BPE (GGUF's `gpt2`): merges by rank within words, and words by the pattern that the file names.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::super::Error;
use super::super::gguf::{File, Value};
use super::Vocabulary;

/// Llama 3: contractions in any case, up to three digits, punctuation with the line ends that follow it.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2: the same with one digit at a time.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How text is cut into words before merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// GPT-2's pattern.
    Gpt2,
    /// GPT-2's pattern after every digit stands alone.
    Digits,
    /// [`LLAMA3`].
    Llama3,
    /// [`QWEN2`], on text composed to NFC.
    Qwen2,
}

impl Words {
    /// By llama.cpp's name for it (`tokenizer.ggml.pre`). Files from before there were names are GPT-2's.
    fn named(name: &str) -> Result<Words, Error> {
        Ok(match name {
            "default" | "gpt-2" | "mpt" | "olmo" | "phi-2" => Words::Gpt2,
            "smollm" | "starcoder" | "refact" | "codeshell" => Words::Digits,
            "llama-bpe" | "llama3" | "llama-v3" => Words::Llama3,
            "qwen2" | "deepseek-r1-qwen" => Words::Qwen2,
            other => {
                let known = "default, gpt-2, smollm, starcoder, llama-bpe, qwen2";
                return Err(Error::Unsupported(format!("pre-tokenizer {other:?} (known: {known})")));
            }
        })
    }

    fn pre_tokenizer(self) -> Result<PreTokenizerWrapper, Error> {
        let bytes = |cuts_words| ByteLevel::new(false, true, cuts_words).into();
        let parts = match self {
            Words::Gpt2 => return Ok(bytes(true)),
            Words::Digits => vec![Digits::new(true).into(), bytes(true)],
            Words::Llama3 => vec![split(LLAMA3)?, bytes(false)],
            Words::Qwen2 => vec![split(QWEN2)?, bytes(false)],
        };
        Ok(Sequence::new(parts).into())
    }
}

fn split(pattern: &str) -> Result<PreTokenizerWrapper, Error> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
    Ok(split.map_err(|error| Error::Tokenizer(error.to_string()))?.into())
}

/// The tokenizer, and whether such models want their first token before every prompt when the file doesn't say.
pub(super) fn build(file: &File, vocabulary: &Vocabulary<'_>) -> Result<(Tokenizer, bool), Error> {
    let name = file.metadata().get("tokenizer.ggml.pre").and_then(Value::as_str).unwrap_or("default");
    let words = Words::named(name)?;
    let vocab: Vocab = vocabulary.ids().map(|(id, text)| (text.to_owned(), id)).collect();
    let model =
        BPE::builder().vocab_and_merges(vocab, merges(file)?).ignore_merges(words == Words::Llama3).build();
    let mut tokenizer = Tokenizer::new(model.map_err(|error| Error::Tokenizer(error.to_string()))?);
    tokenizer
        .with_pre_tokenizer(Some(words.pre_tokenizer()?))
        .with_decoder(Some(ByteLevel::new(false, true, true)));
    if words == Words::Qwen2 {
        let nfc = tokenizer.with_normalizer(Some(NormalizerWrapper::NFC(NFC)));
        nfc.map_err(|error| Error::Tokenizer(error.to_string()))?;
    }
    vocabulary.add_to(&mut tokenizer)?;
    Ok((tokenizer, words == Words::Llama3))
}

fn merges(file: &File) -> Result<Vec<(String, String)>, Error> {
    let key = "tokenizer.ggml.merges";
    let merges = file.metadata().get(key).and_then(Value::as_strings);
    let pair = |merge: &String| {
        let pair = merge.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty());
        let (left, right) = pair.ok_or_else(|| Error::source(key, format!("{merge:?} is not a pair")))?;
        Ok((left.to_owned(), right.to_owned()))
    };
    merges.ok_or_else(|| Error::source(key, "is missing"))?.iter().map(pair).collect()
}
