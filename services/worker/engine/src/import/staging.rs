//! The folder that an import writes into: beside its destination, renamed to it at the end, removed on any error.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Error;
use crate::manifest::{MANIFEST_FILE, Manifest};

/// A folder that isn't a model yet.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: PathBuf,
    destination: PathBuf,
}

impl Staging {
    /// Makes a folder beside `destination`.
    ///
    /// # Errors
    /// When `destination` exists, or the folder can't be made.
    pub(crate) fn beside(destination: &Path) -> Result<Staging, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if destination.exists() {
            return Err(Error::Exists(destination.to_owned()));
        }
        let name = destination.file_name().unwrap_or_default().to_string_lossy();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = destination.with_file_name(format!(".{name}.importing-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(Staging { folder, destination: destination.to_owned() })
    }

    /// Where to write.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the manifest, the last of the files, and puts the folder in its place.
    ///
    /// # Errors
    /// When the disk is full, or another import was first.
    pub(crate) fn publish(self, manifest: &Manifest) -> Result<(), Error> {
        let path = self.folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
        text.push('\n');
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        // A rename replaces nothing but an empty folder, so of two imports at once one wins and the other fails here.
        std::fs::rename(&self.folder, &self.destination).map_err(Error::io(&self.destination))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `publish` there is nothing left to remove, and nobody to tell about leftovers of a failed import.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
