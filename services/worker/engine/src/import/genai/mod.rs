//! Model folders of onnxruntime-genai: the graph stays as it was published, its files linked where the disk allows.
mod config;
mod graph;

use std::path::Path;

use super::progress::{Meter, Stage};
use super::published::{self, TokenizerConfig};
use super::{Error, Options};
use crate::manifest::{FORMAT_VERSION, Generate, GraphNames, Manifest, Task, Weights};

pub(crate) use config::CONFIG_FILE;
use config::{Config, Decoder};

/// Writes the model in `source` into `folder`, all but the manifest.
///
/// # Errors
/// When the configuration, the graph and the files don't fit together, or it isn't a plain decoder.
pub(crate) fn write(
    source: &Path,
    folder: &Path,
    id: String,
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Manifest, Error> {
    if options.weights.is_some() {
        return Err(Error::Unsupported(
            "other weights than the published ones in an onnxruntime-genai folder".to_owned(),
        ));
    }
    let Config { model, search } = Config::read(source)?;
    let decoder = &model.decoder;
    let outline = graph::Outline::read(&source.join(&decoder.filename))?;
    let names = names(decoder, &outline)?;
    meter.begin(Stage::Tokenizer, 1);
    let tokenizer = published::write_tokenizer(source, folder)?;
    let tokens = TokenizerConfig::read(source)?;
    tokens.write_template(source, folder)?;
    place(&outline.files, source, folder, meter)?;
    let generate = Generate {
        layers: decoder.num_hidden_layers,
        kv_heads: decoder.num_key_value_heads,
        head_dim: decoder.head_size,
        shared_kv: search.past_present_share_buffer,
        bos: published::leading_token(&tokenizer, model.bos_token_id),
        eos: model.eos_token_id.as_slice().to_vec(),
        template_tokens: tokens.template_tokens(),
        names,
    };
    Ok(Manifest {
        format: FORMAT_VERSION,
        source: format!("onnxruntime-genai {id}"),
        id,
        license: None,
        graph: decoder.filename.clone(),
        weights: Weights::AsPublished,
        context_tokens: model.context_length.min(options.context_tokens_max.unwrap_or(usize::MAX)),
        vocab: model.vocab_size,
        task: Task::Generate(generate),
    })
}

/// The graph's own names, each of them found in it.
fn names(decoder: &Decoder, outline: &graph::Outline) -> Result<GraphNames, Error> {
    let Decoder { inputs, outputs, num_hidden_layers: layers, .. } = decoder;
    outline.require_input(&inputs.input_ids)?;
    outline.require_input(&inputs.attention_mask)?;
    outline.require_output(&outputs.logits)?;
    for layer in 0..*layers {
        let spelt = |pattern: &str| pattern.replace("%d", &layer.to_string());
        outline.require_input(&spelt(&inputs.past_key_names))?;
        outline.require_input(&spelt(&inputs.past_value_names))?;
        outline.require_output(&spelt(&outputs.present_key_names))?;
        outline.require_output(&spelt(&outputs.present_value_names))?;
    }
    Ok(GraphNames {
        input_ids: inputs.input_ids.clone(),
        attention_mask: inputs.attention_mask.clone(),
        // The configuration names it for every model; only some graphs have it.
        position_ids: Some(inputs.position_ids.clone()).filter(|name| outline.has_input(name)),
        past_key: inputs.past_key_names.clone(),
        past_value: inputs.past_value_names.clone(),
        present_key: outputs.present_key_names.clone(),
        present_value: outputs.present_value_names.clone(),
        logits: outputs.logits.clone(),
    })
}

/// Puts the graph's files into `folder`: by a link, or a copy where the disks differ.
fn place(files: &[String], source: &Path, folder: &Path, meter: &mut Meter<'_>) -> Result<(), Error> {
    meter.begin(Stage::Files, files.len() as u64);
    for name in files {
        // A link of a link would break with it.
        let from = source.join(name).canonicalize().map_err(Error::io(&source.join(name)))?;
        let to = folder.join(name);
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).map_err(Error::io(&from))?;
        }
        meter.advance(1);
    }
    Ok(())
}
