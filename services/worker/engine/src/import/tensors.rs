//! A source's tensors by name, with the shape that a graph needs.

use super::Error;
use super::tensor::Tensor;

/// Something that holds named tensors.
pub(crate) trait Tensors {
    /// The tensor called `name`.
    fn tensor(&self, name: &str) -> Option<Tensor<'_>>;

    /// What the source itself calls the tensor `name`, for errors.
    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Names of all tensors, as the source has them.
    fn names(&self) -> Vec<&str>;

    /// How many numbers all tensors hold together.
    fn weights(&self) -> u64;
}

impl<'a> dyn Tensors + 'a {
    /// A matrix of `rows x columns`.
    pub(crate) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Tensor<'_>, Error> {
        let tensor = self.tensor(name).ok_or_else(|| Error::source(self.shown(name), "is missing"))?;
        if (tensor.rows, tensor.columns) != (rows, columns) {
            let problem = format!("is {} x {}, should be {rows} x {columns}", tensor.rows, tensor.columns);
            return Err(Error::source(self.shown(name), problem));
        }
        Ok(tensor)
    }

    /// A vector.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Tensor<'_>, Error> {
        self.matrix(name, 1, length)
    }

    /// A vector, when the source has one.
    pub(crate) fn optional_vector(&self, name: &str, length: usize) -> Result<Option<Tensor<'_>>, Error> {
        if self.has(name) { self.vector(name, length).map(Some) } else { Ok(None) }
    }

    /// Whether the source has the tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }
}

impl Tensors for super::gguf::File {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        super::gguf::File::tensor(self, name)
    }

    fn names(&self) -> Vec<&str> {
        self.tensors().keys().map(String::as_str).collect()
    }

    fn weights(&self) -> u64 {
        self.tensors().values().map(|tensor| tensor.dimensions.iter().product::<usize>() as u64).sum()
    }
}
