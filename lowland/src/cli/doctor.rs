//! `lowland doctor`: what is missing, and the command that mends it.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use serde::Serialize;

use super::Context;
use crate::{
    artifacts::{
        fetch::Fetcher,
        pins::{Artifact, Model, PINS},
        pip::Pip,
        progress::Progress,
    },
    folders,
    models::{install, store::Store},
    paint::Paint,
    supervise::{
        ports,
        prepare::{DATA_FREE_BYTES_MIN, GATEWAY_PORT, NATS_PORT},
        state,
    },
};

/// Look for what is missing, and name the command that mends it; the exit status is 0 when nothing is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// Works, but worth knowing.
    Notice,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    verdict: Verdict,
    detail: String,
    /// The command that mends it.
    mend: Option<String>,
}

fn finding(what: &str, verdict: Verdict, detail: impl Into<String>, mend: Option<&str>) -> Finding {
    Finding { what: what.into(), verdict, detail: detail.into(), mend: mend.map(Into::into) }
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let fetcher = context.fetcher(Progress::Silent)?;
    let programs = PINS.defaults().filter(|artifact| !PINS.is_model(artifact));
    let mut findings: Vec<Finding> = programs.map(|artifact| artifact_is_there(&fetcher, artifact)).collect();
    findings.extend(models(&fetcher));
    let complete = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    findings.push(pip(&context.env, complete));
    findings.push(space("space for data", &context.data, DATA_FREE_BYTES_MIN));
    findings.extend(running(context));
    if args.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        show(&findings);
    }
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn artifact_is_there(fetcher: &Fetcher, artifact: &Artifact) -> Finding {
    let what = format!("{} {}", artifact.name, artifact.version);
    match fetcher.locate(artifact) {
        Ok(Some(located)) => finding(&what, Verdict::Good, located.path.display().to_string(), None),
        Ok(None) => {
            let detail = format!("not fetched yet ({})", artifact.purpose);
            finding(&what, Verdict::Bad, detail, Some(&format!("lowland fetch {}", artifact.name)))
        }
        Err(error) => {
            finding(&what, Verdict::Bad, error.to_string(), Some("unset that variable, or correct it"))
        }
    }
}

/// The models of the folder that the environment names, or the default ones.
fn models(fetcher: &Fetcher) -> Vec<Finding> {
    let store = install::store(fetcher);
    if install::replacement(fetcher).is_some() {
        let ids: Vec<String> =
            store.list().into_iter().filter_map(|model| Some(model.manifest.ok()?.id)).collect();
        let folder = store.root().display();
        return vec![match ids.is_empty() {
            false => finding("models", Verdict::Good, format!("{} in {folder}", ids.join(", ")), None),
            true => {
                let mend = Some("lowland model import PATH, or unset LOWLAND_MODELS");
                finding("models", Verdict::Bad, format!("none in {folder}"), mend)
            }
        }];
    }
    PINS.models.iter().map(|model| default_model(fetcher, &store, model)).collect()
}

fn default_model(fetcher: &Fetcher, store: &Store, model: &Model) -> Finding {
    let what = format!("model {}", model.id);
    if store.holds(&model.id) {
        return finding(&what, Verdict::Good, store.path(&model.id).display().to_string(), None);
    }
    let package = PINS.artifact(&model.artifact).map(|artifact| fetcher.locate(artifact));
    let fetched = matches!(package, Some(Ok(Some(_))));
    let mend = format!("lowland model pull {}", model.id);
    match fetched {
        true => finding(&what, Verdict::Notice, "fetched; imported at the next start", Some(&mend)),
        false => finding(&what, Verdict::Bad, "not fetched yet", Some(&mend)),
    }
}

/// Only what is not fetched yet needs pip.
fn pip(env: &BTreeMap<String, String>, complete: bool) -> Finding {
    let verdict = if complete { Verdict::Notice } else { Verdict::Bad };
    match Pip::find(env) {
        Ok(pip) => finding("pip", Verdict::Good, format!("version {}", pip.version), None),
        Err(error) => {
            let text = error.to_string();
            let (detail, mend) = text.split_once("; ").unwrap_or((&text, ""));
            finding("pip", verdict, detail, Some(mend))
        }
    }
}

fn space(what: &str, folder: &std::path::Path, needed: u64) -> Finding {
    match folders::free_bytes(folder) {
        Ok(free) if free >= needed => finding(what, Verdict::Good, format!("{} MiB free", free >> 20), None),
        Ok(free) => {
            let detail =
                format!("{} MiB free for {}, needed {} MiB", free >> 20, folder.display(), needed >> 20);
            finding(what, Verdict::Bad, detail, Some("make room, or give another folder with --data"))
        }
        Err(error) => finding(what, Verdict::Bad, error.to_string(), None),
    }
}

fn running(context: &Context) -> Vec<Finding> {
    let data = context.data();
    match state::supervisor(&data) {
        Some(pid) => {
            vec![finding("running", Verdict::Good, format!("yes (process {pid})"), Some("lowland status"))]
        }
        None => {
            let cut_off = state::read(&data).is_some();
            let state = if cut_off { "no; the last run was cut off" } else { "no" };
            [finding("running", Verdict::Good, state, Some("lowland up"))]
                .into_iter()
                .chain([("gateway's port", GATEWAY_PORT), ("NATS's port", NATS_PORT)].map(port))
                .collect()
        }
    }
}

fn port((what, port): (&str, u16)) -> Finding {
    if ports::is_free(port) {
        return finding(what, Verdict::Good, format!("{port} is free"), None);
    }
    finding(what, Verdict::Notice, format!("{port} is taken: another one will be used"), None)
}

fn show(findings: &[Finding]) {
    let paint = Paint::for_stdout();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => paint.green("ok  "),
            Verdict::Notice => paint.yellow("note"),
            Verdict::Bad => paint.red("BAD "),
        };
        println!("{mark} {:<28} {}", finding.what, finding.detail);
        if let Some(mend) = finding.mend.as_ref().filter(|_| finding.verdict != Verdict::Good) {
            println!("     {:<28} -> {mend}", "");
        }
    }
}
