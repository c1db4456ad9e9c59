//! Which worker a container is. Replicas are all alike, yet each worker needs a name and a key that no other uses: so
//! setup lays out a key a seat, and a worker takes the first seat that is free. A file lock holds it, which the kernel
//! lets go of however the process ends; so a seat is never held by two, nor lost by a crash. Holds among containers of
//! one machine, which share the volume; on several machines each has seats of its own.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use lowland_events::id::WorkerId;

/// What a seat's key file is called: this, the worker's id, and [`SUFFIX`].
const PREFIX: &str = "worker-";
const SUFFIX: &str = ".nk";

/// A seat, for as long as this lives.
#[derive(Debug)]
pub struct Seat {
    /// Who sits here.
    pub worker: WorkerId,
    /// Its key.
    pub seed: PathBuf,
    _lock: File,
}

/// Why there is no seat.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read.
    #[error("{path}: {cause}")]
    Io {
        /// The folder or the key file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The folder holds no keys.
    #[error("{path} holds no keys of workers (worker-w1.nk, ...): `lowland setup` writes them")]
    NoSeats {
        /// The folder.
        path: PathBuf,
    },
    /// Others sit on all of them.
    #[error(
        "all {seats} seats in {path} are taken: have `lowland setup --workers` make more, or run fewer workers"
    )]
    Full {
        /// How many there are.
        seats: usize,
        /// The folder.
        path: PathBuf,
    },
}

/// Takes the first seat that is free.
pub fn take(folder: &Path) -> Result<Seat, Error> {
    let seats = seats(folder)?;
    for (worker, seed) in &seats {
        let io = |cause| Error::Io { path: seed.clone(), cause };
        let file = File::open(seed).map_err(io)?;
        match file.try_lock() {
            Ok(()) => return Ok(Seat { worker: worker.clone(), seed: seed.clone(), _lock: file }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(cause)) => return Err(io(cause)),
        }
    }
    let path = folder.to_owned();
    Err(if seats.is_empty() { Error::NoSeats { path } } else { Error::Full { seats: seats.len(), path } })
}

/// Every seat with its key, in the order in which they are taken: `w2` before `w10`.
fn seats(folder: &Path) -> Result<Vec<(WorkerId, PathBuf)>, Error> {
    let io = |cause| Error::Io { path: folder.to_owned(), cause };
    let mut seats = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(Ok(worker)) = id.map(WorkerId::new) {
            seats.push((worker, path));
        }
    }
    seats.sort_by_key(|(worker, _)| (worker.as_str().len(), worker.as_str().to_owned()));
    Ok(seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), "seed").unwrap());
        folder
    }

    #[test]
    fn nobody_sits_where_another_does() {
        let folder = folder(&["worker-w10.nk", "worker-w2.nk", "worker-w1.nk", "notes.txt"]);
        let first = take(folder.path()).unwrap();
        let second = take(folder.path()).unwrap();
        let third = take(folder.path()).unwrap();
        assert_eq!([&first, &second, &third].map(|seat| seat.worker.as_str()), ["w1", "w2", "w10"]);
        let full = take(folder.path()).unwrap_err().to_string();
        assert!(full.contains("all 3 seats") && full.contains("--workers"), "{full}");
        drop(second);
        assert_eq!(take(folder.path()).unwrap().worker.as_str(), "w2", "who goes leaves a seat");
    }

    #[test]
    fn a_folder_without_keys_is_said() {
        let empty = take(folder(&[]).path()).unwrap_err().to_string();
        assert!(empty.contains("lowland setup"), "{empty}");
        assert!(take(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
    }
}
