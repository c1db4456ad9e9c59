//! What sentence-transformers says beside the model: how token vectors become one, and how long a text may be.

use std::path::Path;

use serde::Deserialize;

use super::super::Error;
use super::super::folder::{read_json, read_json_if_there};
use crate::manifest::Pooling;

/// How an encoder is used for embeddings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sentence {
    pub(super) pooling: Pooling,
    pub(super) normalize: bool,
    pub(super) context_tokens: usize,
    pub(super) license: Option<String>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Modes {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

#[derive(Deserialize)]
struct Limits {
    max_seq_length: Option<usize>,
}

/// Reads `modules.json` and the files it points to. A folder without one is pooled by its mean and not normalised, as
/// sentence-transformers does it.
///
/// # Errors
/// When a module is of a kind that isn't supported, or a file is damaged.
pub(super) fn read(folder: &Path, positions: usize) -> Result<Sentence, Error> {
    let modules: Vec<Module> = read_json_if_there(&folder.join("modules.json"))?.unwrap_or_default();
    let limits: Option<Limits> = read_json_if_there(&folder.join("sentence_bert_config.json"))?;
    let limit = limits.and_then(|limits| limits.max_seq_length).unwrap_or(positions);
    let mut sentence = Sentence {
        pooling: Pooling::Mean,
        normalize: false,
        context_tokens: limit.min(positions),
        license: license(folder),
    };
    for module in &modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Pooling" => sentence.pooling = pooling(folder, &module.path)?,
            "Normalize" => sentence.normalize = true,
            other => return Err(Error::Unsupported(format!("module {other:?} in modules.json"))),
        }
    }
    Ok(sentence)
}

fn pooling(folder: &Path, path: &str) -> Result<Pooling, Error> {
    let modes: Modes = read_json(&folder.join(path).join("config.json"))?;
    let others = modes.pooling_mode_max_tokens || modes.pooling_mode_mean_sqrt_len_tokens;
    match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token, others) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::Cls),
        _ => Err(Error::Unsupported(format!(
            "the pooling in {path}/config.json (mean or first token alone are read)"
        ))),
    }
}

/// The licence in the front matter of the model's README, when it has one.
fn license(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("README.md")).ok()?;
    let front = text.strip_prefix("---\n")?.split("\n---").next()?;
    let line = front.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(line.trim().to_owned())
}
