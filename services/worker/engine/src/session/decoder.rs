//! A decoder's session: reads some tokens of a sequence into its cache and gives the logits after the last
//! one.

use std::{collections::BTreeMap, path::Path};

use ort::{
    memory::{Allocator, MemoryInfo},
    session::{IoBinding, Session, SessionInputValue},
    value::{DynTensor, DynValue, Outlet, Tensor},
};

use super::{
    Opened,
    cache::{Cache, Layouts, Store},
    open,
    tensor::{self, Layout, last_row},
};
use crate::{
    Config, Error,
    manifest::{Generate, GraphNames, Manifest},
};

/// Fewest tokens that a step should read of a sequence that has as many.
///
/// ONNX Runtime multiplies a single row by other kernels than several rows, which round otherwise: with 8-bit
/// weights a logit differs by half a unit, enough to change a greedy text. Several rows give the same bits
/// whatever their number. So nobody reads a single token: the one before it is read again. That costs a tenth
/// of a decoding step at short contexts and half of it at 2000 tokens, where attention outweighs the rest, and
/// buys texts that don't depend on how they were cut into steps: read in chunks, taken over from another
/// engine, or begun in a reused cache.
pub(crate) const LEAST_TOKENS: usize = 2;

/// A model that writes text.
#[derive(Debug)]
pub(crate) struct Decoder {
    session: Session,
    nodes: BTreeMap<String, usize>,
    /// Names of the graph's values, the layers' in the order of the cache's tensors.
    names: Names,
    layouts: Layouts,
    shared: bool,
    context: usize,
    vocab: usize,
    logits: Vec<f32>,
}

#[derive(Debug)]
struct Names {
    graph: GraphNames,
    past: Vec<String>,
    present: Vec<String>,
}

impl Names {
    fn new(model: &Generate) -> Self {
        let graph = model.names.clone();
        let spell = |key: &str, value: &str| {
            (0..model.layers)
                .flat_map(|layer| [key, value].map(|name| name.replace("%d", &layer.to_string())))
                .collect()
        };
        Self {
            past: spell(&graph.past_key, &graph.past_value),
            present: spell(&graph.present_key, &graph.present_value),
            graph,
        }
    }
}

impl Decoder {
    /// Opens the folder's graph and checks it against its manifest.
    pub(crate) fn open(
        folder: &Path,
        manifest: &Manifest,
        model: &Generate,
        config: &Config,
    ) -> Result<Self, Error> {
        let Opened { session, nodes } = open(folder, manifest, config)?;
        let names = Names::new(model);
        let wrong = |reason: String| Error::Folder { path: folder.join(&manifest.graph), reason };
        check_names(&session, &names).map_err(wrong)?;
        let element = names
            .past
            .first()
            .and_then(|name| find(session.inputs(), name))
            .and_then(|past| past.dtype().tensor_type());
        let element =
            element.ok_or_else(|| wrong("has no layers, or a past that is no tensor".to_owned()))?;
        let layouts = Layouts {
            layout: Layout { element, heads: model.kv_heads, head_dim: model.head_dim },
            count: names.past.len(),
            allocator: tensor::allocator(&session, config.provider)?,
            grows: config.provider.device().is_none(),
        };
        let (context, vocab) = (manifest.context_tokens, manifest.vocab);
        Ok(Self {
            session,
            nodes,
            names,
            layouts,
            shared: model.shared_kv,
            context,
            vocab,
            logits: Vec::with_capacity(vocab),
        })
    }

    /// How many nodes of the graph each provider runs.
    pub(crate) fn nodes(&self) -> &BTreeMap<String, usize> {
        &self.nodes
    }

    /// An empty cache; memory comes with the first tokens.
    pub(crate) fn cache(&self) -> Result<Cache, Error> {
        let store = if self.shared {
            Store::InPlace { binding: Box::new(self.session.create_binding()?), tensors: Vec::new() }
        } else {
            Store::Swapped { past: Vec::new() }
        };
        Ok(Cache { length: 0, store })
    }

    /// Forgets the cache's positions from `length` on, and perhaps more.
    pub(crate) fn truncate(&self, cache: &mut Cache, length: usize) -> Result<(), Error> {
        cache.truncate(length, &self.layouts)
    }

