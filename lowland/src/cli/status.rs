//! `lowland status`: what runs, and whether it is well.

use std::process::ExitCode;

use anyhow::Result;
use futures::future::join_all;
use serde::Serialize;

use super::{Context, block_on, table};
use crate::{
    containers::reach,
    paint::Paint,
    supervise::{
        health,
        state::{self, Up},
    },
};

/// Show what runs, and whether it is ready; the exit status is 0 when everything is, 3 when nothing runs, else 1
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Exit status when nothing runs (as init scripts have it).
const NOT_RUNNING: u8 = 3;

#[derive(Debug, Serialize)]
struct Status {
    running: bool,
    data: std::path::PathBuf,
    gateway_url: Option<String>,
    nats_url: Option<String>,
    processes: Vec<Process>,
}

#[derive(Debug, Serialize)]
struct Process {
    name: String,
    pid: Option<u32>,
    ready: bool,
    health: String,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let data = context.data();
    let up = match state::supervisor(&data) {
        Some(_) => state::read(&data),
        None => reach::named(&data, &context.env)?,
    };
    let starting = state::supervisor(&data).is_some() && up.is_none();
    let processes = block_on(async { Ok(processes(up.as_ref()).await) })?;
    let status = Status {
        running: up.is_some(),
        data: data.root().to_owned(),
        gateway_url: up.as_ref().and_then(|up| up.gateway_url.clone()),
        nats_url: up.map(|up| up.nats_url),
        processes,
    };
    match (args.json, starting) {
        (true, _) => println!("{}", serde_json::to_string(&status)?),
        (false, true) => println!("starting, on {}", status.data.display()),
        (false, false) => show(&status),
    }
    Ok(code(&status))
}

async fn processes(up: Option<&Up>) -> Vec<Process> {
    let Some(up) = up else { return Vec::new() };
    let client = reqwest::Client::new();
    let asked = up.health.iter().map(async |(name, url)| Process {
        name: name.clone(),
        pid: up.pids.get(name).copied(),
        ready: health::is_ready(&client, url).await,
        health: url.clone(),
    });
    join_all(asked).await
}

fn show(status: &Status) {
    if !status.running {
        println!("nothing runs on {} (`lowland up` starts it)", status.data.display());
        return;
    }
    let paint = Paint::for_stdout();
    let rows = status.processes.iter().map(|process| {
        let ready = if process.ready { paint.green("ready") } else { paint.red("not ready") };
        let pid = process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        vec![process.name.clone(), ready, pid, process.health.clone()]
    });
    println!("{}\n", table(&["PROCESS", "STATE", "PID", "HEALTH"], rows));
    if let Some(url) = &status.gateway_url {
        println!("API   {url}/v1");
    }
    println!("NATS  {}\ndata  {}", status.nats_url.as_deref().unwrap_or("-"), status.data.display());
}

fn code(status: &Status) -> ExitCode {
    match (status.running, status.processes.iter().all(|process| process.ready)) {
        (false, _) => ExitCode::from(NOT_RUNNING),
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
    }
}
