//! What a system says of itself, held to what its log says: balances, invoices, states, readiness, and what was promised
//! to a crowd.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use lowland_events::{
    Domain, Event, Filter, Stored,
    id::ServiceId,
    job::{self, ProblemCode},
    log::SharedLog,
    snapshot::Snapshot,
    stream,
};
use lowland_host::{Keep, inspect::Seen};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    audit::{Account, Audit, End},
    load::{Heard, Http, Read, Report},
    site::Site,
};

/// Longest wait until everything is ready again, a supervisor's longest pause and a slow machine included.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// Pause before something is looked at again.
const LOOK: Duration = Duration::from_millis(100);
/// Records read at once.
const PAGE: usize = 1000;
/// An invoice for all time.
const EVER: &str = "2020-01-01..2100-01-01";
/// Complaints that a failure shows.
const COMPLAINTS_SHOWN: usize = 10;
/// Attempts in a row without a token before a job may be given up: the scheduler's bound.
const BARREN_MAX: u32 = lowland_scheduler::state::ATTEMPTS_BARREN_MAX;

/// How many jobs came to which end, and what they went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs by the name of their last event.
    pub ends: BTreeMap<String, u32>,
    /// Attempts that came to nothing.
    pub lost: u32,
    /// Jobs that another attempt went on with from what was written.
    pub resumed: u32,
    /// Callers who had to come back.
    pub came_back: u32,
    /// Tokens that callers had read of jobs cut short, beyond those that were charged: what the bus lost with a server
    /// and nobody could count any more.
    pub given_away: u64,
}

/// Waits until every process of `system` does its work.
pub async fn ready(system: &Site) {
    let (http, deadline) = (Http::new(system.said("gateway_url")), Instant::now() + READY_WITHIN);
    for (name, url) in system.health() {
        while !http.answers(&url).await {
            assert!(Instant::now() < deadline, "{name} is not ready after {READY_WITHIN:?}");
            sleep(LOOK).await;
        }
    }
}

/// Holds the system to what the crowd was promised and what it read.
pub fn promises(report: &Report, audit: &Audit) {
    let complaints = &report.complaints;
    let shown: Vec<_> = complaints.iter().take(COMPLAINTS_SHOWN).collect();
    assert!(complaints.is_empty(), "{} complaints: {shown:#?}", complaints.len());
    for (key, heard) in &report.jobs {
        let Some(job) = audit.jobs.get(key) else {
            assert!(!heard.acknowledged, "{key:?} was acknowledged, and is lost");
            continue;
        };
        let end = job.end.as_ref().unwrap_or_else(|| panic!("{key:?} has not ended: {:?}", job.names));
        let what = format!("{key:?} {heard:?} {end:?}");
        fair(heard, end, job.lost, &what);
        if let Some(read) = &heard.read {
            same(heard, read, end, &what);
        }
    }
    for (key, amount) in &report.topups {
        assert_eq!(audit.topup(key), Some(*amount), "top-up {key:?} was acknowledged");
    }
}

/// A job ends as it was asked for, or for a reason that its caller or the schedule gave.
fn fair(heard: &Heard, end: &End, lost: u32, what: &str) {
    match end.name.as_str() {
        "completed" => assert_eq!(end.text, heard.ask.wanted(), "the text is whole: {what}"),
        "cancelled" => assert!(heard.cancelled, "nobody cancelled it: {what}"),
        "expired" => assert!(heard.ask.deadline_ms.is_some(), "it was in no hurry: {what}"),
        "rejected" => assert_eq!(end.problem, Some(ProblemCode::InsufficientFunds), "{what}"),
        "failed" => assert!(lost >= BARREN_MAX, "given up after {lost} attempts: {what}"),
        other => panic!("{other} is no end: {what}"),
    }
}

/// What was read in pieces is what was written.
fn same(heard: &Heard, read: &Read, end: &End, what: &str) {
    assert!(heard.ask.wanted().starts_with(&read.text), "no token twice, none left out: {what}");
    let told = match read.ending.as_str() {
        "completed" => "completed",
        "job_cancelled" => "cancelled",
        "deadline_exceeded" => "expired",
        "insufficient_quota" => "rejected",
        _ => "failed",
    };
    assert_eq!(told, end.name, "a caller is told what the log says: {what}");
    assert!(told != "completed" || read.text == end.text, "read to the end: {what}");
}

