//! GGUF, the file format of llama.cpp: key-value metadata, then tensors, in one little-endian file.
//!
//! The file is mapped, not read, and trusted in nothing: every count, length and offset is checked against the bytes that
//! are there before anything is allocated or sliced.
mod block;
mod cursor;
mod header;
mod kquant;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use memmap2::Mmap;

pub use block::TensorType;
pub use cursor::{Error, Problem};
pub use header::{Header, TensorInfo};
pub use value::{Array, Value};

/// An open GGUF file.
#[derive(Debug)]
pub struct File {
    map: Mmap,
    header: Header,
}

/// One tensor's place in the file: rows of `columns` numbers, in the file's own encoding.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// How the numbers are stored.
    pub kind: TensorType,
    /// Number of rows (all dimensions but the first, multiplied).
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
    bytes: &'a [u8],
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

impl Tensor<'_> {
    /// Decodes row `row` into `out`, which holds [`Tensor::columns`] numbers.
    ///
    /// # Panics
    /// When `row` or the length of `out` is wrong: the caller has the shape.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.columns, "a row of this tensor has {} numbers", self.columns);
        self.kind.dequantise(self.row_bytes(row), out);
    }

    /// The step between neighbouring values of each block of 32 in row `row`, for the encodings whose values are whole
    /// multiples of one step (`Q4_0`, `Q5_0`, `Q8_0`): with it, 8-bit codes hold them without loss.
    pub fn steps(&self, row: usize) -> Option<impl Iterator<Item = f32> + '_> {
        self.kind.steps(self.row_bytes(row))
    }

    fn row_bytes(&self, row: usize) -> &[u8] {
        let length = self.kind.bytes_for(self.columns);
        &self.bytes[row * length..(row + 1) * length]
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
