//! Tensors by name, with the shape that the graph needs.

use super::super::Error;
use super::super::gguf::{File, Tensor};

/// The tensors of a file.
#[derive(Clone, Copy)]
pub(super) struct Tensors<'a>(pub(super) &'a File);

impl<'a> Tensors<'a> {
    /// A matrix of `rows x columns`.
    pub(super) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Tensor<'a>, Error> {
        let tensor = self.0.tensor(name).ok_or_else(|| Error::source(name, "is missing"))?;
        if (tensor.rows, tensor.columns) != (rows, columns) {
            let problem = format!("is {} x {}, should be {rows} x {columns}", tensor.rows, tensor.columns);
            return Err(Error::source(name, problem));
        }
        Ok(tensor)
    }

    /// A vector.
    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Tensor<'a>, Error> {
        self.matrix(name, 1, length)
    }

    /// A vector, when the file has one.
    pub(super) fn optional_vector(&self, name: &str, length: usize) -> Result<Option<Tensor<'a>>, Error> {
        if self.has(name) { self.vector(name, length).map(Some) } else { Ok(None) }
    }

    /// Whether the file has the tensor `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.tensors().contains_key(name)
    }
}
