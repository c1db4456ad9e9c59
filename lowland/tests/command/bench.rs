//! `lowland bench` as a whole: that it measures real jobs and says so in figures that fit each other. How fast is nobody's
//! business here.

use std::process::Command;

use serde_json::Value;

fn bench(args: &[&str]) -> (bool, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lowland"))
        .arg("bench")
        .args(args)
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

#[test]
fn every_job_is_counted_with_all_that_it_stored() {
    let (ok, report, said) = bench(&["pipeline", "--quick", "--sync", "default", "--json"]);
    assert!(ok, "{said}");
    let of = &report["results"][0];
    assert_eq!(of["sync"], "default");
    let jobs = report["settings"]["jobs"].as_u64().unwrap();
    assert_eq!(of["loaded_charged"]["count"], jobs);
    let stored = |stream: &str| of["events"][stream].as_u64().unwrap();
    assert_eq!(stored("REQUESTS"), jobs);
    // submitted, hold_placed, assigned, started, completed, charged.
    assert_eq!(stored("LOG"), jobs * 6, "{of}");
    assert!(stored("TOKENS") >= jobs);
    for figure in ["jobs_a_second", "bare_events_a_second", "ratio"] {
        assert!(of[figure].as_f64().unwrap() > 0.0, "{figure}: {of}");
    }
    let idle = &of["idle"];
    let p50 = |way: &str| idle[way]["p50_ms"].as_f64().unwrap();
    assert!(p50("bus") > p50("direct") && p50("http") > p50("direct"), "{idle}");
}

#[test]
fn every_log_folds_to_one_state() {
    let (ok, report, said) = bench(&["replay", "--quick", "--json"]);
    assert!(ok, "{said}");
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    for pair in results.iter().filter(|of| of["from"] == "memory") {
        let nats =
            results.iter().find(|of| of["from"] == "nats" && of["service"] == pair["service"]).unwrap();
        assert_eq!(nats["state_hash"], pair["state_hash"]);
        assert!(pair["state_bytes"].as_u64().unwrap() > 0);
    }
}

#[test]
fn nothing_to_measure_is_said() {
    let (ok, _, said) = bench(&["pipeline", "--jobs", "0"]);
    assert!(!ok && said.contains("--jobs 0"), "{said}");
    let (ok, _, said) = bench(&["pipeline", "--sync", "never"]);
    assert!(!ok && said.contains("always"), "{said}");
}
