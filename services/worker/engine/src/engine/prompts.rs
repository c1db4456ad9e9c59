//! Prompts to tokens: the model's tokenizer and its chat template.

use std::{path::Path, sync::Arc};

use jiff::{Zoned, tz::TimeZone};

use super::request::{Message, Prompt};
use crate::{
    Error,
    chat::{self, Rendering, Template},
    folder,
    manifest::{Manifest, Task, TemplateTokens},
    text::Tokenizer,
};

/// What turns a prompt into tokens.
#[derive(Debug)]
pub(super) struct Prompts {
    tokenizer: Arc<Tokenizer>,
    template: Option<Template>,
    bos: Option<u32>,
    /// Whether text gets what the tokenizer puts around it: encoders are trained with that.
    framed: bool,
}

impl Prompts {
    /// Reads the folder's tokenizer and chat template.
    pub(super) fn load(folder: &Path, manifest: &Manifest) -> Result<Self, Error> {
        let (bos, tokens) = match &manifest.task {
            Task::Generate(model) => (model.bos, model.template_tokens.clone()),
            Task::Embed(_) => (None, TemplateTokens::default()),
        };
        Ok(Self {
            tokenizer: Arc::new(Tokenizer::load(folder)?),
            template: folder::template(folder, &tokens)?,
            bos,
            framed: matches!(manifest.task, Task::Embed(_)),
        })
    }

    pub(super) fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Tokens of a prompt. Text gets the model's first token in front; a conversation has it from the
    /// template.
    pub(super) fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, Error> {
        match prompt {
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
            Prompt::Text(text) => {
                Ok(self.bos.into_iter().chain(self.tokenizer.encode(text, self.framed)?).collect())
            }
            Prompt::Messages(messages) => self.tokenizer.encode(&self.render(messages)?, false),
        }
    }

    fn render(&self, messages: &[Message]) -> Result<String, Error> {
        let none =
            || Error::invalid("prompt", "is a conversation, and the model has no chat template: send text");
        let template = self.template.as_ref().ok_or_else(none)?;
        // In UTC, so that the same request reads the same on workers in different places.
        let rendering =
            Rendering { add_generation_prompt: true, now: Zoned::now().with_time_zone(TimeZone::UTC) };
        template.render(messages, &rendering).map_err(|error| match error {
            chat::Error::Refused(words) => Error::invalid("prompt", words),
            other => Error::Text(other.to_string()),
        })
    }
}
