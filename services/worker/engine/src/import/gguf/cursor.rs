//! Reads little-endian fields from untrusted bytes; every error names the byte and the field it was reading.

/// What is wrong with a GGUF file, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("GGUF, byte {offset}, {field}: {problem}")]
pub struct Error {
    /// Offset from the start of the file, in bytes.
    pub offset: usize,
    /// The field that was being read.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what the variant means")]
pub enum Problem {
    #[error("the file ends here ({needed} bytes needed, {left} left)")]
    Truncated { needed: u64, left: u64 },
    #[error("not a GGUF file: it begins with {0:02x?} instead of \"GGUF\"")]
    Magic([u8; 4]),
    #[error("version {0} (versions 2 and 3 are read)")]
    Version(u32),
    #[error("the file is big-endian; convert it to little-endian first")]
    BigEndian,
    #[error("claims {count} entries, but {left} bytes can hold at most {most}")]
    Count { count: u64, left: u64, most: u64 },
    #[error("not valid UTF-8")]
    Utf8,
    #[error("unknown value type {0}")]
    ValueType(u32),
    #[error("arrays inside arrays are not read")]
    NestedArray,
    #[error("a boolean is 0 or 1, not {0}")]
    Bool(u8),
    #[error("tensor type {0} is not supported")]
    TensorType(String),
    #[error("has {0} dimensions (1 to 4 are allowed)")]
    Dimensions(u32),
    #[error("has an empty dimension, or more elements than can be counted")]
    Elements,
    #[error("rows of {columns} numbers don't divide into blocks of {block}")]
    Blocks { columns: usize, block: usize },
    #[error("appears twice")]
    Duplicate,
    #[error("alignment {0} is not a power of two between 1 and 65536")]
    Alignment(u64),
    #[error("offset {0} is not a multiple of the alignment {1}")]
    Misaligned(u64, u64),
    #[error("lies at bytes {begin} to {end}, but the file has {file}")]
    OutOfFile { begin: u64, end: u64, file: u64 },
}

/// A position in untrusted bytes.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// An error about what begins at `offset`.
    pub(super) fn error(offset: usize, field: &str, problem: Problem) -> Error {
        Error { offset, field: field.to_owned(), problem }
    }

    /// An error about what comes next.
    pub(super) fn fail<T>(&self, field: &str, problem: Problem) -> Result<T, Error> {
        Err(Self::error(self.at, field, problem))
    }

    pub(super) fn take(&mut self, length: u64, field: &str) -> Result<&'a [u8], Error> {
        let left = self.left();
        if length > left {
            return self.fail(field, Problem::Truncated { needed: length, left });
        }
        let begin = self.at;
        self.at += length as usize;
        Ok(&self.bytes[begin..self.at])
    }

    pub(super) fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], Error> {
        let bytes = self.take(N as u64, field)?;
        Ok(bytes.try_into().expect("take gave N bytes"))
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    pub(super) fn u64(&mut self, field: &str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// A number of entries that follow, each of at least `entry_bytes_min`: refused when the rest of the file can't hold them.
    pub(super) fn count(&mut self, entry_bytes_min: u64, field: &str) -> Result<usize, Error> {
        let begin = self.at;
        let count = self.u64(field)?;
        let left = self.left();
        let most = left / entry_bytes_min;
        if count > most {
            return Err(Self::error(begin, field, Problem::Count { count, left, most }));
        }
        Ok(count as usize)
    }

    pub(super) fn string(&mut self, field: &str) -> Result<&'a str, Error> {
        let length = self.u64(field)?;
        let begin = self.at;
        let bytes = self.take(length, field)?;
        std::str::from_utf8(bytes).map_err(|_| Self::error(begin, field, Problem::Utf8))
    }
}
