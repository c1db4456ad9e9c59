//! What `tests/power-cut` needs of Rust: a crowd under which the power goes, what a log holds, and whether a system that
//! was started on what was left does all that is left to do.
//!
//!     power_cut load UP SECONDS SEED     a crowd for so long, at the system of which `lowland up --json` said what is in UP
//!     power_cut contents URL DATA OUT    every message of LOG and REQUESTS, a line each: stream, sequence, subject, hash
//!     power_cut finish UP PRICES         waits until everything that was asked for has ended and is paid for, once

use std::{env, fmt::Write as _, fs, process::exit, time::Duration};

use lowland_events::{
    log::{Error, Record, SharedLog},
    stream::{LOG, REQUESTS},
};
use lowland_tests::{
    audit::{self, Prices},
    load::{Crowd, Load, Mix},
    site::{self, Site},
};
use sha2::{Digest, Sha256};

/// Records read at once.
const PAGE: usize = 1000;
/// The crowd: more than a worker's slots, so that some always wait.
const STREAMS: usize = 12;
const PUBLISHERS: usize = 8;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["load", up, seconds, seed] => load(&site(up), number(seconds), number(seed)).await,
        ["contents", url, data, out] => contents(url, data, out).await,
        ["finish", up, prices] => finish(&site(up), prices).await,
        _ => {
            eprintln!("power_cut load UP SECONDS SEED | contents URL DATA OUT | finish UP PRICES");
            exit(2);
        }
    }
}

fn site(up: &str) -> Site {
    Site::of(&fs::read_to_string(up).expect("what `lowland up --json` said is in that file"))
}

fn number(text: &str) -> u64 {
    text.parse().expect("a whole number")
}

async fn load(site: &Site, seconds: u64, seed: u64) {
    let own = (site.said("nats_user").to_owned(), site.said("api_key").to_owned());
    let mix = Mix { tokens: (10, 60), ..Mix::default() };
    let crowd =
        Crowd { seed, streams: STREAMS, publishers: PUBLISHERS, mix, accounts: vec![own.clone(), own] };
    let load = Load::begin(site, &crowd).await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let report = load.end().await;
    assert!(report.complaints.is_empty(), "{:#?}", report.complaints);
    println!("{} jobs, {} top-ups", report.jobs.len(), report.topups.len());
}

async fn contents(url: &str, data: &str, out: &str) {
    let log =
        site::log_at(url, &fs::read_to_string(format!("{data}/keys/operator.nk")).expect("a key")).await;
    let mut text = String::new();
    for stream in [LOG, REQUESTS] {
        for record in records(&log, stream).await {
            let (sequence, subject) = (record.sequence, &record.subject);
            writeln!(text, "{stream} {sequence} {subject} {}", hash(&record)).expect("memory is there");
        }
    }
    fs::write(out, text).expect("the file can be written");
}

/// All of a stream; nothing of one that is gone.
async fn records(log: &SharedLog, stream: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let next = records.last().map_or(1, |last| last.sequence + 1);
        match log.read(stream, &[], next, PAGE).await {
            Ok(page) if page.is_empty() => return records,
            Ok(page) => records.extend(page),
            Err(Error::NoStream(_)) => return records,
            Err(error) => panic!("{stream}: {error}"),
        }
    }
}

/// Subject, headers and body, as 16 hexadecimal digits.
fn hash(record: &Record) -> String {
    let mut hash = Sha256::new();
    hash.update(&record.subject);
    for (name, value) in &record.headers.0 {
        hash.update(format!("\0{name}\0{value}"));
    }
    hash.update(b"\0\0");
    hash.update(&record.payload);
    hash.finalize()[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

async fn finish(site: &Site, prices: &str) {
    let prices = Prices::read(&fs::read_to_string(prices).expect("a price book"));
    let audit = audit::finished(&site.log().await, prices).await;
    println!("{}", audit.jobs.len());
}
