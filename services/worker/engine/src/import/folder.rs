//! Reading the small files of a published model folder.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;

/// Largest JSON file read from a source, in bytes; tokenizers of big vocabularies take some 30 MB.
const JSON_BYTES_MAX: u64 = 256 << 20;

/// The JSON file at `path`.
///
/// # Errors
/// When it can't be read, is absurdly large, or isn't what it should be.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let length = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if length > JSON_BYTES_MAX {
        let problem = format!("has {length} bytes, more than the {JSON_BYTES_MAX} that are read");
        return Err(Error::source(path.display().to_string(), problem));
    }
    let text = std::fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::source(path.display().to_string(), error.to_string()))
}

/// The JSON file at `path`, when there is one.
///
/// # Errors
/// As [`read_json`], but for a missing file.
pub(crate) fn read_json_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

/// A field that holds an id, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(u32),
    /// A list.
    Many(Vec<u32>),
}

impl OneOrMany {
    /// The ids.
    pub(crate) fn as_slice(&self) -> &[u32] {
        match self {
            OneOrMany::One(id) => std::slice::from_ref(id),
            OneOrMany::Many(ids) => ids,
        }
    }
}