/// Holds `lowland balance` and `lowland invoice` to the books that were kept from the log, and every hold to be closed.
pub fn money(system: &Site, audit: &Audit) {
    let accounts = audit.ledger.accounts();
    let balances = json(&system.command(&["balance", "--json"]));
    for (name, account) in &accounts {
        assert_eq!(account.set_aside, 0, "{name} has nothing set aside when nothing is under way");
        assert_eq!(micros(&balances[name]["available"]), account.available, "{name} may spend");
        assert_eq!(micros(&balances[name]["set_aside"]), 0, "{name}: {balances}");
        invoice(&json(&system.command(&["invoice", name, EVER, "--json"])), name, account);
    }
    let known = balances.as_object().expect("balances by account").len();
    assert_eq!(known, accounts.len(), "the same accounts: {balances}");
}

fn invoice(invoice: &Value, name: &str, account: &Account) {
    assert_eq!(micros(&invoice["charged"]), account.charged, "{name} is charged: {invoice}");
    assert_eq!(micros(&invoice["closing"]), account.available, "{name} ends with: {invoice}");
    let lines = invoice["lines"].as_array().expect("an invoice has lines");
    let word = |line: &Value, key: &str| line[key].as_str().expect("a line says it").to_owned();
    let used: BTreeMap<_, _> = lines
        .iter()
        .map(|line| {
            let key = (word(line, "model"), word(line, "meter"), word(line, "price_version"));
            (key, line["quantity"].as_u64().expect("a quantity"))
        })
        .collect();
    assert_eq!(used, account.used, "{name} used");
}

/// Holds the states of scheduler and billing, after all their restarts, to a fold of the log from its beginning.
pub async fn states(system: &Site) {
    let log = system.log().await;
    state::<lowland_scheduler::state::State>(system, &log, "scheduler").await;
    state::<lowland_billing::State>(system, &log, "billing").await;
}

async fn state<S: Keep>(system: &Site, log: &SharedLog, name: &str) {
    let url = system.health()[name].replace("/readyz", "/state");
    let http = Http::new(system.said("gateway_url"));
    let answer = http.json(&url).await.unwrap_or_else(|| panic!("{name} tells its state"));
    let seen: Seen = serde_json::from_value(answer).expect("it is as it was written");
    let folded = folded::<S>(log, seen.position).await;
    let service = ServiceId::new(name).expect("a service's name");
    let hash = Snapshot::of(service, stream::LOG, seen.position, S::LOGIC_VERSION, &folded).state_hash();
    assert_eq!(seen.hash, hash, "{name}'s state at {} is what the log amounts to", seen.position);
}

async fn folded<S: Keep>(log: &SharedLog, to: u64) -> S {
    let (mut state, mut next) = (S::default(), 1);
    loop {
        let page = log.read(stream::LOG, &S::filters(), next, PAGE).await.expect("the log can be read");
        for record in page.iter().filter(|record| record.sequence <= to) {
            state.evolve(&Stored::try_from(record).expect("the log holds our events alone"));
        }
        match page.last() {
            Some(last) if last.sequence < to => next = last.sequence + 1,
            _ => return state,
        }
    }
}

/// The worker that a job was given to last.
pub async fn writer(system: &Site) -> Option<String> {
    let jobs = [Filter::domain(Domain::Job)];
    let page = system.log().await.read(stream::LOG, &jobs, 1, PAGE).await.expect("the log can be read");
    let events = page.iter().map(|record| Stored::try_from(record).expect("the log holds our events alone"));
    let workers = events.filter_map(|stored| match stored.event {
        Event::Job(job::Event::Assigned(assigned)) => Some(assigned.worker.to_string()),
        _ => None,
    });
    workers.last()
}

/// Counts what became of the crowd's jobs.
#[must_use]
pub fn tally(report: &Report, audit: &Audit) -> Tally {
    let mut tally = Tally::default();
    for job in audit.jobs.values() {
        let end = job.end.as_ref().map_or("none", |end| end.name.as_str());
        *tally.ends.entry(end.to_owned()).or_default() += 1;
        tally.lost += job.lost;
        tally.resumed += u32::from(job.resumed_tokens > 0);
    }
    for (key, heard) in &report.jobs {
        let (Some(read), Some(job)) = (&heard.read, audit.jobs.get(key)) else { continue };
        tally.came_back += u32::from(read.connections > 1);
        let charged = job.end.as_ref().map_or(0, |end| end.usage.output_tokens());
        tally.given_away += (read.text.chars().count() as u64).saturating_sub(charged);
    }
    tally
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn micros(amount: &Value) -> i128 {
    amount.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{amount} is an amount"))
}
