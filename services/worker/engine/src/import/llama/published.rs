//! Decoders as transformers publishes them: `config.json`, safetensors under its own names, tokenizer and template beside.

use std::path::Path;

use serde::Deserialize;

use super::super::Error;
use super::super::checkpoint::Checkpoint;
use super::super::folder::{OneOrMany, read_json, read_json_if_there};
use super::super::tensor::Tensor;
use super::super::tensors::Tensors;
use super::config::Config;
use super::rope::{Llama3, Scaling};

/// `config.json`; names are the file's own.
#[derive(Debug, Deserialize)]
pub(crate) struct Published {
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    hidden_act: String,
    rope_theta: Option<f64>,
    #[serde(alias = "rope_parameters")]
    rope_scaling: Option<Rope>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    use_sliding_window: bool,
    pub(crate) bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMany>,
}

#[derive(Debug, Deserialize)]
struct Rope {
    #[serde(alias = "type")]
    rope_type: String,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    #[serde(flatten)]
    rest: serde_json::Value,
}

#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<OneOrMany>,
}

impl Published {
    /// Reads the configuration in `folder`.
    ///
    /// # Errors
    /// When it lacks something.
    pub(crate) fn read(folder: &Path) -> Result<Published, Error> {
        read_json(&folder.join("config.json"))
    }

    /// Ids of the tokens that end a text, by this file and `generation_config.json`.
    pub(crate) fn ends(&self, folder: &Path) -> Result<Vec<u32>, Error> {
        let generation: Option<Generation> = read_json_if_there(&folder.join("generation_config.json"))?;
        let more = generation.and_then(|generation| generation.eos_token_id);
        let mut ends: Vec<u32> =
            more.iter().chain(&self.eos_token_id).flat_map(OneOrMany::as_slice).copied().collect();
        let mut seen = std::collections::HashSet::new();
        ends.retain(|&id| seen.insert(id));
        if ends.is_empty() {
            return Err(Error::source("config.json, eos_token_id", "is missing: nothing ends a text"));
        }
        Ok(ends)
    }

    /// What the graph depends on.
    ///
    /// # Errors
    /// When the model is of a kind that the graph can't be built for.
    pub(crate) fn config(&self, context_tokens_max: Option<usize>) -> Result<Config, Error> {
        if self.hidden_act != "silu" || self.use_sliding_window {
            let what = if self.use_sliding_window { "a sliding window" } else { &self.hidden_act };
            return Err(Error::Unsupported(format!("a decoder with {what}")));
        }
        let heads = self.num_attention_heads.max(1);
        let head_dim = self.head_dim.unwrap_or(self.hidden_size / heads);
        let rope = self.rope_scaling.as_ref();
        let rope_base = self.rope_theta.or(rope.and_then(|rope| rope.rope_theta)).unwrap_or(10_000.0);
        let (rope_scaling, rope_factors) =
            rope.map_or(Ok((Scaling::None, Vec::new())), |rope| rope.read(head_dim, rope_base))?;
        let config = Config {
            layers: self.num_hidden_layers,
            hidden: self.hidden_size,
            heads,
            kv_heads: self.num_key_value_heads.unwrap_or(heads).max(1),
            head_dim,
            feed_forward: self.intermediate_size,
            vocab: self.vocab_size,
            context_tokens: self.max_position_embeddings.min(context_tokens_max.unwrap_or(usize::MAX)),
            epsilon: self.rms_norm_eps,
            rope_base,
            rope_scaling,
            rope_factors,
            interleaved: false,
        };
        config.check()?;
        Ok(config)
    }

    /// The checkpoint in `folder` under the names that the graph asks for.
    ///
    /// # Errors
    /// When it isn't sound.
    pub(crate) fn tensors(&self, folder: &Path) -> Result<Renamed, Error> {
        let checkpoint = Checkpoint::open(folder)?;
        Ok(Renamed { checkpoint, tied: self.tie_word_embeddings })
    }
}

impl Rope {
    fn read(&self, head_dim: usize, base: f64) -> Result<(Scaling, Vec<f32>), Error> {
        let lacking = |what: String| Error::source("config.json, rope_scaling", what);
        match self.rope_type.as_str() {
            "default" => Ok((Scaling::None, Vec::new())),
            "linear" => {
                let factor = self.factor.ok_or_else(|| lacking("has no factor".to_owned()))?;
                Ok((Scaling::Linear(factor), Vec::new()))
            }
            "llama3" => {
                let mut all = self.rest.clone();
                all["factor"] = self.factor.into();
                let scaling: Llama3 =
                    serde_json::from_value(all).map_err(|error| lacking(error.to_string()))?;
                Ok((Scaling::None, scaling.factors(head_dim, base)))
            }
            other => Err(Error::Unsupported(format!(
                "rotary scaling {other:?} (default, linear and llama3 are read)"
            ))),
        }
    }
}

/// A checkpoint whose tensors answer to GGUF's names.
#[derive(Debug)]
pub(crate) struct Renamed {
    checkpoint: Checkpoint,
    tied: bool,
}

impl Tensors for Renamed {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        if self.tied && name == "output.weight" {
            return None;
        }
        self.checkpoint.tensor(&published_name(name)?)
    }

    fn shown(&self, name: &str) -> String {
        published_name(name).unwrap_or_else(|| name.to_owned())
    }

    fn names(&self) -> Vec<&str> {
        self.checkpoint.names()
    }

    fn weights(&self) -> u64 {
        self.checkpoint.weights()
    }
}

fn published_name(name: &str) -> Option<String> {
    let whole = match name {
        "token_embd.weight" => "model.embed_tokens.weight",
        "output_norm.weight" => "model.norm.weight",
        "output.weight" => "lm_head.weight",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(whole.to_owned());
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let part = match part {
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_norm" => "input_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    Some(format!("model.layers.{layer}.{part}.{kind}"))
}
