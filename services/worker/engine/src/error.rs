//! What can go wrong in the engine, one enum for all of it: each message says what to do about it.

use std::path::PathBuf;

use crate::provider::Provider;

/// Why the engine refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No ONNX Runtime library was named.
    #[error("no ONNX Runtime library: set `ORT_DYLIB_PATH` to libonnxruntime (1.{minor} or later)")]
    NoLibrary {
        /// Least minor version that this build accepts.
        minor: u32,
    },
    /// The library could not be loaded, or is too old.
    #[error("ONNX Runtime at {}: {reason}", path.display())]
    Library {
        /// The file that was tried.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// A process has one ONNX Runtime; a second one was asked for.
    #[error(
        "ONNX Runtime is already loaded from {}; {} can't be loaded beside it", loaded.display(), asked.display()
    )]
    OtherLibrary {
        /// The library in use.
        loaded: PathBuf,
        /// The library that was asked for.
        asked: PathBuf,
    },
    /// The execution provider that the configuration asks for can't be had here.
    #[error("execution provider {provider} was asked for and is not there: {missing}")]
    Provider {
        /// What was asked for.
        provider: Provider,
        /// What is missing.
        missing: String,
    },
    /// The model folder can't be used.
    #[error("model folder {}: {reason}", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model does something else than what it was asked for.
    #[error("model {model} can't {asked}: it is a model that {does}")]
    Task {
        /// The model's id.
        model: String,
        /// What was asked.
        asked: &'static str,
        /// What it does.
        does: &'static str,
    },
    /// A field of a request has a value that means nothing.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as spelt in [`crate::Generate`] or [`crate::Sampling`].
        field: &'static str,
        /// What would be right.
        reason: String,
    },
    /// The prompt, with output already published, leaves no room in the context.
    #[error(
        "prompt of {prompt} tokens does not fit the context of {context} tokens (one must be left for the answer)"
    )]
    PromptTooLong {
        /// Length of the prompt, in tokens.
        prompt: usize,
        /// Longest sequence of the model, in tokens.
        context: usize,
    },
    /// One text to embed is longer than the model reads; nothing is cut silently.
    #[error("input {index} has {tokens} tokens, the model reads {limit}")]
    InputTooLong {
        /// Which input, counted from 0.
        index: usize,
        /// Its length, in tokens.
        tokens: usize,
        /// Longest input, in tokens.
        limit: usize,
    },
    /// Every slot is busy and the queue is full.
    #[error("busy: {slots} slots are taken and {queued} jobs wait already")]
    Busy {
        /// Sequences at once.
        slots: usize,
        /// Jobs waiting.
        queued: usize,
    },
    /// The tokenizer or the chat template failed.
    #[error("text: {0}")]
    Text(String),
    /// ONNX Runtime refused or failed a call.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// The model computed something that is not a number.
    #[error("the model's logits are not finite at output token {index}")]
    NotFinite {
        /// Which output token, counted from 0.
        index: usize,
    },
    /// The engine has stopped, or a bug stopped it.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
    /// The caller cancelled the work.
    #[error("cancelled")]
    Cancelled,
}

impl<R> From<ort::Error<R>> for Error {
    fn from(error: ort::Error<R>) -> Self {
        Error::Runtime(error.message().to_owned())
    }
}

impl Error {
    /// A value that means nothing in `field`.
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Error::Invalid { field, reason: reason.into() }
    }
}
