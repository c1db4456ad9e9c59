//! The folder of imported models.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use lowland_engine::{
    folder,
    import::{self, Options, Stage},
    manifest::{MANIFEST_FILE, Manifest},
};

use crate::artifacts::progress::Progress;

/// A folder of model folders, each named by its model's id.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// An imported model.
#[derive(Debug)]
pub struct Imported {
    /// Its folder.
    pub path: PathBuf,
    /// What its folder says; an error where that cannot be read.
    pub manifest: Result<Manifest, lowland_engine::Error>,
}

impl Store {
    /// Names the folder without touching it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the model of this id is or would be.
    pub fn path(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// Whether the model is there, in the format of this build.
    pub fn holds(&self, id: &str) -> bool {
        folder::manifest(&self.path(id)).is_ok()
    }

    /// Every model that is there, by id.
    pub fn list(&self) -> Vec<Imported> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.join(MANIFEST_FILE).is_file()).collect();
        folders.sort();
        folders.into_iter().map(|path| Imported { manifest: folder::manifest(&path), path }).collect()
    }

    /// Imports what is at `source`, in place of one of the same id whose format is an older one.
    pub fn import(&self, source: &Path, options: &Options, progress: Progress) -> Result<Manifest> {
        fs::create_dir_all(&self.root).with_context(|| format!("making {}", self.root.display()))?;
        let Some(id) = &options.id else { bail!("an import needs the model's id") };
        let out = self.path(id);
        if self.holds(id) {
            bail!("model {id} is there already ({}); `lowland model remove {id}` removes it", out.display());
        }
        if out.exists() {
            fs::remove_dir_all(&out)
                .with_context(|| format!("removing {}, of another format", out.display()))?;
        }
        let task = progress.begin(&format!("importing {id}"), 0);
        let mut report = |at: import::Progress| task.now(&format!("importing {id}: {}", described(at)));
        let manifest = import::import(source, &out, options, &mut report)
            .with_context(|| format!("importing {} as {id}", source.display()))?;
        task.done("done");
        Ok(manifest)
    }

    /// Removes a model; whether there was one.
    pub fn remove(&self, id: &str) -> Result<bool> {
        let path = self.path(id);
        if id.is_empty() || id.contains(['/', '.']) || !path.join(MANIFEST_FILE).is_file() {
            return Ok(false);
        }
        fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        Ok(true)
    }
}

fn described(at: import::Progress) -> String {
    let what = match at.stage {
        Stage::Tokenizer => "tokenizer",
        Stage::Weights => "weights",
        Stage::Files => "files",
        Stage::Finishing => "finishing",
    };
    format!("{what} {} %", (at.done * 100).checked_div(at.total).unwrap_or(100))
}
