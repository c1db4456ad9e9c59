//! The worker's settings, read once at start.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};

use lowland_engine::{Provider, folder, manifest::MANIFEST_FILE};
use lowland_events::{
    Money,
    id::{ModelId, RegionId, WorkerId},
};
use lowland_host::Settings;

use crate::engine::echo;

/// Jobs at once a model, unless said otherwise. Each slot keeps one context of key-value cache in memory.
const SLOTS_DEFAULT: u32 = 4;
/// Most slots a model.
const SLOTS_MAX: u32 = 1024;
/// What a million tokens cost here, in units, unless said otherwise: what the choice of a place weighs.
const ASK_DEFAULT: &str = "0.05";
/// An entry of `LOWLAND_WORKER_MODELS` that begins so is an echo, not a model: for benchmarks of everything around one.
const ECHO: &str = "echo:";

/// What a worker is, and what it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its id: the place, whatever process is there now.
    pub worker: WorkerId,
    /// Where it is.
    pub region: RegionId,
    /// What it loads, in this order.
    pub models: Vec<Source>,
    /// What it asks for a million tokens.
    pub ask: Money,
    /// How models are run.
    pub engine: lowland_engine::Config,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A model folder.
    Folder(PathBuf),
    /// No model: gives back what it is told.
    Echo(echo::Config),
}

impl Config {
    /// Reads the settings; what is wrong is noted in them.
    pub fn read(settings: &mut Settings) -> Self {
        let worker =
            settings.required("LOWLAND_WORKER_ID", "a name for this worker that no other has, such as w1");
        let region = settings.or("LOWLAND_REGION", RegionId::new("local").expect("letters are a valid id"));
        let models = models(settings);
        let ask: String = settings.or("LOWLAND_ASK", ASK_DEFAULT.into());
        let ask = Money::from_units(&ask).unwrap_or_else(|_| {
            settings.problem(format!(
                "LOWLAND_ASK={ask:?}: an amount for a million tokens is wanted, such as {ASK_DEFAULT}"
            ));
            Money::ZERO
        });
        let engine = engine(settings);
        // A setting that is missing stops the start; the name stands in until then.
        let worker = worker.unwrap_or_else(|| WorkerId::new("unset").expect("letters are a valid id"));
        Self { worker, region, models, ask, engine }
    }
}

fn engine(settings: &mut Settings) -> lowland_engine::Config {
    let slots = settings.or("LOWLAND_SLOTS", SLOTS_DEFAULT);
    if !(1..=SLOTS_MAX).contains(&slots) {
        settings.problem(format!("LOWLAND_SLOTS={slots}: 1 to {SLOTS_MAX} jobs at once are possible"));
    }
    let cores = available_parallelism().map_or(1, usize::from);
    lowland_engine::Config {
        provider: settings.or("LOWLAND_PROVIDER", Provider::Cpu),
        threads: settings.or("LOWLAND_THREADS", cores),
        slots: slots as usize,
        library: settings.optional(lowland_engine::LIBRARY_VARIABLE),
    }
}

/// The models to load: all in the folder, or those that are named.
fn models(settings: &mut Settings) -> Vec<Source> {
    let names: Option<String> = settings.optional("LOWLAND_WORKER_MODELS");
    let names: Vec<&str> =
        names.as_deref().unwrap_or("").split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    let slots = settings.or("LOWLAND_SLOTS", SLOTS_DEFAULT);
    let (echoes, wanted): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.starts_with(ECHO));
    let mut sources: Vec<Source> = Vec::new();
    for name in &echoes {
        match echo_source(name, slots) {
            Ok(echo) => sources.push(Source::Echo(echo)),
            Err(problem) => settings.problem(format!("LOWLAND_WORKER_MODELS: {name}: {problem}")),
        }
    }
    if wanted.is_empty() && !echoes.is_empty() {
        return sources;
    }
    let folder: Option<PathBuf> =
        settings.required("LOWLAND_MODELS", "the folder that holds a folder for each model");
    let Some(folder) = folder else { return sources };
    match in_folder(&folder).and_then(|found| choose(found, &wanted)) {
        Ok(chosen) => sources.extend(chosen.into_iter().map(Source::Folder)),
        Err(problem) => settings.problem(format!("LOWLAND_MODELS={}: {problem}", folder.display())),
    }
    sources
}

/// `echo:<model id>` or `echo:<model id>:<milliseconds a token>`.
fn echo_source(name: &str, slots: u32) -> Result<echo::Config, String> {
    let rest = name.strip_prefix(ECHO).unwrap_or(name);
    let (id, step) = rest.split_once(':').unwrap_or((rest, "0"));
    let id = ModelId::new(id).map_err(|error| error.to_string())?;
    let step: u64 = step.parse().map_err(|_| format!("{step:?} is no number of milliseconds"))?;
    Ok(echo::Config { slots, step: Duration::from_millis(step), ..echo::Config::new(id) })
}

