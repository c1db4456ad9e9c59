//! BERT encoders from safetensors, as sentence-transformers publishes them for embeddings.
mod config;
mod graph;
mod sentence;

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::onnx::{External, Graph};
use super::progress::{Meter, Stage};
use super::tensors::Tensors;
use super::weights::Writer;
use super::{Error, Options, Precision, published};
use crate::manifest::{DATA_FILE, Embed, FORMAT_VERSION, GRAPH_FILE, Manifest, Task};

use config::Config;

/// Writes the model in `source` into `folder`, all but the manifest.
///
/// # Errors
/// When a file is missing or says something that isn't supported, or the disk is full.
pub(crate) fn write(
    source: &Path,
    folder: &Path,
    id: String,
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Manifest, Error> {
    let precision = options.weights.unwrap_or(Precision::Fp32);
    let config = Config::read(source)?;
    let sentence = sentence::read(source, config.context_tokens)?;
    meter.begin(Stage::Tokenizer, 1);
    published::write_tokenizer(source, folder)?;
    let checkpoint = Checkpoint::open(source)?;
    meter.begin(Stage::Weights, checkpoint.weights());
    let external = External::create(folder, DATA_FILE).map_err(Error::io(folder))?;
    let mut writer = Writer::new(Graph::new(external), precision, meter);
    graph::Encoder { config: &config, tensors: &checkpoint, writer: &mut writer }.build()?;
    let path = folder.join(GRAPH_FILE);
    writer.graph.finish(&path).map_err(Error::io(&path))?;
    let cap = options.context_tokens_max.unwrap_or(usize::MAX);
    Ok(Manifest {
        format: FORMAT_VERSION,
        source: format!("safetensors {id}"),
        id,
        license: sentence.license,
        graph: GRAPH_FILE.to_owned(),
        weights: precision.into(),
        context_tokens: sentence.context_tokens.min(cap),
        vocab: config.vocab,
        task: Task::Embed(Embed {
            dimensions: config.hidden,
            pooling: sentence.pooling,
            normalize: sentence.normalize,
        }),
    })
}
