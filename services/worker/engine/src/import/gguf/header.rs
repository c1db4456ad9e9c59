//! The header: magic, version, metadata and the table of tensors, with every tensor proved to lie inside the file.

use std::collections::BTreeMap;

use super::Value;
use super::cursor::{Cursor, Error, Problem};
use crate::import::tensor::{Tensor, TensorType};

/// Where tensor data is aligned when the file doesn't say.
const ALIGNMENT_BYTES: u64 = 32;
const ALIGNMENT_BYTES_MAX: u64 = 65_536;
const DIMENSIONS_MAX: u32 = 4;
/// A metadata entry is at least a key's length, a type and one byte.
const ENTRY_BYTES_MIN: u64 = 8 + 4 + 1;
/// A tensor's entry is at least a name's length, a dimension count, one dimension, a type and an offset.
const TENSOR_BYTES_MIN: u64 = 8 + 4 + 8 + 4 + 8;

/// A checked header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor's shape, encoding and place.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Dimensions as the file has them: the first is contiguous.
    pub dimensions: Vec<usize>,
    /// Encoding.
    pub kind: TensorType,
    /// First byte, from the start of the file.
    begin: usize,
    /// One past the last byte.
    end: usize,
    /// Where its table entry stands, for errors.
    entry: usize,
}

impl TensorInfo {
    /// Size in the file.
    pub fn bytes(&self) -> usize {
        self.end - self.begin
    }

    /// The tensor's numbers in `file`, the bytes that this header was parsed from.
    pub(super) fn over<'a>(&self, file: &'a [u8]) -> Tensor<'a> {
        let rows = self.dimensions[1..].iter().product();
        Tensor::new(self.kind, rows, self.dimensions[0], &file[self.begin..self.end])
    }
}

impl Header {
    /// Parses and checks the header of `file`, which is the whole file.
    ///
    /// # Errors
    /// When anything in it is not as the format says, or points out of the file.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let mut cursor = Cursor::new(file);
        let version = read_version(&mut cursor)?;
        let tensor_count = cursor.count(TENSOR_BYTES_MIN, "tensor count")?;
        let entry_count = cursor.count(ENTRY_BYTES_MIN, "metadata count")?;
        let metadata = read_metadata(&mut cursor, entry_count)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = read_tensors(&mut cursor, tensor_count, alignment)?;
        let data = (cursor.position() as u64).next_multiple_of(alignment);
        for (name, tensor) in &mut tensors {
            tensor.place(name, data, file.len() as u64)?;
        }
        Ok(Header { version, metadata, tensors })
    }
}

impl TensorInfo {
    /// Turns the offset into the data section into a place in the file, once it is known to lie inside.
    fn place(&mut self, name: &str, data: u64, file: u64) -> Result<(), Error> {
        let begin = data.saturating_add(self.begin as u64);
        let end = data.saturating_add(self.end as u64);
        if end > file {
            let problem = Problem::OutOfFile { begin, end, file };
            return Err(Cursor::error(self.entry, &format!("tensor {name}"), problem));
        }
        (self.begin, self.end) = (begin as usize, end as usize);
        Ok(())
    }
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    let magic: [u8; 4] = cursor.array("magic")?;
    if &magic != b"GGUF" {
        return Err(Cursor::error(0, "magic", Problem::Magic(magic)));
    }
    match cursor.u32("version")? {
        version @ 2..=3 => Ok(version),
        version if (1..=3).contains(&version.swap_bytes()) => {
            Err(Cursor::error(4, "version", Problem::BigEndian))
        }
        version => Err(Cursor::error(4, "version", Problem::Version(version))),
    }
}

fn read_metadata(cursor: &mut Cursor<'_>, count: usize) -> Result<BTreeMap<String, Value>, Error> {
    let mut metadata = BTreeMap::new();
    for index in 0..count {
        let begin = cursor.position();
        let key = cursor.string(&format!("metadata key {index}"))?;
        let value = Value::read(cursor, key)?;
        if metadata.insert(key.to_owned(), value).is_some() {
            return Err(Cursor::error(begin, key, Problem::Duplicate));
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, Error> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(ALIGNMENT_BYTES) };
    let bytes = value.as_u64().unwrap_or(0);
    if !bytes.is_power_of_two() || bytes > ALIGNMENT_BYTES_MAX {
        return Err(Cursor::error(0, "general.alignment", Problem::Alignment(bytes)));
    }
    Ok(bytes)
}

fn read_tensors(
    cursor: &mut Cursor<'_>,
    count: usize,
    alignment: u64,
) -> Result<BTreeMap<String, TensorInfo>, Error> {
    let mut tensors = BTreeMap::new();
    for index in 0..count {
        let begin = cursor.position();
        let name = cursor.string(&format!("name of tensor {index}"))?;
        let info = read_tensor(cursor, &format!("tensor {name}"), begin, alignment)?;
        if tensors.insert(name.to_owned(), info).is_some() {
            return Err(Cursor::error(begin, &format!("tensor {name}"), Problem::Duplicate));
        }
    }
    Ok(tensors)
}

/// Reads one entry of the table; `begin` and `end` are relative to the data section until [`TensorInfo::place`].
fn read_tensor(
    cursor: &mut Cursor<'_>,
    field: &str,
    entry: usize,
    alignment: u64,
) -> Result<TensorInfo, Error> {
    let dimensions = read_dimensions(cursor, field)?;
    let kind_at = cursor.position();
    let kind = TensorType::from_id(cursor.u32(field)?)
        .map_err(|name| Cursor::error(kind_at, field, Problem::TensorType(name)))?;
    let elements = dimensions.iter().try_fold(1usize, |product, &dimension| product.checked_mul(dimension));
    let elements = elements.filter(|&elements| elements > 0 && elements < usize::MAX / 8);
    let Some(elements) = elements else { return Err(Cursor::error(entry, field, Problem::Elements)) };
    if !dimensions[0].is_multiple_of(kind.block()) {
        let problem = Problem::Blocks { columns: dimensions[0], block: kind.block() };
        return Err(Cursor::error(entry, field, problem));
    }
    let offset_at = cursor.position();
    let offset = cursor.u64(field)?;
    if !offset.is_multiple_of(alignment) {
        return Err(Cursor::error(offset_at, field, Problem::Misaligned(offset, alignment)));
    }
    let begin = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = begin.saturating_add(kind.bytes_for(elements));
    Ok(TensorInfo { dimensions, kind, begin, end, entry })
}

fn read_dimensions(cursor: &mut Cursor<'_>, field: &str) -> Result<Vec<usize>, Error> {
    let begin = cursor.position();
    let count = cursor.u32(field)?;
    if count == 0 || count > DIMENSIONS_MAX {
        return Err(Cursor::error(begin, field, Problem::Dimensions(count)));
    }
    let read = |cursor: &mut Cursor<'_>| Ok(usize::try_from(cursor.u64(field)?).unwrap_or(usize::MAX));
    (0..count).map(|_| read(cursor)).collect()
}
