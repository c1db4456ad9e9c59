//! The commands by which people see, held to a real system under load: what `replay` rebuilds is what the services know, what
//! `why` tells is what the log holds, what `watch` and `top` show is what happens.

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lowland_events::{
    Domain, Draft, Event, Filter, Stored, Subject,
    id::{AccountId, JobId},
    job::Event as Job,
    log::SharedLog,
    request::{CancelRequested, Posted},
    snapshot::{encode, state_hash},
    stream::LOG,
};
use lowland_host::{Keep, clock, fold::event_of};
use lowland_tests::{
    audit, binary,
    bounded::{self, Outcome},
    system::{Setting, System},
};
use serde_json::Value;

/// The model that every job here asks for.
const MODEL: &str = "echo";
/// One that takes its time, so that a job of it can be looked at under way.
const SLOW: &str = "slow";
/// Jobs of the load.
const JOBS: usize = 60;
/// Longest time for a command.
const PATIENCE: Duration = Duration::from_secs(120);
/// Records read at once.
const PAGE: usize = 500;

const PRICES: &str = r#"
currency = "EUR"
[[version]]
id = "test-1"
effective = "2026-01-01T00:00:00Z"
[version.models."*"]
input_tokens = "0.1"
output_tokens = "0.3"
"#;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn system() -> System {
    System::of(&Setting {
        workers: 2,
        models: vec![format!("echo:{MODEL}:20"), format!("echo:{SLOW}:250")],
        prices: Some(PRICES.into()),
        ..Setting::default()
    })
}

fn lowland(system: &System, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::path());
    command.arg("--data").arg(system.said("data")).args(arguments).env_remove("LOWLAND_NATS_URL");
    command
}

/// Runs a command that may fail.
fn tried(system: &System, arguments: &[&str]) -> Outcome {
    bounded::run(&mut lowland(system, arguments), PATIENCE).expect("lowland can be started")
}

/// Runs a command that prints one JSON document.
fn document(system: &System, arguments: &[&str]) -> Value {
    let printed = system.command(arguments);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?} printed {printed}: {error}"))
}

fn account(system: &System) -> AccountId {
    AccountId::new(system.said("nats_user")).expect("a valid id")
}

/// Asks for a job as anybody may, with a body that says nothing of its type.
async fn post(log: &SharedLog, account: &AccountId, job: &str, model: &str, max_tokens: u32) {
    let job = JobId::new(job).expect("a valid id");
    let posted = Posted {
        model: model.into(),
        prompt: Some("word ".repeat(max_tokens as usize)),
        max_tokens: Some(max_tokens),
        ..Posted::default()
    };
    let now = clock::now();
    let subject = Subject::request(account, &job, "posted");
    let cause = format!("{job} {model} {max_tokens}");
    log.append(Draft::new(subject, posted, &cause, "tests/1", now).entry()).await.expect("it is stored");
}

/// What a state has become by all that the log holds up to `until`, folded here.
async fn folded<S: Keep>(log: &SharedLog, until: u64) -> (u64, String) {
    let (mut state, mut position, mut from) = (S::default(), 0, 1);
    loop {
        let page = log.read(LOG, &S::filters(), from, PAGE).await.expect("the log can be read");
        for record in page.iter().filter(|record| record.sequence <= until) {
            position = record.sequence;
            if let Some(event) = event_of(record) {
                state.evolve(&event);
            }
        }
        match page.last() {
            Some(last) if last.sequence < until => from = last.sequence + 1,
            _ => return (position, state_hash(&encode(&state))),
        }
    }
}

