//! What model folders in the style of transformers hold beside the weights: tokenizer, chat template, special tokens.

use std::path::Path;

use serde::Deserialize;
use tokenizers::Tokenizer;

use super::Error;
use super::folder::read_json_if_there;
use crate::manifest::{CHAT_TEMPLATE_FILE, TOKENIZER_FILE, TemplateTokens};

/// Writes the tokenizer of the model in `source` into `folder`, without the truncation and padding that may be baked into
/// it: cutting a text short in silence gives an answer to another text.
///
/// # Errors
/// When there is no `tokenizer.json`, or it isn't one.
pub(crate) fn write_tokenizer(source: &Path, folder: &Path) -> Result<Tokenizer, Error> {
    let published = source.join(TOKENIZER_FILE);
    let text = std::fs::read(&published).map_err(Error::io(&published))?;
    let failed = |error: tokenizers::Error| Error::Tokenizer(format!("{}: {error}", published.display()));
    let mut tokenizer = Tokenizer::from_bytes(text).map_err(failed)?;
    tokenizer.with_truncation(None).map_err(failed)?.with_padding(None);
    let (path, text) = (folder.join(TOKENIZER_FILE), tokenizer.to_string(false).map_err(failed)?);
    std::fs::write(&path, text).map_err(Error::io(&path))?;
    Ok(tokenizer)
}

/// The token that the tokenizer itself puts before a text, when it puts one.
pub(crate) fn leading_token(tokenizer: &Tokenizer, wanted: Option<u32>) -> Option<u32> {
    let encoded = tokenizer.encode("a", true).ok()?;
    let first = encoded.get_ids().first().copied();
    wanted.filter(|_| first == wanted)
}

/// The part of `tokenizer_config.json` that matters here.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TokenizerConfig {
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    chat_template: Option<ChatTemplate>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ChatTemplate {
    One(String),
    Several(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl TokenizerConfig {
    /// Reads it from `source`; a folder without one has an empty one.
    ///
    /// # Errors
    /// When it isn't valid.
    pub(crate) fn read(source: &Path) -> Result<TokenizerConfig, Error> {
        Ok(read_json_if_there(&source.join("tokenizer_config.json"))?.unwrap_or_default())
    }

    /// Texts of the special tokens.
    pub(crate) fn template_tokens(&self) -> TemplateTokens {
        let text = |token: &Option<Token>| match token {
            Some(Token::Text(text) | Token::Added { content: text }) => Some(text.clone()),
            None => None,
        };
        TemplateTokens { bos: text(&self.bos_token), eos: text(&self.eos_token) }
    }

    /// Writes the chat template into `folder`, if the model in `source` has one: a file of its own goes before the
    /// configuration, and of several the one called `default` is meant.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub(crate) fn write_template(&self, source: &Path, folder: &Path) -> Result<(), Error> {
        let own = source.join(CHAT_TEMPLATE_FILE);
        let template = match &self.chat_template {
            _ if own.is_file() => Some(std::fs::read_to_string(&own).map_err(Error::io(&own))?),
            Some(ChatTemplate::One(template)) => Some(template.clone()),
            Some(ChatTemplate::Several(all)) => {
                all.iter().find(|one| one.name == "default").map(|one| one.template.clone())
            }
            None => None,
        };
        let path = folder.join(CHAT_TEMPLATE_FILE);
        template.map_or(Ok(()), |template| std::fs::write(&path, template).map_err(Error::io(&path)))
    }
}
