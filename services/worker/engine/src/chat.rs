//! Chat templates: the model's own Jinja template turns a conversation into the text that the model was trained on.
//!
//! Templates are written for Python's Jinja as transformers sets it up (trimmed blocks, Python's string methods,
//! `raise_exception`, `strftime_now`, a `tojson` that escapes nothing). They come with the model, so they are not trusted:
//! a template runs on a bounded number of instructions and reads nothing but what it is given.
mod functions;

use jiff::Zoned;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use crate::manifest::TemplateTokens;

/// Most instructions that one rendering may take; a conversation of a thousand turns takes about a hundred thousand.
const INSTRUCTIONS_MAX: u64 = 10_000_000;
const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    tokens: TemplateTokens,
}

/// Why a conversation could not be written out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The template isn't valid; the model folder is at fault.
    #[error("the model's chat template is not valid: {0}")]
    Syntax(String),
    /// The template refuses the conversation, in its own words (a role that the model doesn't know, say): the caller is at
    /// fault.
    #[error("the model's chat template refuses these messages: {0}")]
    Refused(String),
    /// The template failed on this conversation.
    #[error("the model's chat template failed: {0}")]
    Failed(String),
}

/// What a conversation is written out with, besides its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendering {
    /// Whether the text ends where the assistant is to go on.
    pub add_generation_prompt: bool,
    /// What `strftime_now` calls now. Few templates ask.
    pub now: Zoned,
}

impl Template {
    /// Compiles `source`, whose `bos_token` and `eos_token` are `tokens`.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the line.
    pub fn new(source: &str, tokens: TemplateTokens) -> Result<Template, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the default delimiters are valid"));
        environment.set_fuel(Some(INSTRUCTIONS_MAX));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        functions::add(&mut environment);
        let source = without_generation_marks(source);
        environment.add_template_owned(NAME, source).map_err(|error| Error::Syntax(told(&error)))?;
        Ok(Template { environment, tokens })
    }

    /// Writes `messages` out. Each serialises to a map with at least `role` and `content`.
    ///
    /// The text holds the special tokens it needs, its first one included: tokenise it without adding any.
    ///
    /// # Errors
    /// [`Error::Refused`] when the template raises an exception, [`Error::Failed`] when it breaks.
    pub fn render<M: Serialize>(&self, messages: &[M], rendering: &Rendering) -> Result<String, Error> {
        let template = self.environment.get_template(NAME).map_err(|error| Error::Failed(told(&error)))?;
        let context = context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => rendering.add_generation_prompt,
            bos_token => self.tokens.bos.as_deref().unwrap_or_default(),
            eos_token => self.tokens.eos.as_deref().unwrap_or_default(),
            strftime_now => functions::strftime_now(rendering.now.clone()),
            // transformers passes these as None, and templates ask whether they are.
            tools => Value::from(()),
            documents => Value::from(()),
        };
        template.render(context).map_err(|error| match functions::raised(&error) {
            Some(message) => Error::Refused(message.to_owned()),
            None => Error::Failed(told(&error)),
        })
    }
}

/// An error in one line, with the line of the template.
fn told(error: &minijinja::Error) -> String {
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    error.line().map_or_else(|| detail.clone(), |line| format!("line {line}: {detail}"))
}

/// `{% generation %}` marks what a trainer learns from and changes no text; here it becomes a condition that always holds.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(begin) = rest.find("{%") {
        let Some(length) = rest[begin..].find("%}") else { break };
        let (tag, after) = (&rest[begin..begin + length], &rest[begin + length..]);
        out.push_str(&rest[..begin]);
        match tag.trim_start_matches("{%").trim_matches(['-', '+', ' ', '\t', '\n']) {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests;
