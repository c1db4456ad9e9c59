//! An encoder's session: token vectors of a padded batch of texts.

use std::{collections::BTreeMap, path::Path};

use ort::{
    session::{Session, SessionInputValue},
    value::Tensor,
};

use super::{Opened, open};
use crate::{Config, Error, manifest::Manifest};

/// Names that an encoder's inputs may have.
const INPUT_IDS: &str = "input_ids";
const ATTENTION_MASK: &str = "attention_mask";
const TOKEN_TYPES: &str = "token_type_ids";

/// A model that turns text into vectors.
#[derive(Debug)]
pub(crate) struct Encoder {
    session: Session,
    nodes: BTreeMap<String, usize>,
    output: String,
}

/// Vectors of every token of a batch, padding included: `[rows, longest, dimensions]`.
#[derive(Debug)]
pub(crate) struct TokenVectors {
    pub(crate) longest: usize,
    pub(crate) dimensions: usize,
    pub(crate) values: Vec<f32>,
}

impl TokenVectors {
    /// Vectors of the first `count` tokens of `row`, one after the other.
    pub(crate) fn tokens(&self, row: usize, count: usize) -> &[f32] {
        let start = row * self.longest * self.dimensions;
        &self.values[start..start + count * self.dimensions]
    }
}

impl Encoder {
    /// Opens the folder's graph; its output of token vectors is the first of rank 3.
    pub(crate) fn open(folder: &Path, manifest: &Manifest, config: &Config) -> Result<Self, Error> {
        let Opened { session, nodes } = open(folder, manifest, config)?;
        let wrong = |reason: String| Error::Folder { path: folder.join(&manifest.graph), reason };
        if let Some(input) = session
            .inputs()
            .iter()
            .find(|input| ![INPUT_IDS, ATTENTION_MASK, TOKEN_TYPES].contains(&input.name()))
        {
            return Err(wrong(format!(
                "the graph wants an input `{}`, which encoders here are not given",
                input.name()
            )));
        }
        let vectors = |output: &&ort::value::Outlet| {
            output.dtype().tensor_shape().is_some_and(|shape| shape.len() == 3)
        };
        let output = session.outputs().iter().find(vectors).map(|output| output.name().to_owned());
        let output =
            output.ok_or_else(|| wrong("the graph has no output of token vectors (rank 3)".to_owned()))?;
        Ok(Self { session, nodes, output })
    }

    /// How many nodes of the graph each provider runs.
    pub(crate) fn nodes(&self) -> &BTreeMap<String, usize> {
        &self.nodes
    }

    /// Runs texts of these tokens as one batch, padded to the longest.
    pub(crate) fn run(&mut self, texts: &[&[u32]]) -> Result<TokenVectors, Error> {
        let longest = texts.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let padded = |value: &dyn Fn(&[u32], usize) -> i64| {
            let values: Vec<i64> =
                texts.iter().flat_map(|tokens| (0..longest).map(|at| value(tokens, at))).collect();
            Tensor::from_array(([texts.len(), longest], values))
        };
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(3);
        for input in self.session.inputs() {
            inputs.push(match input.name() {
                INPUT_IDS => (
                    INPUT_IDS,
                    padded(&|tokens, at| tokens.get(at).map_or(0, |token| i64::from(*token)))?.into(),
                ),
                ATTENTION_MASK => {
                    (ATTENTION_MASK, padded(&|tokens, at| i64::from(at < tokens.len()))?.into())
                }
                _ => (TOKEN_TYPES, padded(&|_, _| 0)?.into()),
            });
        }
        let outputs = self.session.run(inputs)?;
        let (shape, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>()?;
        let dimensions = shape.last().map_or(0, |size| *size as usize);
        if values.len() != texts.len() * longest * dimensions {
            return Err(Error::Runtime(format!(
                "token vectors have the shape {shape:?} for {} texts of {longest} tokens",
                texts.len()
            )));
        }
        Ok(TokenVectors { longest, dimensions, values: values.to_vec() })
    }
}
