//! The inference engine: models from what people publish, run by ONNX Runtime, with no bus and no service
//! around it.
//!
//! `import` turns GGUF, safetensors and onnxruntime-genai folders into one model-folder format; everything
//! else reads only that format.
//!
//! # What a seed promises
//! With one build, one library, one machine type, one thread count and the CPU provider, the same request
//! gives the same text: alone or in company, in a fresh or a reused cache, in one run or taken over at any
//! token (`Generate::forced`). Sampling alone promises more: the same logits give the same token on any
//! machine. Logits themselves differ between processors, libraries, providers and weights, and where two
//! tokens are nearly equal, so may the text.

pub mod chat;
pub mod folder;
pub mod import;
pub mod manifest;

mod config;
mod embed;
mod engine;
mod error;
mod log;
mod placement;
mod provider;
mod runtime;
mod sampling;
mod session;
mod text;

pub use config::Config;
pub use embed::{EmbedInput, Embeddings};
pub use engine::{
    Cancel, Delta, Engine, Finish, Generate, Message, Outcome, Prompt, Sink, Usage, WAITING_JOBS_MAX,
};
pub use error::Error;
pub use provider::Provider;
pub use runtime::LIBRARY_VARIABLE;
pub use sampling::{LOGPROBS_MAX, Sampling, TokenLogprobs};
pub use text::{STOP_BYTES_MAX, STOPS_MAX};
