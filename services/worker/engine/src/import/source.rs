//! What kind of thing a source is, and the importer for it.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::checkpoint::Checkpoint;
use super::folder::read_json;
use super::progress::Meter;
use super::{Error, Options, bert, genai, id, llama};
use crate::manifest::Manifest;

/// A source of a known kind.
#[derive(Debug)]
pub(crate) enum Source {
    /// A GGUF file.
    Gguf(PathBuf),
    /// A folder of onnxruntime-genai.
    Genai(PathBuf),
    /// A folder with `config.json` and safetensors.
    Checkpoint(PathBuf),
}

/// What kind of model `config.json` is of.
#[derive(Deserialize)]
struct Kind {
    model_type: String,
}

impl Source {
    /// Looks at what is at `path`.
    ///
    /// # Errors
    /// When there is nothing, or nothing of a kind that is imported; the error says what was found.
    pub(crate) fn detect(path: &Path) -> Result<Source, Error> {
        let unknown = |found: &str| Err(Error::Unknown { path: path.to_owned(), found: found.to_owned() });
        if path.is_file() {
            return match &magic(path)? {
                b"GGUF" => Ok(Source::Gguf(path.to_owned())),
                _ => unknown("a file of another kind"),
            };
        }
        if !path.is_dir() {
            return unknown("not there");
        }
        if path.join(genai::CONFIG_FILE).is_file() {
            return Ok(Source::Genai(path.to_owned()));
        }
        match (path.join("config.json").is_file(), Checkpoint::is_in(path)) {
            (true, true) => Ok(Source::Checkpoint(path.to_owned())),
            (true, false) => unknown("a folder with config.json but without safetensors"),
            (false, true) => unknown("a folder with safetensors but without config.json"),
            (false, false) => unknown("a folder with none of the files of a model"),
        }
    }

    /// Writes everything but the manifest into `folder`.
    pub(crate) fn write(
        &self,
        folder: &Path,
        options: &Options,
        meter: &mut Meter<'_>,
    ) -> Result<Manifest, Error> {
        match self {
            Source::Gguf(path) => llama::from_gguf(path, folder, options, meter),
            Source::Genai(path) => genai::write(path, folder, named(path, options)?, options, meter),
            Source::Checkpoint(path) => {
                let id = named(path, options)?;
                let Kind { model_type } = read_json(&path.join("config.json"))?;
                match model_type.as_str() {
                    "bert" => bert::write(path, folder, id, options, meter),
                    "llama" | "qwen2" | "qwen3" => llama::from_checkpoint(path, folder, id, options, meter),
                    other => {
                        let known = "bert, llama, qwen2 and qwen3 are read";
                        Err(Error::Unsupported(format!("model_type {other:?} in config.json ({known})")))
                    }
                }
            }
        }
    }
}

/// The model's id: the wanted one, or one made from the folder's name.
fn named(folder: &Path, options: &Options) -> Result<String, Error> {
    let folder = folder.canonicalize().map_err(Error::io(folder))?;
    id::choose(options.id.as_deref(), &folder.file_name().unwrap_or_default().to_string_lossy())
}

fn magic(path: &Path) -> Result<[u8; 4], Error> {
    let mut magic = [0; 4];
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(Error::io(path)(error)),
        _ => Ok(magic),
    }
}
