//! GGUF, the file format of llama.cpp: key-value metadata, then tensors, in one little-endian file.
//!
//! The file is mapped, not read, and trusted in nothing: every count, length and offset is checked against the bytes that
//! are there before anything is allocated or sliced.
mod cursor;
mod header;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use memmap2::Mmap;

use super::tensor::Tensor;

pub use cursor::{Error, Problem};
pub use header::{Header, TensorInfo};
pub use value::{Array, Value};

/// An open GGUF file.
#[derive(Debug)]
pub struct File {
    map: Mmap,
    header: Header,
}

impl File {
    /// Maps `path` and checks its header.
    ///
    /// # Errors
    /// When the file can't be opened, or isn't a sound GGUF file (byte offset and field are named).
    pub fn open(path: &Path) -> Result<File, OpenError> {
        let file = std::fs::File::open(path)?;
        // SAFETY: the map is read-only and private to us; that nobody truncates a model file while it is being imported
        // is the one thing we have to take on trust, as every program that maps a file does.
        let map = unsafe { Mmap::map(&file)? };
        let header = Header::parse(&map)?;
        Ok(File { map, header })
    }

    /// The metadata, by key.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.header.metadata
    }

    /// The tensors, by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.header.tensors
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        Some(self.header.tensors.get(name)?.over(&self.map))
    }
}

/// Why a GGUF file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The bytes aren't a sound GGUF file.
    #[error(transparent)]
    Format(#[from] Error),
}
