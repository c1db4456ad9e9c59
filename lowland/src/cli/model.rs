//! `lowland model`: the models of this machine.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use lowland_engine::{
    import::{Options, Precision},
    manifest::{Manifest, Task, Weights},
};
use serde_json::json;

use super::{Context, table};
use crate::{
    artifacts::{fetch::Fetcher, pins::PINS, progress::Progress},
    models::{hub, install, store::Store},
    supervise::prepare::bytes_in,
};

/// Pull, import, list and remove models
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland model list                                    what is there, and what can be pulled by name
  lowland model pull smollm2-135m-instruct              a model that this version pins
  lowland model pull owner/name --file model-q8_0.gguf  from a model hub, if you can reach one
  lowland model import ./model.gguf --id my-model       a GGUF file of the Llama family
  lowland model import ./phi-onnx                       an onnxruntime-genai folder, or a folder with safetensors
  lowland model remove my-model

A worker serves the models that are there when it starts.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Fetch a model and import it
    Pull {
        /// Name of a pinned model, or `owner/name` on a model hub
        name: String,
        /// The file or folder of the repository that is wanted, where it has several
        #[arg(long)]
        file: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Import a model from a file or a folder
    Import {
        /// A GGUF file, an onnxruntime-genai folder, or a folder with config.json and safetensors
        path: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// List the models that are there
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove an imported model; its package stays in the cache
    Remove {
        /// Its id
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct How {
    /// How callers name the model [default: from the source's own name]
    #[arg(long)]
    id: Option<String>,
    /// How weights are stored: int8 (smaller, faster) or fp32 [default: what suits the kind of model]
    #[arg(long, value_parser = ["int8", "fp32"])]
    weights: Option<String>,
    /// Longest context, in tokens; less memory for each job than the model's own
    #[arg(long, value_name = "TOKENS")]
    context: Option<usize>,
}

impl How {
    fn options(&self) -> Options {
        let weights =
            self.weights.as_ref().map(|name| if name == "fp32" { Precision::Fp32 } else { Precision::Int8 });
        Options { id: self.id.clone(), weights, context_tokens_max: self.context, ..Options::default() }
    }
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let fetcher = context.fetcher(Progress::Shown)?;
    let store = install::store(&fetcher);
    match args.command {
        Command::Pull { name, file, how } if name.contains('/') => {
            let source = hub::download(&name, file.as_deref(), fetcher.progress)?;
            let fallback = name.rsplit('/').next().unwrap_or(&name);
            import(&fetcher, &store, &source, fallback, &how)
        }
        Command::Pull { name, how, .. } => pull(&fetcher, &store, &name, &how),
        Command::Import { path, how } => {
            let stem = path.file_stem().context("that path names nothing")?.to_string_lossy().into_owned();
            import(&fetcher, &store, &path, &stem, &how)
        }
        Command::List { json } => list(&store, json),
        Command::Remove { id } => remove(&store, &id),
    }
}

fn pull(fetcher: &Fetcher, store: &Store, name: &str, how: &How) -> Result<ExitCode> {
    let Some(model) = PINS.model(name) else {
        let known: Vec<&str> = PINS.models.iter().map(|model| model.id.as_str()).collect();
        bail!(
            "no model called {name:?} is pinned (there are: {}); a model hub's models are named owner/name",
            known.join(", ")
        );
    };
    if how.id.as_ref().is_some_and(|id| *id != model.id) {
        bail!("a pinned model keeps its id, {}", model.id);
    }
    let imported = install::ensure(fetcher, store, model, &how.options())?;
    let path = store.path(&model.id);
    println!("{} {} {}", model.id, if imported { "is now in" } else { "was already in" }, path.display());
    Ok(ExitCode::SUCCESS)
}

fn import(fetcher: &Fetcher, store: &Store, source: &Path, name: &str, how: &How) -> Result<ExitCode> {
    let id = how.id.clone().unwrap_or_else(|| as_id(name));
    let options = Options { id: Some(id), ..how.options() };
    let manifest = store.import(source, &options, fetcher.progress)?;
    println!("{} is now in {}", manifest.id, store.path(&manifest.id).display());
    Ok(ExitCode::SUCCESS)
}

/// A name as an id: in small letters, other characters than letters, digits, `-` and `_` become `-`.
fn as_id(name: &str) -> String {
    let mapped = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect::<String>();
    mapped.trim_matches('-').chars().take(lowland_events::id::ID_BYTES_MAX).collect()
}

fn list(store: &Store, as_json: bool) -> Result<ExitCode> {
    let models = store.list();
    if as_json {
        let models: Vec<_> = models.iter().map(|model| json!({ "path": model.path, "manifest": model.manifest.as_ref().ok(), "problem": model.manifest.as_ref().err().map(ToString::to_string) })).collect();
        println!("{}", serde_json::to_string(&models)?);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = models.iter().map(|model| match &model.manifest {
        Ok(manifest) => row(manifest, &model.path),
        Err(error) => vec![model.path.display().to_string(), error.to_string()],
    });
    println!("{}", table(&["MODEL", "KIND", "WEIGHTS", "CONTEXT", "SIZE", "FROM"], rows));
    let pinned = PINS.models.iter().filter(|model| !store.holds(&model.id));
    let missing: Vec<&str> = pinned.map(|model| model.id.as_str()).collect();
    if !missing.is_empty() {
        println!("\nto be had with `lowland model pull`: {}", missing.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(manifest: &Manifest, path: &Path) -> Vec<String> {
    let kind = match manifest.task {
        Task::Generate(_) => "generate",
        Task::Embed(_) => "embed",
    };
    let weights = match manifest.weights {
        Weights::Fp32 => "fp32",
        Weights::Int8 => "int8",
        Weights::AsPublished => "as published",
    };
    let size = format!("{} MB", bytes_in(path) / 1_000_000);
    vec![
        manifest.id.clone(),
        kind.into(),
        weights.into(),
        manifest.context_tokens.to_string(),
        size,
        manifest.source.clone(),
    ]
}

fn remove(store: &Store, id: &str) -> Result<ExitCode> {
    if !store.remove(id)? {
        bail!("there is no model {id:?} in {}", store.root().display());
    }
    println!("removed {id}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(as_id("SmolLM2-135M-Instruct.Q4_1"), "smollm2-135m-instruct-q4_1");
        assert_eq!(as_id("..Ä.."), "");
    }
}
