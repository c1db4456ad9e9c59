//! The model's own tokenizer, read from `tokenizer.json`.

use std::path::Path;

use tokenizers::Tokenizer as Inner;

use crate::{Error, manifest::TOKENIZER_FILE};

/// Text to tokens and back.
#[derive(Debug)]
pub(crate) struct Tokenizer(Inner);

impl Tokenizer {
    /// Reads the folder's tokenizer. Truncation and padding that it may declare are switched off: nothing is
    /// cut silently.
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(TOKENIZER_FILE);
        let mut inner =
            Inner::from_file(&path).map_err(|error| Error::Folder { path, reason: error.to_string() })?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(wrong)?;
        Ok(Self(inner))
    }

    /// Tokens of `text`; `framed` adds what the tokenizer puts around every text (`[CLS]`, `[SEP]`).
    pub(crate) fn encode(&self, text: &str, framed: bool) -> Result<Vec<u32>, Error> {
        Ok(self.0.encode_fast(text, framed).map_err(wrong)?.get_ids().to_vec())
    }

    /// Text of `tokens`, without special tokens; what is no UTF-8 yet becomes U+FFFD.
    pub(crate) fn decode(&self, tokens: &[u32]) -> Result<String, Error> {
        self.0.decode(tokens, true).map_err(wrong)
    }
}

fn wrong(error: tokenizers::Error) -> Error {
    Error::Text(error.to_string())
}

#[cfg(test)]
impl Tokenizer {
    /// A byte-level tokenizer for tests: tokens 0 to 255 are bytes, 256 is the special `<end>`, 257 the word
    /// ` the`.
    pub(crate) fn bytes() -> Self {
        use tokenizers::{AddedToken, decoders::byte_level::ByteLevel, models::bpe::BPE};
        let alphabet = byte_alphabet();
        let mut vocab: tokenizers::models::bpe::Vocab =
            alphabet.iter().enumerate().map(|(byte, c)| (c.to_string(), byte as u32)).collect();
        vocab.insert("<end>".to_owned(), 256);
        vocab.insert("Ġthe".to_owned(), 257);
        let model = BPE::builder().vocab_and_merges(vocab, Vec::new()).build().unwrap();
        let mut inner = Inner::new(model);
        inner.with_decoder(Some(ByteLevel::default()));
        inner.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false).use_regex(false)));
        inner.add_special_tokens([AddedToken::from("<end>", true)]).unwrap();
        Self(inner)
    }

    /// A tokenizer for tests that decodes as SentencePiece models do: tokens 0 to 255 are bytes, and then come
    /// `▁the`, `ing` and `▁`; a space at the very beginning is stripped.
    pub(crate) fn byte_fallback() -> Self {
        let mut vocab: serde_json::Map<String, serde_json::Value> =
            (0..256).map(|byte| (format!("<0x{byte:02X}>"), byte.into())).collect();
        for (token, text) in ["▁the", "ing", "▁"].into_iter().enumerate() {
            vocab.insert(text.to_owned(), (256 + token).into());
        }
        let decoders = serde_json::json!([
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ]);
        let json = serde_json::json!({
            "version": "1.0",
            "added_tokens": [],
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": { "type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true },
        });
        Self(json.to_string().parse().unwrap())
    }
}

/// GPT-2's printable stand-in for each byte.
#[cfg(test)]
fn byte_alphabet() -> Vec<char> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    let stand_in = |byte: u32| {
        let code = if printable(byte) { byte } else { next };
        next += u32::from(!printable(byte));
        char::from_u32(code).unwrap()
    };
    (0..256).map(stand_in).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_there_and_back() {
        let tokenizer = Tokenizer::bytes();
        let text = "naïve € 🦀\n\u{0}";
        let tokens = tokenizer.encode(text, false).unwrap();
        assert_eq!(tokens, text.bytes().map(u32::from).collect::<Vec<_>>());
        assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
        assert_eq!(tokenizer.decode(&[104, 256, 257]).unwrap(), "h the");
    }
}