/// Model folders with their models' ids, by id.
fn in_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.join(MANIFEST_FILE).is_file() {
            let manifest = folder::manifest(&path).map_err(|error| error.to_string())?;
            found.push((manifest.id, path));
        }
    }
    found.sort();
    match found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => {
            let (a, b) = (pair[0].1.display(), pair[1].1.display());
            Err(format!("{a} and {b} are both called {}", pair[0].0))
        }
        None => Ok(found),
    }
}

fn choose(found: Vec<(String, PathBuf)>, wanted: &[&str]) -> Result<Vec<PathBuf>, String> {
    let ids = || found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        return Err("it holds no model; `lowland model pull` brings one".into());
    }
    if let Some(missing) = wanted.iter().find(|wanted| !found.iter().any(|(id, _)| id == *wanted)) {
        return Err(format!("model {missing} (from LOWLAND_WORKER_MODELS) is not there; it holds {}", ids()));
    }
    let chosen = found.into_iter().filter(|(id, _)| wanted.is_empty() || wanted.contains(&id.as_str()));
    Ok(chosen.map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> (Config, String) {
        let given: Vec<_> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::from_lookup(move |name| {
            given.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
        });
        let config = Config::read(&mut settings);
        (config, settings.finish().err().map(|error| error.to_string()).unwrap_or_default())
    }

    fn model(folder: &Path, name: &str, id: &str) {
        let path = folder.join(name);
        fs::create_dir(&path).unwrap();
        let manifest = format!(
            r#"{{"format":1,"id":"{id}","source":"test","license":null,"graph":"model.onnx","weights":"fp32",
            "context_tokens":16,"vocab":8,"task":{{"kind":"embed","dimensions":4,"pooling":"mean","normalize":true}}}}"#
        );
        fs::write(path.join(MANIFEST_FILE), manifest).unwrap();
    }

    #[test]
    fn all_models_of_the_folder_or_those_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "b", "beta");
        model(folder.path(), "a", "alpha");
        fs::create_dir(folder.path().join("no-model")).unwrap();
        let path = folder.path().to_str().unwrap();
        let (config, problems) = read(&[("LOWLAND_WORKER_ID", "w1"), ("LOWLAND_MODELS", path)]);
        assert_eq!(problems, "");
        let folders = ["a", "b"].map(|name| Source::Folder(folder.path().join(name)));
        assert_eq!(config.models, folders);
        let one =
            [("LOWLAND_WORKER_ID", "w1"), ("LOWLAND_MODELS", path), ("LOWLAND_WORKER_MODELS", " beta ,")];
        assert_eq!(read(&one).0.models, folders[1..]);
        let missing =
            [("LOWLAND_WORKER_ID", "w1"), ("LOWLAND_MODELS", path), ("LOWLAND_WORKER_MODELS", "gamma")];
        assert!(
            read(&missing)
                .1
                .contains("model gamma (from LOWLAND_WORKER_MODELS) is not there; it holds alpha, beta")
        );
    }

    #[test]
    fn two_folders_of_one_model_are_named() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), "a", "same");
        model(folder.path(), "b", "same");
        let (_, problems) =
            read(&[("LOWLAND_WORKER_ID", "w1"), ("LOWLAND_MODELS", folder.path().to_str().unwrap())]);
        assert!(problems.contains("are both called same"), "{problems}");
    }

    #[test]
    fn everything_wrong_is_reported_together() {
        let (_, problems) =
            read(&[("LOWLAND_ASK", "cheap"), ("LOWLAND_SLOTS", "0"), ("LOWLAND_PROVIDER", "gpu")]);
        for part in [
            "LOWLAND_WORKER_ID is not set",
            "LOWLAND_MODELS is not set",
            "LOWLAND_ASK=",
            "LOWLAND_SLOTS=0",
            "LOWLAND_PROVIDER=",
        ] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }

    #[test]
    fn an_echo_has_to_be_asked_for_by_name() {
        let (config, problems) = read(&[
            ("LOWLAND_WORKER_ID", "w1"),
            ("LOWLAND_WORKER_MODELS", "echo:parrot:5"),
            ("LOWLAND_SLOTS", "9"),
        ]);
        assert_eq!(problems, "");
        let echo = echo::Config::new(ModelId::new("parrot").unwrap());
        assert_eq!(
            config.models,
            [Source::Echo(echo::Config { slots: 9, step: Duration::from_millis(5), ..echo })]
        );
        let (_, problems) =
            read(&[("LOWLAND_WORKER_ID", "w1"), ("LOWLAND_WORKER_MODELS", "echo:a b,echo:c:x")]);
        assert!(problems.contains("echo:a b") && problems.contains("\"x\" is no number"), "{problems}");
    }
}
