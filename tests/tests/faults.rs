//! Faults over real processes: everything is killed or frozen, alone and together, under a crowd of real clients; then
//! nothing that was acknowledged may be lost, nothing doubled, and every book has to agree with the log.
//!
//! `$LOWLAND_FAULT_SEED` chooses another schedule and another crowd. `$LOWLAND_FAULT_ROUNDS` makes the wild test deal so
//! many blows (some 3 s each), `$LOWLAND_FAULT_RUNS` makes the test of a lost worker repeat so often and say how long
//! each took. A failure prints the seed, the blows and the ends of all logs.

use std::{env, fmt::Debug, str::FromStr, thread::sleep, time::Duration};

use lowland_scheduler::liveness::LEASE_MS;
use lowland_tests::{
    audit::{self, Prices},
    havoc::{Blow, How, Schedule, processes, signal},
    load::{Crowd, Load, Mix, Report},
    system::{Setting, System},
    told::{self, Tally},
};
use tokio::runtime::Runtime;

/// Worker processes: enough that one is left when two are struck.
const WORKERS: u8 = 3;
/// Time that the echo takes for a token, in milliseconds: texts take a second or two, so that blows fall into them.
const TOKEN_MS: u64 = 20;
/// Blows of the wild test where nobody says otherwise.
const WILD_BLOWS: usize = 10;
/// Work before the first blow and after the last.
const UNDISTURBED: Duration = Duration::from_millis(1500);
/// Time beyond the lease within which a lost job goes on elsewhere: telling it, deciding, starting, and a slow machine.
const TAKEN_UP_MARGIN: Duration = Duration::from_secs(20);

/// Two versions: each job is charged by the one that was in force, the one here that is long over never.
const PRICES: &str = r#"
currency = "EUR"

[[version]]
id = "old"
effective = "2020-01-01T00:00:00Z"
[version.models."*"]
input_tokens = "9"
output_tokens = "9"

[[version]]
id = "new"
effective = "2021-01-01T00:00:00Z"
[version.models.echo]
input_tokens = "0.4"
cached_tokens = "0.7"
output_tokens = "1.7"
"#;

fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text:?}: {error:?}")),
        Err(_) => default,
    }
}

fn seed() -> u64 {
    setting("LOWLAND_FAULT_SEED", 1)
}

/// Accounts with their keys; the tenant's own is the first, the poor one the last.
fn accounts(system: &System) -> Vec<(String, String)> {
    let own = (system.said("nats_user").to_owned(), system.said("api_key").to_owned());
    [own].into_iter().chain(others()).collect()
}

fn others() -> [(String, String); 3] {
    ["acme", "globex", "pauper"].map(|name| (name.to_owned(), format!("key-of-{name}-for-faults")))
}

fn up() -> System {
    System::of(&Setting {
        workers: WORKERS,
        models: vec![format!("echo:echo:{TOKEN_MS}")],
        slots: Some(16),
        prices: Some(PRICES.into()),
        keys: others().to_vec(),
        ..Setting::default()
    })
}

fn runtime() -> Runtime {
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// Says, if the test fails, what has to be known to play it again.
struct Case<'s> {
    name: &'s str,
    seed: u64,
    schedule: &'s Schedule,
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { name, seed, schedule } = self;
            eprintln!("{name} failed: LOWLAND_FAULT_SEED={seed}, and these blows:\n{schedule}");
        }
    }
}

/// Deals `schedule` to a system under a crowd, lets it settle, and holds it to everything.
fn survives(name: &str, seed: u64, mix: Mix, schedule: &Schedule) -> Tally {
    let (system, runtime) = (up(), runtime());
    let case = Case { name, seed, schedule };
    let crowd = Crowd { seed, streams: 12, publishers: 4, mix, accounts: accounts(&system) };
    let load = runtime.block_on(Load::begin(&system, &crowd));
    sleep(UNDISTURBED);
    let struck = schedule.strike(&system);
    sleep(UNDISTURBED);
    let report = runtime.block_on(load.end());
    let tally = runtime.block_on(settled(&system, &report));
    println!("{name}: seed {seed}, struck {}; {tally:?}", struck.join(", "));
    assert_eq!(struck.len(), victims(schedule), "everybody was there to be struck: {struck:?}");
    assert!(tally.ends["completed"] > 20, "a crowd was at work: {tally:?}");
    drop(case);
    system.down();
    tally
}

fn victims(schedule: &Schedule) -> usize {
    schedule.0.iter().map(|blow| blow.victims.len()).sum()
}

/// What holds once everything is quiet.
async fn settled(system: &System, report: &Report) -> Tally {
    told::ready(system).await;
    let audit = audit::finished(&system.log().await, Prices::read(PRICES)).await;
    told::promises(report, &audit);
    told::money(system, &audit);
    told::states(system).await;
    told::ready(system).await;
    told::tally(report, &audit)
}