#[test]
fn replay_rebuilds_what_the_services_know() {
    let (system, runtime) = (system(), runtime());
    let log = runtime.block_on(system.log());
    let account = account(&system);
    let begun = runtime.block_on(log.extent(LOG)).expect("there is a log").last;
    runtime.block_on(async {
        for job in 0..JOBS {
            post(&log, &account, &format!("load-{job}"), MODEL, 24).await;
        }
    });
    let mut positions = BTreeSet::new();
    for _ in 0..4 {
        let checked = document(&system, &["replay", "--check", "--json"]);
        let compared = checked["compared"].as_array().expect("what was compared");
        let names: Vec<_> = compared.iter().filter_map(|one| one["service"].as_str()).collect();
        assert_eq!(names, ["scheduler", "billing", "gateway"]);
        assert!(compared.iter().all(|one| one["equal"] == true), "{checked}");
        positions.insert(compared[0]["live"]["position"].as_u64().expect("a sequence"));
    }
    assert!(
        positions.len() > 1 && positions.last() > Some(&begun),
        "it was looked at under load: {positions:?}"
    );
    runtime.block_on(async {
        for job in 0..JOBS {
            ended(&log, &format!("load-{job}")).await;
        }
        audit::settled(&log).await;
    });

    let end = runtime.block_on(log.extent(LOG)).expect("there is a log").last;
    for at in [begun + 1, begun + (end - begun) / 2, end] {
        let replayed = document(&system, &["replay", "--json", "--at", &at.to_string()]);
        assert_eq!((replayed["at"].as_u64(), replayed["pruned"].as_u64()), (Some(at), Some(0)));
        let told = |index: usize| {
            let service = &replayed["services"][index];
            let hash = service["hash"].as_str().expect("a hash").to_owned();
            (service["position"].as_u64().expect("a position"), hash)
        };
        runtime.block_on(async {
            assert_eq!(told(0), folded::<lowland_scheduler::state::State>(&log, at).await, "{at}");
            assert_eq!(told(1), folded::<lowland_billing::State>(&log, at).await, "{at}");
            assert_eq!(told(2), folded::<lowland_gateway::models::Models>(&log, at).await, "{at}");
        });
    }
    let (_, middle) = runtime.block_on(folded::<lowland_billing::State>(&log, begun + (end - begun) / 2));
    let (_, last) = runtime.block_on(folded::<lowland_billing::State>(&log, end));
    assert_ne!(middle, last, "hashes of different states differ");

    let beyond = tried(&system, &["replay", "--at", &(end + 1).to_string()]);
    assert!(!beyond.succeeded() && beyond.output.contains("yet to come"), "{}", beyond.output);
    let text = system.command(&["replay", "billing", "--at", "now"]);
    assert!(text.contains(&last) && text.contains("adds up to 0.000000"), "{text}");
    system.down();
}

