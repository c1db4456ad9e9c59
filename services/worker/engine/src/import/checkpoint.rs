//! Safetensors checkpoints: one file, or several with an index, mapped and seen as one set of named tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::Error;
use super::tensor::{Tensor, TensorType};
use super::tensors::Tensors;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The tensors of a folder.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    files: Vec<Mmap>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    file: usize,
    kind: TensorType,
    rows: usize,
    columns: usize,
    bytes: Range<usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Whether `folder` holds one.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(SINGLE).is_file() || folder.join(INDEX).is_file()
    }

    /// Maps the files of `folder` and checks their headers.
    ///
    /// # Errors
    /// When a file can't be read or isn't sound.
    pub(crate) fn open(folder: &Path) -> Result<Checkpoint, Error> {
        let mut checkpoint = Checkpoint { files: Vec::new(), entries: BTreeMap::new() };
        for path in files(folder)? {
            checkpoint.add(&path)?;
        }
        Ok(checkpoint)
    }

    fn add(&mut self, path: &Path) -> Result<(), Error> {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only and private to us; that nobody truncates a model file while it is being imported
        // is taken on trust.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let failed = |error: safetensors::SafeTensorError| {
            Error::source(path.display().to_string(), error.to_string())
        };
        let (header_bytes, metadata) = SafeTensors::read_metadata(&map).map_err(failed)?;
        let data = header_bytes + size_of::<u64>();
        for (name, info) in metadata.tensors() {
            // Tables of integers (position ids and such) are no weights.
            let Some(kind) = float(info.dtype) else { continue };
            let columns = info.shape.last().copied().unwrap_or(1);
            let rows = info.shape.iter().rev().skip(1).product();
            let bytes = data + info.data_offsets.0..data + info.data_offsets.1;
            self.entries.insert(name, Entry { file: self.files.len(), kind, rows, columns, bytes });
        }
        self.files.push(map);
        Ok(())
    }
}

impl Tensors for Checkpoint {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let Entry { file, kind, rows, columns, bytes } = self.entries.get(name)?;
        Some(Tensor::new(*kind, *rows, *columns, &self.files[*file][bytes.clone()]))
    }

    fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    fn weights(&self) -> u64 {
        self.entries.values().map(|entry| (entry.rows * entry.columns) as u64).sum()
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let index = folder.join(INDEX);
    if !index.is_file() {
        return Ok(vec![folder.join(SINGLE)]);
    }
    let text = std::fs::read_to_string(&index).map_err(Error::io(&index))?;
    let failed = |error: serde_json::Error| Error::source(index.display().to_string(), error.to_string());
    let Index { weight_map } = serde_json::from_str(&text).map_err(failed)?;
    let names: BTreeSet<String> = weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        return Err(Error::source(
            index.display().to_string(),
            format!("{name:?} is not the name of a file beside it"),
        ));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn float(kind: Dtype) -> Option<TensorType> {
    match kind {
        Dtype::F32 => Some(TensorType::F32),
        Dtype::F16 => Some(TensorType::F16),
        Dtype::BF16 => Some(TensorType::BF16),
        _ => None,
    }
}
