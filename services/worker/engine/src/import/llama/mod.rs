//! Decoders of the Llama family: `llama`, `qwen2` (biased projections) and `qwen3` (normed queries and keys), from GGUF or
//! from a checkpoint as transformers publishes it.
mod attention;
mod config;
mod graph;
mod inventory;
mod published;
mod rope;

use std::path::Path;

use super::gguf::{File, OpenError, Value};
use super::onnx::{External, Graph};
use super::progress::{Meter, Stage};
use super::published::{TokenizerConfig, leading_token, write_tokenizer};
use super::tensors::Tensors;
use super::weights::Writer;
use super::{Error, Logits, Options, Precision, id, tokenizer};
use crate::manifest::{
    CHAT_TEMPLATE_FILE, DATA_FILE, FORMAT_VERSION, GRAPH_FILE, Generate, GraphNames, Manifest,
    TOKENIZER_FILE, Task, TemplateTokens,
};

use config::Config;
use published::Published;

/// Writes the model in the GGUF file at `path` into `folder`, all but the manifest.
///
/// # Errors
/// When the file isn't sound, isn't of the family, or the disk is full.
pub(crate) fn from_gguf(
    path: &Path,
    folder: &Path,
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Manifest, Error> {
    let file = File::open(path).map_err(|error| match error {
        OpenError::Io(source) => Error::Io { path: path.to_owned(), source },
        OpenError::Format(source) => Error::Gguf { path: path.to_owned(), source },
    })?;
    let text = |key: &str| file.metadata().get(key).and_then(Value::as_str);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let id = id::choose(options.id.as_deref(), text("general.name").unwrap_or(&stem))?;
    let config = Config::read(&file, options.context_tokens_max)?;
    meter.begin(Stage::Tokenizer, 1);
    let special = tokenizer::write(&file, &folder.join(TOKENIZER_FILE))?;
    if let Some(template) = text("tokenizer.chat_template") {
        let path = folder.join(CHAT_TEMPLATE_FILE);
        std::fs::write(&path, template).map_err(Error::io(&path))?;
    }
    write_graph(&file, &config, options, folder, meter)?;
    let tokens = TemplateTokens { bos: special.bos_text, eos: special.eos_text };
    let generate = generate(&config, special.bos, special.eos, tokens);
    let (source, license) = (format!("GGUF {stem}"), text("general.license").map(str::to_owned));
    Ok(manifest(&config, options, id, source, license, generate))
}

/// Writes the model in the folder `source` into `folder`, all but the manifest.
///
/// # Errors
/// When a file is missing or says something that isn't supported, or the disk is full.
pub(crate) fn from_checkpoint(
    source: &Path,
    folder: &Path,
    id: String,
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Manifest, Error> {
    let published = Published::read(source)?;
    let config = published.config(options.context_tokens_max)?;
    let tensors = published.tensors(source)?;
    meter.begin(Stage::Tokenizer, 1);
    let tokenizer = write_tokenizer(source, folder)?;
    let tokens = TokenizerConfig::read(source)?;
    tokens.write_template(source, folder)?;
    write_graph(&tensors, &config, options, folder, meter)?;
    let bos = leading_token(&tokenizer, published.bos_token_id);
    let generate = generate(&config, bos, published.ends(source)?, tokens.template_tokens());
    Ok(manifest(&config, options, id.clone(), format!("safetensors {id}"), None, generate))
}

fn write_graph(
    tensors: &dyn Tensors,
    config: &Config,
    options: &Options,
    folder: &Path,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    inventory::check(tensors, config.layers)?;
    meter.begin(Stage::Weights, tensors.weights());
    let external = External::create(folder, DATA_FILE).map_err(Error::io(folder))?;
    let mut writer = Writer::new(Graph::new(external), precision(options), meter);
    graph::Decoder { config, tensors, writer: &mut writer }.build(options.logits)?;
    let path = folder.join(GRAPH_FILE);
    writer.graph.finish(&path).map_err(Error::io(&path))
}

fn precision(options: &Options) -> Precision {
    options.weights.unwrap_or(Precision::Int8)
}

fn generate(config: &Config, bos: Option<u32>, eos: Vec<u32>, template_tokens: TemplateTokens) -> Generate {
    let Config { layers, kv_heads, head_dim, .. } = *config;
    Generate { layers, kv_heads, head_dim, shared_kv: true, eos, bos, template_tokens, names: names() }
}

fn manifest(
    config: &Config,
    options: &Options,
    id: String,
    source: String,
    license: Option<String>,
    generate: Generate,
) -> Manifest {
    Manifest {
        format: FORMAT_VERSION,
        id,
        source,
        license,
        graph: GRAPH_FILE.to_owned(),
        weights: precision(options).into(),
        context_tokens: config.context_tokens,
        vocab: config.vocab,
        task: Task::Generate(generate),
    }
}

/// What the inputs and outputs of our own graphs are called.
fn names() -> GraphNames {
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
