//! `config.json` of a BERT encoder.

use std::path::Path;

use serde::Deserialize;

use super::super::Error;
use super::super::folder::read_json;

/// What an encoder's graph depends on, under the names of `config.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Config {
    model_type: String,
    #[serde(rename = "hidden_size")]
    pub(super) hidden: usize,
    #[serde(rename = "num_attention_heads")]
    pub(super) heads: usize,
    #[serde(rename = "num_hidden_layers")]
    pub(super) layers: usize,
    #[serde(rename = "intermediate_size")]
    pub(super) intermediate: usize,
    #[serde(rename = "vocab_size")]
    pub(super) vocab: usize,
    #[serde(rename = "type_vocab_size")]
    pub(super) types: usize,
    #[serde(rename = "max_position_embeddings")]
    pub(super) context_tokens: usize,
    #[serde(rename = "layer_norm_eps")]
    pub(super) epsilon: f32,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl Config {
    /// Reads the configuration in `folder`.
    ///
    /// # Errors
    /// When it is missing, or describes something other than a plain BERT.
    pub(super) fn read(folder: &Path) -> Result<Config, Error> {
        let config: Config = read_json(&folder.join("config.json"))?;
        let expected = [
            ("model_type", &config.model_type, "bert"),
            ("hidden_act", &config.hidden_act, "gelu"),
            ("position_embedding_type", &config.position_embedding_type, "absolute"),
        ];
        for (key, found, wanted) in expected {
            if found != wanted {
                return Err(Error::Unsupported(format!("{key} {found:?} of an encoder ({wanted} is read)")));
            }
        }
        if config.heads == 0 || !config.hidden.is_multiple_of(config.heads) {
            let problem = format!("{} numbers don't divide among {} heads", config.hidden, config.heads);
            return Err(Error::source("config.json, num_attention_heads", problem));
        }
        Ok(config)
    }
}
