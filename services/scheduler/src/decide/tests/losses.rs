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
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(given.settle(), [format!("job.a.j.assigned.w1: w1-p1-m attempt {attempt}")]);
        given = given.attempt_failed("a/j", true);
    }
    assert_eq!(
        given.when(),
        ["job.a.j.failed: RetriesExhausted: 4 attempts came to nothing; the last one: it broke after 4"]
    );
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    let given = Given::a_worker().assigned("a/j", "w1-p1-m").attempt_failed("a/j", false);
    assert_eq!(given.when(), ["job.a.j.failed: WorkerFailed: it broke after 1"]);
}
