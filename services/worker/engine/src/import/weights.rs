//! Weights on their way from a source into a graph: rows decoded one at a time, written as floats or as 8-bit blocks.

use std::io::{self, Write};

use super::int8;
use super::onnx::{Edge, ElementType, Graph, Node, WriteError};
use super::progress::Meter;
use super::tensor::Tensor;
use super::{Error, Precision};

/// A matrix of one or more tensors, one below the other; `rows x columns` as a linear layer has it (outputs x inputs).
#[derive(Debug, Clone)]
pub(crate) struct Matrix<'a> {
    parts: Vec<(Tensor<'a>, RowOrder)>,
    columns: usize,
}

/// Where a row of a tensor comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowOrder {
    /// In the file's order.
    AsIs,
    /// The file interleaves the two halves of each head of this many rows (rotary pairs side by side); we want the halves.
    SplitHalves(usize),
}

impl RowOrder {
    fn source(self, row: usize) -> usize {
        match self {
            RowOrder::AsIs => row,
            RowOrder::SplitHalves(head) => {
                let (begin, within) = (row - row % head, row % head);
                begin + 2 * (within % (head / 2)) + within / (head / 2)
            }
        }
    }
}

impl<'a> Matrix<'a> {
    /// `parts` stacked; all have as many columns.
    pub(crate) fn stack(parts: Vec<(Tensor<'a>, RowOrder)>) -> Matrix<'a> {
        let columns = parts[0].0.columns;
        assert!(parts.iter().all(|(tensor, _)| tensor.columns == columns), "shapes were checked before");
        Matrix { parts, columns }
    }

    /// One tensor in its own order.
    pub(crate) fn of(tensor: Tensor<'a>) -> Matrix<'a> {
        Matrix::stack(vec![(tensor, RowOrder::AsIs)])
    }

    fn rows(&self) -> usize {
        self.parts.iter().map(|(tensor, _)| tensor.rows).sum()
    }

    /// Calls `each` with every row decoded, and where it came from.
    fn for_each_row(
        &self,
        name: &str,
        mut each: impl FnMut(&[f32], &Tensor<'a>, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut row = vec![0.0; self.columns];
        for (tensor, order) in &self.parts {
            for index in 0..tensor.rows {
                let source = order.source(index);
                tensor.read_row(source, &mut row);
                require_finite(name, &row)?;
                each(&row, tensor, source)?;
            }
        }
        Ok(())
    }
}

fn require_finite(name: &str, row: &[f32]) -> io::Result<()> {
    if row.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{name} holds a number that is infinite or none; the file is damaged"),
    ))
}

/// A graph being given its weights.
pub(crate) struct Writer<'p, 'f> {
    /// The graph.
    pub(crate) graph: Graph,
    precision: Precision,
    meter: &'p mut Meter<'f>,
}

/// A matrix that the graph has: under which name, and its shape.
pub(crate) struct Stored {
    name: String,
    rows: usize,
    columns: usize,
}

impl<'p, 'f> Writer<'p, 'f> {
    pub(crate) fn new(graph: Graph, precision: Precision, meter: &'p mut Meter<'f>) -> Self {
        Writer { graph, precision, meter }
    }

    /// A weight kept as floats whatever the precision: norms, biases, tables.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<Edge, Error> {
        let edge = self.graph.weight(name, ElementType::F32, shape, |out| write_floats(out, values))?;
        Ok(edge)
    }

    /// A tensor of one dimension, kept as floats.
    pub(crate) fn vector(&mut self, name: &str, tensor: &Tensor<'_>) -> Result<Edge, Error> {
        let mut values = vec![0.0; tensor.columns];
        tensor.read_row(0, &mut values);
        require_finite(name, &values).map_err(WriteError::Io)?;
        self.meter.advance(values.len());
        self.floats(name, &[values.len()], &values)
    }

    /// Vectors one behind the other, each in its own order, kept as floats.
    pub(crate) fn stacked_vector(
        &mut self,
        name: &str,
        parts: &[(Tensor<'_>, RowOrder)],
    ) -> Result<Edge, Error> {
        let mut all = Vec::new();
        for (tensor, order) in parts {
            let mut values = vec![0.0; tensor.columns];
            tensor.read_row(0, &mut values);
            require_finite(name, &values).map_err(WriteError::Io)?;
            all.extend((0..values.len()).map(|index| values[order.source(index)]));
        }
        self.meter.advance(all.len());
        self.floats(name, &[all.len()], &all)
    }

    /// A matrix kept as floats.
    pub(crate) fn table(&mut self, name: &str, matrix: &Matrix<'_>) -> Result<Edge, Error> {
        let meter = &mut *self.meter;
        let shape = [matrix.rows(), matrix.columns];
        let edge = self.graph.weight(name, ElementType::F32, &shape, |out| {
            matrix.for_each_row(name, |row, _, _| {
                meter.advance(row.len());
                write_floats(out, row)
            })
        })?;
        Ok(edge)
    }

    /// `x` times the transpose of `matrix`.
    pub(crate) fn linear(&mut self, x: &str, name: &str, matrix: &Matrix<'_>) -> Result<Edge, Error> {
        let blocks = [matrix.rows(), matrix.columns / int8::BLOCK, int8::BLOCK];
        let stored = self.store(name, matrix, &blocks)?;
        Ok(self.multiply(x, &stored, name))
    }

    /// The rows of `matrix` that `ids` names, and what an output head may be tied to.
    pub(crate) fn embedding(
        &mut self,
        ids: &str,
        name: &str,
        matrix: &Matrix<'_>,
    ) -> Result<(Edge, Stored), Error> {
        let stored = self.store(name, matrix, &[matrix.rows(), matrix.columns])?;
        let node = match self.precision {
            Precision::Fp32 => Node::new("Gather", &[name, ids]).int("axis", 0),
            Precision::Int8 => Node::microsoft(
                "GatherBlockQuantized",
                &[name, ids, &scales_name(name), &zero_points_name(name)],
            )
            .int("bits", 8)
            .int("block_size", int8::BLOCK as i64)
            .int("gather_axis", 0)
            .int("quantize_axis", 1),
        };
        Ok((self.graph.add(node), stored))
    }

    /// `x` times the transpose of an embedding, whose bytes are not stored again.
    pub(crate) fn tied(&mut self, x: &str, embedding: &Stored) -> Edge {
        let Stored { name, rows, columns } = embedding;
        match self.precision {
            Precision::Fp32 => self.multiply(x, embedding, name),
            Precision::Int8 => {
                let shape = [*rows, columns / int8::BLOCK, int8::BLOCK];
                let view = self.graph.view(&format!("{name}.blocks"), name, &shape);
                self.multiply(x, embedding, &view)
            }
        }
    }

    /// `x` times the transpose of `stored`, whose numbers (or codes) go by the name `codes`.
    fn multiply(&mut self, x: &str, stored: &Stored, codes: &str) -> Edge {
        let Stored { name, rows, columns } = stored;
        self.graph.add(match self.precision {
            Precision::Fp32 => Node::microsoft("FusedMatMul", &[x, codes]).int("transB", 1),
            Precision::Int8 => {
                Node::microsoft("MatMulNBits", &[x, codes, &scales_name(name), &zero_points_name(name)])
                    .int("K", *columns as i64)
                    .int("N", *rows as i64)
                    .int("bits", 8)
                    .int("block_size", int8::BLOCK as i64)
                    .int("accuracy_level", 4)
            }
        })
    }

    /// Stores a matrix in the wanted precision; 8-bit codes get the shape `codes_shape`.
    fn store(&mut self, name: &str, matrix: &Matrix<'_>, codes_shape: &[usize]) -> Result<Stored, Error> {
        match self.precision {
            Precision::Fp32 => drop(self.table(name, matrix)?),
            Precision::Int8 => self.store_blocks(name, matrix, codes_shape)?,
        }
        Ok(Stored { name: name.to_owned(), rows: matrix.rows(), columns: matrix.columns })
    }

    /// Codes stream out row by row; scales and zero points, a sixth of a float matrix's size, wait in memory.
    fn store_blocks(&mut self, name: &str, matrix: &Matrix<'_>, shape: &[usize]) -> Result<(), Error> {
        if !matrix.columns.is_multiple_of(int8::BLOCK) {
            let problem =
                format!("rows of {} numbers don't divide into blocks of {}", matrix.columns, int8::BLOCK);
            return Err(Error::Unsupported(format!(
                "{name} as 8-bit weights: {problem}; import with fp32 weights"
            )));
        }
        let meter = &mut *self.meter;
        let mut blocks = int8::Blocks::default();
        self.graph.weight(name, ElementType::U8, shape, |out| {
            matrix.for_each_row(name, |row, tensor, source| {
                blocks.codes.clear();
                blocks.push_row(row, tensor.grids(source).as_deref());
                meter.advance(row.len());
                out.write_all(&blocks.codes)
            })
        })?;
        let shape = [matrix.rows(), matrix.columns / int8::BLOCK];
        let int8::Blocks { scales, zero_points, .. } = blocks;
        self.graph.weight(&scales_name(name), ElementType::F32, &shape, |out| write_floats(out, &scales))?;
        self.graph
            .weight(&zero_points_name(name), ElementType::U8, &shape, |out| out.write_all(&zero_points))?;
        Ok(())
    }
}

fn scales_name(name: &str) -> String {
    format!("{name}.scales")
}

fn zero_points_name(name: &str) -> String {
    format!("{name}.zero_points")
}

/// Writes numbers as little-endian 32-bit floats.
fn write_floats(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.write_all(&bytes)
}
