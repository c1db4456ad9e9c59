//! `genai_config.json`, as far as a plain decoder goes; names are the file's own.

use std::path::Path;

use serde::Deserialize;

use super::super::Error;
use super::super::folder::{OneOrMany, read_json};

/// The file that makes a folder one of onnxruntime-genai's.
pub(crate) const CONFIG_FILE: &str = "genai_config.json";

#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) model: Model,
    #[serde(default)]
    pub(super) search: Search,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) bos_token_id: Option<u32>,
    pub(super) eos_token_id: OneOrMany,
    pub(super) context_length: usize,
    pub(super) vocab_size: usize,
    pub(super) decoder: Decoder,
    vision: Option<serde_json::Value>,
    speech: Option<serde_json::Value>,
    encoder: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Decoder {
    pub(super) filename: String,
    pub(super) head_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_key_value_heads: usize,
    #[serde(default)]
    pub(super) inputs: Inputs,
    #[serde(default)]
    pub(super) outputs: Outputs,
}

/// Names of inputs; those left out are the library's usual ones.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Inputs {
    pub(super) input_ids: String,
    pub(super) attention_mask: String,
    pub(super) position_ids: String,
    pub(super) past_key_names: String,
    pub(super) past_value_names: String,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs {
            input_ids: "input_ids".to_owned(),
            attention_mask: "attention_mask".to_owned(),
            position_ids: "position_ids".to_owned(),
            past_key_names: "past_key_values.%d.key".to_owned(),
            past_value_names: "past_key_values.%d.value".to_owned(),
        }
    }
}

/// Names of outputs; those left out are the library's usual ones.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Outputs {
    pub(super) logits: String,
    pub(super) present_key_names: String,
    pub(super) present_value_names: String,
}

impl Default for Outputs {
    fn default() -> Self {
        Outputs {
            logits: "logits".to_owned(),
            present_key_names: "present.%d.key".to_owned(),
            present_value_names: "present.%d.value".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    pub(super) past_present_share_buffer: bool,
}

impl Config {
    /// Reads the configuration in `folder`.
    ///
    /// # Errors
    /// When it lacks something, or describes more than a decoder.
    pub(super) fn read(folder: &Path) -> Result<Config, Error> {
        let config: Config = read_json(&folder.join(CONFIG_FILE))?;
        let model = &config.model;
        let others = [("vision", &model.vision), ("speech", &model.speech), ("encoder", &model.encoder)];
        if let Some((part, _)) = others.iter().find(|(_, value)| value.is_some()) {
            return Err(Error::Unsupported(format!("an onnxruntime-genai model with a {part} part")));
        }
        if Path::new(&model.decoder.filename).file_name() != Some(model.decoder.filename.as_ref()) {
            let problem = format!("{:?} is not the name of a file beside it", model.decoder.filename);
            return Err(Error::source("genai_config.json, model.decoder.filename", problem));
        }
        Ok(config)
    }
}
