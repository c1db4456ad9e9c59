//! The external data file: tensors streamed one after another, so that memory holds a piece of one, never the model.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::ElementType;
use super::proto::{LOCATION_EXTERNAL, StringStringEntryProto, TensorProto};

/// Offsets are multiples of this, in bytes, so that a runtime may map each tensor by itself (a page on common machines).
const ALIGNMENT_BYTES: u64 = 4096;
/// The write buffer, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A data file being written.
#[derive(Debug)]
pub struct External {
    file: BufWriter<File>,
    location: String,
    position: u64,
}

/// Why weights could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system said no (a full disk, say).
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The source gave another number of bytes than its shape says: a defect in an importer.
    #[error("tensor {name} should take {expected} bytes, {written} were written")]
    Length {
        /// The tensor.
        name: String,
        /// What its shape says.
        expected: u64,
        /// What came.
        written: u64,
    },
}

impl External {
    /// Creates the data file `location` in `folder`.
    ///
    /// # Errors
    /// When the file can't be created.
    pub fn create(folder: &Path, location: &str) -> io::Result<External> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(folder.join(location))?);
        Ok(External { file, location: location.to_owned(), position: 0 })
    }

    /// Appends a tensor whose little-endian bytes `write` produces, and gives the message that refers to it.
    ///
    /// # Errors
    /// When the disk is full or `write` produced another number of bytes than the shape says.
    pub fn append(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<TensorProto, WriteError> {
        self.align()?;
        let begin = self.position;
        let mut counted = Counted { inner: &mut self.file, count: 0 };
        write(&mut counted)?;
        let written = counted.count;
        self.position += written;
        let expected = (shape.iter().product::<usize>() * element.bytes()) as u64;
        if written != expected {
            return Err(WriteError::Length { name: name.to_owned(), expected, written });
        }
        Ok(self.refer(name, element, shape, begin, written))
    }

    /// Flushes everything to the disk.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }

    fn align(&mut self) -> io::Result<()> {
        let aligned = self.position.next_multiple_of(ALIGNMENT_BYTES);
        let padding = [0; ALIGNMENT_BYTES as usize];
        self.file.write_all(&padding[..(aligned - self.position) as usize])?;
        self.position = aligned;
        Ok(())
    }

    fn refer(
        &self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        offset: u64,
        length: u64,
    ) -> TensorProto {
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        TensorProto {
            dims: shape.iter().map(|&dimension| dimension as i64).collect(),
            data_type: element as i32,
            name: name.to_owned(),
            raw_data: None,
            external_data: vec![
                entry("location", self.location.clone()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            data_location: Some(LOCATION_EXTERNAL),
        }
    }
}

impl ElementType {
    /// Size of one element.
    pub fn bytes(self) -> usize {
        match self {
            ElementType::U8 => 1,
            ElementType::F32 | ElementType::I32 => 4,
            ElementType::I64 => 8,
        }
    }
}

/// Counts the bytes that pass.
struct Counted<'a> {
    inner: &'a mut BufWriter<File>,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
