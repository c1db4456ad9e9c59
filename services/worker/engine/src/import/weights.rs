//! Weights on their way from a source into a graph: rows decoded one at a time, written as floats or as 8-bit blocks.

use std::io::{self, Write};

use super::gguf::Tensor;
use super::int8;
use super::onnx::{Edge, ElementType, Graph, Node, WriteError};
use super::progress::Meter;
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
    fn for_each_row(&self, mut each: impl FnMut(&[f32], &Tensor<'a>, usize) -> io::Result<()>) -> io::Result<()> {
        let mut row = vec![0.0; self.columns];
        for (tensor, order) in &self.parts {
            for index in 0..tensor.rows {
                let source = order.source(index);
                tensor.read_row(source, &mut row);
                require_finite(&row)?;
                each(&row, tensor, source)?;
            }
        }
        Ok(())
    }
}

fn require_finite(row: &[f32]) -> io::Result<()> {
    if row.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a weight is infinite or not a number; the file is damaged"))
}

/// A graph being given its weights.
pub(crate) struct Writer<'p, 'f> {
    /// The graph.
    pub(crate) graph: Graph,
    precision: Precision,
    meter: &'p mut Meter<'f>,
}

/// How an embedding's rows are kept, so that an output head tied to them can read the same bytes.
pub(crate) struct Embedding {
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
        require_finite(&values).map_err(WriteError::Io)?;
        self.meter.advance(values.len());
        self.floats(name, &[values.len()], &values)
    }

    /// Vectors one behind the other, each in its own order, kept as floats.
    pub(crate) fn stacked_vector(&mut self, name: &str, parts: &[(Tensor<'_>, RowOrder)]) -> Result<Edge, Error> {
        let mut all = Vec::new();
        for (tensor, order) in parts {
            let mut values = vec![0.0; tensor.columns];
            tensor.read_row(0, &mut values);
            require_finite(&values).map_err(WriteError::Io)?;
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
            matrix.for_each_row(|row, _, _| {
                meter.advance(row.len());
                write_floats(out, row)
            })
        })?;
        Ok(edge)
    }

    /// `x` times the transpose of `matrix`.
    pub(crate) fn linear(&mut self, x: &str, name: &str, matrix: &Matrix<'_>) -> Result<Edge, Error> {
        let stored = self.store(name, matrix)?;
        Ok(self.multiply(x, &stored))
    }

    /// The rows of `matrix` that `ids` names. 8-bit when the precision says so.
    pub(crate) fn embedding(&mut self, ids: &str, name: &str, matrix: &Matrix<'_>) -> Result<(Edge, Embedding), Error> {
        let stored = self.store(name, matrix)?;
        let edge = match self.precision {
            Precision::Fp32 => self.graph.add(Node::new("Gather", &[name, ids]).int("axis", 0)),
            Precision::Int8 => self.gather_blocks(ids, &stored)?,
        };
        Ok((edge, stored))
    }

    /// `x` times the transpose of what `stored` holds.
    pub(crate) fn multiply(&mut self, x: &str, stored: &Embedding) -> Edge {
        let Embedding { name, rows, columns } = stored;
        self.graph.add(match self.precision {
            Precision::Fp32 => Node::microsoft("FusedMatMul", &[x, name]).int("transB", 1),
            Precision::Int8 => Node::microsoft("MatMulNBits", &[x, name, &scales_name(name)])
                .int("K", *columns as i64)
                .int("N", *rows as i64)
                .int("bits", 8)
                .int("block_size", int8::BLOCK as i64)
                .int("accuracy_level", 4),
        })
    }

    fn store(&mut self, name: &str, matrix: &Matrix<'_>) -> Result<Embedding, Error> {
        match self.precision {
            Precision::Fp32 => drop(self.table(name, matrix)?),
            Precision::Int8 => self.store_blocks(name, matrix)?,
        }
        Ok(Embedding { name: name.to_owned(), rows: matrix.rows(), columns: matrix.columns })
    }

    /// Codes stream out row by row; the scales, an eighth of a float matrix's size, wait in memory.
    fn store_blocks(&mut self, name: &str, matrix: &Matrix<'_>) -> Result<(), Error> {
        if !matrix.columns.is_multiple_of(int8::BLOCK) {
            let problem = format!("rows of {} numbers don't divide into blocks of {}", matrix.columns, int8::BLOCK);
            return Err(Error::Unsupported(format!("{name} as 8-bit weights: {problem}; import with fp32 weights")));
        }
        let blocks = matrix.columns / int8::BLOCK;
        let meter = &mut *self.meter;
        let mut scales = Vec::with_capacity(matrix.rows() * blocks);
        let mut codes = Vec::with_capacity(matrix.columns);
        self.graph.weight(name, ElementType::U8, &[matrix.rows(), blocks, int8::BLOCK], |out| {
            matrix.for_each_row(|row, tensor, source| {
                codes.clear();
                int8::quantise_row(row, tensor.steps(source), &mut codes, &mut scales);
                meter.advance(row.len());
                out.write_all(&codes)
            })
        })?;
        let shape = [matrix.rows(), blocks];
        self.graph.weight(&scales_name(name), ElementType::F32, &shape, |out| write_floats(out, &scales))?;
        Ok(())
    }

    /// Looks rows up in 8-bit blocks, through a flat view of the same bytes.
    fn gather_blocks(&mut self, ids: &str, stored: &Embedding) -> Result<Edge, Error> {
        let Embedding { name, rows, columns } = stored;
        let blocks = columns / int8::BLOCK;
        let flat = self.graph.view(&format!("{name}.rows"), name, &[*rows, *columns]);
        let zeros = format!("{name}.zero_points");
        self.graph.weight(&zeros, ElementType::U8, &[*rows, blocks], |out| {
            let row = vec![int8::ZERO_POINT; blocks];
            (0..*rows).try_for_each(|_| out.write_all(&row))
        })?;
        let node = Node::microsoft("GatherBlockQuantized", &[&flat, ids, &scales_name(name), &zeros])
            .int("bits", 8)
            .int("block_size", int8::BLOCK as i64)
            .int("gather_axis", 0)
            .int("quantize_axis", 1);
        Ok(self.graph.add(node))
    }
}

fn scales_name(name: &str) -> String {
    format!("{name}.scales")
}

/// Writes numbers as little-endian 32-bit floats.
fn write_floats(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.write_all(&bytes)
}