/// A command under way whose output is read once it has ended.
fn begun(system: &System, arguments: &[&str]) -> Child {
    let mut command = lowland(system, arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("lowland can be started")
}

fn lines(child: Child) -> Vec<Value> {
    let output = child.wait_with_output().expect("it can be waited for");
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[test]
fn why_and_watch_tell_what_the_log_holds() {
    let (system, runtime) = (system(), runtime());
    let log = runtime.block_on(system.log());
    let account = account(&system);
    let watching = begun(&system, &["watch", "--json", "--from-start", "-n", "2", "job.*.*.completed"]);
    runtime.block_on(async {
        post(&log, &account, "plain", MODEL, 24).await;
        post(&log, &account, "long", SLOW, 400).await;
        post(&log, &account, "odd", "nosuch", 24).await;
        ended(&log, "plain").await;
        // The same id again, which the job's own subject cannot answer.
        post(&log, &account, "plain", MODEL, 25).await;
        started(&log, "long").await;
    });

    let running = document(&system, &["why", "long", "--json"]);
    assert_eq!((&running["ended"], &running["settled"]), (&Value::Bool(false), &Value::Bool(false)));
    assert!(running["attempts"][0]["outcome"].is_null(), "{running}");
    assert!(system.command(&["why", "long"]).contains("it has not ended"));
    runtime.block_on(async {
        let subject = Subject::request(&account, &JobId::new("long").expect("an id"), "cancel_requested");
        let cancel = CancelRequested { reason: Some("seen enough".into()) };
        log.append(Draft::new(subject, cancel, "cancel", "tests/1", clock::now()).entry())
            .await
            .expect("stored");
        post(&log, &account, "second", MODEL, 24).await;
        ended(&log, "second").await;
        cancelled(&log, "long").await;
        refused(&log).await;
        audit::settled(&log).await;
    });
    explained(&system);

    let watched = lines(watching);
    assert_eq!(watched.len(), 2);
    for (event, job) in watched.iter().zip(["plain", "second"]) {
        assert_eq!(event["subject"], format!("lowland.job.{account}.{job}.completed"));
        assert!(event["data"]["usage"].is_object(), "{event}");
    }
    let all = lines(begun(&system, &["watch", "--json", "--from-start", "-n", "5", "log"]));
    let sequences: Vec<_> = all.iter().filter_map(|event| event["sequence"].as_u64()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    let wrong = tried(&system, &["watch", "jobs"]);
    assert!(!wrong.succeeded() && wrong.output.contains("did you mean job?"), "{}", wrong.output);
    system.down();
}

/// What `why` says of the jobs of the test above, now that all is over.
fn explained(system: &System) {
    let plain = document(system, &["why", "plain", "--json"]);
    assert_eq!((&plain["standing"], &plain["settled"]), (&Value::from("completed"), &Value::Bool(true)));
    let considered = plain["attempts"][0]["considered"].as_array().expect("who was considered");
    let verdicts: Vec<_> = considered.iter().map(|one| one["verdict"].as_str().unwrap_or_default()).collect();
    // A scheduler that has only just begun may not have heard of the second worker yet.
    assert!(verdicts == ["chosen", "eligible"] || verdicts == ["chosen", "silent"], "{plain}");
    for sum in ["held", "charged"] {
        assert_eq!(plain["money"][sum]["adds_up"], true, "{sum}: {plain}");
    }
    assert_eq!(
        (plain["money"]["open"].as_str(), plain["money"]["price_version"].as_str()),
        (Some("0"), Some("test-1"))
    );
    let types: Vec<_> =
        plain["events"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    for wanted in ["lowland.job.completed.v1", "lowland.account.charged.v1", "lowland.request.rejected.v1"] {
        assert!(types.iter().any(|kind| *kind == wanted), "{wanted} in {types:?}");
    }
    let again = plain["events"].as_array().expect("events").iter();
    let caused = again.filter(|event| event["type"] == "lowland.account.charged.v1");
    assert!(caused.into_iter().all(|event| event["caused_by"]["stream"] == "LOG"), "{plain}");
    let text = system.command(&["why", "plain"]);
    for part in ["job assigned", "could take it", "rounded up once", "a million", "use a new id for each job"]
    {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "colours are for terminals");

    let long = system.command(&["why", "long"]);
    assert!(long.contains("cancelled: seen enough"), "{long}");
    let odd = document(system, &["why", "odd", "--json"]);
    assert!(odd["summary"].as_str().is_some_and(|text| text.starts_with("rejected, unknown_model")), "{odd}");
    let unknown = tried(system, &["why", "plein"]);
    assert!(!unknown.succeeded() && unknown.output.contains("did you mean plain"), "{}", unknown.output);
}

async fn ended(log: &SharedLog, job: &str) {
    event(log, Domain::Job, job, |event| matches!(event, Event::Job(Job::Completed(_)))).await;
}

async fn cancelled(log: &SharedLog, job: &str) {
    event(log, Domain::Job, job, |event| matches!(event, Event::Job(Job::Cancelled(_)))).await;
}

async fn started(log: &SharedLog, job: &str) {
    event(log, Domain::Job, job, |event| matches!(event, Event::Job(Job::Started(_)))).await;
}

async fn refused(log: &SharedLog) {
    event(log, Domain::Request, "plain", |event| event.name() == "rejected").await;
}

/// Waits for an event of a job.
async fn event(log: &SharedLog, domain: Domain, job: &str, wanted: impl Fn(&Event) -> bool) {
    let stream = if domain == Domain::Request { "REQUESTS" } else { LOG };
    let filter = [Filter::aggregate_of_any_scope(domain, job)];
    let waited = async {
        loop {
            let records = log.read(stream, &filter, 1, PAGE).await.expect("the log can be read");
            let events = records.iter().filter_map(|record| Stored::try_from(record).ok());
            if events.into_iter().any(|stored| wanted(&stored.event)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{job} goes on"));
}