    /// Reads `tokens`, which follow what the cache holds, and returns the logits after the last of them.
    ///
    /// After an error the cache's content means nothing.
    pub(crate) fn run(&mut self, cache: &mut Cache, tokens: &[u32]) -> Result<&[f32], Error> {
        let total = cache.length + tokens.len();
        let fresh = cache.reserve(total, self.context, &self.layouts)?;
        self.logits.clear();
        match &mut cache.store {
            Store::InPlace { binding, tensors } => {
                if fresh {
                    bind_cache(binding, &self.names, tensors)?;
                }
                self.run_bound(binding, cache.length, tokens)?;
            }
            Store::Swapped { past } => self.run_swapped(past, cache.length, tokens)?,
        }
        cache.length = total;
        Ok(&self.logits)
    }

    fn run_bound(&mut self, binding: &mut IoBinding, held: usize, tokens: &[u32]) -> Result<(), Error> {
        let logits = self.names.graph.logits.as_str();
        for (name, tensor) in inputs(&self.names.graph, held, tokens)? {
            binding.bind_input(name, &tensor)?;
        }
        // Bound anew each time: a bound output keeps the last run's tensor, and its shape.
        binding.bind_output_to_device(logits, &MemoryInfo::default())?;
        let outputs = self.session.run_binding(binding)?;
        last_row(&outputs[logits], self.vocab, &mut self.logits)
    }

    fn run_swapped(&mut self, past: &mut Vec<DynValue>, held: usize, tokens: &[u32]) -> Result<(), Error> {
        if past.is_empty() {
            let empty = |_| Ok(self.layouts.layout.tensor(&Allocator::default(), 0)?.into_dyn());
            *past = (0..self.layouts.count).map(empty).collect::<Result<_, Error>>()?;
        }
        let inputs = inputs(&self.names.graph, held, tokens)?;
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len() + past.len());
        values.extend(inputs.into_iter().map(|(name, tensor)| (name, SessionInputValue::from(tensor))));
        values.extend(
            self.names
                .past
                .iter()
                .zip(past.iter())
                .map(|(name, value)| (name.as_str(), SessionInputValue::from(value))),
        );
        let mut outputs = self.session.run(values)?;
        last_row(&outputs[self.names.graph.logits.as_str()], self.vocab, &mut self.logits)?;
        let missing = || Error::Runtime("a present output is missing".to_owned());
        *past = self
            .names
            .present
            .iter()
            .map(|name| outputs.remove(name).ok_or_else(missing))
            .collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// Name and value of one input.
type Input<'a> = (&'a str, DynTensor);

/// Ids, mask and, if the graph wants them, positions.
fn inputs<'a>(names: &'a GraphNames, held: usize, tokens: &[u32]) -> Result<Vec<Input<'a>>, Error> {
    let row = |values: Vec<i64>| Ok::<_, Error>(Tensor::from_array(([1, values.len()], values))?.upcast());
    let mut inputs = vec![
        (names.input_ids.as_str(), row(tokens.iter().map(|token| i64::from(*token)).collect())?),
        (names.attention_mask.as_str(), row(vec![1; held + tokens.len()])?),
    ];
    if let Some(name) = &names.position_ids {
        inputs.push((name, row((held..held + tokens.len()).map(|at| at as i64).collect())?));
    }
    Ok(inputs)
}

fn bind_cache(binding: &mut IoBinding, names: &Names, tensors: &mut [DynTensor]) -> Result<(), Error> {
    for ((past, present), tensor) in names.past.iter().zip(&names.present).zip(tensors) {
        binding.bind_input(past, &*tensor)?;
        binding.bind_output(present, tensor)?;
    }
    Ok(())
}

fn find<'a>(outlets: &'a [Outlet], name: &str) -> Option<&'a Outlet> {
    outlets.iter().find(|outlet| outlet.name() == name)
}

/// Every name of the manifest must be in the graph, and every input of the graph in the manifest.
fn check_names(session: &Session, names: &Names) -> Result<(), String> {
    let graph = &names.graph;
    let fed: Vec<&str> = [Some(&graph.input_ids), Some(&graph.attention_mask), graph.position_ids.as_ref()]
        .into_iter()
        .flatten()
        .chain(&names.past)
        .map(String::as_str)
        .collect();
    let lacks = |kind: &str, name: &str| format!("the graph has no {kind} `{name}` that the manifest names");
    if let Some(name) = fed.iter().find(|name| find(session.inputs(), name).is_none()) {
        return Err(lacks("input", name));
    }
    if let Some(name) = std::iter::once(&graph.logits)
        .chain(&names.present)
        .find(|name| find(session.outputs(), name).is_none())
    {
        return Err(lacks("output", name));
    }
    match session.inputs().iter().find(|input| !fed.contains(&input.name())) {
        Some(input) => {
            Err(format!("the graph wants an input `{}` that the manifest does not name", input.name()))
        }
        None => Ok(()),
    }
}
