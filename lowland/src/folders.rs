//! Where things live: one cache folder (may be deleted at any time, is fetched again) and one data folder (is the
//! system's memory). Both follow the XDG rules on every system, macOS included, so that the documentation has one answer.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

/// Our folder's name inside the XDG base folders.
const NAME: &str = "lowland";
/// Mode of folders and files that hold secrets.
const SECRET_DIR_MODE: u32 = 0o700;
const SECRET_FILE_MODE: u32 = 0o600;

/// No home folder to be found.
#[derive(Debug, thiserror::Error)]
#[error("no home folder: set HOME, or XDG_CACHE_HOME and XDG_DATA_HOME")]
pub struct NoHome;

/// `${XDG_CACHE_HOME:-~/.cache}/lowland`
pub fn cache() -> Result<PathBuf, NoHome> {
    Ok(base()?.cache_dir().join(NAME))
}

/// `${XDG_DATA_HOME:-~/.local/share}/lowland`
pub fn data() -> Result<PathBuf, NoHome> {
    Ok(base()?.data_dir().join(NAME))
}

fn base() -> Result<etcetera::base_strategy::Xdg, NoHome> {
    etcetera::base_strategy::Xdg::new().map_err(|_| NoHome)
}

/// The data folder and what is in it.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
}

impl Data {
    /// Opens `root`, making it and its folders where they are missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let data = Self::at(root);
        for dir in [data.root().to_owned(), data.nats(), data.logs(), data.run(), data.keys()] {
            fs::create_dir_all(&dir).map_err(|error| say(&dir, &error))?;
        }
        for dir in [data.run(), data.keys()] {
            fs::set_permissions(dir, fs::Permissions::from_mode(SECRET_DIR_MODE))?;
        }
        Ok(data)
    }

    /// Names the folder without touching it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// JetStream's file store.
    pub fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// What the processes print, a file each.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What exists only while it runs: lock, `up.json`, the server's configuration.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Secrets: a file each, readable by their owner only.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// A configuration file of this name (`keys.toml`, `prices.toml`).
    pub fn config(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

fn say(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(SECRET_FILE_MODE)
        .open(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        say(path, &error)
    })
}

/// Free bytes on the file system that holds `path` (or its nearest parent that exists).
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let name = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(existing.as_os_str()))?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `name` is a C string and `stat` has room for what statvfs writes.
    if unsafe { libc::statvfs(name.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs returned 0, so it has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on macOS")]
    Ok(stat.f_bavail as u64 * stat.f_frsize as u64)
}
