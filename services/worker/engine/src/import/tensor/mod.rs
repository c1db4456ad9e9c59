//! Encoded tensors: rows of numbers as a file stores them, decoded one row at a time.
mod block;
mod kquant;

pub use block::{Grid, TensorType};

/// Rows of numbers in a file's own encoding.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// How the numbers are stored.
    pub kind: TensorType,
    /// Number of rows (all dimensions but the contiguous one, multiplied).
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
    bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// A tensor over `bytes`.
    ///
    /// # Panics
    /// When there are more or fewer bytes than `rows` of `columns` numbers take.
    pub fn new(kind: TensorType, rows: usize, columns: usize, bytes: &'a [u8]) -> Tensor<'a> {
        assert_eq!(
            bytes.len(),
            rows * kind.bytes_for(columns),
            "{rows} rows of {columns} numbers as {kind:?}"
        );
        Tensor { kind, rows, columns, bytes }
    }

    /// The encoded numbers.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decodes row `row` into `out`, which holds [`Tensor::columns`] numbers.
    ///
    /// # Panics
    /// When `row` or the length of `out` is wrong: the caller has the shape.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.columns, "a row of this tensor has {} numbers", self.columns);
        self.kind.dequantise(self.row_bytes(row), out);
    }

    /// The grid that each run of 32 numbers in row `row` lies on, for the encodings that have one.
    pub fn grids(&self, row: usize) -> Option<Vec<Grid>> {
        self.kind.grids(self.row_bytes(row))
    }

    fn row_bytes(&self, row: usize) -> &'a [u8] {
        let length = self.kind.bytes_for(self.columns);
        &self.bytes[row * length..(row + 1) * length]
    }
}
