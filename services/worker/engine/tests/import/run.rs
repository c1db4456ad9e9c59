//! Imports into a temporary folder, and runs what came out through ONNX Runtime, without the engine.

use std::path::Path;
use std::sync::OnceLock;

use lowland_engine::import::{Logits, Options, Precision, import};
use lowland_engine::manifest::{Generate, Manifest, Task};
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use tempfile::TempDir;

/// An imported model in a folder that goes when this does.
pub(crate) struct Imported {
    pub(crate) folder: TempDir,
    pub(crate) manifest: Manifest,
}

impl Imported {
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("model")
    }

    pub(crate) fn generate(&self) -> &Generate {
        match &self.manifest.task {
            Task::Generate(generate) => generate,
            Task::Embed(_) => panic!("not a decoder"),
        }
    }

    pub(crate) fn session(&self) -> Session {
        let builder = Session::builder(environment()).expect("a session can be built");
        let mut builder = builder.with_intra_threads(2).expect("two threads are allowed");
        builder.commit_from_file(self.path().join(&self.manifest.graph)).expect("the graph loads")
    }
}

pub(crate) fn options(weights: Precision, logits: Logits) -> Options {
    Options { weights: Some(weights), logits, ..Options::default() }
}

pub(crate) fn imported(source: &Path, options: &Options) -> Imported {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let manifest = import(source, &folder.path().join("model"), options, &mut |_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    Imported { folder, manifest }
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(super::support::library()).expect("the library loads");
        builder.with_name("tests").with_telemetry(false).build().expect("the library starts")
    })
}

/// A decoder's cache after a step: each layer's keys and values, `[batch, heads, positions, width]`.
pub(crate) type Cache = Vec<(Vec<usize>, Vec<f32>)>;

/// A decoder that runs without sharing buffers.
pub(crate) struct Decoder<'a> {
    pub(crate) model: &'a Imported,
    pub(crate) session: Session,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(model: &'a Imported) -> Self {
        Decoder { model, session: model.session() }
    }

    pub(crate) fn empty(&self, batch: usize) -> Cache {
        let Generate { layers, kv_heads, head_dim, .. } = *self.model.generate();
        vec![(vec![batch, kv_heads, 0, head_dim], Vec::new()); 2 * layers]
    }

    /// Runs `rows`, padded to one length, whose masks (past and present) are `masks`; gives logits and the new cache.
    pub(crate) fn step(&mut self, rows: &[Vec<i64>], masks: &[Vec<i64>], past: &Cache) -> (Vec<f32>, Cache) {
        let names = &self.model.generate().names;
        let spelt = |pattern: &str, layer: usize| pattern.replace("%d", &layer.to_string());
        let mut inputs: Vec<(String, SessionInputValue<'_>)> =
            vec![(names.input_ids.clone(), matrix(rows)), (names.attention_mask.clone(), matrix(masks))];
        for (index, (shape, values)) in past.iter().enumerate() {
            let pattern = if index % 2 == 0 { &names.past_key } else { &names.past_value };
            inputs.push((spelt(pattern, index / 2), tensor(shape, values)));
        }
        let outputs = self.session.run(inputs).expect("the graph runs");
        let read = |name: &str| {
            let (shape, values) = outputs[name].try_extract_tensor::<f32>().expect("outputs are floats");
            (shape.iter().map(|&size| size as usize).collect::<Vec<_>>(), values.to_vec())
        };
        let cache = (0..past.len()).map(|index| {
            read(&spelt(if index % 2 == 0 { &names.present_key } else { &names.present_value }, index / 2))
        });
        (read(&names.logits).1, cache.collect())
    }

    /// Logits of one sequence read at once.
    pub(crate) fn read(&mut self, ids: &[i64]) -> Vec<f32> {
        let past = self.empty(1);
        self.step(&[ids.to_vec()], &[vec![1; ids.len()]], &past).0
    }
}

pub(crate) fn matrix(rows: &[Vec<i64>]) -> SessionInputValue<'static> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_array((shape, rows.concat())).expect("rows are of one length").into()
}

fn tensor(shape: &[usize], values: &[f32]) -> SessionInputValue<'static> {
    if values.is_empty() {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        return Tensor::<f32>::new(&Allocator::default(), shape).expect("an empty tensor").into();
    }
    Tensor::from_array((shape.to_vec(), values.to_vec())).expect("values fill the shape").into()
}

/// Largest distance between two lists of numbers.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
