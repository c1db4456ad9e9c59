//! Decoders of the Llama family from GGUF: `llama`, `qwen2` (biased projections) and `qwen3` (normed queries and keys).
mod attention;
mod config;
mod graph;
mod rope;

use std::path::Path;

use super::onnx::{External, Graph};
use super::progress::{Meter, Stage};
use super::tensors::Tensors;
use super::weights::Writer;
use super::{Error, Logits, Precision};
use crate::manifest::{GraphNames, DATA_FILE, GRAPH_FILE};

pub(crate) use config::Config;

/// Writes the graph that `config` describes, and the weights in `tensors`, into `folder`.
///
/// # Errors
/// When the source lacks a tensor, has one of another shape than its metadata say, or the disk is full.
pub(crate) fn write(
    tensors: &dyn Tensors,
    config: &Config,
    precision: Precision,
    logits: Logits,
    folder: &Path,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    meter.begin(Stage::Weights, tensors.weights());
    let external = External::create(folder, DATA_FILE).map_err(Error::io(folder))?;
    let mut writer = Writer::new(Graph::new(external), precision, meter);
    graph::Decoder { config, tensors, writer: &mut writer }.build(logits)?;
    let path = folder.join(GRAPH_FILE);
    writer.graph.finish(&path).map_err(Error::io(&path))
}

/// What the inputs and outputs of our own graphs are called.
pub(crate) fn names() -> GraphNames {
    GraphNames {
        input_ids: "input_ids".to_owned(),
        attention_mask: "attention_mask".to_owned(),
        position_ids: None,
        past_key: "past_key_values.%d.key".to_owned(),
        past_value: "past_key_values.%d.value".to_owned(),
        present_key: "present.%d.key".to_owned(),
        present_value: "present.%d.value".to_owned(),
        logits: "logits".to_owned(),
    }
}

/// One output row for each position, or only for each text's last token.
impl Logits {
    fn positions(self) -> super::onnx::proto::Dimension {
        match self {
            Logits::LastToken => 1usize.into(),
            Logits::AllPositions => "tokens".into(),
        }
    }
}
