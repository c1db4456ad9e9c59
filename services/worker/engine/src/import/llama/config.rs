//! Hyper-parameters of a decoder, read from GGUF metadata and checked before anything is built on them.

use std::collections::BTreeMap;

use super::super::Error;
use super::super::gguf::{File, Value};
use super::super::tensors::Tensors;
use super::rope::Scaling;

/// Most layers, heads and such that a sane file names; beyond it the file is damaged.
const COUNT_MAX: usize = 1 << 20;

/// Parameters that would change the graph.
const VARIANTS: [&str; 6] = [
    "expert_count",
    "attention.sliding_window",
    "attention.scale",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
];
/// What the attention operator asks of a head's width.
const HEAD_DIM_MULTIPLE: usize = 16;

/// What a decoder's graph depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) feed_forward: usize,
    pub(crate) vocab: usize,
    /// The context that the model was made for, or less when a cap was asked for.
    pub(crate) context_tokens: usize,
    pub(crate) epsilon: f32,
    pub(crate) rope_base: f64,
    pub(crate) rope_scaling: Scaling,
    /// What each rotary frequency is divided by; empty for nothing.
    pub(crate) rope_factors: Vec<f32>,
    /// Whether the file interleaves rotary pairs (llama) or keeps halves (the others).
    pub(crate) interleaved: bool,
}

impl Config {
    /// Reads the hyper-parameters of `file`, whose context is capped at `context_tokens_max`.
    ///
    /// # Errors
    /// When the architecture isn't one of ours, or a parameter is missing or impossible.
    pub(crate) fn read(file: &File, context_tokens_max: Option<usize>) -> Result<Config, Error> {
        let keys = Keys::of(file)?;
        keys.refuse_variants()?;
        let (hidden, heads) = (keys.count("embedding_length")?, keys.count("attention.head_count")?);
        let context_tokens = keys.count("context_length")?;
        let head_dim = keys.count_or("attention.key_length", hidden / heads)?;
        let config = Config {
            layers: keys.count("block_count")?,
            hidden,
            heads,
            kv_heads: keys.count_or("attention.head_count_kv", heads)?,
            head_dim,
            feed_forward: keys.count("feed_forward_length")?,
            vocab: vocabulary(file)?,
            context_tokens: context_tokens_max.map_or(context_tokens, |most| most.min(context_tokens)),
            epsilon: keys.number("attention.layer_norm_rms_epsilon", None)? as f32,
            rope_base: keys.number("rope.freq_base", Some(10_000.0))?,
            rope_scaling: keys.rope_scaling()?,
            rope_factors: rope_factors(file, head_dim)?,
            interleaved: keys.architecture == "llama",
        };
        config.check()?;
        config.check_widths(&keys)?;
        Ok(config)
    }

    /// What holds wherever a configuration comes from.
    ///
    /// # Errors
    /// When heads don't fit together, or not the operator.
    pub(super) fn check(&self) -> Result<(), Error> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let problem = format!("{} heads can't share {} key-value heads", self.heads, self.kv_heads);
            return Err(Error::source("attention heads", problem));
        }
        if !self.head_dim.is_multiple_of(HEAD_DIM_MULTIPLE) {
            let needed =
                format!("heads of width {} (a multiple of {HEAD_DIM_MULTIPLE} is needed)", self.head_dim);
            return Err(Error::Unsupported(needed));
        }
        Ok(())
    }

    fn check_widths(&self, keys: &Keys<'_>) -> Result<(), Error> {
        let rotary = keys.count_or("rope.dimension_count", self.head_dim)?;
        let value = keys.count_or("attention.value_length", self.head_dim)?;
        if rotary != self.head_dim || value != self.head_dim {
            let widths = format!("key {}, value {value}, rotary {rotary}", self.head_dim);
            return Err(Error::Unsupported(format!("heads whose widths differ ({widths})")));
        }
        Ok(())
    }
}

/// The metadata of one architecture.
struct Keys<'a> {
    architecture: &'a str,
    metadata: &'a BTreeMap<String, Value>,
}

impl<'a> Keys<'a> {
    fn of(file: &'a File) -> Result<Keys<'a>, Error> {
        let metadata = file.metadata();
        let architecture = metadata.get("general.architecture").and_then(Value::as_str);
        match architecture {
            Some(architecture @ ("llama" | "qwen2" | "qwen3")) => Ok(Keys { architecture, metadata }),
            Some(other) => {
                Err(Error::Unsupported(format!("architecture {other:?} (llama, qwen2 and qwen3 are read)")))
            }
            None => Err(Error::source(
                "general.architecture",
                "is missing: is this a model, or only a vocabulary?",
            )),
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.metadata.get(&self.name(key))
    }

    fn count(&self, key: &str) -> Result<usize, Error> {
        let value = self.value(key).ok_or_else(|| Error::source(self.name(key), "is missing"))?;
        let count = value.as_u64().and_then(|value| usize::try_from(value).ok());
        let sane = count.filter(|&count| count > 0 && (count <= COUNT_MAX || key == "context_length"));
        sane.ok_or_else(|| Error::source(self.name(key), format!("{value:?} is not a possible count")))
    }

    fn count_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        if self.value(key).is_some() { self.count(key) } else { Ok(default) }
    }

    fn number(&self, key: &str, default: Option<f64>) -> Result<f64, Error> {
        let Some(value) = self.value(key) else {
            return default.ok_or_else(|| Error::source(self.name(key), "is missing"));
        };
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        number.ok_or_else(|| Error::source(self.name(key), format!("{value:?} is not a positive number")))
    }

    /// Some models share an architecture's name but not its graph, and some files are parts of one.
    fn refuse_variants(&self) -> Result<(), Error> {
        for key in VARIANTS {
            if self.value(key).and_then(Value::as_f64).is_some_and(|value| value != 0.0) {
                return Err(Error::Unsupported(format!("a decoder with {}", self.name(key))));
            }
        }
        let parts = self.metadata.get("split.count").and_then(Value::as_u64).unwrap_or(1);
        if parts > 1 {
            return Err(Error::Unsupported(format!("a GGUF file in {parts} parts; merge them first")));
        }
        Ok(())
    }

    fn rope_scaling(&self) -> Result<Scaling, Error> {
        match self.value("rope.scaling.type").and_then(Value::as_str) {
            None if self.value("rope.scale_linear").is_some() => {
                Ok(Scaling::Linear(self.number("rope.scale_linear", None)?))
            }
            None | Some("none") => Ok(Scaling::None),
            Some("linear") => Ok(Scaling::Linear(self.number("rope.scaling.factor", None)?)),
            Some(other) => {
                Err(Error::Unsupported(format!("rotary scaling {other:?} (none and linear are read)")))
            }
        }
    }
}

/// The number of rows of the embedding: what the graph has, whatever the metadata say.
fn vocabulary(file: &File) -> Result<usize, Error> {
    let embedding = file.tensor("token_embd.weight");
    embedding.map(|tensor| tensor.rows).ok_or_else(|| Error::source("token_embd.weight", "is missing"))
}

/// Llama 3's scaling, which GGUF keeps as a tensor.
fn rope_factors(file: &File, head_dim: usize) -> Result<Vec<f32>, Error> {
    let tensors: &dyn Tensors = file;
    let Some(tensor) = tensors.optional_vector("rope_freqs.weight", head_dim / 2)? else {
        return Ok(Vec::new());
    };
    let mut factors = vec![0.0; head_dim / 2];
    tensor.read_row(0, &mut factors);
    Ok(factors)
}
