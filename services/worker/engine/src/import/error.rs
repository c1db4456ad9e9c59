//! What can go wrong while a model is imported; each message names the file and what to do about it.

use std::path::{Path, PathBuf};

use super::{gguf, onnx};

/// Why a model was not imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The source is none of the formats that are read.
    #[error(
        "{path} is {found}; a model is a GGUF file, a folder with genai_config.json (onnxruntime-genai), or a folder \
         with config.json and model.safetensors"
    )]
    Unknown {
        /// What was given.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// A GGUF file that isn't sound.
    #[error("{path}: {source}")]
    Gguf {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: gguf::Error,
    },
    /// The source lacks something, or says something impossible.
    #[error("{at}: {problem}")]
    Source {
        /// The file, metadata key or tensor.
        at: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The source is sound, but of a kind that isn't imported.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The tokenizer could not be made.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A model id that can't be used.
    #[error("model id {0:?}: use 1 to 64 of the letters A-Z a-z, digits, '-' and '_'")]
    Id(String),
    /// Something is in the way of the model folder.
    #[error("{0} exists already; remove the model first")]
    Exists(PathBuf),
    /// Weights could not be written.
    #[error("writing weights: {0}")]
    Write(#[from] onnx::WriteError),
}

impl Error {
    /// An error of the operating system about `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    }

    /// An error about something in the source.
    pub(crate) fn source(at: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Source { at: at.into(), problem: problem.into() }
    }
}
