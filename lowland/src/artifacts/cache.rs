//! The cache folder: where each artifact has its place, and the lock that keeps two fetches apart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::pins::{Artifact, Unpack};

/// Prefix of work folders inside the cache; what carries it while nobody holds the lock is rubbish.
const WORK_PREFIX: &str = ".fetch-";
/// Name of the lock file.
const LOCK: &str = ".lock";

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Held while the cache folder is changed; the system lets go of it when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: fs::File,
}

impl Cache {
    /// Names the folder without touching it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where imported models live, a folder each.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The folder an artifact is unpacked into.
    pub fn place(&self, artifact: &Artifact) -> PathBuf {
        match artifact.unpack {
            Unpack::Whole(_) => {
                self.root.join("packages").join(format!("{}-{}", artifact.package, artifact.version))
            }
            _ => self.root.join(format!("{}-{}", artifact.name, artifact.version)),
        }
    }

    /// What the artifact is used by, when it is there: the program, the library, the folder.
    pub fn present(&self, artifact: &Artifact) -> Option<PathBuf> {
        let place = self.place(artifact);
        match &artifact.unpack {
            Unpack::Program(name) => Some(place.join(name)).filter(|path| path.is_file()),
            Unpack::Libraries(_) => library_in(&place),
            Unpack::Whole(_) => Some(place).filter(|path| path.is_dir()),
        }
    }

    /// Waits for the lock; calls `waiting` first when somebody else holds it.
    pub fn lock(&self, waiting: impl FnOnce()) -> io::Result<Lock> {
        fs::create_dir_all(&self.root)?;
        let file =
            fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.root.join(LOCK))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock()?;
        }
        Ok(Lock { _file: file })
    }

    /// A folder to work in, on the same file system as every place; needs the lock, since it clears what a broken fetch left.
    pub fn work_dir(&self, _lock: &Lock) -> io::Result<tempfile::TempDir> {
        for entry in fs::read_dir(&self.root)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(&self.root)
    }

    /// Moves an unpacked folder to its artifact's place, whole or not at all.
    pub fn install(&self, _lock: &Lock, unpacked: &Path, artifact: &Artifact) -> io::Result<()> {
        let place = self.place(artifact);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::rename(unpacked, place)
    }
}

/// ONNX Runtime's own library in a folder that also holds its providers (`libonnxruntime_providers_...`).
pub fn library_in(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime."))
    })
}
