//! What kind of thing a source is, and the importer for it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::gguf::{File, OpenError, Value};
use super::progress::{Meter, Stage};
use super::{Error, Options, Precision, bert, genai, id, llama, tokenizer};
use crate::manifest::{
    CHAT_TEMPLATE_FILE, FORMAT_VERSION, GRAPH_FILE, Generate, Manifest, TOKENIZER_FILE, Task, TemplateTokens,
};

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
    pub(crate) fn write(&self, folder: &Path, options: &Options, meter: &mut Meter<'_>) -> Result<Manifest, Error> {
        match self {
            Source::Gguf(path) => write_gguf(path, folder, options, meter),
            Source::Genai(path) => genai::write(path, folder, named(path, options)?, options, meter),
            Source::Checkpoint(path) => bert::write(path, folder, named(path, options)?, options, meter),
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

fn write_gguf(path: &Path, folder: &Path, options: &Options, meter: &mut Meter<'_>) -> Result<Manifest, Error> {
    let file = File::open(path).map_err(|error| match error {
        OpenError::Io(source) => Error::Io { path: path.to_owned(), source },
        OpenError::Format(source) => Error::Gguf { path: path.to_owned(), source },
    })?;
    let text = |key: &str| file.metadata().get(key).and_then(Value::as_str);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let id = id::choose(options.id.as_deref(), text("general.name").unwrap_or(&stem))?;
    let config = llama::Config::read(&file, options.context_tokens_max)?;
    meter.begin(Stage::Tokenizer, 1);
    let special = tokenizer::write(&file, &folder.join(TOKENIZER_FILE))?;
    if let Some(template) = text("tokenizer.chat_template") {
        let path = folder.join(CHAT_TEMPLATE_FILE);
        std::fs::write(&path, template).map_err(Error::io(&path))?;
    }
    let precision = options.weights.unwrap_or(Precision::Int8);
    llama::write(&file, &config, precision, options.logits, folder, meter)?;
    let generate = Generate {
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        shared_kv: true,
        eos: special.eos,
        bos: special.bos,
        template_tokens: TemplateTokens { bos: special.bos_text, eos: special.eos_text },
        names: llama::names(),
    };
    Ok(Manifest {
        format: FORMAT_VERSION,
        id,
        source: format!("GGUF {stem}"),
        license: text("general.license").map(str::to_owned),
        graph: GRAPH_FILE.to_owned(),
        weights: precision.into(),
        context_tokens: config.context_tokens,
        vocab: config.vocab,
        task: Task::Generate(generate),
    })
}
