//! The outline of a published graph: its inputs, its outputs, and the files that hold its weights.
//!
//! Only these fields are decoded; the rest, which may be gigabytes, is skipped over in the mapped file.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use memmap2::Mmap;
use prost::Message;

use super::super::Error;
use super::super::onnx::proto::{LOCATION_EXTERNAL, StringStringEntryProto};

/// What is known of a graph.
#[derive(Debug)]
pub(super) struct Outline {
    inputs: HashSet<String>,
    outputs: HashSet<String>,
    /// Names of the graph's file and of those that it refers to.
    pub(super) files: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Initializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Name>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Name>,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<StringStringEntryProto>,
    #[prost(int32, optional, tag = "14")]
    data_location: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

impl Outline {
    /// Reads the graph at `path`.
    ///
    /// # Errors
    /// When it isn't an ONNX model, or refers to files outside its folder.
    pub(super) fn read(path: &Path) -> Result<Outline, Error> {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only and private to us; that nobody truncates a model file while it is being imported
        // is taken on trust.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let wrong = |problem: String| Error::source(path.display().to_string(), problem);
        let model = Model::decode(&map[..]).map_err(|error| wrong(format!("is no ONNX model: {error}")))?;
        let graph = model.graph.ok_or_else(|| wrong("is no ONNX model: it has no graph".to_owned()))?;
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = BTreeSet::from([own]);
        for location in graph.initializer.iter().filter_map(Initializer::location) {
            if Path::new(location).file_name() != Some(location.as_ref()) {
                return Err(wrong(format!("keeps weights in {location:?}, which is not a file beside it")));
            }
            files.insert(location.to_owned());
        }
        let names = |all: Vec<Name>| all.into_iter().map(|Name { name }| name).collect();
        Ok(Outline {
            inputs: names(graph.input),
            outputs: names(graph.output),
            files: files.into_iter().collect(),
        })
    }

    pub(super) fn has_input(&self, name: &str) -> bool {
        self.inputs.contains(name)
    }

    pub(super) fn require_input(&self, name: &str) -> Result<(), Error> {
        require(&self.inputs, "input", name)
    }

    pub(super) fn require_output(&self, name: &str) -> Result<(), Error> {
        require(&self.outputs, "output", name)
    }
}

impl Initializer {
    fn location(&self) -> Option<&str> {
        let external = self.data_location == Some(LOCATION_EXTERNAL);
        let entry = self.external_data.iter().find(|entry| external && entry.key == "location");
        entry.map(|entry| entry.value.as_str())
    }
}

fn require(names: &HashSet<String>, what: &str, name: &str) -> Result<(), Error> {
    if names.contains(name) {
        return Ok(());
    }
    Err(Error::source(
        "genai_config.json",
        format!("names the {what} {name:?}, which the graph doesn't have"),
    ))
}
