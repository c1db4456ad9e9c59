//! ONNX Runtime sessions: opening a model's graph, and running it as a decoder or as an encoder.

mod cache;
mod decoder;
mod encoder;
mod tensor;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ort::session::{Session, builder::GraphOptimizationLevel};

use crate::{Config, Error, Provider, manifest::Manifest, placement, runtime};

pub(crate) use cache::Cache;
pub(crate) use decoder::{Decoder, LEAST_TOKENS};
pub(crate) use encoder::Encoder;

/// A session, and how many nodes of its graph each provider runs.
struct Opened {
    session: Session,
    nodes: BTreeMap<String, usize>,
}

/// Opens the graph of the model in `folder`, on the provider that the configuration asks for and on no other.
fn open(folder: &Path, manifest: &Manifest, config: &Config) -> Result<Opened, Error> {
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
        .map_err(|error| refused(config.provider, graph, error.message()))?;
    let placed = placement::read(&session)?;
    placement::check(config.provider, &placed)?;
    tracing::debug!(model = manifest.id, nodes = ?placement::counts(&placed), "session");
    Ok(Opened { session, nodes: placement::counts(&placed) })
}

/// On the CPU only the graph can be at fault; elsewhere the device is the likelier one.
fn refused(provider: Provider, graph: PathBuf, words: &str) -> Error {
    match provider {
        Provider::Cpu => Error::Folder { path: graph, reason: words.to_owned() },
        _ => Error::Provider { provider, missing: format!("no session of {}: {words}", graph.display()) },
    }
}
