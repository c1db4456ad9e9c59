//! The folder that an import writes into: beside its destination, renamed to it at the end, removed on any error.

use std::fs::{self, File};
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
    /// Makes a folder beside `destination`, and removes what crashed imports of it left there.
    ///
    /// # Errors
    /// When `destination` exists, or the folder can't be made.
    pub(crate) fn beside(destination: &Path) -> Result<Staging, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if destination.exists() {
            return Err(Error::Exists(destination.to_owned()));
        }
        let name = destination.file_name().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| Error::source(destination.display().to_string(), "can't be a folder's name"))?;
        let prefix = format!(".{name}.importing-");
        sweep(destination, &prefix);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = destination.with_file_name(format!("{prefix}{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(Staging { folder, destination: destination.to_owned() })
    }

    /// Where to write.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the manifest, makes sure that everything is on the disk, and puts the folder in its place.
    ///
    /// # Errors
    /// When the disk is full, or another import was first.
    pub(crate) fn publish(self, manifest: &Manifest) -> Result<(), Error> {
        let path = self.folder.join(MANIFEST_FILE);
        let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
        text.push('\n');
        fs::write(&path, text).map_err(Error::io(&path))?;
        sync(&self.folder).map_err(Error::io(&self.folder))?;
        // A rename replaces nothing but an empty folder, so of two imports at once one wins and the other fails here.
        fs::rename(&self.folder, &self.destination).map_err(Error::io(&self.destination))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `publish` there is nothing left to remove, and nobody to tell about leftovers of a failed import.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn sync(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

/// Removes folders of imports whose process is gone. Where that can't be told, they stay; failing to remove one harms
/// nothing but disk space.
fn sweep(destination: &Path, prefix: &str) {
    let siblings = destination.parent().and_then(|parent| fs::read_dir(parent).ok());
    for entry in siblings.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
        if process.is_some_and(is_gone) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_gone(process: &str) -> bool {
    let processes = Path::new("/proc");
    process.parse::<u32>().is_ok() && processes.join("self").exists() && !processes.join(process).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_the_dead_go_and_of_the_living_stay() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let living = format!(".model.importing-{}-77", std::process::id());
        for name in [
            ".model.importing-4294967295-0",
            &living,
            ".other.importing-4294967295-0",
            ".model.importing-x-0",
        ] {
            fs::create_dir(at(name)).unwrap();
        }
        drop(Staging::beside(&at("model")).unwrap());
        assert!(!at(".model.importing-4294967295-0").exists());
        for stays in [living.as_str(), ".other.importing-4294967295-0", ".model.importing-x-0"] {
            assert!(at(stays).exists(), "{stays}");
        }
    }

    #[test]
    fn a_destination_needs_a_name() {
        assert!(matches!(
            Staging::beside(Path::new("/nowhere/..")),
            Err(Error::Source { .. } | Error::Exists(_))
        ));
    }
}
