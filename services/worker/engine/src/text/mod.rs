//! Between text and tokens: the model's tokenizer, text out of a growing list of tokens, and stop sequences
//! in it.

mod detokenize;
mod output;
mod stop;
mod tokenizer;

pub use stop::{STOP_BYTES_MAX, STOPS_MAX};

pub(crate) use output::Output;
pub(crate) use stop::validate as validate_stops;
pub(crate) use tokenizer::Tokenizer;
