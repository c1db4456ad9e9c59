//! Importers: each turns a published format into a model folder (see [`crate::manifest`]).
//!
//! An import writes into a folder beside the one it is to be and renames it at the end, so a crash leaves either a whole
//! model or none.
mod bert;
mod checkpoint;
mod error;
mod folder;
mod genai;
pub mod gguf;
mod id;
mod int8;
mod llama;
pub mod onnx;
mod progress;
mod published;
mod source;
mod staging;
pub mod tensor;
mod tensors;
mod tokenizer;
mod weights;

use std::path::Path;

pub use error::Error;
pub use progress::{Progress, Stage};

use crate::manifest::{Manifest, Weights};
use progress::Meter;
use source::Source;
use staging::Staging;

/// What an import may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The model's id: 1 to 64 of `A-Z a-z 0-9 - _`; made from the source's own name when there is none.
    pub id: Option<String>,
    /// How the weights of heavy matrix products are stored. When it isn't said: [`Precision::Int8`] for a decoder, and
    /// [`Precision::Fp32`] for an encoder, which is small and whose vectors are told apart by small differences.
    pub weights: Option<Precision>,
    /// Longest context wanted, in tokens; the model's own when there is none or it is shorter.
    pub context_tokens_max: Option<usize>,
    /// Which positions a decoder gives logits for.
    pub logits: Logits,
}

/// How the weights of heavy matrix products are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 8 bits in blocks of 32.
    Int8,
}

/// Which positions a decoder gives logits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Logits {
    /// Each text's last token: `[batch, 1, vocab]`.
    #[default]
    LastToken,
    /// All: `[batch, tokens, vocab]`.
    AllPositions,
}

impl From<Precision> for Weights {
    fn from(precision: Precision) -> Weights {
        match precision {
            Precision::Fp32 => Weights::Fp32,
            Precision::Int8 => Weights::Int8,
        }
    }
}

/// Imports the model at `source` (a GGUF file, an onnxruntime-genai folder, or a folder with `config.json` and
/// safetensors) as the model folder `out`, which must not exist yet.
///
/// # Errors
/// When the source is of no known kind, is damaged, or is not supported; when `out` exists; when the disk is full. Nothing
/// is left at `out` then.
pub fn import(
    source: &Path,
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest, Error> {
    if let Some(id) = &options.id {
        id::check(id)?;
    }
    let source = Source::detect(source)?;
    let staging = Staging::beside(out)?;
    let mut meter = Meter::new(progress);
    let manifest = source.write(staging.folder(), options, &mut meter)?;
    meter.begin(Stage::Finishing, 1);
    staging.publish(&manifest)?;
    meter.advance(1);
    Ok(manifest)
}