#[test]
fn each_process_killed_by_itself() {
    let schedule = Schedule::each_alone(seed(), &processes(WORKERS), 1, How::Kill);
    let tally = survives("each alone", seed(), Mix::default(), &schedule);
    assert!(tally.lost > 0 && tally.resumed > 0, "workers were killed at work: {tally:?}");
    assert!(tally.came_back > 0, "the gateway was killed under its callers: {tally:?}");
}

#[test]
fn processes_killed_in_pairs() {
    let schedule = Schedule::pairs(seed(), &processes(WORKERS), 6, How::Kill);
    survives("in pairs", seed(), Mix::default(), &schedule);
}

#[test]
fn a_worker_and_the_scheduler_frozen() {
    let blow = |after_ms, victims: &[&str], ms| {
        let victims = victims.iter().map(|&name| name.to_owned()).collect();
        Blow { after_ms, victims, how: How::Freeze(ms) }
    };
    // Longer than the lease: the worker is taken for lost and wakes up to find its jobs with others; the scheduler wakes
    // up to heartbeats that are all old. Shorter: nothing happens.
    let schedule = Schedule(vec![
        blow(500, &["worker-w1"], LEASE_MS * 2),
        blow(1000, &["scheduler"], LEASE_MS * 2),
        blow(1000, &["worker-w2"], LEASE_MS / 4),
        blow(500, &["scheduler", "worker-w3"], LEASE_MS * 2),
    ]);
    let tally = survives("frozen", seed(), Mix::default(), &schedule);
    assert!(tally.lost > 0, "a worker was taken for lost: {tally:?}");
}

#[test]
fn the_bus_killed_while_workers_write() {
    let blow = |after_ms, victims: &[&str]| {
        let victims = victims.iter().map(|&name| name.to_owned()).collect();
        Blow { after_ms, victims, how: How::Kill }
    };
    // The stream of tokens is in memory, and goes with the server: workers publish again what they have written. Where
    // one goes in the same moment, its text begins anew elsewhere, and is the same.
    let schedule = Schedule(vec![blow(1000, &["nats"]), blow(4000, &["nats", "worker-w1"])]);
    let mix = Mix { tokens: (150, 400), cancelled_of_100: 0, hurried_of_100: 0, ..Mix::default() };
    let tally = survives("the bus", seed(), mix, &schedule);
    let others = tally.ends.keys().filter(|end| !["completed", "rejected"].contains(&end.as_str()));
    assert_eq!(others.count(), 0, "nobody wanted an end but the text's own: {tally:?}");
}

#[test]
fn anything_at_any_time() {
    let blows = setting("LOWLAND_FAULT_ROUNDS", WILD_BLOWS);
    let schedule = Schedule::wild(seed(), &processes(WORKERS), blows, LEASE_MS);
    survives("wild", seed(), Mix::default(), &schedule);
}

#[test]
fn a_killed_workers_job_goes_on_elsewhere() {
    goes_on_elsewhere("killed", libc::SIGKILL);
}

#[test]
fn a_silent_workers_job_goes_on_elsewhere() {
    goes_on_elsewhere("silent", libc::SIGSTOP);
}

/// A killed worker is back in a moment and says itself that it has lost its jobs; a silent one's lease has to pass.
fn goes_on_elsewhere(what: &str, end: libc::c_int) {
    let runs = setting("LOWLAND_FAULT_RUNS", 1);
    let mut pauses: Vec<Duration> = (0..runs).map(|_| pause_of_a_worker_gone(end)).collect();
    pauses.sort_unstable();
    println!("a client's pause when its worker is {what}, over {runs} runs: {pauses:?}");
    let bound = Duration::from_millis(LEASE_MS) + TAKEN_UP_MARGIN;
    assert!(pauses.iter().all(|pause| *pause < bound), "each within {bound:?}");
}

/// Ends the worker of the one job in mid-stream; gives the longest time that the stream paused.
fn pause_of_a_worker_gone(end: libc::c_int) -> Duration {
    let (system, runtime) = (up(), runtime());
    let mix = Mix { tokens: (300, 300), cancelled_of_100: 0, hurried_of_100: 0, soon_ms: 1 };
    let one = accounts(&system)[..1].to_vec();
    let crowd = Crowd { seed: seed(), streams: 1, publishers: 0, mix, accounts: one };
    let load = runtime.block_on(Load::begin(&system, &crowd));
    sleep(UNDISTURBED);
    let worker = runtime.block_on(told::writer(&system)).expect("somebody writes");
    let pid = system.pids()[&format!("worker-{worker}")];
    assert!(signal(pid, end));
    let report = runtime.block_on(load.end());
    if end == libc::SIGSTOP {
        signal(pid, libc::SIGCONT);
    }
    let tally = runtime.block_on(settled(&system, &report));
    assert_eq!((tally.lost, tally.resumed), (1, 1), "one attempt was lost, and gone on with: {tally:?}");
    let pauses = report.jobs.values().filter_map(|heard| heard.read.as_ref()).map(|read| read.longest_pause);
    system.down();
    pauses.max().expect("a caller read")
}
