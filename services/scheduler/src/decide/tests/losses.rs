//! What becomes of jobs whose worker is gone or fails.

use super::*;

#[test]
fn a_silent_worker_is_lost_and_its_job_goes_elsewhere() {
    let given = Given::a_worker().ready("w2-p1-m", Ready { ask: Money(99), ..ready("w2", "w2-p1") });
    let mut given = given.assigned("a/j", "w1-p1-m").started("a/j").pass(3000, &["w1-p1"]);
    assert_eq!(
        given.settle(),
        [
            "instance.smol.w1-p1-m.lost: it was silent for longer than its lease of 2000 ms",
            "job.a.j.attempt_failed: attempt 1 WorkerLost retry true",
            "job.a.j.assigned.w2: w2-p1-m attempt 2",
        ]
    );
}

#[test]
fn nobody_is_lost_while_the_way_is_broken() {
    let given = Given::a_worker().job("a/j", submitted(Time(i64::MAX))).held("a/j");
    let mut given = given.assigned("a/j", "w1-p1-m").pass(3000, &[]);
    given.now = given.now.plus_ms(60_000);
    assert_eq!(given.when(), NOTHING);
    assert!(!given.pass(3000, &["w1-p1"]).when().is_empty(), "open again, it is");
}

#[test]
fn a_worker_that_starts_anew_has_lost_its_jobs() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").pass(100, &[]);
    let mut given = given.ready("w1-p2-m", ready("w1", "w1-p2"));
    assert_eq!(
        given.settle(),
        [
            "instance.smol.w1-p1-m.lost: its worker has started anew",
            "job.a.j.attempt_failed: attempt 1 WorkerLost retry true",
            "job.a.j.assigned.w1: w1-p2-m attempt 2",
        ]
    );
}

#[test]
fn a_second_model_of_the_same_process_supersedes_nobody() {
    let given = Given::a_worker().ready("w1-p1-n", ready("w1", "w1-p1")).pass(100, &[]);
    assert_eq!(given.when(), NOTHING);
}

#[test]
fn jobs_that_a_stopped_instance_left_behind_go_elsewhere() {
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m").stopped("w1-p1-m");
    assert_eq!(given.settle(), ["job.a.j.attempt_failed: attempt 1 WorkerLost retry true"]);
}

#[test]
fn places_where_it_failed_come_last_but_do_come() {
    let given = Given::a_worker().ready("w2-p1-m", Ready { ask: Money(99), ..ready("w2", "w2-p1") });
    let given = given.assigned("a/j", "w1-p1-m").attempt_failed("a/j", true);
    assert_eq!(given.when(), ["job.a.j.assigned.w2: w2-p1-m attempt 2"]);
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").attempt_failed("a/j", true);
    assert_eq!(given.when(), ["job.a.j.assigned.w1: w1-p1-m attempt 2"]);
}

#[test]
fn the_retry_budget_is_spent_at_last() {
    let mut given = Given::a_worker().held("a/j");
    for attempt in 1..=ATTEMPTS_BARREN_MAX {
        assert_eq!(given.settle(), [format!("job.a.j.assigned.w1: w1-p1-m attempt {attempt}")]);
        given = given.attempt_failed("a/j", true);
    }
    assert_eq!(
        given.when(),
        ["job.a.j.failed: RetriesExhausted: 4 attempts came to nothing; the last one: it broke after 4"]
    );
}

/// Plays attempts, each ending as `attempt` makes it end, until no other follows; gives how many there were.
fn attempts(attempt: impl Fn(Given, u32) -> Given) -> u32 {
    let mut given = Given::a_worker().held("a/j");
    for number in 1.. {
        given = attempt(given.assigned("a/j", "w1-p1-m"), number);
        if !given.when().iter().any(|line| line.contains("assigned")) {
            let decided = given.delivered("a/j", output(1)).when();
            assert!(decided[0].contains("failed: RetriesExhausted"), "{decided:?}");
            return number;
        }
    }
    unreachable!("attempts are bounded")
}

#[test]
fn attempts_that_brought_tokens_do_not_count_against_a_job() {
    let each_brings_some = |given: Given, n| given.resumed("a/j", n).attempt_failed("a/j", true);
    assert_eq!(attempts(each_brings_some), ATTEMPTS_MAX);
    let the_third_did = |given: Given, n: u32| given.resumed("a/j", n.min(3)).attempt_failed("a/j", true);
    assert_eq!(attempts(the_third_did), 3 - 1 + ATTEMPTS_BARREN_MAX);
}

#[test]
fn attempts_that_a_worker_ended_in_good_order_do_not_count_against_a_job() {
    let stops = |given: Given, _| given.attempt_failed_by("a/j", ProblemCode::WorkerStopped, true);
    assert_eq!(attempts(stops), ATTEMPTS_MAX);
}

#[test]
fn a_worker_that_does_not_begin_loses_the_job() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").pass(START_MS - 1, &[]);
    assert_eq!(given.when(), NOTHING);
    assert_eq!(given.pass(1, &[]).when(), ["job.a.j.attempt_failed: attempt 1 WorkerFailed retry true"]);
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").started("a/j").pass(START_MS, &[]);
    assert_eq!(given.when(), NOTHING, "it has begun");
    let mut given = Given::a_worker().assigned("a/j", "w1-p1-m");
    given.now = given.now.plus_ms(START_MS);
    assert_eq!(given.when(), NOTHING, "it cannot say so while the bus is closed");
}

#[test]
fn what_only_the_worker_finds_too_long_is_rejected() {
    let refused = |given: Given| given.attempt_failed_by("a/j", ProblemCode::ContextLengthExceeded, false);
    let given = refused(Given::a_worker().assigned("a/j", "w1-p1-m").started("a/j"));
    let given = given.delivered("a/j", Usage::default());
    assert_eq!(given.when(), ["job.a.j.rejected: ContextLengthExceeded: it broke"]);
    let given = refused(Given::a_worker().assigned("a/j", "w1-p1-m").started("a/j"));
    let given = given.delivered("a/j", output(1));
    assert_eq!(given.when(), ["job.a.j.failed: ContextLengthExceeded: it broke after 1"]);
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").attempt_failed("a/j", false);
    assert_eq!(given.when(), ["job.a.j.failed: WorkerFailed: it broke after 1"]);
}
