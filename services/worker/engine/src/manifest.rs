//! The model folder: what an importer writes and a session loads.
//!
//! | file | what |
//! |---|---|
//! | `model.json` | this manifest |
//! | `model.onnx`, `model.onnx.data` | the graph, its weights external |
//! | `tokenizer.json` | the tokenizer, as crate `tokenizers` reads it |
//! | `chat_template.jinja` | the model's own chat template, when it has one |

use serde::{Deserialize, Serialize};

/// File name of the manifest inside a model folder.
pub const MANIFEST_FILE: &str = "model.json";
/// File name of a graph that we wrote ourselves.
pub const GRAPH_FILE: &str = "model.onnx";
/// File name of such a graph's weights.
pub const DATA_FILE: &str = "model.onnx.data";
/// File name of the tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// File name of the chat template.
pub const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";
/// Version of this format; a folder of another version is refused with a hint to import again.
pub const FORMAT_VERSION: u32 = 1;

/// What a model folder says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// The model's id as callers name it: letters, digits, `-` and `_` (it becomes a subject token).
    pub id: String,
    /// Where it came from, for people (`GGUF smollm2-135m-instruct Q4_1`).
    pub source: String,
    /// SPDX licence id or the publisher's own name for it, when the source says one.
    pub license: Option<String>,
    /// File name of the graph inside the folder.
    pub graph: String,
    /// How weights are stored.
    pub weights: Weights,
    /// Longest sequence, prompt and output together, in tokens.
    pub context_tokens: usize,
    /// Number of entries in the vocabulary (width of the logits).
    pub vocab: usize,
    /// What the model does, with what is specific to it.
    pub task: Task,
}

/// How the weights of the heavy matrix products are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// 32-bit floats.
    Fp32,
    /// `MatMulNBits`, 8 bits, blocks of 32.
    Int8,
    /// As the source published it (an onnxruntime-genai folder keeps its own graph).
    AsPublished,
}

/// What the model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one manifest a model")]
pub enum Task {
    /// Writes text, token by token.
    Generate(Generate),
    /// Turns text into vectors.
    Embed(Embed),
}

/// A decoder with past/present key-value inputs of shape `[batch, kv_heads, positions, head_dim]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// Number of transformer layers.
    pub layers: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Whether past and present may be one buffer of `context_tokens` positions, written in place.
    pub shared_kv: bool,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
    /// Token put before every prompt, when the model wants one. Prompts are tokenised without the tokenizer's own special
    /// tokens, so nothing else adds it.
    pub bos: Option<u32>,
    /// Texts that the chat template may write by name.
    #[serde(default)]
    pub template_tokens: TemplateTokens,
    /// Names of the graph's inputs and outputs.
    pub names: GraphNames,
}

/// Special tokens as text: what a chat template means by `bos_token` and `eos_token`. A rendered chat already holds its
/// `bos_token`, so it is tokenised without [`Generate::bos`] in front.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateTokens {
    /// Text of the token that begins a text.
    pub bos: Option<String>,
    /// Text of the token that ends a text.
    pub eos: Option<String>,
}

/// Names of a decoder's inputs and outputs; `%d` stands for the layer's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphNames {
    /// Token ids, `i64 [batch, tokens]`.
    pub input_ids: String,
    /// Mask over past and present, `i64 [batch, positions]`.
    pub attention_mask: String,
    /// Position ids, `i64 [batch, tokens]`, when the graph wants them.
    pub position_ids: Option<String>,
    /// Keys of the past.
    pub past_key: String,
    /// Values of the past.
    pub past_value: String,
    /// Keys with the present appended.
    pub present_key: String,
    /// Values with the present appended.
    pub present_value: String,
    /// Logits, `f32 [batch, 1 or tokens, vocab]`.
    pub logits: String,
}

/// An encoder whose token vectors are pooled into one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embed {
    /// Length of a vector.
    pub dimensions: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether vectors are scaled to length one.
    pub normalize: bool,
}

/// How token vectors become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the tokens that are not padding.
    Mean,
    /// The first token's vector.
    Cls,
}
