//! What a child prints, copied into a log file of bounded size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    task::JoinHandle,
};

/// A log file of this size, in bytes, is put aside as `NAME.log.1`, and the one before that goes: a service's logs take
/// twice this at most.
pub const LOG_BYTES_MAX: u64 = 8 << 20;
/// A longer line is cut into several, so that a child that prints no line end cannot fill our memory; in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A log file that is put aside when it has grown.
pub struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
}

impl Rotating {
    /// Opens it to append; `size_max` is in bytes.
    pub fn open(path: &Path, size_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, size_max })
    }

    /// Appends a line, whole.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, put_aside(&self.path))?;
        *self = Self::open(&self.path, self.size_max)?;
        Ok(())
    }
}

/// Where a log file is put when it has grown.
pub fn put_aside(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Copies both pipes into `log` until they end. A log that cannot be written (a full disk) loses lines, never the child.
pub fn copy<O, E>(out: Option<O>, err: Option<E>, log: PathBuf) -> JoinHandle<()>
where
    O: AsyncRead + Unpin + Send + 'static,
    E: AsyncRead + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let file = Rotating::open(&log, LOG_BYTES_MAX).ok().map(|file| Arc::new(Mutex::new(file)));
        tokio::join!(copy_lines(out, file.clone()), copy_lines(err, file));
    })
}

async fn copy_lines<R: AsyncRead + Unpin>(pipe: Option<R>, file: Option<Arc<Mutex<Rotating>>>) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = tokio::io::AsyncReadExt::take(&mut reader, LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if !line.ends_with(b"\n") => line.push(b'\n'),
            Ok(_) => {}
        }
        if let Some(file) = &file {
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write(&line);
        }
    }
}

/// The last `lines` lines of a log.
pub fn tail(log: &Path, lines: usize) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_takes_twice_its_size_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut log = Rotating::open(&path, 100).unwrap();
        for i in 0..50 {
            log.write(format!("line {i:02} of text\n").as_bytes()).unwrap();
        }
        let (now, before) =
            (fs::metadata(&path).unwrap().len(), fs::metadata(put_aside(&path)).unwrap().len());
        assert!(now <= 100 && before <= 100, "{now} and {before} bytes");
        assert_eq!(tail(&path, 1), ["line 49 of text"]);
    }

    #[tokio::test]
    async fn both_pipes_are_copied_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let long = vec![b'x'; LINE_BYTES_MAX as usize + 10];
        copy(Some(&b"one\ntwo"[..]), Some(std::io::Cursor::new(long)), path.clone()).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("one\n") && text.contains("two\n"));
        assert_eq!(text.matches('x').count(), LINE_BYTES_MAX as usize + 10);
    }
}
