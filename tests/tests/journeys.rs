//! Whole journeys over real processes: `lowland up`, official clients in Python, and what the log says afterwards.
//!
//! Each test starts a system of its own in a folder of its own, on free ports, and stops it. Set `$LOWLAND_BIN` to try
//! another program, `$NATS_SERVER` and `$ORT_DYLIB_PATH` as for `lowland` itself.

use std::path::Path;

use lowland_tests::{
    audit::{self, Audit},
    python::Python,
    system::System,
};
use serde_json::Value;

fn python() -> Python {
    Python::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn audit(system: &System) -> Audit {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async { audit::settled(&system.log().await).await })
}

fn text<'a>(report: &'a Value, key: &str) -> &'a str {
    report[key].as_str().unwrap_or_else(|| panic!("{report} has no {key}"))
}

#[test]
fn the_openai_package_unmodified() {
    let (python, system) = (python(), System::up(1));
    let report = system.play(&python, "openai_package.py", &[]);
    audit(&system).paid_once(text(&report, "account"), text(&report, "aborted"), "cancelled");
    system.down();
}

#[test]
fn a_plain_nats_client() {
    let (python, system) = (python(), System::up(1));
    system.play(&python, "nats_client.py", &[]);
    let audit = audit(&system);
    assert!(audit.jobs.values().any(|job| job.names == ["rejected"]), "the log keeps what was rejected");
    system.down();
}

#[test]
fn forging_is_refused() {
    let (python, system) = (python(), System::up(1));
    let report = system.play(&python, "forging.py", &[]);
    let forged = text(&report, "forged");
    let audit = audit(&system);
    assert!(audit.jobs.keys().all(|(account, job)| account != "other" && job != forged), "{:?}", audit.jobs);
    system.down();
}

#[test]
fn a_stream_taken_up_again_and_again() {
    completes("resume.py", &[], 1);
}

#[test]
fn money_runs_out() {
    completes("money.py", &[], 1);
}

#[test]
fn a_worker_killed_in_mid_stream() {
    completes("worker_gone.py", &["killed"], 2);
}

#[test]
fn a_worker_frozen_in_mid_stream() {
    completes("worker_gone.py", &["frozen"], 2);
}

#[test]
fn the_scheduler_killed_under_a_running_job() {
    completes("service_killed.py", &["scheduler"], 1);
}

#[test]
fn billing_killed_under_a_running_job() {
    completes("service_killed.py", &["billing"], 1);
}

#[test]
fn the_gateway_killed_under_a_running_job() {
    completes("service_killed.py", &["gateway"], 1);
}

#[test]
fn the_nats_server_killed_under_a_running_job() {
    completes("service_killed.py", &["nats"], 1);
}

#[test]
fn everything_killed_in_turn_under_a_crowd() {
    let (python, system) = (python(), System::up(2));
    let report = system.play(&python, "chaos.py", &[]);
    let audit = audit(&system);
    let account = text(&report, "account");
    let texts = report["texts"].as_object().expect("chaos reports its texts");
    assert!(!texts.is_empty());
    for (job, whole) in texts {
        audit.paid_once(account, job, "completed");
        let life = audit.jobs.get(&(account.to_owned(), job.clone()));
        let written = life.and_then(|life| life.end.as_ref()).map(|end| end.text.as_str());
        assert_eq!(written, whole.as_str(), "{job} is whole, each token once");
    }
    system.down();
}

/// Plays a script; every job that it reports has completed and was paid for once.
fn completes(script: &str, arguments: &[&str], workers: u8) {
    let (python, system) = (python(), System::up(workers));
    let report = system.play(&python, script, arguments);
    let audit = audit(&system);
    let jobs = report["jobs"].as_array().expect("the script reports its jobs");
    assert!(!jobs.is_empty());
    for job in jobs {
        audit.paid_once(text(&report, "account"), job.as_str().expect("an id"), "completed");
    }
    system.down();
}
