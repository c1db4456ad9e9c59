//! A download, over one stream or several.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Failure, Target,
    content::Check,
    request::{HEAD_LEN, Request},
};
use crate::endpoint::{Connection, ReadError, RecvStream};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Time between two notes of how much has come.
const NOTE: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bytes to download
    #[arg(long, default_value_t = 75_000_000)]
    bytes: u64,
    /// Download for so many seconds instead
    #[arg(long)]
    secs: Option<f64>,
    /// Streams at once
    #[arg(long, default_value_t = 1)]
    streams: u64,
    /// Seconds after which the run is given up
    #[arg(long, default_value_t = 300.0)]
    give_up_secs: f64,
}

/// What a run has seen: bytes that had come at times since it began.
#[derive(Debug, Default)]
struct Course(Vec<(Duration, u64)>);

impl Course {
    fn note(&mut self, at: Duration, bytes: u64) {
        if self.0.last().is_none_or(|(last, _)| at >= *last + NOTE) {
            self.0.push((at, bytes));
        }
    }

    /// Megabits a second in the second half of the time.
    fn tail_mbit(&self, end: (Duration, u64)) -> f64 {
        let half = self.0.iter().find(|(at, _)| *at * 2 >= end.0).copied().unwrap_or_default();
        mbit(end.1 - half.1, end.0.saturating_sub(half.0))
    }
}

fn mbit(bytes: u64, time: Duration) -> f64 {
    let rate = bytes as f64 * 8.0 / 1e6 / time.as_secs_f64().max(1e-9);
    (rate * 1e3).round() / 1e3
}

pub(super) async fn run(target: &Target, args: &Args) -> Result<Value, Failure> {
    if args.streams == 0 || !(args.give_up_secs > 0.0 && args.secs.is_none_or(|secs| secs > 0.0)) {
        return Err(Failure("--streams, --secs and --give-up-secs: more than 0".to_owned()));
    }
    let began = Instant::now();
    let connection = target.connect().await?;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut downloads = JoinSet::new();
    for number in 0..args.streams {
        let len = match args.secs {
            Some(_) => u64::MAX,
            None => args.bytes / args.streams + u64::from(number < args.bytes % args.streams),
        };
        let limit_ms = args.secs.map_or(0, |secs| (secs * 1e3) as u64);
        let request = Request { len, offset: number * 7919, limit_ms };
        downloads.spawn(download(connection.clone(), request, told.clone()));
    }
    drop(told);
    let give_up = began + Duration::from_secs_f64(args.give_up_secs);
    let (mut course, mut bytes, mut last) = (Course::default(), 0, began);
    while let Ok(Some((at, len))) = tokio::time::timeout_at(give_up, heard.recv()).await {
        bytes += len;
        last = at;
        course.note(at - began, bytes);
    }
    let time = last - began;
    let mut content_ok = true;
    let mut complete = Instant::now() < give_up;
    if complete {
        while let Some(download) = downloads.join_next().await {
            let end = download.unwrap_or_default();
            content_ok &= end.content_ok;
            complete &= end.complete;
        }
    }
    let (stats, path) = (connection.stats(), connection.path_stats());
    connection.close(crate::proto::close::Code::NO_ERROR, bytes::Bytes::new());
    tracing::debug!(?stats, ?path, "a download has ended");
    Ok(json!({
        "run": "bulk", "goodput_mbit": mbit(bytes, time), "tail_mbit": course.tail_mbit((time, bytes)),
        "bytes": bytes, "secs": time.as_secs_f64(), "complete": complete, "content_ok": content_ok,
        "streams": args.streams, "packets_received": stats.packets_received, "packets_sent": stats.packets_sent,
    }))
}

/// How a download has ended.
#[derive(Debug, Default)]
struct End {
    complete: bool,
    content_ok: bool,
}

type Told = tokio::sync::mpsc::UnboundedSender<(Instant, u64)>;

async fn download(connection: Connection, request: Request, told: Told) -> End {
    let mut check = Check::from(request.offset);
    let mut got = 0;
    let ended = match ask(&connection, &request).await {
        Some(mut recv) => read(&mut recv, &mut check, &mut got, &told).await.is_ok(),
        None => false,
    };
    End { complete: ended && (request.limit_ms > 0 || got == request.len), content_ok: check.is_ok() }
}

async fn ask(connection: &Connection, request: &Request) -> Option<RecvStream> {
    let (mut send, recv) = connection.open_stream().await.ok()?;
    send.write_chunks(request.write(HEAD_LEN)).await.ok()?;
    send.finish().ok()?;
    Some(recv)
}

async fn read(recv: &mut RecvStream, check: &mut Check, got: &mut u64, told: &Told) -> Result<(), ReadError> {
    let mut noted = Instant::now();
    let mut since = 0;
    while let Some(data) = recv.read_chunk(CHUNK).await? {
        check.take(&data);
        *got += data.len() as u64;
        since += data.len() as u64;
        let now = Instant::now();
        if now - noted >= NOTE {
            let _ = told.send((now, std::mem::take(&mut since)));
            noted = now;
        }
    }
    let _ = told.send((Instant::now(), since));
    Ok(())
}
