//! A qlog file for each connection.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{
    proto::{Side, listener::Handle},
    qlog::QlogWriter,
};

/// Bytes of a log beyond which nothing more is written to it.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// A fresh file in `folder`, which is made if it is not there.
pub(super) fn create(
    folder: &Path,
    side: Side,
    handle: Handle,
) -> io::Result<QlogWriter<Bounded<BufWriter<File>>>> {
    std::fs::create_dir_all(folder)?;
    let end = if side == Side::Client { "client" } else { "server" };
    let name = format!("{:016x}-{}-{end}.sqlog", rand::random::<u64>(), handle.0);
    let file = BufWriter::new(File::create_new(folder.join(&name))?);
    QlogWriter::new(Bounded { file, left: LOG_BYTES_MAX }, side, &name)
}

/// A file that takes so much and no more.
#[derive(Debug)]
pub(super) struct Bounded<W> {
    file: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.left < data.len() as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(data)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
