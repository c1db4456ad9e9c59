//! ONNX Runtime sessions: opening a model's graph, and running it as a decoder or as an encoder.

mod cache;
mod decoder;
mod encoder;
mod tensor;

use std::path::Path;

use ort::session::{Session, builder::GraphOptimizationLevel};

use crate::{Config, Error, manifest::Manifest, placement, runtime};

pub(crate) use cache::Cache;
pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;

/// Opens the graph of the model in `folder`, on the provider that the configuration asks for and on no other.
fn open(folder: &Path, manifest: &Manifest, config: &Config) -> Result<Session, Error> {
    let environment = runtime::environment(config.library.as_deref())?;
    let graph = folder.join(&manifest.graph);
    let builder = config.provider.register(Session::builder(&environment)?)?;
    let session = builder
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(config.threads)?
        // A spinning pool takes the core that the next model, or the bus, needs.
        .with_intra_op_spinning(false)?
        // Sequences grow by one a step: a memory plan for each length would only fill memory.
        .with_memory_pattern(false)?
        .with_config_entry(placement::RECORD_OPTION.0, placement::RECORD_OPTION.1)?
        .commit_from_file(&graph)
        .map_err(|error| Error::Folder { path: graph, reason: error.message().to_owned() })?;
    placement::check(config.provider, &placement::read(&session)?)?;
    Ok(session)
}
