//! From OpenAI's HTTP bodies to [`Posted`] requests. Pure; every error names the parameter as the caller wrote it.
//!
//! Fields that nobody knows are ignored, as OpenAI's clients expect of a server older than themselves. Fields that are
//! known, change what comes back, and can't be honoured (tools, JSON output, several choices) are refused: a caller that
//! depends on them must hear so. What only advises or labels (`user`, `metadata`, `store`, `prediction`) is ignored.
//! Ranges are not checked here but by admission, which sees every request, whichever door it came by.

mod chat;
mod completion;
mod content;
mod embedding;
mod fields;
mod sampling;

pub use chat::chat;
pub use completion::{COMPLETION_TOKENS_DEFAULT, completion};
pub use embedding::{Embedding, VectorFormat, embedding};

use lowland_events::request::Posted;

/// A request for text.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// What is posted.
    pub posted: Posted,
    /// The shape of the answer.
    pub form: TextForm,
    /// Whether it is to be streamed, and how.
    pub stream: Option<Stream>,
    /// Names of parameters where the caller's differ from ours.
    pub aliases: Aliases,
}

/// The shape that a text is answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// `chat.completion`
    Chat,
    /// `text_completion`
    Completion,
}

/// How an answer is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stream {
    /// Whether a last chunk without choices tells the usage.
    pub include_usage: bool,
}

/// Names of parameters where the caller's differ from those of [`Posted`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases(Vec<(&'static str, &'static str)>);

impl Aliases {
    /// Notes that the caller said `asked` for our `ours`.
    pub fn note(&mut self, ours: &'static str, asked: &'static str) {
        self.0.push((ours, asked));
    }

    /// The caller's name for `field`.
    #[must_use]
    pub fn as_asked(&self, field: &str) -> String {
        let known = self.0.iter().find(|(ours, _)| *ours == field);
        known.map_or_else(|| field.to_owned(), |(_, asked)| (*asked).to_owned())
    }
}
